//! What a request says, or a problem that says what is wrong with it.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use framefleet_model::id::JobId;
use serde::de::DeserializeOwned;

use super::BODY_BYTES_MAX;
use super::problem::{Trouble, missing, refused};

/// The text behind the question mark.
pub(super) struct Asked<T>(pub(super) T);

/// The job that the path names, whether it is there or not.
pub(super) struct JobInPath(pub(super) JobId);

/// Any other name in the path.
pub(super) struct NameInPath(pub(super) String);

/// A body that came whole and is not too long.
pub(super) struct Whole(pub(super) Bytes);

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
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection: BytesRejection| {
            match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Trouble(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    refused(format!("the body is over its bound of {BODY_BYTES_MAX} bytes")),
                ),
                status => Trouble(status, refused(rejection.body_text())),
            }
        })
    }
}
