//! A listener that strangers cannot exhaust: so many connections at once, and so long for each, whatever they do with
//! it. The next one waits in the kernel's own bounded queue.

use std::future::Future as _;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

const CONNECTIONS_MAX: usize = 64;
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);

pub(crate) struct BoundedListener {
    listener: TcpListener,
    connections: Arc<Semaphore>,
    time_max: Duration,
}

/// A connection that fails once its time is over.
pub(crate) struct Bounded {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl BoundedListener {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self::with_bounds(listener, (CONNECTIONS_MAX, CONNECTION_TIME_MAX))
    }

    fn with_bounds(listener: TcpListener, (connections, time_max): (usize, Duration)) -> Self {
        Self { listener, connections: Arc::new(Semaphore::new(connections)), time_max }
    }
}

impl Listener for BoundedListener {
    type Io = Bounded;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Bounded, SocketAddr) {
        let place = self.connections.clone().acquire_owned().await.expect("nobody closes the semaphore");
        // Waits and goes on where a connection cannot be taken.
        let (stream, from) = Listener::accept(&mut self.listener).await;
        (Bounded { stream, end: Box::pin(tokio::time::sleep(self.time_max)), _place: place }, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Bounded {
    fn in_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.end.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Bounded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn whoever_says_nothing_loses_the_place_to_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut listener = BoundedListener::with_bounds(listener, (1, Duration::from_millis(100)));
        let _silent = TcpStream::connect(address).await.unwrap();
        let next = TcpStream::connect(address).await.unwrap();
        let (mut first, _) = listener.accept().await;
        assert!(futures::poll!(std::pin::pin!(listener.accept())).is_pending(), "one place");
        assert_eq!(first.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(first);
        let (_second, from) = listener.accept().await;
        assert_eq!(from, next.local_addr().unwrap());
    }
}
