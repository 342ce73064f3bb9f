//! An HTTP server that strangers cannot exhaust: so many connections at once, so long until a request's head has come
//! whole (between requests, too), so long for an answer that nobody takes. The next connection waits in the kernel's
//! own bounded queue.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower_service::Service as _;

/// Where a request came from; among its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub connections: usize,
    pub head_time_max: Duration,
    pub write_time_max: Duration,
}

impl Bounds {
    /// For so many connections, each of them as usual.
    pub fn of(connections: usize) -> Self {
        Self { connections, head_time_max: Duration::from_secs(10), write_time_max: Duration::from_secs(30) }
    }
}

/// Until told to stop; then what was asked is still answered.
pub async fn serve(
    mut listener: TcpListener,
    router: Router,
    bounds: Bounds,
    stop: CancellationToken,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(bounds.connections));
    let (graceful, mut connections) = (GracefulShutdown::new(), JoinSet::new());
    loop {
        let taken = async {
            let place = places.clone().acquire_owned().await.expect("nobody closes the semaphore");
            // Waits and goes on where a connection cannot be taken.
            let (stream, from) = Listener::accept(&mut listener).await;
            (stream, from, place)
        };
        let (stream, from, place) = tokio::select! {
            taken = taken => taken,
            () = stop.cancelled() => break,
        };
        // Small events must not wait for more of them.
        let _ = stream.set_nodelay(true);
        let (watcher, router) = (graceful.watcher(), router.clone());
        connections.spawn(async move {
            answer((stream, from), router, (bounds, watcher)).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

async fn answer((stream, from): (TcpStream, SocketAddr), router: Router, (bounds, watcher): (Bounds, Watcher)) {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(bounds.write_time_max));
    let answering = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(from));
        router.clone().call(request)
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(bounds.head_time_max);
    let connection = server.serve_connection(TokioIo::new(Box::pin(stream)), answering);
    // However a connection ends, its end is its client's to know.
    let _ = watcher.watch(connection).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const SHORT: Duration = Duration::from_millis(100);

    async fn start(bounds: Bounds) -> (SocketAddr, CancellationToken, JoinSet<io::Result<()>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let endless =
            async || Body::from_stream(futures::stream::repeat_with(|| Ok::<_, Infallible>(vec![0_u8; 1 << 16])));
        let router = Router::new().route("/", get(async || "here")).route("/endless", get(endless));
        let mut server = JoinSet::new();
        server.spawn(serve(listener, router, bounds, stop.clone()));
        (address, stop, server)
    }

    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    }

    #[tokio::test]
    async fn whoever_is_slow_with_a_head_loses_the_place_to_the_next() {
        let (address, stop, mut server) = start(Bounds { head_time_max: SHORT, ..Bounds::of(1) }).await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nslowly: ").await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(!rest(&mut slow).await.contains("200 OK"));
        assert!(rest(&mut next).await.ends_with("here"));
        let mut silent = TcpStream::connect(address).await.unwrap();
        assert_eq!(rest(&mut silent).await, "", "a connection that says nothing ends, too");
        stop.cancel();
        server.join_next().await.unwrap().unwrap().unwrap();
    }

    #[tokio::test]
    async fn whoever_takes_no_answer_loses_the_place_to_the_next() {
        let (address, _stop, _server) = start(Bounds { write_time_max: SHORT, ..Bounds::of(1) }).await;
        let mut deaf = TcpStream::connect(address).await.unwrap();
        deaf.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
        assert!(rest(&mut next).await.ends_with("here"));
    }
}
