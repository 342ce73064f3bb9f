//! ACS3-HMAC-SHA256: how Alibaba's services know who asks.

use framefleet_model::percent;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// A request as it is sent.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    /// In order of their names.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// Names in lower case, in order; all of them are signed.
    pub(super) headers: &'a [(&'a str, &'a str)],
    /// Of the body, as `x-acs-content-sha256` says as well.
    pub(super) content_sha256: &'a str,
}

impl Signed<'_> {
    pub(super) fn authorization(&self, key_id: &str, secret: &str) -> String {
        let signed = self.names();
        format!("{ALGORITHM} Credential={key_id},SignedHeaders={signed},Signature={}", self.signature(secret))
    }

    fn signature(&self, secret: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(format!("{ALGORITHM}\n{}", sha256(self.canonical().as_bytes())).as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    fn canonical(&self) -> String {
        let query: Vec<String> =
            self.query.iter().map(|(name, value)| [&encode(name), "=", &encode(value)].concat()).collect();
        let headers: String = self.headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let Self { method, content_sha256, .. } = self;
        format!("{method}\n/\n{}\n{headers}\n{}\n{content_sha256}", query.join("&"), self.names())
    }

    fn names(&self) -> String {
        self.headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";")
    }
}

/// As names and values stand in queries, forms and signatures.
pub(super) fn encode(text: &str) -> String {
    percent::encode(text.as_bytes()).replace('/', "%2F")
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of Alibaba's documentation of the signature.
    #[test]
    fn the_documented_request_has_the_documented_signature() {
        let empty = sha256(b"");
        let headers = [
            ("host", "ecs.cn-shanghai.aliyuncs.com"),
            ("x-acs-action", "RunInstances"),
            ("x-acs-content-sha256", empty.as_str()),
            ("x-acs-date", "2023-10-26T10:22:32Z"),
            ("x-acs-signature-nonce", "3156853299f313e23d1673dc12e1703d"),
            ("x-acs-version", "2014-05-26"),
        ];
        let query = [("ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"), ("RegionId", "cn-shanghai")];
        let signed = Signed { method: "POST", query: &query, headers: &headers, content_sha256: &empty };
        let canonical = sha256(signed.canonical().as_bytes());
        assert_eq!(canonical, "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259");
        assert_eq!(
            signed.authorization("YourAccessKeyId", "YourAccessKeySecret"),
            "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,\
             SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,\
             Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
        );
    }

    #[test]
    fn names_and_values_are_encoded_as_rfc_3986_has_it() {
        assert_eq!(encode("a b+c*d~e/ü\n"), "a%20b%2Bc%2Ad~e%2F%C3%BC%0A");
    }
}
