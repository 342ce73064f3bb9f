//! What Alibaba's CDN answers: a task's name, or a code that says what is to be done.

use framefleet_model::step::life::Answer;
use framefleet_model::xml::Element;
use reqwest::StatusCode;
use serde::Deserialize;

/// Days end there at midnight of China's time.
const DAY_MS: i64 = 24 * 3_600_000;
const CHINA_MS: i64 = 8 * 3_600_000;
/// All that waited for the new day need not come in its first second.
const AFTER_MIDNIGHT_MS: i64 = 5 * 60_000;
/// A queue of a hundred thousand URLs takes its time.
const QUEUE_MS: i64 = 3_600_000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Trouble {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    request_id: String,
}

/// What follows from an answer that is not yes.
pub(super) fn of((status, text): (StatusCode, &str), now_ms: i64) -> Answer {
    let Some(Trouble { code, message, request_id }) = trouble(text) else {
        return again(format!("status {status} without a code"));
    };
    let why = format!("status {status}, {code}: {message} (request {request_id})");
    let begins = |some: &[&str]| some.iter().any(|start| code.starts_with(start));
    if message.contains("queue is full") || code.contains("QueueFull") {
        return Answer::NotYet { why, wait_ms: QUEUE_MS };
    }
    if begins(&["QuotaExceeded"]) {
        return Answer::NotYet { why, wait_ms: until_tomorrow(now_ms) };
    }
    // What is asked for will not become another thing; everything else passes, or people mend it.
    if begins(&["InvalidObjectPath", "InvalidDomain.NotFound", "InvalidExtensiveDomain", "IllegalOperation"]) {
        return Answer::Never { why };
    }
    again(why)
}

fn trouble(text: &str) -> Option<Trouble> {
    if let Ok(trouble) = serde_json::from_str(text) {
        return Some(trouble);
    }
    let root = Element::parse(text).ok()?;
    let named = |name: &str| root.children.iter().find(|child| child.name == name).map(|child| child.text.clone());
    let (message, request_id) = (named("Message").unwrap_or_default(), named("RequestId").unwrap_or_default());
    Some(Trouble { code: named("Code")?, message, request_id })
}

fn until_tomorrow(now_ms: i64) -> i64 {
    DAY_MS - (now_ms + CHINA_MS).rem_euclid(DAY_MS) + AFTER_MIDNIGHT_MS
}

fn again(why: String) -> Answer {
    Answer::Again { why, not_before_ms: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, text: &str) -> Answer {
        of((StatusCode::from_u16(status).unwrap(), text), 0)
    }

    #[test]
    fn codes_say_what_is_to_be_done() {
        let json =
            |code: &str| format!("{{\"Code\":\"{code}\",\"Message\":\"m\",\"RequestId\":\"r\",\"HostId\":\"h\"}}");
        let xml = "<Error><RequestId>r</RequestId><HostId>h</HostId><Code>InvalidDomain.NotFound</Code>\
                   <Message>The domain provided does not belong to you.</Message></Error>";
        assert!(matches!(check(400, &json("QuotaExceeded.Preload")), Answer::NotYet { wait_ms, .. }
            if wait_ms == 16 * 3_600_000 + AFTER_MIDNIGHT_MS));
        assert!(matches!(check(400, &json("InvalidObjectPath.Malformed")), Answer::Never { .. }));
        assert!(
            matches!(check(404, xml), Answer::Never { why } if why.contains("does not belong to you. (request r)"))
        );
        let full = "{\"Code\":\"PreloadQueueFull\",\"Message\":\"Preload queue is full, please try again later!\"}";
        assert!(matches!(check(403, full), Answer::NotYet { wait_ms: QUEUE_MS, .. }));
        for code in ["Throttling.User", "ServiceUnavailable", "SignatureDoesNotMatch", "Forbidden.RAM", "ServiceBusy"] {
            assert!(matches!(check(403, &json(code)), Answer::Again { .. }), "{code}");
        }
        assert!(matches!(check(502, "<html>bad gateway"), Answer::Again { why, .. } if why.contains("without a code")));
    }

    #[test]
    fn a_quota_is_new_at_midnight_in_china() {
        let at = |hours: i64| until_tomorrow(hours * 3_600_000) - AFTER_MIDNIGHT_MS;
        assert_eq!([at(0), at(15), at(16), at(-8)], [16, 1, 24, 24].map(|hours: i64| hours * 3_600_000));
    }
}
