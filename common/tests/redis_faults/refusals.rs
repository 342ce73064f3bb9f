//! Servers that refuse: not there, not for us, no room.

use std::path::Path;
use std::process::{Command, ExitCode};

use framefleet_common::adapters::redis::settings::{RedisSettings, SentinelSettings};
use framefleet_common::ports::store::{Store, StoreError};
use framefleet_common::ports::txn::Txn;

use crate::redis::RedisServer;
use crate::{G, bytes, committed, connect, open, run};

pub(crate) async fn a_server_that_is_not_there_may_come() {
    let mut server = RedisServer::start(&[]);
    server.kill();
    let refused = open(RedisSettings::new(server.url())).await.err().unwrap();
    assert!(matches!(&refused, StoreError::Unavailable(why) if why.contains(&server.port().to_string())), "{refused}");
    server.restart();
    connect(server.url()).await;
}

pub(crate) async fn a_wrong_login_is_for_people_to_mend() {
    let server = RedisServer::start(&["--requirepass", "s3cret"]);
    for login in ["", ":guess@", "nobody:s3cret@"] {
        let url = format!("redis://{login}127.0.0.1:{}", server.port());
        let refused = open(RedisSettings::new(url)).await.err().unwrap();
        assert!(matches!(&refused, StoreError::Unusable(why) if why.contains("correct the user")), "{refused}");
    }
    let settings = RedisSettings::new(format!("redis://:s3cret@127.0.0.1:{}", server.port()));
    assert!(open(settings.clone()).await.is_ok());
    for (url, prefix) in [("not a url", "framefleet"), (settings.url.as_str(), "a{b}")] {
        let wrong = RedisSettings { prefix: prefix.into(), ..RedisSettings::new(url) };
        assert!(matches!(open(wrong).await.err(), Some(StoreError::Unusable(_))));
    }
}

pub(crate) async fn a_missing_permission_shows_at_once() {
    let server = RedisServer::start(&[]);
    let url = format!("redis://worker:pw@127.0.0.1:{}", server.port());
    let user = |rules: &[&str]| {
        let words = [&["ACL", "SETUSER", "worker", "reset", "on", ">pw", "+@all"], rules].concat();
        assert_eq!(server.ask(&words), "+OK\r\n");
    };
    for rules in [&["~framefleet:*", "&*", "-zadd"], &["~other:*", "&*", "+zadd"]] {
        user(rules);
        let refused = open(RedisSettings::new(&url)).await.err().unwrap();
        assert!(matches!(&refused, StoreError::Unusable(why) if why.contains("ACL SETUSER")), "{refused}");
    }
    // Nothing but its own keys, and neither CONFIG nor INFO nor ROLE: that is enough.
    user(&["~framefleet:*", "&framefleet:*", "-@dangerous"]);
    let store = connect(url.clone()).await;
    committed(&store, Txn::new(G).create(&G.row("a"), "1")).await;
    store.barrier().await.unwrap();
    // Without its channel it works too, and says what that costs.
    user(&["~framefleet:*"]);
    let store = connect(url).await;
    committed(&store, Txn::new(G).put(&G.row("a"), "2")).await;
    let warnings = store.readiness().await.unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("not heard")), "{warnings:?}");
}

pub(crate) async fn a_full_server_takes_nothing() {
    let server = RedisServer::start(&[]);
    let store = connect(server.url()).await;
    committed(&store, Txn::new(G).create(&G.row("a"), "1")).await;
    server.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = store.commit(Txn::new(G).put(&G.row("a"), "2").append(&G.queue("log"), "2")).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert_eq!(bytes(&store, "a").await.unwrap(), b"1");
    // Who makes room is let in, and then it is all or nothing as ever.
    committed(&store, Txn::new(G).delete(&G.row("a")).put(&G.row("b"), "3")).await;
    assert_eq!((bytes(&store, "a").await, bytes(&store, "b").await), (None, Some(b"3".to_vec())));
    server.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    committed(&store, Txn::new(G).put(&G.row("a"), "2")).await;
}

