//! Errors as RFC 9457 has them: a fault, and the status that it is told by.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use framefleet_model::fault::{Fault, FaultKind, Retry, Whose};

use crate::ops::wire::{self, Problem};

pub(super) const CONTENT_TYPE: &str = "application/problem+json";
/// When to come again where nobody knows better.
const BUSY_WAIT_S: &str = "5";

pub(super) struct Trouble(pub(super) StatusCode, pub(super) Fault);

pub(super) fn refused(text: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Settings, text)
}

pub(super) fn missing(text: impl Into<String>) -> Trouble {
    Fault::new(FaultKind::Missing, text).into()
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self(status(&fault), fault)
    }
}

fn status(fault: &Fault) -> StatusCode {
    match (fault.kind, fault.kind.whose()) {
        (FaultKind::Settings, _) => StatusCode::BAD_REQUEST,
        (FaultKind::Missing, _) => StatusCode::NOT_FOUND,
        (FaultKind::Unauthenticated, _) => StatusCode::UNAUTHORIZED,
        (FaultKind::Forbidden, _) => StatusCode::FORBIDDEN,
        (FaultKind::Busy, _) => StatusCode::TOO_MANY_REQUESTS,
        (FaultKind::StoreAway | FaultKind::StorageAway, _) => StatusCode::SERVICE_UNAVAILABLE,
        (_, Whose::Input) => StatusCode::UNPROCESSABLE_ENTITY,
        (_, Whose::Destination) => StatusCode::CONFLICT,
        (_, Whose::Ours) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let Self(status, fault) = self;
        let problem = Problem {
            r#type: format!("urn:framefleet:fault:{}", fault.kind.code()),
            title: fault.kind.name().to_owned(),
            status: status.as_u16(),
            detail: fault.message.clone(),
            code: fault.kind.code(),
            whose: wire::whose(&fault).to_owned(),
            retried: fault.kind.retry() != Retry::Never,
        };
        let mut answer = (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], Json(problem)).into_response();
        if fault.kind == FaultKind::Busy {
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(BUSY_WAIT_S));
        }
        answer
    }
}
