//! A real S3 server on a socket: signatures checked, objects in a folder, and a layer that makes the trouble that
//! servers and networks make, and has the manners that others than Amazon have.

#![allow(dead_code, reason = "each test program uses its part")]
#![allow(clippy::unwrap_used, reason = "a test server")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode, header};
use framefleet_common::adapters::blob::storages::{Addressing, Credentials, Http, StorageSettings};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::sync::oneshot;

pub(crate) const KEY_ID: &str = "test-key";
pub(crate) const SECRET: &str = "test-secret";
/// The one bucket that a host of this machine's can name: 127.0.0.1 begins with it.
pub(crate) const HOSTED_BUCKET: &str = "127";
const BODY_BYTES_MAX: usize = 1 << 30;
const TRICKLES: usize = 20;
const TRICKLE_PAUSE: Duration = Duration::from_millis(20);

/// Ends with its value.
pub(crate) struct S3Server {
    folder: tempfile::TempDir,
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What may go wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// 503, nothing done.
    SlowDown,
    /// 403 by this code, nothing done.
    Refused(&'static str),
    /// All is done, and the answer is a 503.
    AnswerLost,
    /// Nothing done, and no answer for as long as anybody waits.
    Silent,
    /// The bytes come slowly.
    Slow,
    /// The connection ends before the promised bytes came.
    Cut,
    /// Fewer bytes than asked for are promised, and come.
    Short,
    /// A byte of the request is another when it arrives.
    Damaged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manners {
    Amazon,
    /// Of Alibaba's OSS: buckets by host only, no conditional writes, no chunks that are signed one by one, nothing
    /// deleted by the dozen.
    Oss,
}

struct Shared {
    root: PathBuf,
    service: S3Service,
    /// The same without a look at signatures, for requests whose path had to be changed.
    unsigned: S3Service,
    manners: Mutex<Manners>,
    /// Requests as `METHOD /path?query`.
    seen: Mutex<Vec<String>>,
    types: Mutex<BTreeMap<String, String>>,
    troubles: Mutex<Vec<Planned>>,
    /// Whether `If-Match` is heeded.
    conditions: AtomicBool,
    /// What stands where once an answer was cut.
    swap: Mutex<Option<(PathBuf, Vec<u8>)>>,
}

struct Planned {
    trouble: Trouble,
    /// Part of the requests that it happens to.
    what: String,
    left: usize,
}

impl S3Server {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_owned();
        let mut signed = S3ServiceBuilder::new(s3s_fs::FileSystem::new(&root).unwrap());
        signed.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let unsigned = S3ServiceBuilder::new(s3s_fs::FileSystem::new(&root).unwrap());
        let shared = Arc::new(Shared {
            root,
            service: signed.build(),
            unsigned: unsigned.build(),
            manners: Mutex::new(Manners::Amazon),
            seen: Mutex::default(),
            types: Mutex::default(),
            troubles: Mutex::default(),
            conditions: AtomicBool::new(true),
            swap: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let app = axum::Router::new().fallback(answer).with_state(shared.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                bound.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    served = axum::serve(listener, app) => served.unwrap(),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let address = address.recv().unwrap();
        Self { folder, address, shared, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a bucket.
    pub(crate) fn bucket(&self, name: &str) {
        std::fs::create_dir(self.folder.path().join(name)).unwrap();
    }

    /// How a fleet is told of what lies below a URL here.
    pub(crate) fn settings(&self, url: &str) -> StorageSettings {
        StorageSettings {
            url: url.to_owned(),
            endpoint: Some(self.endpoint()),
            region: Some("us-east-1".to_owned()),
            credentials: Some(Credentials { key_id: KEY_ID.to_owned(), secret: SECRET.to_owned(), token: None }),
            addressing: Addressing::Path,
            http: Http::Plain,
        }
    }

    pub(crate) fn set_manners(&self, manners: Manners) {
        *self.shared.manners.lock().unwrap() = manners;
    }

    /// Makes trouble for the next so many requests whose line, `METHOD /path?query`, has this in it.
    pub(crate) fn cause(&self, trouble: Trouble, what: &str, times: usize) {
        self.shared.troubles.lock().unwrap().push(Planned { trouble, what: what.to_owned(), left: times });
    }

    /// Ends all trouble.
    pub(crate) fn calm(&self) {
        self.shared.troubles.lock().unwrap().clear();
    }

    /// With the next answer that is cut, an object becomes another.
    pub(crate) fn replace_when_cut(&self, name: &str, bytes: Vec<u8>) {
        *self.shared.swap.lock().unwrap() = Some((self.path(name), bytes));
    }

    /// From now on `If-Match` means nothing, as to many a simple server.
    pub(crate) fn forget_conditions(&self) {
        self.shared.conditions.store(false, Ordering::SeqCst);
    }

    /// Where an object, or a bucket, lies on disk.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Requests that came since the last call.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap())
    }

    /// What the server was told of an object for those who fetch it.
    pub(crate) fn content_type(&self, path: &str) -> Option<String> {
        self.shared.types.lock().unwrap().get(path).cloned()
    }

    /// Files of uploads that were begun and neither completed nor given up.
    pub(crate) fn uploads(&self) -> usize {
        let names = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(".upload")).count()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(std::thread::JoinHandle::join));
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let line = format!("{} {}", request.method(), request.uri());
    shared.seen.lock().unwrap().push(line.clone());
    if let Some(told) = request.headers().get(header::CONTENT_TYPE).and_then(|told| told.to_str().ok()) {
        shared.types.lock().unwrap().insert(request.uri().path().to_owned(), told.to_owned());
    }
    let trouble = shared.trouble(&line);
    match trouble {
        Some(Trouble::SlowDown) => return error(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        Some(Trouble::Refused(code)) => return error(StatusCode::FORBIDDEN, code),
        Some(Trouble::Silent) => return std::future::pending().await,
        _ => {}
    }
    if let Some(refusal) = shared.refusal(&request) {
        return refusal;
    }
    let request = if trouble == Some(Trouble::Damaged) { damaged(request).await } else { request };
    let heeded = shared.conditions.load(Ordering::SeqCst);
    let if_match = request.headers().get(header::IF_MATCH).filter(|_| heeded).cloned();
    let of_upload = request.uri().query().is_some_and(|query| query.contains("uploadId="));
    let answer = shared.perform(request).await;
    if if_match.is_some_and(|etag| answer.headers().get(header::ETAG).is_some_and(|is| *is != etag)) {
        return error(StatusCode::PRECONDITION_FAILED, "PreconditionFailed");
    }
    if of_upload && answer.status() == StatusCode::FORBIDDEN {
        return as_amazon_says(answer).await;
    }
    match trouble {
        Some(Trouble::AnswerLost) => error(StatusCode::SERVICE_UNAVAILABLE, "InternalError"),
        Some(trouble) => {
            let answer = ill(answer, trouble).await;
            shared.swap_if_cut(trouble);
            answer
        }
        None => answer,
    }
}

impl Shared {
    fn trouble(&self, line: &str) -> Option<Trouble> {
        let mut troubles = self.troubles.lock().unwrap();
        let planned = troubles.iter_mut().find(|planned| planned.left > 0 && line.contains(&planned.what))?;
        planned.left -= 1;
        Some(planned.trouble)
    }

    fn swap_if_cut(&self, trouble: Trouble) {
        let mut swap = self.swap.lock().unwrap();
        let Some((path, bytes)) = swap.take_if(|_| trouble == Trouble::Cut) else { return };
        std::fs::write(path, bytes).unwrap();
        // What the server noted of the old content, its tag among it.
        for entry in std::fs::read_dir(&self.root).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().contains("internal") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    async fn perform(&self, request: Request) -> Response<Body> {
        let by_host = *self.manners.lock().unwrap() == Manners::Oss;
        let mut request = request.map(s3s::Body::http_body_unsync);
        if by_host {
            let inner = format!("/{HOSTED_BUCKET}{}", request.uri());
            *request.uri_mut() = inner.parse().unwrap();
            // The signature is of the path as it was.
            request.headers_mut().remove(header::AUTHORIZATION).unwrap();
        }
        let service = if by_host { &self.unsigned } else { &self.service };
        service.call(request).await.unwrap().map(Body::new)
    }

    /// What is refused before it is looked at.
    fn refusal(&self, request: &Request) -> Option<Response<Body>> {
        let bucket = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        let is_bucket = self.root.join(bucket).is_dir() && !bucket.is_empty();
        if *self.manners.lock().unwrap() == Manners::Amazon {
            return (!is_bucket).then(|| error(StatusCode::NOT_FOUND, "NoSuchBucket"));
        }
        let headers = request.headers();
        let has = |name: header::HeaderName| headers.contains_key(name) && request.method() != "GET";
        let says = |name: &str, text: &str| {
            headers.get(name).is_some_and(|value| value.to_str().is_ok_and(|value| value.contains(text)))
        };
        if is_bucket {
            Some(error(StatusCode::FORBIDDEN, "SecondLevelDomainForbidden"))
        } else if has(header::IF_MATCH) || has(header::IF_NONE_MATCH) {
            Some(error(StatusCode::NOT_IMPLEMENTED, "NotImplemented"))
        } else if request.uri().query() == Some("delete") {
            // It wants the MD5 of such a request, which nobody sends any more.
            Some(error(StatusCode::BAD_REQUEST, "MissingArgument"))
        } else if says("content-encoding", "aws-chunked") || says("x-amz-content-sha256", "STREAMING") {
            Some(error(StatusCode::BAD_REQUEST, "InvalidArgument"))
        } else {
            None
        }
    }
}

/// Of an upload that it does not know, this server says that it may not be used.
async fn as_amazon_says(answer: Response<Body>) -> Response<Body> {
    let (parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    if body.windows(12).any(|window| window == b"AccessDenied") {
        return error(StatusCode::NOT_FOUND, "NoSuchUpload");
    }
    Response::from_parts(parts, Body::from(body))
}

async fn damaged(request: Request) -> Request {
    let (parts, body) = request.into_parts();
    let mut body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap().to_vec();
    if let Some(byte) = body.last_mut() {
        *byte ^= 1;
    }
    Request::from_parts(parts, Body::from(body))
}

/// The answer as it arrives.
async fn ill(answer: Response<Body>, trouble: Trouble) -> Response<Body> {
    let (mut parts, body) = answer.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    let half = body.slice(..body.len() / 2);
    let length = if trouble == Trouble::Short { half.len() } else { body.len() };
    parts.headers.insert(header::CONTENT_LENGTH, length.to_string().parse().unwrap());
    let body = match trouble {
        Trouble::Short => Body::from(half),
        Trouble::Cut => {
            let cut = Err(std::io::Error::other("the line is cut"));
            Body::from_stream(futures::stream::iter([Ok(half), cut]))
        }
        Trouble::Slow => Body::from_stream(futures::stream::unfold(body, move |mut rest| async move {
            tokio::time::sleep(TRICKLE_PAUSE).await;
            let next = rest.split_to(rest.len().min(length.div_ceil(TRICKLES)));
            (!next.is_empty()).then_some((Ok::<Bytes, std::io::Error>(next), rest))
        })),
        Trouble::SlowDown | Trouble::Refused(_) | Trouble::Silent | Trouble::AnswerLost | Trouble::Damaged => {
            Body::from(body)
        }
    };
    Response::from_parts(parts, body)
}

fn error(status: StatusCode, code: &str) -> Response<Body> {
    let text =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as the test wants it</Message></Error>");
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/xml").body(Body::from(text)).unwrap()
}
