//! What a request says, or a problem that says what is wrong with it.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use framefleet_common::ports::store::Entry;
use framefleet_model::fault::Fault;
use framefleet_model::id::JobId;
use serde::de::DeserializeOwned;

use super::BODY_BYTES_MAX;
use super::problem::{Trouble, missing, refused};

pub(super) const JSON: &str = "application/json";
pub(super) const YAML: &str = "application/yaml";
/// A body comes whole within this time.
const BODY_TIME_MAX: Duration = Duration::from_secs(15);
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1000;

/// The text behind the question mark.
pub(super) struct Asked<T>(pub(super) T);

/// The job that the path names, whether it is there or not.
pub(super) struct JobInPath(pub(super) JobId);

/// Any other name in the path.
pub(super) struct NameInPath(pub(super) String);

/// A body that came whole and is not too long.
pub(super) struct Whole {
    bytes: Bytes,
    kind: Option<String>,
}

impl Whole {
    /// Of one of these kinds, or none at all. A body that says no kind is refused: a page in a browser may send such a one
    /// anywhere without being asked what it does.
    pub(super) fn of(self, kinds: &[&str]) -> Result<Bytes, Trouble> {
        let said = self.kind.as_deref().unwrap_or_default();
        let kind = said.split(';').next().unwrap_or_default().trim();
        if self.bytes.is_empty() || kinds.iter().any(|known| known.eq_ignore_ascii_case(kind)) {
            return Ok(self.bytes);
        }
        let text = format!("content-type {said:?} is none of: {}", kinds.join(", "));
        Err(Trouble(StatusCode::UNSUPPORTED_MEDIA_TYPE, refused(text)))
    }
}

/// How many of a list are on a page.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Fault> {
    let limit = asked.unwrap_or(PAGE_DEFAULT);
    if (1..=PAGE_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(refused(format!("limit {limit} is not within 1 to {PAGE_MAX}")))
}

/// Where an earlier page ended; `is_name` says what its last member may be called.
pub(super) fn cursor(text: &str, is_name: fn(&str) -> bool) -> Result<Entry, Fault> {
    let parts = text.split_once('.').filter(|(_, member)| is_name(member));
    let entry = parts.and_then(|(score, member)| Some(Entry { score: score.parse().ok()?, member: member.to_owned() }));
    entry.ok_or_else(|| refused(format!("after {text:?} is nothing that `next` ever was")))
}

/// The same as text, for who is to ask for the next page.
pub(super) fn cursor_text(entry: &Entry) -> String {
    format!("{}.{}", entry.score, entry.member)
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let odd = |e: QueryRejection| Trouble::from(refused(e.body_text()));
        Query::from_request_parts(parts, state).await.map(|Query(asked)| Self(asked)).map_err(odd)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NameInPath {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let odd = |e: PathRejection| Trouble::from(refused(e.body_text()));
        Path::from_request_parts(parts, state).await.map(|Path(name)| Self(name)).map_err(odd)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for JobInPath {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let NameInPath(name) = NameInPath::from_request_parts(parts, state).await?;
        let odd = |_| missing(format!("{name:?} is no job id: 32 hexadecimal digits"));
        name.parse().map(Self).map_err(odd)
    }
}

impl<S: Send + Sync> FromRequest<S> for Whole {
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Self, Trouble> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
        let odd = |rejection: BytesRejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Trouble(
                StatusCode::PAYLOAD_TOO_LARGE,
                refused(format!("the body is over its bound of {BODY_BYTES_MAX} bytes")),
            ),
            status => Trouble(status, refused(rejection.body_text())),
        };
        let late = |_| {
            let text = format!("the body did not come within {} s", BODY_TIME_MAX.as_secs());
            Trouble(StatusCode::REQUEST_TIMEOUT, refused(text))
        };
        let came = tokio::time::timeout(BODY_TIME_MAX, Bytes::from_request(request, state)).await.map_err(late)?;
        Ok(Self { bytes: came.map_err(odd)?, kind })
    }
}
