//! A receiver of webhooks in all its moods, each at a path of its own. It has a film, too, that it gives in parts.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An event that came with a signature by the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) body: String,
}

pub(crate) struct Receiver {
    pub(crate) port: u16,
    inner: Arc<Inner>,
    _runtime: Runtime,
}

struct Inner {
    told: Mutex<Vec<Told>>,
    /// Whether answers that were held back are given now.
    open: watch::Sender<bool>,
    /// What a redirect leads to.
    inside: String,
    film: Vec<u8>,
}

impl Receiver {
    pub(crate) fn start(inside: &str, film: Vec<u8>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let inner = Inner { told: Mutex::default(), open: watch::channel(false).0, inside: inside.to_owned(), film };
        let inner = Arc::new(inner);
        let router = Router::new().fallback(hear).with_state(inner.clone());
        runtime.spawn(axum::serve(listener, router).into_future());
        Self { port, inner, _runtime: runtime }
    }

    /// What came to a path, in order.
    pub(crate) fn told(&self, path: &str) -> Vec<Told> {
        self.inner.told.lock().unwrap().iter().filter(|told| told.path == path).cloned().collect()
    }

    /// From now on nobody is kept waiting, and nobody refused.
    pub(crate) fn open(&self) {
        self.inner.open.send_replace(true);
    }
}

async fn hear(State(inner): State<Arc<Inner>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    if uri.path() == "/film.mov" {
        return part(&inner.film, &headers);
    }
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (id, time, body) =
        (header("webhook-id"), header("webhook-timestamp"), String::from_utf8_lossy(&body).into_owned());
    let key = BASE64.decode(SECRET.trim_start_matches("whsec_")).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    let signature = ["v1,", &BASE64.encode(mac.finalize().into_bytes())].concat();
    if header("webhook-signature") != signature {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let path = uri.path().to_owned();
    let count = {
        let mut told = inner.told.lock().unwrap();
        told.push(Told { path: path.clone(), id, body });
        told.iter().filter(|told| told.path == path).count()
    };
    let mut open = inner.open.subscribe();
    let is_open = *open.borrow();
    match (path.as_str(), count) {
        (_, _) if is_open => StatusCode::OK.into_response(),
        ("/fails", 1) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        ("/fails", 2) => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response(),
        // It takes the event, and says so when nobody listens any more.
        ("/late", 1) | ("/hangs", _) => {
            drop(open.wait_for(|open| *open).await);
            StatusCode::OK.into_response()
        }
        ("/gone", _) => StatusCode::GONE.into_response(),
        ("/redirects", _) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, inner.inside.clone())]).into_response()
        }
        _ => StatusCode::NO_CONTENT.into_response(),
    }
}

fn part(film: &[u8], headers: &HeaderMap) -> Response {
    let range = headers[header::RANGE].to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (from, to) = range.split_once('-').unwrap();
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let told = format!("bytes {from}-{to}/{}", film.len());
    let known = [(header::CONTENT_RANGE, told), (header::ETAG, "\"film\"".to_owned())];
    (StatusCode::PARTIAL_CONTENT, known, film[from..=to].to_vec()).into_response()
}
