//! A double of Alibaba's MNS on a socket: it checks signatures, speaks the service's XML, hides what was received for a
//! while, gives handles that end and change, and fails where a test wants it to.
//!
//! ```text
//! request ─▶ wire: signature, date, token ─▶ queue: waiting ─▶ held until a moment, by a handle ─▶ gone
//! ```

mod queue;
/// How requests are signed.
pub mod signatures;
mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};

use self::queue::Queue;
use self::signatures::Version;

pub const KEY_ID: &str = "test-key";
pub const SECRET: &str = "test-secret";
/// That the newer signature is of.
pub const REGION: &str = "test-region";

/// Ends with its value.
pub struct Mns {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Attributes,
    Receive,
    Delete,
    Extend,
}

struct Shared {
    queues: Mutex<BTreeMap<String, Queue>>,
    /// Something may have become receivable.
    news: Notify,
    faults: Mutex<Vec<Fault>>,
    /// Requests of these kinds wait.
    held: watch::Sender<Vec<Asked>>,
    seen: Mutex<BTreeMap<Asked, usize>>,
    signed: Mutex<BTreeMap<Version, usize>>,
    /// What a request must carry besides its signature.
    token: Mutex<Option<String>>,
}

/// An answer instead of the work.
struct Fault {
    asked: Asked,
    status: u16,
    code: String,
    left: usize,
}

impl Mns {
    /// Messages that were received are hidden for `visibility`.
    pub fn start(queues: &[&str], visibility: Duration) -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into(), queues, visibility)
    }

    pub fn start_at(at: SocketAddr, queues: &[&str], visibility: Duration) -> Self {
        let queues = queues.iter().map(|name| ((*name).to_owned(), Queue::new(visibility))).collect();
        let shared = Arc::new(Shared {
            queues: Mutex::new(queues),
            news: Notify::new(),
            faults: Mutex::default(),
            held: watch::Sender::new(Vec::new()),
            seen: Mutex::default(),
            signed: Mutex::default(),
            token: Mutex::default(),
        });
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = std::sync::mpsc::channel();
        let app = axum::Router::new().fallback(wire::answer).with_state(shared.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind(at).await.expect("a free port");
                bound.send(listener.local_addr().expect("bound")).expect("awaited");
                tokio::select! {
                    served = axum::serve(listener, app) => served.expect("it serves for ever"),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let address = address.recv().expect("it binds");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `[[bridge.queues]]` of all queues, each with these lines.
    pub fn settings(&self, lines: &str) -> String {
        let names: Vec<String> = lock(&self.shared.queues).keys().cloned().collect();
        let one = |name: &String| {
            let endpoint = self.endpoint();
            format!("[[bridge.queues]]\nname = \"{name}\"\nendpoint = \"{endpoint}\"\nhttp = \"plain\"\n{lines}\n")
        };
        names.iter().map(one).collect()
    }

    /// Puts a message into a queue, as OSS does; its id.
    pub fn send(&self, queue: &str, body: &[u8]) -> String {
        let body = String::from_utf8(body.to_vec()).expect("messages are text");
        let id = lock(&self.shared.queues).get_mut(queue).expect("a queue of these").send(body);
        self.shared.news.notify_waiters();
        id
    }

    /// How many messages a queue has that were not deleted.
    pub fn left(&self, queue: &str) -> usize {
        lock(&self.shared.queues)[queue].left()
    }

    /// How many of them nobody holds.
    pub fn waiting(&self, queue: &str) -> usize {
        lock(&self.shared.queues)[queue].waiting()
    }

    /// Ends the while of everything that is held.
    pub fn expire(&self) {
        lock(&self.shared.queues).values_mut().for_each(Queue::expire);
        self.shared.news.notify_waiters();
    }

    /// The next so many requests of this kind are answered with an error.
    pub fn refuse(&self, asked: Asked, (status, code): (u16, &str), times: usize) {
        lock(&self.shared.faults).push(Fault { asked, status, code: code.to_owned(), left: times });
    }

    /// Requests of these kinds wait, and nothing is done for them; with none, all go on.
    pub fn hold(&self, asked: &[Asked]) {
        self.shared.held.send_replace(asked.to_vec());
    }

    /// How many requests of this kind came.
    pub fn seen(&self, asked: Asked) -> usize {
        lock(&self.shared.seen).get(&asked).copied().unwrap_or_default()
    }

    /// How many requests were signed so, and well.
    pub fn signed(&self, version: Version) -> usize {
        lock(&self.shared.signed).get(&version).copied().unwrap_or_default()
    }

    /// Of every message a letter is another the next so many times that it is given out.
    pub fn garble(&self, queue: &str, times: u32) {
        lock(&self.shared.queues).get_mut(queue).expect("a queue of these").garble(times);
    }

    /// From now on requests must carry this security token.
    pub fn want_token(&self, token: &str) {
        *lock(&self.shared.token) = Some(token.to_owned());
    }
}

impl Drop for Mns {
    fn drop(&mut self) {
        drop(self.stop.take());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Shared {
    fn fault(&self, asked: Asked) -> Option<(u16, String)> {
        let mut faults = lock(&self.faults);
        let fault = faults.iter_mut().find(|fault| fault.asked == asked && fault.left > 0)?;
        fault.left -= 1;
        Some((fault.status, fault.code.clone()))
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    // A test that panics is over anyway.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
