//! A receiver of webhooks, in every mood.

use std::time::Duration;

use axum::http::header::{LOCATION, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use framefleet_common::adapters::egress::Egress;
use framefleet_common::ports::steps::{Call, Steps as _};
use framefleet_model::step::life::Answer;
use framefleet_model::step::{Ending, Step};
use framefleet_steps::targets::Targets;
use framefleet_steps::webhook::{Key, Webhook, WebhookSettings};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Heard, Server, clock, says, why};

const BODY: &str = r#"{"id":"j:1:completed","data":{}}"#;
const SECRETS: [&str; 2] = ["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];

async fn tell(url: &str, allow: &[&str]) -> Answer {
    let settings = WebhookSettings {
        url: url.parse().unwrap(),
        keys: SECRETS.iter().map(|secret| Key::parse(secret).unwrap()).collect(),
        timeout: Duration::from_secs(1),
    };
    let egress = Egress::new(allow.iter().map(|network| network.parse().unwrap()).collect());
    let webhook = Webhook::new(settings, &egress, clock()).unwrap();
    let targets = Targets { webhooks: [("studio".to_owned(), webhook)].into(), ..Targets::default() };
    let step = Step::Webhook { target: "studio".into(), events: Ending::ALL.into() };
    targets.run(&Call { step: &step, event: "j:1:completed", body: BODY, files: &[], files_done: 0 }).await
}

async fn answered(answer: impl Fn(&Heard) -> Response + Send + Sync + 'static) -> (Answer, Vec<Heard>) {
    let server = Server::start(answer).await;
    let answer = tell(&format!("http://127.0.0.1:{}/hook", server.port), &["127.0.0.1/32"]).await;
    (answer, server.heard())
}

/// As a receiver does that knows one of the secrets.
fn believes(heard: &Heard, secret: &str) -> bool {
    let key = BASE64.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let signed = [heard.header("webhook-id"), ".", heard.header("webhook-timestamp"), ".", &heard.body].concat();
    mac.update(signed.as_bytes());
    let wanted = ["v1,", &BASE64.encode(mac.finalize().into_bytes())].concat();
    heard.header("webhook-signature").split(' ').any(|signature| signature == wanted)
}

#[tokio::test]
async fn an_event_is_posted_once_and_believed_by_whoever_knows_either_secret() {
    let (answer, heard) = answered(|_| says(204, "")).await;
    assert_eq!(answer, Answer::Done);
    let [heard] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((heard.header("webhook-id"), heard.body.as_str()), ("j:1:completed", BODY));
    assert_eq!(heard.header("content-type"), "application/cloudevents+json; charset=utf-8");
    assert!(SECRETS.iter().all(|secret| believes(heard, secret)));
    assert!(!believes(heard, "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"));
    let sent: u64 = heard.header("webhook-timestamp").parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(sent) < 300, "{sent} at {now}");
}

#[tokio::test]
async fn what_a_receiver_says_is_heeded() {
    let (gone, _) = answered(|_| says(410, "no\u{7}more\n")).await;
    assert_eq!(gone, Answer::Never { why: "status 410 Gone: no more".to_owned() });
    let later = |value: &'static str| answered(move |_| ([(RETRY_AFTER, value)], says(503, "busy")).into_response());
    for (value, within) in [("7", 7_000..=7_000), ("Fri, 01 Jan 2100 00:00:00 GMT", 1_000_000_000..=i64::MAX)] {
        let (answer, _) = later(value).await;
        let Answer::Again { not_before_ms: Some(wait), .. } = answer else { panic!("{answer:?}") };
        assert!(within.contains(&wait), "{value}: {wait}");
    }
    let (answer, _) = later("soon").await;
    assert!(matches!(answer, Answer::Again { not_before_ms: None, .. }), "{answer:?}");
    let (failed, _) = answered(|_| says(500, &"x".repeat(1 << 20))).await;
    let said = why(failed);
    assert!(said.starts_with("status 500 Internal Server Error: xxx") && said.len() < 600, "{}", said.len());
}

#[tokio::test]
async fn redirects_hosts_that_hang_and_private_addresses_are_no_yes() {
    let inner = Server::start(|_| says(200, "secret")).await;
    let to = format!("http://127.0.0.1:{}/latest/meta-data", inner.port);
    let (answer, _) = answered(move |_| ([(LOCATION, to.clone())], says(307, "")).into_response()).await;
    assert_eq!(why(answer), "status 307 Temporary Redirect: redirects are not followed");
    let url = format!("http://127.0.0.1:{}/", inner.port);
    let refused = why(tell(&url, &[]).await);
    assert_eq!(refused, "127.0.0.1 is loopback, and in no network of egress.allow");
    let named = why(tell(&format!("http://localhost:{}/", inner.port), &["10.0.0.0/8"]).await);
    assert!(named.contains("loopback and in no network of egress.allow"), "{named}");
    assert_eq!(inner.heard().len(), 0);

    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hung = why(tell(&format!("http://{}/", mute.local_addr().unwrap()), &["127.0.0.1/32"]).await);
    assert!(hung.starts_with("no answer: ") && hung.contains("timed out"), "{hung}");
    assert!(!hung.contains("http://"), "a URL may hold a secret: {hung}");
}
