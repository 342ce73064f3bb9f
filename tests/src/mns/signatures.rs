//! The two signatures, made anew from what arrived.

use std::time::UNIX_EPOCH;

use axum::http::{HeaderMap, Method};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use framefleet_model::event::WallTime;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::Sha256;

use super::wire::{Refused, refused};
use super::{KEY_ID, REGION, SECRET};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V2,
    V4,
}

/// By which of them a request is signed, if it is signed well.
pub(super) fn check(method: &Method, resource: &str, headers: &HeaderMap) -> Result<Version, Refused> {
    let said = header(headers, "authorization");
    if let Some(said) = said.strip_prefix("MNS4-HMAC-SHA256 Credential=") {
        return check_v4(said, (method, resource), headers).map(|()| Version::V4);
    }
    let said = said.strip_prefix("MNS ").and_then(|said| said.split_once(':'));
    let (key, signature) = said.ok_or_else(|| refused(400, "InvalidAuthorizationHeader"))?;
    known(key)?;
    let own: String = signed(headers, |name| name.starts_with("x-mns-")).concat();
    let [md5, kind, date] = ["content-md5", "content-type", "date"].map(|name| header(headers, name));
    let text = format!("{method}\n{md5}\n{kind}\n{date}\n{own}{resource}");
    let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).map_err(|_| refused(500, "InternalError"))?;
    mac.update(text.as_bytes());
    equal(&BASE64.encode(mac.finalize().into_bytes()), signature).map(|()| Version::V2)
}

fn check_v4(said: &str, (method, resource): (&Method, &str), headers: &HeaderMap) -> Result<(), Refused> {
    let odd = || refused(400, "InvalidAuthorizationHeader");
    let (credential, signature) = said.split_once(",Signature=").ok_or_else(odd)?;
    let (key, scope) = credential.split_once('/').ok_or_else(odd)?;
    known(key)?;
    let date = httpdate::parse_http_date(header(headers, "date")).map_err(|_| refused(400, "InvalidDateHeader"))?;
    let ms = date.duration_since(UNIX_EPOCH).map_err(|_| odd())?.as_millis();
    let time = WallTime(i64::try_from(ms).map_err(|_| odd())?).to_string();
    let time = time.replace(['-', ':'], "").replace(".000", "");
    let day = &time[..8];
    if scope != format!("{day}/{REGION}/mns/aliyun_v4_request") {
        return Err(refused(403, "SignatureDoesNotMatch"));
    }
    let (path, query) = resource.split_once('?').unwrap_or((resource, ""));
    // Values arrive in the code that they are signed in.
    let mut pairs: Vec<String> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            [&name.to_lowercase(), "=", value].concat()
        })
        .collect();
    pairs.sort();
    let is_signed = |name: &str| matches!(name, "content-md5" | "content-type") || name.starts_with("x-mns-");
    let own: String = signed(headers, is_signed).concat();
    let text = format!("MNS4-HMAC-SHA256\n{time}\n{scope}\n{method}\n{path}\n{}\n{own}\n", pairs.join("&"));
    let secret = ["aliyun_v4", SECRET].concat().into_bytes();
    let key = scope.split('/').try_fold(secret, |key, part| hmac(&key, part))?;
    let made: String = hmac(&key, &text)?.iter().map(|byte| format!("{byte:02x}")).collect();
    equal(&made, signature)
}

/// `name:value` of these headers, in order.
fn signed(headers: &HeaderMap, is: impl Fn(&str) -> bool) -> Vec<String> {
    let own = headers.iter().filter(|(name, _)| is(name.as_str()));
    let mut own: Vec<String> =
        own.map(|(name, value)| format!("{name}:{}\n", value.to_str().unwrap_or_default())).collect();
    own.sort();
    own
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn known(key: &str) -> Result<(), Refused> {
    if key == KEY_ID { Ok(()) } else { Err(refused(403, "InvalidAccessKeyId")) }
}

fn equal(made: &str, said: &str) -> Result<(), Refused> {
    if made == said { Ok(()) } else { Err(refused(403, "SignatureDoesNotMatch")) }
}

fn hmac(key: &[u8], text: &str) -> Result<Vec<u8>, Refused> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|_| refused(500, "InternalError"))?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}
