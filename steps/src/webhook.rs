//! Webhooks: the event of a job's end, posted to one URL, signed as Standard Webhooks has it.
//!
//! 2xx is heard. 410 means never again. Anything else is tried again, not before the receiver asked for.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use framefleet_common::adapters::egress::{Egress, Guarded, told};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::steps::Call;
use framefleet_model::fault::Fault;
use framefleet_model::step::life::Answer;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, Url};

pub use crate::sign::Key;
use crate::sign::signature;

const EVENT: &str = "application/cloudevents+json; charset=utf-8";
/// As much of an answer as is told of one that was no yes.
const ANSWER_BYTES_MAX: usize = 512;
/// Beyond the time that the client keeps by itself.
const SLACK: Duration = Duration::from_secs(2);

/// A receiver, as people set it up.
#[derive(Clone)]
pub struct WebhookSettings {
    pub url: Url,
    /// Whoever of them the receiver knows: one, or two while one takes over from the other.
    pub keys: Vec<Key>,
    /// From the connection to the answer's end.
    pub timeout: Duration,
}

pub struct Webhook {
    settings: WebhookSettings,
    client: Guarded,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    pub fn new(settings: WebhookSettings, egress: &Egress, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        Ok(Self { settings, client: egress.client()?, clock })
    }

    pub(crate) fn time_max(&self) -> Duration {
        self.settings.timeout + SLACK
    }

    pub(crate) async fn post(&self, call: &Call<'_>) -> Answer {
        let seconds = self.clock.epoch_ms() / 1000;
        let request = match self.client.request(Method::POST, &self.settings.url) {
            Ok(request) => request,
            Err(forbidden) => return again(forbidden.to_string()),
        };
        let request = request
            .timeout(self.settings.timeout)
            .header(CONTENT_TYPE, EVENT)
            .header("webhook-id", call.event)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature(&self.settings.keys, (call.event, seconds), call.body));
        match request.body(call.body.to_owned()).send().await {
            Ok(answer) => self.heard(answer).await,
            Err(error) => again(format!("no answer: {}", told(error))),
        }
    }

    async fn heard(&self, answer: Response) -> Answer {
        let status = answer.status();
        // What a receiver says besides yes is nobody's business.
        if status.is_success() {
            return Answer::Done;
        }
        let not_before_ms = self.retry_after(answer.headers());
        let said = beginning(answer).await;
        let why = match status {
            status if status.is_redirection() => format!("status {status}: redirects are not followed"),
            status if said.is_empty() => format!("status {status}"),
            status => format!("status {status}: {said}"),
        };
        if status == StatusCode::GONE { Answer::Never { why } } else { Answer::Again { why, not_before_ms } }
    }

    /// Seconds, or a date.
    fn retry_after(&self, headers: &HeaderMap) -> Option<i64> {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse::<u32>() {
            return Some(i64::from(seconds) * 1000);
        }
        let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(i64::try_from(at.as_millis()).ok()? - self.clock.epoch_ms())
    }
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL may hold a secret in any of its parts but the host.
        f.debug_struct("WebhookSettings").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

fn again(why: String) -> Answer {
    Answer::Again { why, not_before_ms: None }
}

/// What an answer begins with, on one line.
async fn beginning(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        match answer.chunk().await {
            Ok(Some(more)) => bytes.extend_from_slice(&more),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(ANSWER_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes);
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
