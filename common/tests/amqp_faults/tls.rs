//! `amqps://`. The program calls itself as the client, because trusted certificates are named by the environment.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use framefleet_common::ports::broker::{Broker as _, Class};

use crate::rabbit::Rabbit;
use crate::scene::{hint, run, settings, start, until_it_says};

pub(crate) fn a_server_with_a_certificate_is_trusted_only_with_it() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let port = {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        taken.local_addr().unwrap().port()
    };
    let file = |name: &str| folder.path().join(name).display().to_string();
    let rabbit = Rabbit::start_with(&format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\nssl_options.verify = verify_none\n",
        file("ca.pem"),
        file("server.pem"),
        file("server.key"),
    ));
    let url = rabbit.url_at(port).replace("amqp://", "amqps://");
    let client = |trusted: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["tls", &url]).env("SSL_CERT_FILE", file(trusted)).env_remove("SSL_CERT_DIR");
        command.status().unwrap().code()
    };
    assert_eq!(client("ca.pem"), Some(0), "a hint there and back");
    assert_eq!(client("other.pem"), Some(3), "a certificate of nobody we know");
}

/// Ends with 0 if a hint made its way, with 3 if the server's certificate is not trusted.
pub(crate) fn client(url: &str) -> ExitCode {
    let mut code = ExitCode::from(1);
    run(async {
        let broker = start(&settings(url, "tls"));
        let sent = broker.publish_hint(&Class::light(), &hint(0)).await;
        if sent.is_err() {
            until_it_says(&broker, &["certificate"]).await;
            code = ExitCode::from(3);
        } else {
            let mut slot = broker.consume(&Class::light()).await.unwrap();
            let delivery = tokio::time::timeout(Duration::from_secs(60), slot.next()).await.unwrap().unwrap();
            delivery.receipt.ack().await.unwrap();
            slot.close().await.unwrap();
            code = ExitCode::SUCCESS;
        }
        broker.close().await;
    });
    code
}

/// An authority, a server's certificate by it, and another authority.
fn certificates(folder: &Path) {
    let openssl = |args: &str| {
        let made = Command::new("openssl").args(args.split(' ')).current_dir(folder).output();
        let made = made.expect("openssl is installed");
        assert!(made.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&made.stderr));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    for name in ["ca", "other"] {
        openssl(&format!("req -x509 {key} -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name}"));
    }
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl("x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem");
}
