//! MNS's signature: HMAC-SHA1 over what a request asks for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// The parts of a request that are signed; those that it does not have are empty.
pub(super) struct Signed<'a> {
    pub(super) method: &'a str,
    pub(super) content_md5: &'a str,
    pub(super) content_type: &'a str,
    pub(super) date: &'a str,
    /// `x-mns-…`, in lower case and in order.
    pub(super) own: &'a [(&'a str, &'a str)],
    /// Path and query as they are sent.
    pub(super) resource: &'a str,
}

impl Signed<'_> {
    pub(super) fn authorization(&self, key_id: &str, secret: &str) -> String {
        format!("MNS {key_id}:{}", self.signature(secret))
    }

    fn signature(&self, secret: &str) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(self.text().as_bytes());
        BASE64.encode(mac.finalize().into_bytes())
    }

    fn text(&self) -> String {
        let Self { method, content_md5, content_type, date, own, resource } = self;
        let own: String = own.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        format!("{method}\n{content_md5}\n{content_type}\n{date}\n{own}{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Signed<'_> =
        Signed { method: "GET", content_md5: "", content_type: "", date: "", own: &[], resource: "/queues/TestQueue" };
    const TUESDAY: &str = "Tue, 03 Jun 2025 11:23:48 GMT";

    #[track_caller]
    fn check(signed: &Signed<'_>, secret: &str, signature: &str) {
        assert_eq!(signed.signature(secret), signature, "{:?}", signed.text());
    }

    /// Of the documentation's questions and answers, which blot out the last letters.
    #[test]
    fn the_documented_request_has_the_documented_signature() {
        let own = [("x-mns-version", "2015-06-06")];
        let signed = Signed { date: "Thu, 09 Jul 2015 03:01:34 GMT", own: &own, resource: "/MyQueue", ..GET };
        assert_eq!(signed.text(), "GET\n\n\nThu, 09 Jul 2015 03:01:34 GMT\nx-mns-version:2015-06-06\n/MyQueue");
        let header = signed.authorization("TestAccessID", "TestAccessSecret");
        assert_eq!(header, "MNS TestAccessID:uwx3yeWoILzgmvesW0BQSgfM7b8=");
    }

    /// Of the tests of the SDK for Java.
    #[test]
    fn requests_of_the_java_sdk_have_its_signatures() {
        let put = Signed {
            method: "PUT",
            content_type: "text/xml;charset=UTF-8",
            date: TUESDAY,
            own: &[("x-mns-version", "2015-06-06")],
            ..GET
        };
        check(&put, "accessKeySecret111", "HCSlBi5KuXGNf06tZKFiQlNDt4c=");
        check(&put, "skkkkkkk1111111111", "KvUgeFIzq+V37Fw7Nb8BKQEncZU=");
        let post = Signed { method: "POST", date: TUESDAY, own: &[("x-mns-abcdef", "abcDEF")], ..GET };
        check(&post, "sk1", "cAThPWnbphg3hDe3ZHDADTgkgyE=");
        let other = Signed {
            date: "Wed, 03 Dec 2025 11:23:48 GMT",
            own: &[("x-mns-abcdef", "KKKkkk")],
            resource: "/queues/TestQueue123456",
            ..GET
        };
        check(&other, "sk-kkkkkk1111111111", "lPxnfNA+Qo/aj18MYJUnRMqa84I=");
        check(&Signed { date: TUESDAY, ..GET }, "testSk", "uDJQXbk2xOhH95MDXmgbAGdtyE4=");
        let unusual = Signed {
            method: "POST",
            content_type: "application/json",
            date: TUESDAY,
            resource: "/queues/Test Queue@123",
            ..GET
        };
        check(&unusual, "testSk", "GZ/I9UgZsqvbzfzjd0GmA6VHOx4=");
    }

    /// Of the tests of a client for Rust.
    #[test]
    fn a_long_poll_has_the_known_signature() {
        let poll = Signed {
            content_md5: "ZDQxZDhjZDk4ZjAwYjIwNGU5ODAwOTk4ZWNmODQyN2U=",
            content_type: "application/xml",
            date: "Wed, 08 Feb 2023 09:36:03 GMT",
            own: &[("x-mns-version", "2015-06-06")],
            resource: "/queues/market-process-log/messages?waitseconds=30",
            ..GET
        };
        check(&poll, "t5I8e", "zVO3Buq0YfEW1yLI0SXOaO6guq8=");
    }
}
