//! MNS's newer signature: HMAC-SHA256 by a key that is made of the secret for one day, one region and this service.

use framefleet_model::event::WallTime;
use framefleet_model::percent;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

const ALGORITHM: &str = "MNS4-HMAC-SHA256";
const SERVICE: &str = "mns";
const SECRET_PREFIX: &str = "aliyun_v4";
const SUFFIX: &str = "aliyun_v4_request";

/// What is signed of a request.
pub(super) struct SignedV4<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Names and values as they are meant.
    pub(super) query: &'a [(&'a str, &'a str)],
    /// `content-md5`, `content-type` and `x-mns-…`, in lower case and in order.
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) moment: WallTime,
    pub(super) region: &'a str,
}

impl SignedV4<'_> {
    pub(super) fn authorization(&self, key_id: &str, secret: &str) -> String {
        let signature = hex(&hmac(&self.key(secret), &self.text()));
        format!("{ALGORITHM} Credential={key_id}/{},Signature={signature}", self.scope())
    }

    fn key(&self, secret: &str) -> Vec<u8> {
        let secret = [SECRET_PREFIX, secret].concat().into_bytes();
        [&*self.day(), self.region, SERVICE, SUFFIX].iter().fold(secret, |key, part| hmac(&key, part))
    }

    fn text(&self) -> String {
        let Self { method, path, headers, .. } = self;
        let headers: String = headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let (path, query) = (percent::encode(path.as_bytes()), self.canonical_query());
        format!("{ALGORITHM}\n{}\n{}\n{method}\n{path}\n{query}\n{headers}\n", self.time(), self.scope())
    }

    /// Names in lower case and in order.
    fn canonical_query(&self) -> String {
        let pair = |(name, value): &(&str, &str)| (encoded(&name.to_lowercase()), encoded(value.trim()));
        let mut pairs: Vec<(String, String)> = self.query.iter().map(pair).collect();
        pairs.sort_unstable();
        let pairs = pairs.into_iter();
        let pairs = pairs.map(|(name, value)| if value.is_empty() { name } else { [&*name, "=", &*value].concat() });
        pairs.collect::<Vec<_>>().join("&")
    }

    fn scope(&self) -> String {
        [&*self.day(), self.region, SERVICE, SUFFIX].join("/")
    }

    fn day(&self) -> String {
        self.time().chars().take(8).collect()
    }

    /// `20250603T105235Z`
    fn time(&self) -> String {
        let text = self.moment.to_string();
        let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
        whole.chars().filter(|letter| !matches!(letter, '-' | ':' | 'Z')).chain(['Z']).collect()
    }
}

/// As a value stands in a query.
pub(super) fn encoded(text: &str) -> String {
    percent::encode(text.as_bytes()).replace('/', "%2F")
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POST: SignedV4<'_> = SignedV4 {
        method: "POST",
        path: "/queues/TestQueue/",
        query: &[],
        headers: &[],
        moment: WallTime(1_748_947_955_000),
        region: "region1",
    };

    fn check(signed: &SignedV4<'_>, (key_id, secret): (&str, &str), expected: &str) {
        assert_eq!(signed.authorization(key_id, secret), [ALGORITHM, " Credential=", expected].concat());
    }

    fn at(text: &str) -> WallTime {
        WallTime::parse(text).unwrap()
    }

    /// Of the tests of the SDK for Java, and of those of the gateway that its generated successors share.
    #[test]
    fn requests_of_the_java_sdk_have_its_signatures() {
        let put = SignedV4 {
            method: "PUT",
            path: "/queues/TestQueue123456",
            headers: &[("x-mns-abc", "kkk"), ("x-mns-sss", "2015-06-06xFFF")],
            moment: at("2025-12-03T11:23:48Z"),
            region: "region2",
            ..POST
        };
        check(
            &put,
            ("akkkkk1111111111", "skkkkkkk1111111111"),
            "akkkkk1111111111/20251203/region2/mns/aliyun_v4_request,\
             Signature=04f1e5f929b5aaac3af6a54970f591581ecd2aade2562f926c5f2ec5d5c8cfad",
        );
        let get = SignedV4 {
            method: "GET",
            path: "/queues",
            headers: &[
                ("content-md5", "0d9d2ce750000593eb34f00"),
                ("content-type", "application/json"),
                ("x-mns-ttt", "1"),
                ("x-mns-uuuuu", "FALse"),
                ("x-mns-version", "2015-06-30"),
            ],
            moment: at("2025-12-04T06:32:35Z"),
            region: "eu-west-1",
            ..POST
        };
        check(
            &get,
            ("akkkkk222222222", "skkkkkk2222222222"),
            "akkkkk222222222/20251204/eu-west-1/mns/aliyun_v4_request,\
             Signature=294f776a2d5726df679b54b081ab8126a199a2545c8c8a7a875adff0b386e458",
        );
    }

    #[test]
    fn queries_and_unusual_paths_have_the_known_signatures() {
        let query = [
            ("param1", "abc"),
            ("PARAM2", "d  ef"),
            ("PARAM3", "[def]#bbb"),
            ("PARAM4", "\u{4e2d}\u{6587}\u{53c2}\u{6570}"),
        ];
        check(
            &SignedV4 { query: &query, ..POST },
            ("ak1", "sk1"),
            "ak1/20250603/region1/mns/aliyun_v4_request,\
             Signature=1fc6013f158d4c3aba09570895a2a93c8445c2c5213d82a1463baf602cf0d945",
        );
        check(
            &SignedV4 { path: "/queues/Test Queue@123", region: "testRegion", ..POST },
            ("testAk", "testSk"),
            "testAk/20250603/testRegion/mns/aliyun_v4_request,\
             Signature=87de7499365a31e767cdc0c726a893c72c860e415876f7f92914197ac3795833",
        );
        check(
            &SignedV4 { method: "GET", path: "/", region: "testRegion", ..POST },
            ("testAk", "testSk"),
            "testAk/20250603/testRegion/mns/aliyun_v4_request,\
             Signature=63f78964dcd1132bab91b9c38ceebdfb59509149b34874c5b2c9dfc2b12e7291",
        );
    }
}
