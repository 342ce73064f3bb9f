//! Why there is no working connection, said so that whoever reads it knows what to do.

use lapin::ErrorKind;

use super::connection::Address;

const ACCESS_REFUSED: u16 = 403;
const NOT_FOUND: u16 = 404;
const PRECONDITION_FAILED: u16 = 406;
const NOT_ALLOWED: u16 = 530;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("no connection to the broker has been made yet")]
    Beginning,
    #[error("no connection to the broker at {at}: {why}; is it running, and is this its address?")]
    Unreachable { at: String, why: String },
    #[error("the broker at {at} refuses user {user:?}: correct the name or the password in the broker's URL")]
    Credentials { at: String, user: String },
    #[error("the broker at {at} has no virtual host {vhost:?}: rabbitmqctl add_vhost {vhost:?}, or correct the URL")]
    NoVhost { at: String, vhost: String },
    #[error(
        "user {user:?} may not enter virtual host {vhost:?}: rabbitmqctl set_permissions -p {vhost:?} {user:?} ..."
    )]
    NoEntry { user: String, vhost: String },
    #[error("{what} is missing: import deploy/rabbitmq/definitions.json, or start once with --declare")]
    Missing { what: String },
    #[error("{what} is not as needed ({difference}): delete it, then declare it anew with --declare")]
    Different { what: String, difference: String },
    #[error(
        "user {user:?} may not declare {what}: declare as an administrator, or import deploy/rabbitmq/definitions.json"
    )]
    NotAllowed { user: String, what: String },
    #[error("the connection to the broker at {at} broke: {why}")]
    Lost { at: String, why: String },
    #[error("the broker has taken no messages for {seconds} s ({reason}): give it memory or disk space")]
    Blocked { reason: String, seconds: u64 },
}

impl Trouble {
    pub(super) fn connecting(at: &Address, error: &lapin::Error) -> Self {
        let (user, vhost) = (at.user.clone(), at.vhost.clone());
        match (code(error), error.to_string()) {
            (Some(ACCESS_REFUSED), _) => Self::Credentials { at: at.to_string(), user },
            (Some(NOT_ALLOWED), text) if text.contains("not found") => Self::NoVhost { at: at.to_string(), vhost },
            (Some(NOT_ALLOWED), _) => Self::NoEntry { user, vhost },
            (_, why) => Self::Unreachable { at: at.to_string(), why },
        }
    }

    /// What a declaration was answered with; `what` names the thing.
    pub(super) fn declaring(at: &Address, what: &str, error: &lapin::Error) -> Self {
        let what = what.to_owned();
        match code(error) {
            Some(NOT_FOUND) => Self::Missing { what },
            Some(PRECONDITION_FAILED) => Self::Different { what, difference: difference(error) },
            Some(ACCESS_REFUSED) => Self::NotAllowed { user: at.user.clone(), what },
            _ => Self::Lost { at: at.to_string(), why: error.to_string() },
        }
    }
}

/// The code that the server ended a channel or the connection with.
fn code(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

/// `inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but current is 'classic'`, without
/// the words around it.
fn difference(error: &lapin::Error) -> String {
    let ErrorKind::ProtocolError(error) = error.kind() else { return error.to_string() };
    let text = error.get_message().as_str();
    text.split_once(" - ").map_or(text, |(_, rest)| rest).to_owned()
}
