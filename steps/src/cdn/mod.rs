//! Prefetching: Alibaba's CDN is asked to fetch a job's files before anybody else asks it for them (`PushObjectCache` of
//! 2018-05-10), a hundred URLs a call. Done is what the CDN has taken on; when it fetches is its own affair.

mod answer;
mod sign;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use framefleet_common::adapters::alibaba::AlibabaKeys;
use framefleet_common::adapters::blob::storages::Credentials;
use framefleet_common::adapters::egress::told;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::steps::Call;
use framefleet_common::process::tls;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::step::life::Answer;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, Response, StatusCode, Url};

use self::sign::{Signed, encode, sha256};

/// One call takes no more.
const URLS_PER_CALL: usize = 100;
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30);
const ANSWER_BYTES_MAX: usize = 64 << 10;
const ACTION: &str = "PushObjectCache";
const VERSION: &str = "2018-05-10";
const FORM: &str = "application/x-www-form-urlencoded";

/// An account's CDN and what of it stands for which files.
#[derive(Clone)]
pub struct CdnSettings {
    /// `https://cdn.aliyuncs.com`
    pub endpoint: Url,
    /// None: those that the machine has.
    pub credentials: Option<Credentials>,
    /// What URLs of outputs begin with, such as `oss://made/web/`.
    pub origin: String,
    /// What they begin with at the CDN, such as `https://films.example/web/`.
    pub url: String,
    pub area: Area,
}

/// Where it is fetched to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// As the domain is set up.
    Domain,
    Domestic,
    Overseas,
}

pub struct Cdn {
    settings: CdnSettings,
    keys: Arc<AlibabaKeys>,
    http: Client,
    clock: Arc<dyn Clock>,
}

impl Cdn {
    /// An access key may have to be asked for first.
    pub(crate) const TIME_MAX: Duration = Duration::from_secs(60);

    pub fn new(settings: CdnSettings, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        tls::install();
        let http =
            Client::builder().connect_timeout(CONNECT).timeout(ANSWER).redirect(reqwest::redirect::Policy::none());
        let http = http.build().map_err(|e| Fault::new(FaultKind::Internal, format!("no HTTP client: {e}")))?;
        let keys = AlibabaKeys::of(settings.credentials.as_ref())?;
        Ok(Self { settings, keys, http, clock })
    }

    /// The next hundred of its files.
    pub(crate) async fn prefetch(&self, call: &Call<'_>) -> Answer {
        let origin = &self.settings.origin;
        let done = call.files_done as usize;
        let left = call.files.get(done..).unwrap_or_default();
        let of_cdn = |file: &String| Some([&self.settings.url, file.strip_prefix(origin)?].concat());
        if !call.files.iter().any(|file| file.starts_with(origin.as_str())) {
            return Answer::Never { why: format!("no file of the job lies below {origin}, where this CDN fetches") };
        }
        let (taken, urls) = batch(left, of_cdn);
        if !urls.is_empty()
            && let Err(answer) = self.push(&urls).await
        {
            return answer;
        }
        let files_done = done + taken;
        match u32::try_from(files_done) {
            Ok(files_done) if (files_done as usize) < call.files.len() => Answer::More { files_done },
            Ok(_) | Err(_) => Answer::Done,
        }
    }

    async fn push(&self, urls: &[String]) -> Result<(), Answer> {
        let again = |why: String| Answer::Again { why, not_before_ms: None };
        let Credentials { key_id, secret, token } = self.keys.get().await.map_err(again)?;
        let mut form = ["ObjectPath=", &encode(&urls.join("\n"))].concat();
        match self.settings.area {
            Area::Domain => {}
            Area::Domestic => form.push_str("&Area=domestic"),
            Area::Overseas => form.push_str("&Area=overseas"),
        }
        let now_ms = self.clock.epoch_ms();
        let date = DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
        let date = date.to_rfc3339_opts(SecondsFormat::Secs, true);
        let nonce = format!("{:032x}", rand::random::<u128>());
        let (content_sha256, host) = (sha256(form.as_bytes()), self.host());
        let mut headers = vec![
            ("content-type", FORM),
            ("host", &host),
            ("x-acs-action", ACTION),
            ("x-acs-content-sha256", &content_sha256),
            ("x-acs-date", &date),
        ];
        headers.extend(token.as_deref().map(|token| ("x-acs-security-token", token)));
        headers.extend([("x-acs-signature-nonce", nonce.as_str()), ("x-acs-version", VERSION)]);
        headers.sort_unstable();
        let signed = Signed { method: "POST", query: &[], headers: &headers, content_sha256: &content_sha256 };
        let mut request = self.http.post(self.settings.endpoint.clone()).header(ACCEPT, "application/json");
        for (name, value) in headers.iter().filter(|(name, _)| !matches!(*name, "host" | "content-type")) {
            request = request.header(*name, *value);
        }
        let request = request.header(CONTENT_TYPE, FORM).header(AUTHORIZATION, signed.authorization(&key_id, &secret));
        let answer = request.body(form).send().await.map_err(|e| again(format!("no answer: {}", told(e))))?;
        let status = answer.status();
        let text = bounded(answer).await.map_err(again)?;
        if status == StatusCode::OK { Ok(()) } else { Err(answer::of((status, &text), now_ms)) }
    }

    /// As the header has it.
    fn host(&self) -> String {
        let host = self.settings.endpoint.host_str().unwrap_or_default();
        self.settings.endpoint.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl fmt::Debug for Cdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cdn").field("url", &self.settings.url).finish_non_exhaustive()
    }
}

/// How many of the files are dealt with by one call, and the URLs that it asks for: files that lie elsewhere are passed
/// over.
fn batch(files: &[String], of_cdn: impl Fn(&String) -> Option<String>) -> (usize, Vec<String>) {
    let mut urls = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let Some(url) = of_cdn(file) else { continue };
        if urls.len() == URLS_PER_CALL {
            return (at, urls);
        }
        urls.push(url);
    }
    (files.len(), urls)
}

async fn bounded(mut answer: Response) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(more) = answer.chunk().await.map_err(told)? {
        bytes.extend_from_slice(&more);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(format!("the answer has more than {ANSWER_BYTES_MAX} bytes"));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
