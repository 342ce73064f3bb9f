//! A relay in front of a server. It can fall silent on the connections that it has, and still takes new ones: so a
//! peer looks that is gone without a word.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) struct Relay {
    pub(crate) port: u16,
    gates: Arc<Gates>,
    _tasks: JoinSet<()>,
}

/// Connections are counted; up to these counts nothing goes through any more.
#[derive(Default)]
struct Gates {
    made: AtomicU64,
    deaf: AtomicU64,
    mute: AtomicU64,
}

impl Relay {
    pub(crate) async fn start(server: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let gates = Arc::new(Gates::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, server, gates.clone()));
        Self { port, gates, _tasks: tasks }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Nothing reaches either end of any connection there is.
    pub(crate) fn fall_silent(&self) {
        self.gates.deaf.store(self.gates.made.load(Ordering::SeqCst), Ordering::SeqCst);
        self.fall_mute();
    }

    /// Requests reach the server, and its answers nobody.
    pub(crate) fn fall_mute(&self) {
        self.gates.mute.store(self.gates.made.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

async fn serve(listener: TcpListener, server: u16, gates: Arc<Gates>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = gates.made.fetch_add(1, Ordering::SeqCst) + 1;
        let gates = gates.clone();
        connections.spawn(async move {
            // A server that is not there closes the door: so does the relay.
            let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { return };
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::select! {
                () = pump(from_client, to_server, || gates.deaf.load(Ordering::SeqCst) < number) => {}
                () = pump(from_server, to_client, || gates.mute.load(Ordering::SeqCst) < number) => {}
            }
        });
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, passes: impl Fn() -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if passes() && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
