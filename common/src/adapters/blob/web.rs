//! Objects of others, behind plain HTTP: read by range, through the guarded way out, and never written.
//!
//! ```text
//! GET bytes=0-0 ─▶ size · ETag or date          GET bytes=a-b, If-Match ─▶ 206 with the same size, ETag and date
//! ```
//! A server that answers no ranges, or does not say by ETag or date which content it gives, is refused by name: nothing
//! would hold two reads to one film. Redirects are followed a few times, each looked at as the first URL was.

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use framefleet_model::event::WallTime;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderName, IF_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED,
    LOCATION, RANGE,
};
use reqwest::{Method, Response, StatusCode, Url};

use crate::adapters::blob::fault::{self, Trouble};
use crate::adapters::blob::place::{Opened, Place};
use crate::adapters::blob::{Content, Facts, Hidden, OnExisting, Presence, Published, Side, Stat};
use crate::adapters::egress::{Forbidden, Guarded, told};

const REDIRECTS_MAX: usize = 5;
const TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(300);
/// For one range, however slowly it trickles in.
const PATIENCE: Duration = Duration::from_secs(300);

/// How sources behind HTTP are read, where they are at all.
#[derive(Clone)]
pub struct Web {
    pub client: Guarded,
    /// Larger ones are refused.
    pub bytes_max: u64,
}

#[derive(Clone)]
pub(crate) struct WebPlace {
    web: Web,
    url: Url,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").field("bytes_max", &self.bytes_max).finish_non_exhaustive()
    }
}

/// What a server says of the content that it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    size: u64,
    etag: Option<String>,
    date: Option<String>,
}

struct OpenWeb {
    place: WebPlace,
    known: Known,
}

impl WebPlace {
    pub(crate) fn new(web: Web, url: &str) -> Result<Self, Fault> {
        let refused = |why: String| Fault::new(FaultKind::Settings, why);
        // What is wrong with it may be a password.
        let url: Url = url.parse().map_err(|e| refused(format!("the source's URL is none: {e}")))?;
        let place = Self { web, url };
        if !place.url.username().is_empty() || place.url.password().is_some() {
            return Err(refused(format!("{} has a user in it, and would be shown with the job", place.name())));
        }
        Ok(place)
    }

    fn trouble(&self, trouble: Trouble, detail: &str) -> Fault {
        fault::of(Side::Source, &self.name(), (trouble, detail))
    }

    async fn look(&self) -> Result<Known, Fault> {
        let (answer, known) = self.patiently((0, 1), None).await?;
        drop(answer);
        if known.size > self.web.bytes_max {
            let text = format!("{} has {} bytes, {} at most", self.name(), known.size, self.web.bytes_max);
            return Err(Fault::new(FaultKind::Limits, text));
        }
        Ok(known)
    }

    /// A range, asked for again where that may help.
    async fn patiently(&self, (offset, len): (u64, u32), known: Option<&Known>) -> Result<(Bytes, Known), Fault> {
        let mut tries = 0;
        loop {
            let asked = tokio::time::timeout(PATIENCE, self.range((offset, len), known)).await;
            let fault = match asked {
                Ok(Err(fault)) if fault.kind == FaultKind::StorageAway => fault,
                Ok(outcome) => return outcome,
                Err(_) => self.trouble(Trouble::Away, &format!("no answer in {} s", PATIENCE.as_secs())),
            };
            tries += 1;
            if tries == TRIES {
                return Err(fault);
            }
            tokio::time::sleep(PAUSE * 2_u32.pow(tries)).await;
        }
    }

    async fn range(&self, (offset, len): (u64, u32), known: Option<&Known>) -> Result<(Bytes, Known), Fault> {
        let away = |why: &str| self.trouble(Trouble::Away, why);
        let range = format!("bytes={offset}-{}", offset + u64::from(len) - 1);
        let answer = self.ask((&range, known)).await?;
        let found = self.known(&answer)?;
        if known.is_some_and(|known| *known != found) {
            return Err(self.trouble(Trouble::Changed, ""));
        }
        if found.size == 0 {
            return Ok((Bytes::new(), found));
        }
        let (mut answer, mut bytes) = (answer, BytesMut::new());
        while let Some(more) = answer.chunk().await.map_err(|e| away(&told(e)))? {
            bytes.extend_from_slice(&more);
            if bytes.len() > len as usize {
                return Err(self.trouble(Trouble::NoObject, "behind a server that answers more than was asked for"));
            }
        }
        if bytes.len() < len as usize {
            return Err(away(&format!("{} of {len} bytes came", bytes.len())));
        }
        Ok((bytes.freeze(), found))
    }

