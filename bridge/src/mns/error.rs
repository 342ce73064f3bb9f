//! What a queue answers where it does not do what was asked, by what that means to the caller.

use framefleet_model::xml::Element;
use reqwest::StatusCode;

use super::wire::{self, Kept};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MnsError {
    /// Nothing to receive now.
    #[error("the queue is empty")]
    Empty,
    /// It may answer the next time.
    #[error("the queue does not answer: {0}")]
    Away(String),
    #[error("too many requests a second: {0}")]
    Throttled(String),
    /// A message's while is over: it comes again, here or elsewhere.
    #[error("the message is no longer held: {0}")]
    Expired(String),
    /// Some of what was to be deleted was not.
    #[error("{} messages were not deleted", .0.len())]
    Partly(Vec<Kept>),
    #[error("there is no such queue")]
    NoQueue,
    /// Somebody has to look at keys and rights.
    #[error("the queue denies access: {0}")]
    Denied(String),
    #[error("this machine's clock is too far from the queue's: {0}")]
    Clock(String),
    #[error("{0}")]
    NoKey(String),
    #[error("the queue refuses: {0}")]
    Refused(String),
    #[error("the queue's answer cannot be read: {0}")]
    Unreadable(String),
}

impl MnsError {
    pub(super) fn away(error: reqwest::Error) -> Self {
        let mut text = error.without_url().to_string();
        text.truncate(text.char_indices().nth(200).map_or(text.len(), |(at, _)| at));
        Self::Away(text)
    }

    /// One word, such as for a label.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Away(_) => "away",
            Self::Throttled(_) => "throttled",
            Self::Expired(_) => "expired",
            Self::Partly(_) => "partly",
            Self::NoQueue => "no_queue",
            Self::Denied(_) => "denied",
            Self::Clock(_) => "clock",
            Self::NoKey(_) => "no_key",
            Self::Refused(_) => "refused",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

pub(super) fn of(status: StatusCode, text: &str) -> MnsError {
    let said = Element::parse(text).ok();
    if let Some(errors) = said.as_ref().filter(|said| said.name == "Errors") {
        return MnsError::Partly(wire::kept(errors));
    }
    let field = |name: &str| said.as_ref().and_then(|said| said.text_of(name)).unwrap_or_default();
    let (code, message) = (field("Code"), field("Message"));
    let words: String = format!("{} {code} {message}", status.as_u16()).chars().take(300).collect();
    match code {
        "MessageNotExist" => MnsError::Empty,
        "QueueNotExist" => MnsError::NoQueue,
        "ReceiptHandleError" => MnsError::Expired(words),
        "TimeExpired" => MnsError::Clock(words),
        "QpsLimitExceeded" => MnsError::Throttled(words),
        _ if status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED => MnsError::Denied(words),
        _ if status == StatusCode::TOO_MANY_REQUESTS => MnsError::Throttled(words),
        _ if status.is_server_error() => MnsError::Away(words),
        _ => MnsError::Refused(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_by_what_is_to_be_done() {
        let said = |status: u16, code: &str| {
            let text = format!(
                "<Error xmlns=\"http://mns.aliyuncs.com/doc/v1/\"><Code>{code}</Code><Message>m</Message></Error>"
            );
            of(StatusCode::from_u16(status).unwrap(), &text).name()
        };
        assert_eq!(said(404, "MessageNotExist"), "empty");
        assert_eq!(said(404, "QueueNotExist"), "no_queue");
        assert_eq!(said(403, "SignatureDoesNotMatch"), "denied");
        assert_eq!(said(403, "AccessDenied"), "denied");
        assert_eq!(said(403, "InvalidAccessKeyId"), "denied");
        assert_eq!(said(408, "TimeExpired"), "clock");
        assert_eq!(said(400, "ReceiptHandleError"), "expired");
        assert_eq!(said(400, "InvalidArgument"), "refused");
        assert_eq!(said(500, "InternalError"), "away");
        assert_eq!(said(400, "QpsLimitExceeded"), "throttled");
        assert_eq!(of(StatusCode::BAD_GATEWAY, "<html>").name(), "away");
        assert_eq!(of(StatusCode::BAD_REQUEST, "no XML").to_string(), "the queue refuses: 400  ");
    }

    #[test]
    fn some_may_be_deleted_and_some_not() {
        let text = "<Errors><Error><ErrorCode>ReceiptHandleError</ErrorCode><ErrorMessage>expired</ErrorMessage>\
            <ReceiptHandle>1-a==</ReceiptHandle></Error></Errors>";
        let MnsError::Partly(kept) = of(StatusCode::NOT_FOUND, text) else { panic!("some") };
        assert_eq!(kept, [Kept { handle: "1-a==".into(), code: "ReceiptHandleError".into() }]);
    }
}