/// Whom to trust is told by the environment, so the client is a process of its own.
pub(crate) async fn a_trusted_server_is_spoken_to_over_tls() {
    let trust = Trust::new();
    let server = RedisServer::start_tls(&trust.options());
    let url = format!("rediss://localhost:{}", server.port());
    trust.assert_needed(&[&url]);
}

/// Sentinels have a password of their own, and a certificate that must hold what they call the primary, too.
pub(crate) async fn sentinels_are_asked_over_tls_and_with_a_password() {
    let trust = Trust::new();
    let (password, servers) = ("s3cr3t-of-theirs", "s3cr3t-of-the-server");
    let server = RedisServer::start_tls(&[&trust.options()[..], &["--requirepass", servers]].concat());
    let files = trust.files.each_ref().map(String::as_str);
    let sentinel = RedisServer::sentinel_tls(&server, [password, servers], files);
    let url = format!("rediss://:{servers}@unused");
    let asked = |scheme: &str, login: &str| format!("{scheme}://{login}localhost:{}", sentinel.port());
    trust.assert_needed(&[&url, &asked("rediss", &format!(":{password}@"))]);
    let authority = trust.path("ca.pem");
    for (asked, why) in [
        (asked("rediss", ""), "refuses the login"),
        (asked("rediss", ":wrong@"), "refuses the login"),
        (asked("redis", &format!(":{password}@")), "the sentinels"),
    ] {
        let (known, said) = trust.visit(&authority, &[&url, &asked]);
        assert!(!known && said.contains(why) && !said.contains("s3cr3t"), "{asked}: {said}");
    }
}

/// A folder of certificates: a server's, whose authority may be trusted or not.
struct Trust {
    folder: tempfile::TempDir,
    /// The server's certificate, its key, and who answers for it.
    files: [String; 3],
}

impl Trust {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let files = ["server.pem", "server.key", "ca.pem"].map(|name| folder.path().join(name).display().to_string());
        Self { folder, files }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn options(&self) -> [&str; 8] {
        let [cert, key, authority] = &self.files;
        ["--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", authority, "--tls-auth-clients", "no"]
    }

    /// Whether a client that trusts this authority got through, and what it said.
    fn visit(&self, trusted: &str, words: &[&str]) -> (bool, String) {
        let program = std::env::current_exe().unwrap();
        let visit = Command::new(program).arg("visit").args(words).env("SSL_CERT_FILE", trusted).output().unwrap();
        (visit.status.success(), String::from_utf8_lossy(&visit.stderr).into_owned())
    }

    fn assert_needed(&self, words: &[&str]) {
        let (known, said) = self.visit(&self.path("ca.pem"), words);
        assert!(known, "{said}");
        let (known, said) = self.visit(&self.path("stranger.pem"), words);
        assert!(!known && said.contains("certificate"), "{said}");
    }
}

/// The child of the tests above: commits once.
pub(crate) fn visit(url: &str, sentinel: Option<String>) -> ExitCode {
    let sentinel = sentinel.map(|sentinel| SentinelSettings { urls: vec![sentinel], primary: "main".into() });
    let mut outcome = ExitCode::FAILURE;
    run(async {
        match open(RedisSettings { sentinel, ..RedisSettings::new(url) }).await {
            Ok(store) => {
                committed(&store, Txn::new(G).put(&G.row("a"), "1")).await;
                outcome = ExitCode::SUCCESS;
            }
            Err(error) => eprintln!("{error}"),
        }
    });
    outcome
}

/// Two authorities, and a server that the first of them answers for.
fn certify(folder: &Path) {
    let openssl = |line: &str| {
        let done = Command::new("openssl").args(line.split(' ')).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&done.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for name in ["ca", "stranger"] {
        openssl(&format!("req -x509 {key} -keyout {name}.key -out {name}.pem -subj /CN={name} -days 2"));
    }
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n").unwrap();
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem -days 2");
}
