//! What an error of the server or the connection means for a caller, and for the connection.

use redis::{ErrorKind, RedisError, ServerError};

use crate::ports::store::StoreError;

/// What a caller can do about it. For a commit, `Unavailable` means that its outcome is unknown.
pub(super) fn store_error(error: &RedisError) -> StoreError {
    let text = text(error);
    match error.kind() {
        ErrorKind::AuthenticationFailed => unusable_login(&text),
        ErrorKind::InvalidClientConfig => StoreError::Unusable(text),
        ErrorKind::MasterNameNotFoundBySentinel => {
            StoreError::Unavailable(format!("{text}: no sentinel knows a primary of this name that is up"))
        }
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => {
            StoreError::Unavailable(format!("an answer was not understood: {text}"))
        }
        _ => answered(&code(error), text),
    }
}

/// Whether the connection must be given up: it is broken, or its server is not, or not yet, the primary.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    let by_code = matches!(&*code(error), "READONLY" | "LOADING" | "MASTERDOWN" | "NOAUTH");
    by_code || matches!(error.kind(), ErrorKind::Io | ErrorKind::Parse)
}

/// The error in the house's manner. It holds no secret: the server repeats none.
pub(super) fn text(error: &RedisError) -> String {
    let text = match answer(error) {
        Some(answer) => format!("{} {}", answer.code(), answer.details().unwrap_or_default()),
        None => error.to_string(),
    };
    text.trim_end_matches(['.', ' ']).replace(['\r', '\n'], " ")
}

fn answered(code: &str, text: String) -> StoreError {
    let full = text.contains("OOM command not allowed") || text.contains("No space left");
    // Inside a script Redis 7.0 refuses without the word.
    let forbidden = code == "NOPERM" || text.contains("The user executing the script can't");
    match code {
        "NOAUTH" | "WRONGPASS" => unusable_login(&text),
        _ if forbidden => StoreError::Unusable(format!(
            "the user in the store's url lacks a permission ({text}): allow it all commands on its keys and channels, as \
             in ACL SETUSER … ~framefleet:* &framefleet:* +@all"
        )),
        "MOVED" | "ASK" | "CROSSSLOT" => {
            StoreError::Unusable(format!("this is a Redis Cluster ({text}): give the address of a single primary"))
        }
        "WRONGTYPE" => StoreError::Corrupt(format!("a key of the store's holds something else: {text}")),
        _ if full => StoreError::Full(text),
        _ => StoreError::Unavailable(text),
    }
}

fn unusable_login(text: &str) -> StoreError {
    StoreError::Unusable(format!("the server refuses the login ({text}): correct the user and password in the url"))
}

/// The first word of the server's answer, if it was the server that refused.
fn code(error: &RedisError) -> String {
    answer(error).map(|answer| answer.code().to_owned()).unwrap_or_default()
}

fn answer(error: &RedisError) -> Option<ServerError> {
    let answers = error.clone().into_server_errors()?;
    answers.first().map(|(_, answer)| answer.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(answer: &str) -> (StoreError, bool) {
        let error = redis::parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap().extract_error().unwrap_err();
        (store_error(&error), ends_connection(&error))
    }

    #[test]
    fn refusals_mean_what_a_caller_can_do_about_them() {
        assert!(matches!(of("OOM command not allowed when used memory > 'maxmemory'."), (StoreError::Full(_), false)));
        assert!(matches!(of("ERR script: -OOM command not allowed when"), (StoreError::Full(_), false)));
        assert!(matches!(
            of("MISCONF Errors writing to the AOF file: No space left on device"),
            (StoreError::Full(_), _)
        ));
        assert!(matches!(of("NOPERM this user has no permissions"), (StoreError::Unusable(_), false)));
        assert!(matches!(of("ERR The user executing the script can't run this command"), (StoreError::Unusable(_), _)));
        assert!(matches!(of("WRONGPASS invalid username-password pair"), (StoreError::Unusable(_), false)));
        assert!(matches!(of("MOVED 3999 127.0.0.1:6381"), (StoreError::Unusable(_), false)));
        assert!(matches!(of("WRONGTYPE Operation against a key"), (StoreError::Corrupt(_), false)));
        assert!(matches!(of("TRYAGAIN Multiple keys request"), (StoreError::Unavailable(_), false)));
        assert!(matches!(of("NOREPLICAS Not enough good replicas"), (StoreError::Unavailable(_), false)));
    }

    #[test]
    fn a_server_that_is_no_primary_is_left() {
        for answer in ["READONLY You can't write", "LOADING Redis is loading", "MASTERDOWN Link with MASTER is down"] {
            assert!(matches!(of(answer), (StoreError::Unavailable(_), true)), "{answer}");
        }
    }
}
