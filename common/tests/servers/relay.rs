//! A line between a client and a server that can be cut without either being told.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub(crate) struct Relay {
    pub(crate) port: u16,
    open: Arc<watch::Sender<bool>>,
    _lines: JoinSet<()>,
}

impl Relay {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let open = Arc::new(watch::Sender::new(true));
        let mut lines = JoinSet::new();
        lines.spawn(accept(listener, server, open.subscribe()));
        Self { port, open, _lines: lines }
    }

    /// Whatever is sent from now on stays on its way; connections are taken and hear nothing.
    pub(crate) fn swallow(&self) {
        self.open.send_replace(false);
    }

    pub(crate) fn pass(&self) {
        self.open.send_replace(true);
    }
}

async fn accept(listener: TcpListener, server: u16, open: watch::Receiver<bool>) {
    let mut lines = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else { continue };
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        lines.spawn(carry(from_client, to_server, open.clone()));
        lines.spawn(carry(from_server, to_client, open.clone()));
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut open: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let passed = open.wait_for(|open| *open).await.is_ok();
        if !passed || to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
    // The end of one direction is news, too.
    let _ = open.wait_for(|open| *open).await;
}
