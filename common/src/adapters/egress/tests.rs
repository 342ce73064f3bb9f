//! Addresses in every disguise, names that change their meaning, redirects.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const REFUSED: &str = "
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254 168.63.129.16
    169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1
    198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1
    ::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1
    64:ff9b::a9fe:a9fe 64:ff9b:1::1 64:ff9b::1:8.8.8.8 100::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1
    2001::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 3fff::1 4000::1 5f00::1";
const OPEN: &str = "
    8.8.8.8 100.63.255.255 100.128.0.1 172.15.255.255 172.32.0.1 198.17.255.255 223.255.255.255 ::ffff:8.8.8.8
    64:ff9b::8.8.8.8 2606:4700:4700::1111 2a00:1450:4001:813::200e 2400:3200::1";

fn nothing_allowed() -> Egress {
    Egress::new(Vec::new())
}

fn admitted(egress: &Egress, address: &str) -> bool {
    egress.admit(address.parse().unwrap()).is_ok()
}

#[test]
fn addresses_that_are_nobodys_business_are_refused_in_every_disguise() {
    let egress = nothing_allowed();
    let wrong: Vec<_> = REFUSED.split_whitespace().filter(|address| admitted(&egress, address)).collect();
    assert!(wrong.is_empty(), "admitted: {wrong:?}");
    let wrong: Vec<_> = OPEN.split_whitespace().filter(|address| !admitted(&egress, address)).collect();
    assert!(wrong.is_empty(), "refused: {wrong:?}");
}

#[test]
fn networks_that_are_allowed_are_open_and_no_others() {
    let egress = Egress::new(vec!["10.2.0.0/16".parse().unwrap(), "fd12::/16".parse().unwrap()]);
    let open = ["10.2.0.1", "10.2.255.255", "::ffff:10.2.0.1", "fd12::1", "8.8.8.8"];
    assert!(open.iter().all(|address| admitted(&egress, address)));
    assert!(!["10.3.0.1", "127.0.0.1", "fd13::1", "::1"].iter().any(|address| admitted(&egress, address)));
}

proptest! {
    /// The standard library's own words, as far as it has some.
    #[test]
    fn whatever_the_library_calls_private_is_refused(bits: u32) {
        let v4 = Ipv4Addr::from(bits);
        let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
            || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified();
        let mapped = IpAddr::from(v4.to_ipv6_mapped());
        let translated = IpAddr::from(Ipv6Addr::from(u128::from(NAT64.addr()) | u128::from(bits)));
        let egress = nothing_allowed();
        let plain = egress.admit(v4.into()).is_ok();
        prop_assert!(!(special && plain));
        prop_assert_eq!(plain, egress.admit(mapped).is_ok());
        prop_assert_eq!(plain, egress.admit(translated).is_ok());
    }

    #[test]
    fn of_ipv6_only_public_addresses_and_disguised_ones_are_open(bits: u128) {
        let v6 = Ipv6Addr::from(bits);
        let open = nothing_allowed().admit(v6.into()).is_ok();
        prop_assert!(!open || PUBLIC.contains(&v6) || meant(v6.into()).is_ipv4());
    }
}

/// Answers one after the other, the last one ever after.
struct Fickle(Vec<IpAddr>, AtomicUsize);

#[async_trait]
impl Names for Fickle {
    async fn look_up(&self, _host: &str) -> std::io::Result<Vec<IpAddr>> {
        let asked = self.1.fetch_add(1, Ordering::SeqCst).min(self.0.len() - 1);
        Ok(vec![self.0[asked]])
    }
}

/// A server on all of loopback that keeps the addresses it was spoken to at.
async fn server() -> (u16, Arc<Mutex<Vec<IpAddr>>>) {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let (port, heard) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let seen = heard.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            seen.lock().unwrap().push(stream.local_addr().unwrap().ip());
            answer(stream).await;
        }
    });
    (port, heard)
}

/// One request a connection, answered by hand: what counts is who was connected to.
async fn answer(mut stream: tokio::net::TcpStream) {
    let mut head = [0; 1024];
    let read = stream.read(&mut head).await.unwrap_or(0);
    let is_away = head[..read].starts_with(b"GET /away");
    let away: &[u8] =
        b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let here: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
    drop(stream.write_all(if is_away { away } else { here }).await);
}

#[tokio::test]
async fn a_name_that_turns_to_loopback_is_not_followed_there() {
    let (port, heard) = server().await;
    // 127.0.0.2 stands for what is public
    let allow = vec!["127.0.0.2/32".parse().unwrap()];
    let answers = vec!["127.0.0.2".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    let client = Egress::with_names(allow, Arc::new(Fickle(answers, AtomicUsize::new(0)))).client().unwrap();
    let url: Url = format!("http://fickle.example:{port}/").parse().unwrap();
    let first = client.request(Method::GET, &url).unwrap().send().await.unwrap();
    assert_eq!(first.text().await.unwrap(), "hello");
    for _ in 0..3 {
        let refused = client.request(Method::GET, &url).unwrap().send().await.unwrap_err();
        let why = told(refused);
        assert!(why.contains("fickle.example is 127.0.0.1, which is loopback"), "{why}");
    }
    assert_eq!(*heard.lock().unwrap(), ["127.0.0.2".parse::<IpAddr>().unwrap()]);
}

#[tokio::test]
async fn redirects_are_told_of_and_not_followed() {
    let (port, heard) = server().await;
    let client = Egress::new(vec!["127.0.0.2/32".parse().unwrap()]).client().unwrap();
    let url: Url = format!("http://127.0.0.2:{port}/away").parse().unwrap();
    let answer = client.request(Method::GET, &url).unwrap().send().await.unwrap();
    assert_eq!((answer.status().as_u16(), heard.lock().unwrap().len()), (302, 1));
}

#[test]
fn addresses_in_urls_are_looked_at_however_they_are_written() {
    let client = nothing_allowed().client().unwrap();
    let refused = |url: &str| client.request(Method::GET, &url.parse().unwrap()).err().map(|e| e.to_string());
    for url in [
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0177.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:7f00:1]/",
        "https://169.254.169.254/latest",
        "http://127.0.0.1./",
    ] {
        assert!(refused(url).is_some(), "{url}");
    }
    assert_eq!(refused("ftp://8.8.8.8/"), Some("ftp is no scheme to be sent by: http and https are".to_owned()));
    assert_eq!(refused("http://8.8.8.8/"), None);
}
