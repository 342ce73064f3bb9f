//! What an error of storage means, by the side that it happened on.

use std::io::{self, ErrorKind};

use framefleet_model::fault::{Fault, FaultKind};

use crate::adapters::blob::Side;

/// What servers call requests of a key that they do not know, that ran out, or by a clock that is wrong: the fleet's, of which no
/// film and no destination knows.
const KEYS: [&str; 10] = [
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidAccessKeyId.NotFound",
    "InvalidSecurityToken",
    "InvalidToken",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SecurityTokenExpired",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
];

/// The same trouble in the words of a file system and of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Missing,
    Exists,
    Denied,
    Full,
    Changed,
    /// It is there and is no object: a folder, a device.
    NoObject,
    /// Nobody knows, or it may pass.
    Away,
}

/// `detail` is what the storage said, where that helps.
pub(crate) fn of(side: Side, name: &str, trouble: (Trouble, &str)) -> Fault {
    let (trouble, detail) = trouble;
    let text = match trouble {
        Trouble::Missing => format!("{name} does not exist"),
        Trouble::Exists => format!("{name} exists already"),
        Trouble::Changed => format!("{name} changed while it was read"),
        Trouble::Full => format!("no room is left for {name}: {detail}"),
        Trouble::Denied => format!("{name} may not be {}: {detail}", verb(side)),
        Trouble::NoObject => format!("{name} is {detail}"),
        Trouble::Away => format!("{name} cannot be {}: {detail}", verb(side)),
    };
    Fault::new(kind(side, trouble), text)
}

pub(crate) fn of_io(side: Side, name: &str, error: &io::Error) -> Fault {
    let trouble = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Trouble::Missing,
        ErrorKind::AlreadyExists => Trouble::Exists,
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Trouble::Denied,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Trouble::Full,
        ErrorKind::IsADirectory => Trouble::NoObject,
        _ => Trouble::Away,
    };
    let detail = if trouble == Trouble::NoObject { "a folder".to_owned() } else { plain(error) };
    of(side, name, (trouble, &detail))
}

pub(crate) fn of_store(side: Side, name: &str, error: &object_store::Error) -> Fault {
    use object_store::Error as E;
    let (code, detail) = said(error);
    let trouble = match (error, code.as_deref()) {
        (_, Some("NoSuchBucket" | "NoSuchKey")) | (E::NotFound { .. }, _) => Trouble::Missing,
        (_, Some(code)) if KEYS.contains(&code) => Trouble::Away,
        (_, Some("AccessDenied")) | (E::PermissionDenied { .. } | E::Unauthenticated { .. }, _) => Trouble::Denied,
        // A range of an object that is shorter now.
        (_, Some("InvalidRange" | "PreconditionFailed")) | (E::Precondition { .. } | E::NotModified { .. }, _) => {
            Trouble::Changed
        }
        (_, Some("EntityTooLarge" | "QuotaExceeded" | "XMinioStorageFull")) => Trouble::Full,
        (E::AlreadyExists { .. }, _) => Trouble::Exists,
        _ => Trouble::Away,
    };
    of(side, name, (trouble, &detail))
}

/// Whether something may not be done and nobody says why: an answer to HEAD has no body.
pub(crate) fn is_unexplained(error: &object_store::Error) -> bool {
    is_refusal(error) && said(error).0.is_none()
}

pub(crate) fn is_refusal(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. })
}

/// Whether it is the bucket that is missing.
pub(crate) fn is_of_bucket(error: &object_store::Error) -> bool {
    said(error).0.as_deref() == Some("NoSuchBucket")
}

/// Whether the same request may be answered otherwise later: no server has refused it.
pub(crate) fn may_pass(error: &object_store::Error) -> bool {
    !error.to_string().contains("status code: 4")
}

/// The server's own words for it, or those of whatever stood between: without the request, which people know, and which
/// may hold more than they should.
fn said(error: &object_store::Error) -> (Option<String>, String) {
    let text = error.to_string();
    let part = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        Some(rest.split_once(&format!("</{tag}>"))?.0.to_owned())
    };
    if let Some(code) = part("Code") {
        let detail = part("Message").map_or_else(|| code.clone(), |message| format!("{code}: {message}"));
        return (Some(code), detail);
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    (None, unnumbered(innermost.to_string().trim_end_matches([':', ' '])))
}

fn kind(side: Side, trouble: Trouble) -> FaultKind {
    match (side, trouble) {
        (Side::Source, Trouble::Missing) => FaultKind::SourceMissing,
        (Side::Source, Trouble::Changed) => FaultKind::SourceChanged,
        (Side::Source, Trouble::Denied | Trouble::NoObject) => FaultKind::SourceUnreadable,
        (Side::Destination, Trouble::Missing) => FaultKind::DestinationMissing,
        (Side::Destination, Trouble::Exists) => FaultKind::DestinationExists,
        (Side::Destination, Trouble::Denied | Trouble::NoObject) => FaultKind::DestinationDenied,
        (Side::Destination, Trouble::Full) => FaultKind::DestinationFull,
        (Side::Work, Trouble::Full) => FaultKind::ScratchFull,
        _ => FaultKind::StorageAway,
    }
}

fn verb(side: Side) -> &'static str {
    match side {
        Side::Source => "read",
        Side::Work => "used",
        Side::Destination => "written",
    }
}

fn plain(error: &io::Error) -> String {
    let text = unnumbered(&error.to_string());
    if text.is_empty() { error.kind().to_string() } else { text }
}

/// The system's words without their number.
fn unnumbered(text: &str) -> String {
    match text.split_once(" (os error") {
        Some((text, _)) => text.to_lowercase(),
        None => text.to_owned(),
    }
}
