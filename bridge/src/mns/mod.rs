//! A queue of MNS (also called SMQ) over HTTP: what a bridge needs of it.
//!
//! ```text
//! receive ── a long poll, up to 16 messages ─▶ each invisible to others for a while, with a handle
//! extend  ── a handle ─▶ another handle, and the while begins anew; the old one is void
//! delete  ── up to 16 handles ─▶ gone; a handle whose while is over does nothing, its message comes again
//! ```

mod error;
mod sign;
mod wire;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use framefleet_common::adapters::alibaba::AlibabaKeys;
use framefleet_common::adapters::blob::storages::Credentials;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::tls;
use framefleet_model::fault::{Fault, FaultKind};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};

pub(crate) use self::error::MnsError;
use self::sign::Signed;
pub(crate) use self::wire::{Kept, Received};

/// What one request gives and takes.
pub(crate) const BATCH: usize = 16;
const VERSION: (&str, &str) = ("x-mns-version", "2015-06-06");
const XML: &str = "text/xml;charset=UTF-8";
const CONNECT: Duration = Duration::from_secs(10);
/// Beyond what a long poll may take.
const ANSWER: Duration = Duration::from_secs(15);
/// 16 messages of 64 KiB, in base64 and with what is around them, are half of it.
const ANSWER_BYTES_MAX: usize = 4 << 20;

pub(crate) struct Queue {
    http: Client,
    url: Url,
    keys: Arc<AlibabaKeys>,
    clock: Arc<dyn Clock>,
}

/// What a queue says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// That can be received now.
    pub(crate) waiting: u64,
    /// How long a received message is invisible to others.
    pub(crate) visibility: Duration,
}

/// What is asked of a queue.
struct Request {
    method: Method,
    url: Url,
    body: String,
    patience: Duration,
}

impl Queue {
    /// `endpoint` is `https://<account>.mns.<region>.aliyuncs.com`.
    pub(crate) fn new(
        (endpoint, name): (&str, &str),
        keys: Arc<AlibabaKeys>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        let refused = |why: String| Fault::new(FaultKind::Settings, format!("queue {name} at {endpoint}: {why}"));
        let mut url = Url::parse(endpoint).map_err(|e| refused(e.to_string()))?;
        url.set_path(&format!("/queues/{name}"));
        tls::install();
        let http = Client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|e| refused(e.to_string()))?;
        Ok(Self { http, url, keys, clock })
    }

    /// Waits up to `wait` for messages; none may have come.
    pub(crate) async fn receive(&self, wait: Duration) -> Result<Vec<Received>, MnsError> {
        let query = format!("numOfMessages={BATCH}&waitseconds={}", wait.as_secs());
        let patience = wait + ANSWER;
        match self.ask(Request { patience, ..self.request(Method::GET, &query) }).await {
            Ok(text) => wire::received(&text),
            Err(MnsError::Empty) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Removes messages for good, all but those that it names.
    pub(crate) async fn delete(&self, handles: &[String]) -> Result<Vec<Kept>, MnsError> {
        let asked = self.request(Method::DELETE, "");
        match self.ask(Request { body: wire::handles(handles), ..asked }).await {
            Ok(_) => Ok(Vec::new()),
            Err(MnsError::Partly(kept)) => Ok(kept),
            Err(error) => Err(error),
        }
    }

    /// Keeps a message from others for so long from now on, by a new handle.
    pub(crate) async fn extend(&self, handle: &str, visibility: Duration) -> Result<String, MnsError> {
        let seconds = visibility.as_secs().clamp(1, 43_200);
        let query = format!("receiptHandle={handle}&visibilityTimeout={seconds}");
        wire::handle(&self.ask(self.request(Method::PUT, &query)).await?)
    }

    pub(crate) async fn attributes(&self) -> Result<Attributes, MnsError> {
        let asked = Request { url: self.url.clone(), ..self.request(Method::GET, "") };
        let (waiting, seconds) = wire::attributes(&self.ask(asked).await?)?;
        Ok(Attributes { waiting, visibility: Duration::from_secs(seconds) })
    }

    fn request(&self, method: Method, query: &str) -> Request {
        let mut url = self.url.clone();
        url.set_path(&[url.path(), "/messages"].concat());
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        Request { method, url, body: String::new(), patience: ANSWER }
    }

    async fn ask(&self, request: Request) -> Result<String, MnsError> {
        let Request { method, url, body, patience } = request;
        let headers = self.headers(&method, &url, &body).await?;
        let mut asked = self.http.request(method, url).headers(headers).timeout(patience);
        if !body.is_empty() {
            asked = asked.body(body);
        }
        let answer = asked.send().await.map_err(MnsError::away)?;
        let status = answer.status();
        let text = bounded(answer).await?;
        match status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(text),
            status => Err(error::of(status, &text)),
        }
    }

    async fn headers(&self, method: &Method, url: &Url, body: &str) -> Result<HeaderMap, MnsError> {
        let Credentials { key_id, secret, token } = self.keys.get().await.map_err(MnsError::NoKey)?;
        let since = Duration::from_millis(u64::try_from(self.clock.epoch_ms()).unwrap_or_default());
        let date = httpdate::fmt_http_date(UNIX_EPOCH + since);
        let content_type = if body.is_empty() { "" } else { XML };
        // As it is sent, letter for letter.
        let resource = url.query().map_or_else(|| url.path().to_owned(), |query| [url.path(), "?", query].concat());
        let signed = Signed {
            method: method.as_str(),
            content_md5: "",
            content_type,
            date: &date,
            own: &[VERSION],
            resource: &resource,
        };
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            let value = HeaderValue::try_from(value).map_err(|_| MnsError::NoKey(format!("{name} cannot be sent")))?;
            headers.insert(name, value);
            Ok(())
        };
        set(AUTHORIZATION, &signed.authorization(&key_id, &secret))?;
        set(DATE, &date)?;
        set(HeaderName::from_static(VERSION.0), VERSION.1)?;
        if !body.is_empty() {
            set(CONTENT_TYPE, content_type)?;
        }
        if let Some(token) = token {
            set(HeaderName::from_static("security-token"), &token)?;
        }
        Ok(headers)
    }
}

async fn bounded(mut answer: Response) -> Result<String, MnsError> {
    let mut bytes = Vec::new();
    while let Some(more) = answer.chunk().await.map_err(MnsError::away)? {
        bytes.extend_from_slice(&more);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(MnsError::Unreadable(format!("more than {ANSWER_BYTES_MAX} bytes")));
        }
    }
    String::from_utf8(bytes).map_err(|_| MnsError::Unreadable("no UTF-8".to_owned()))
}
