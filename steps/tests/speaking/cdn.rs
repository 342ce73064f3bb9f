//! A double of Alibaba's CDN: it knows one key, checks signatures by what it was sent, and has a quota.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::response::Response;
use framefleet_common::adapters::blob::storages::Credentials;
use framefleet_common::ports::steps::{Call, Steps as _};
use framefleet_model::percent;
use framefleet_model::step::Step;
use framefleet_model::step::life::Answer;
use framefleet_steps::cdn::{Area, Cdn, CdnSettings};
use framefleet_steps::targets::Targets;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{Heard, Server, clock, says, why};

const SECRET: &str = "hunter2";

/// URLs that were asked for, and how many more may be.
#[derive(Default)]
struct Account {
    urls: Mutex<Vec<Vec<String>>>,
    quota: Mutex<usize>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The signature that these headers and this body should have.
fn wanted(heard: &Heard, names: &str) -> String {
    let headers: String = names.split(';').map(|name| format!("{name}:{}\n", heard.header(name))).collect();
    let payload = hex(&Sha256::digest(heard.body.as_bytes()));
    let canonical = format!("POST\n/\n\n{headers}\n{names}\n{payload}");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("ACS3-HMAC-SHA256\n{}", hex(&Sha256::digest(canonical.as_bytes()))).as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn trouble(status: u16, code: &str) -> Response {
    says(status, &format!("{{\"RequestId\":\"r\",\"HostId\":\"cdn\",\"Code\":\"{code}\",\"Message\":\"m\"}}"))
}

fn answer(account: &Account, heard: &Heard) -> Response {
    let authorization = heard.header("authorization").to_owned();
    let Some(rest) = authorization.strip_prefix("ACS3-HMAC-SHA256 Credential=fleet,SignedHeaders=") else {
        return trouble(404, "InvalidAccessKeyId.NotFound");
    };
    let (names, signature) = rest.split_once(",Signature=").unwrap();
    let signed: Vec<&str> = names.split(';').collect();
    for name in ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"]
    {
        assert!(signed.contains(&name), "{name} is not signed");
    }
    if heard.header("x-acs-security-token") != "token" || signature != wanted(heard, names) {
        return trouble(400, "SignatureDoesNotMatch");
    }
    assert_eq!((heard.header("x-acs-action"), heard.header("x-acs-version")), ("PushObjectCache", "2018-05-10"));
    assert_eq!(heard.header("x-acs-content-sha256"), hex(&Sha256::digest(heard.body.as_bytes())));
    assert_eq!(heard.header("content-type"), "application/x-www-form-urlencoded");
    let decoded = |text: &str| String::from_utf8(percent::decode(text).unwrap()).unwrap();
    let form: BTreeMap<&str, String> =
        heard.body.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(k, v)| (k, decoded(v))).collect();
    assert_eq!(form.get("Area").map(String::as_str), Some("overseas"));
    let urls: Vec<String> = form["ObjectPath"].split('\n').map(str::to_owned).collect();
    if urls.len() > 100 {
        return trouble(400, "InvalidObjectPath.ExceedsMaximum");
    }
    let mut quota = account.quota.lock().unwrap();
    if *quota < urls.len() {
        return trouble(400, "QuotaExceeded.Preload");
    }
    *quota -= urls.len();
    account.urls.lock().unwrap().push(urls);
    says(200, "{\"PushTaskId\":\"95248880\",\"RequestId\":\"r\"}")
}

struct Scene {
    account: Arc<Account>,
    server: Server,
    targets: Targets,
}

async fn scene(secret: &str, quota: usize) -> Scene {
    let account = Arc::new(Account { quota: Mutex::new(quota), ..Account::default() });
    let kept = account.clone();
    let server = Server::start(move |heard| answer(&kept, heard)).await;
    let settings = CdnSettings {
        endpoint: format!("http://127.0.0.1:{}/", server.port).parse().unwrap(),
        credentials: Some(Credentials { key_id: "fleet".into(), secret: secret.into(), token: Some("token".into()) }),
        origin: "oss://made/web/".into(),
        url: "https://films.example/w/".into(),
        area: Area::Overseas,
    };
    let targets =
        Targets { cdns: [("films".to_owned(), Cdn::new(settings, clock()).unwrap())].into(), ..Targets::default() };
    Scene { account, server, targets }
}

impl Scene {
    async fn prefetch(&self, files: &[String], files_done: u32) -> Answer {
        let step = Step::CdnPrefetch { target: "films".into(), files_max: 1000 };
        self.targets.run(&Call { step: &step, event: "j:1:completed", body: "{}", files, files_done }).await
    }
}

fn files(count: usize) -> Vec<String> {
    let made = (0..count).map(|n| format!("oss://made/web/a%20b/{n}.ts"));
    ["oss://elsewhere/b.mp4".to_owned()].into_iter().chain(made).collect()
}

#[tokio::test]
async fn files_are_asked_for_by_the_hundred_and_others_passed_over() {
    let scene = scene(SECRET, 1000).await;
    let files = files(250);
    let mut done = 0;
    let mut parts = Vec::new();
    loop {
        match scene.prefetch(&files, done).await {
            Answer::More { files_done } => done = files_done,
            Answer::Done => break,
            other => panic!("{other:?}"),
        }
        parts.push(done);
    }
    assert_eq!(parts, [101, 201]);
    let asked = scene.account.urls.lock().unwrap().clone();
    assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
    assert_eq!(
        (asked[0][0].as_str(), asked[2][49].as_str()),
        ("https://films.example/w/a%20b/0.ts", "https://films.example/w/a%20b/249.ts")
    );
    let nonces: std::collections::BTreeSet<String> =
        scene.server.heard().iter().map(|heard| heard.header("x-acs-signature-nonce").to_owned()).collect();
    assert_eq!(nonces.len(), 3);
}

#[tokio::test]
async fn a_quota_is_waited_for_a_wrong_secret_tried_again_and_strange_files_given_up() {
    let poor = scene(SECRET, 150).await;
    let files = files(250);
    assert_eq!(poor.prefetch(&files, 0).await, Answer::More { files_done: 101 });
    let early = poor.prefetch(&files, 101).await;
    let Answer::NotYet { why: told, wait_ms } = early else { panic!("{early:?}") };
    assert!((1..=25 * 3_600_000).contains(&wait_ms) && told.contains("QuotaExceeded.Preload"), "{told} {wait_ms}");
    *poor.account.quota.lock().unwrap() = 1000;
    assert_eq!(poor.prefetch(&files, 101).await, Answer::More { files_done: 201 });

    let wrong = scene("hunter3", 1000).await.prefetch(&files, 0).await;
    assert!(matches!(&wrong, Answer::Again { why, .. } if why.contains("SignatureDoesNotMatch")), "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("hunter"), "{wrong:?}");

    let strange = poor.prefetch(&["s3://made/web/a.mp4".to_owned()], 0).await;
    assert!(matches!(&strange, Answer::Never { .. }));
    assert_eq!(why(strange), "no file of the job lies below oss://made/web/, where this CDN fetches");
}
