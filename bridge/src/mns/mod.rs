//! A queue of MNS (also called SMQ) over HTTP: what a bridge needs of it.
//!
//! ```text
//! receive ── a long poll, up to 16 messages ─▶ each invisible to others for a while, with a handle
//! extend  ── a handle ─▶ another handle, and the while begins anew; the old one is void
//! delete  ── up to 16 handles ─▶ gone; a handle whose while is over does nothing, its message comes again
//! ```

mod error;
mod sign;
mod sign_v4;
mod wire;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use framefleet_common::adapters::alibaba::AlibabaKeys;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::tls;
use framefleet_model::event::WallTime;
use framefleet_model::fault::{Fault, FaultKind};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};

pub(crate) use self::error::MnsError;
use self::sign::Signed;
use self::sign_v4::SignedV4;
pub(crate) use self::wire::{Kept, Received, State};
use crate::bridge::{QueueSettings, Signature};

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
    /// Of the queue itself.
    url: Url,
    signature: Signature,
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
    path: String,
    /// As it is meant, in no code.
    query: Vec<(&'static str, String)>,
    body: String,
    patience: Duration,
}

impl Queue {
    pub(crate) fn new(settings: &QueueSettings, keys: Arc<AlibabaKeys>, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let QueueSettings { name, endpoint, .. } = settings;
        let refused = |why: String| Fault::new(FaultKind::Settings, format!("queue {name} at {endpoint}: {why}"));
        let mut url = Url::parse(endpoint).map_err(|e| refused(e.to_string()))?;
        url.set_path(&format!("/queues/{name}"));
        tls::install();
        let http = Client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none()).build();
        let http = http.map_err(|e| refused(e.to_string()))?;
        Ok(Self { http, url, signature: settings.signature.clone(), keys, clock })
    }

    /// Waits up to `wait` for messages; none may have come.
    pub(crate) async fn receive(&self, wait: Duration) -> Result<Vec<Received>, MnsError> {
        let query = vec![("numOfMessages", BATCH.to_string()), ("waitseconds", wait.as_secs().to_string())];
        let patience = wait + ANSWER;
        match self.ask(Request { query, patience, ..self.request(Method::GET) }).await {
            Ok(text) => wire::received(&text),
            Err(MnsError::Empty) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Removes messages for good, all but those that it names.
    pub(crate) async fn delete(&self, handles: &[String]) -> Result<Vec<Kept>, MnsError> {
        let asked = self.request(Method::DELETE);
        match self.ask(Request { body: wire::handles(handles), ..asked }).await {
            Ok(_) => Ok(Vec::new()),
            Err(MnsError::Partly(kept)) => Ok(kept),
            Err(error) => Err(error),
        }
    }

    /// Keeps a message from others for so long from now on, by a new handle.
    pub(crate) async fn extend(&self, handle: &str, visibility: Duration) -> Result<String, MnsError> {
        let seconds = visibility.as_secs().clamp(1, 43_200);
        let query = vec![("receiptHandle", handle.to_owned()), ("visibilityTimeout", seconds.to_string())];
        wire::handle(&self.ask(Request { query, ..self.request(Method::PUT) }).await?)
    }

    pub(crate) async fn attributes(&self) -> Result<Attributes, MnsError> {
        let asked = Request { path: self.url.path().to_owned(), ..self.request(Method::GET) };
        let (waiting, seconds) = wire::attributes(&self.ask(asked).await?)?;
        Ok(Attributes { waiting, visibility: Duration::from_secs(seconds) })
    }

    fn request(&self, method: Method) -> Request {
        let path = [self.url.path(), "/messages"].concat();
        Request { method, path, query: Vec::new(), body: String::new(), patience: ANSWER }
    }

    async fn ask(&self, request: Request) -> Result<String, MnsError> {
        let mut url = self.url.clone();
        url.set_path(&request.path);
        url.set_query(self.query(&request.query).as_deref());
        let headers = self.headers(&request, &url).await?;
        let Request { method, body, patience, .. } = request;
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

    /// As it is sent. The older signature is of it letter for letter, and wants values as they are.
    fn query(&self, query: &[(&str, String)]) -> Option<String> {
        let value = |value: &str| match self.signature {
            Signature::V2 => value.to_owned(),
            Signature::V4 { .. } => sign_v4::encoded(value),
        };
        let pairs: Vec<String> = query.iter().map(|(name, text)| [name, "=", &value(text)].concat()).collect();
        Some(pairs.join("&")).filter(|query| !query.is_empty())
    }

    async fn headers(&self, request: &Request, url: &Url) -> Result<HeaderMap, MnsError> {
        let key = self.keys.get().await.map_err(MnsError::NoKey)?;
        let since = Duration::from_millis(u64::try_from(self.clock.epoch_ms()).unwrap_or_default());
        let date = httpdate::fmt_http_date(UNIX_EPOCH + since);
        let content_type = if request.body.is_empty() { "" } else { XML };
        let authorization = match &self.signature {
            Signature::V2 => {
                // As it is sent, letter for letter.
                let path = url.path();
                let resource = url.query().map_or_else(|| path.to_owned(), |query| [path, "?", query].concat());
                let (method, own) = (request.method.as_str(), &[VERSION]);
                let signed = Signed { method, content_md5: "", content_type, date: &date, own, resource: &resource };
                signed.authorization(&key.key_id, &key.secret)
            }
            Signature::V4 { region } => {
                let typed = Some(("content-type", content_type)).filter(|(_, value)| !value.is_empty());
                let headers: Vec<(&str, &str)> = typed.into_iter().chain([VERSION]).collect();
                let query: Vec<(&str, &str)> =
                    request.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let (method, moment) = (request.method.as_str(), WallTime(self.clock.epoch_ms()));
                let signed = SignedV4 { method, path: &request.path, query: &query, headers: &headers, moment, region };
                signed.authorization(&key.key_id, &key.secret)
            }
        };
        let mut headers = HeaderMap::new();
        let mut set = |name: HeaderName, value: &str| {
            let value = HeaderValue::try_from(value).map_err(|_| MnsError::NoKey(format!("{name} cannot be sent")))?;
            headers.insert(name, value);
            Ok(())
        };
        set(AUTHORIZATION, &authorization)?;
        set(DATE, &date)?;
        set(HeaderName::from_static(VERSION.0), VERSION.1)?;
        if !request.body.is_empty() {
            set(CONTENT_TYPE, content_type)?;
        }
        if let Some(token) = key.token {
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
