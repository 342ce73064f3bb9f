//! Standard Webhooks: HMAC-SHA256 over id, time and body. Its own crate brings older lines of the hashes that are here
//! already; what it does is these few lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// A secret that sender and receiver share.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Vec<u8>);

impl Key {
    /// An error never repeats the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || format!("is not {PREFIX} and base64 of {} to {} bytes", KEY_BYTES.start(), KEY_BYTES.end());
        let coded = text.strip_prefix(PREFIX).ok_or_else(form)?;
        let bytes = BASE64.decode(coded).map_err(|_| form())?;
        if KEY_BYTES.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(form()) }
    }
}

/// The header's value: one signature for each key, so that a receiver may know either of two.
pub(crate) fn signature(keys: &[Key], (id, seconds): (&str, i64), body: &str) -> String {
    let signed: Vec<String> = keys
        .iter()
        .map(|Key(key)| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
            mac.update(format!("{id}.{seconds}.").as_bytes());
            mac.update(body.as_bytes());
            ["v1,", &BASE64.encode(mac.finalize().into_bytes())].concat()
        })
        .collect();
    signed.join(" ")
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &str = "{\"test\": 2432232314}";
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    /// The vector of the specification's own libraries.
    #[test]
    fn the_published_message_has_the_published_signature() {
        let key = Key::parse(SECRET).unwrap();
        assert_eq!(signature(std::slice::from_ref(&key), (ID, 1_614_265_330), BODY), SIGNED);
        let other = Key::parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").unwrap();
        let both = signature(&[other, key], (ID, 1_614_265_330), BODY);
        assert_eq!(both.split(' ').count(), 2);
        assert_eq!(both.split(' ').nth(1), Some(SIGNED));
    }

    #[test]
    fn a_secret_that_is_none_is_refused_and_not_repeated() {
        for bad in ["", "hunter2", "whsec_", "whsec_hunter2", "whsec_AAAA", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            let why = Key::parse(bad).unwrap_err();
            assert_eq!(why, "is not whsec_ and base64 of 24 to 64 bytes");
        }
        assert_eq!(format!("{:?}", Key::parse(SECRET)), "Ok(***)");
    }
}