    /// Follows redirects, each through the guard.
    async fn ask(&self, (range, known): (&str, Option<&Known>)) -> Result<Response, Fault> {
        let forbidden = |why: Forbidden| self.trouble(Trouble::Denied, &why.to_string());
        let mut url = self.url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let request = self.web.client.request(Method::GET, &url).map_err(forbidden)?;
            let request = request.header(RANGE, range).header(ACCEPT_ENCODING, "identity");
            let request = match known {
                Some(Known { etag: Some(etag), .. }) if !etag.starts_with("W/") => request.header(IF_MATCH, etag),
                Some(Known { etag: None, date: Some(date), .. }) => request.header(IF_UNMODIFIED_SINCE, date),
                Some(_) | None => request,
            };
            let answer = request.send().await.map_err(|e| self.unsent(e))?;
            if !answer.status().is_redirection() {
                return Ok(answer);
            }
            let next = text(&answer, LOCATION).and_then(|next| url.join(&next).ok());
            let next = next.ok_or_else(|| self.trouble(Trouble::NoObject, "a redirect to nowhere"))?;
            if url.scheme() == "https" && next.scheme() != "https" {
                return Err(self.trouble(Trouble::Denied, "a redirect leads away from TLS"));
            }
            url = next;
        }
        Err(self.trouble(Trouble::NoObject, &format!("behind more than {REDIRECTS_MAX} redirects")))
    }

    /// A name that means a private address will mean it again.
    fn unsent(&self, error: reqwest::Error) -> Fault {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if let Some(forbidden) = inner.downcast_ref::<Forbidden>() {
                return self.trouble(Trouble::Denied, &forbidden.to_string());
            }
            cause = inner.source();
        }
        self.trouble(Trouble::Away, &told(error))
    }

    fn known(&self, answer: &Response) -> Result<Known, Fault> {
        let refuse = |why: &str| Err(self.trouble(Trouble::NoObject, why));
        let range = text(answer, CONTENT_RANGE);
        let total = range.as_deref().and_then(|range| range.rsplit_once('/')).map(|(_, total)| total);
        let (etag, date) = (text(answer, ETAG), text(answer, LAST_MODIFIED));
        match answer.status() {
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::RANGE_NOT_SATISFIABLE if total == Some("0") => return Ok(Known { size: 0, etag, date }),
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PRECONDITION_FAILED => {
                return Err(self.trouble(Trouble::Changed, ""));
            }
            StatusCode::OK => {
                return refuse("behind a server that answers no ranges, which a source has to be read by");
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => return Err(self.trouble(Trouble::Missing, "")),
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => {
                return Err(self.trouble(Trouble::Denied, &format!("status {status}")));
            }
            status => return Err(self.trouble(Trouble::Away, &format!("status {status}"))),
        }
        if text(answer, CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return refuse("behind a server that packs what it is to give as it is");
        }
        let Some(size) = total.and_then(|total| total.parse().ok()) else {
            return refuse("behind a server that does not say how long it is");
        };
        if etag.is_none() && date.is_none() {
            return refuse("behind a server that says neither ETag nor Last-Modified: it could change unseen");
        }
        Ok(Known { size, etag, date })
    }

    fn never(&self) -> Fault {
        Fault::new(
            FaultKind::Settings,
            format!("{} is behind HTTP, where films are read from and nothing goes", self.name()),
        )
    }
}

impl Known {
    fn facts(&self) -> Facts {
        let version = self.etag.clone().or_else(|| self.date.clone()).unwrap_or_default();
        Facts { size: self.size, version }
    }

    fn modified(&self) -> WallTime {
        let at = self.date.as_deref().and_then(|date| httpdate::parse_http_date(date).ok());
        let since = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        WallTime(i64::try_from(since.as_millis()).unwrap_or_default())
    }
}

#[async_trait]
impl Place for WebPlace {
    /// Without what may be a token.
    fn name(&self) -> String {
        let mut shown = self.url.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        // A URL of HTTP has a host, which is all that these need.
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        shown.to_string()
    }

    async fn stat(&self) -> Result<Stat, Fault> {
        let known = self.look().await?;
        Ok(Stat { facts: known.facts(), modified: known.modified() })
    }

    async fn presence(&self) -> Result<Presence, Fault> {
        match self.look().await {
            Ok(_) => Ok(Presence::Present),
            Err(fault) if fault.kind == FaultKind::SourceMissing => Ok(Presence::Absent),
            Err(fault) => Err(fault),
        }
    }

    async fn open(&self) -> Result<(Facts, Box<dyn Opened>), Fault> {
        let known = self.look().await?;
        Ok((known.facts(), Box::new(OpenWeb { place: self.clone(), known })))
    }

    async fn noted(&self) -> Result<Option<Content>, Fault> {
        Ok(None)
    }

    async fn put(&self, _: Bytes) -> Result<(), Fault> {
        Err(self.never())
    }

    async fn put_file(&self, _: &std::path::Path) -> Result<(), Fault> {
        Err(self.never())
    }

    async fn delete(&self) -> Result<(), Fault> {
        Err(self.never())
    }

    async fn try_out(&self, _: OnExisting) -> Result<(), Fault> {
        Err(self.never())
    }

    async fn begin(&self, _: &Nonce, _: &Content) -> Result<Hidden, Fault> {
        Err(self.never())
    }

    async fn fill(&self, _: &Hidden, _: &std::path::Path) -> Result<Hidden, Fault> {
        Err(self.never())
    }

    async fn uncover(&self, _: &Hidden, _: OnExisting) -> Result<Published, Fault> {
        Err(self.never())
    }

    async fn discard(&self, _: &Hidden) -> Result<(), Fault> {
        Err(self.never())
    }
}

#[async_trait]
impl Opened for OpenWeb {
    async fn read(&self, offset: u64, len: u32) -> Result<Bytes, Fault> {
        Ok(self.place.patiently((offset, len), Some(&self.known)).await?.0)
    }
}

fn text(answer: &Response, name: HeaderName) -> Option<String> {
    Some(answer.headers().get(name)?.to_str().ok()?.to_owned())
}
