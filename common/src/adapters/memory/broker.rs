//! The one-process fleet's queue: hints by class, first come first served; events to whoever subscribed.
//! It forgets everything with the process, as hints may; the store brings them forth again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_model::id::Digest;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};

use crate::ports::broker::{
    Arrival, Broker, BrokerError, Class, DeadLetter, DeadLetters, Delivery, Event, Hint, Hints, Posted, Receipt, Told,
    Uploads,
};
use crate::ports::wire;

/// A dispatcher hints little more than there are slots; more than this is a bug of ours.
const HINTS_MAX: usize = 65_536;
/// A subscriber that falls further behind misses events.
const EVENTS_MAX: usize = 1024;
/// The oldest dead letters beyond are forgotten.
const DEAD_MAX: usize = 1024;
const UPLOADS: &str = "uploads";

pub struct MemoryBroker {
    queues: Mutex<HashMap<Class, Arc<Queue<Content>>>>,
    dead: Arc<Queue<Dead>>,
    uploads: Arc<Queue<Bytes>>,
    events: broadcast::Sender<Event>,
}

#[derive(Clone)]
enum Content {
    Hint(Hint),
    Bytes(Bytes),
}

#[derive(Clone)]
struct Dead {
    class: Class,
    reason: &'static str,
    body: Bytes,
}

struct Queue<T> {
    waiting: Mutex<VecDeque<(T, Arrival)>>,
    wake: Notify,
}

struct Slot {
    class: Class,
    source: Source<Content>,
    dead: Arc<Queue<Dead>>,
}

struct Inspector(Source<Dead>);

struct Postbox(Source<Bytes>);

/// Whoever takes from a queue, one message at a time.
struct Source<T> {
    queue: Arc<Queue<T>>,
    /// One permit: taken with each message, given back by its receipt.
    free: Arc<Semaphore>,
}

struct Taken<T: Send> {
    queue: Arc<Queue<T>>,
    /// `None` once acknowledged.
    message: Option<T>,
    _busy: OwnedSemaphorePermit,
}

impl MemoryBroker {
    /// Hears events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Hints that nobody took yet.
    pub fn depth(&self) -> usize {
        lock(&self.queues).values().map(|queue| lock(&queue.waiting).len()).sum()
    }

    /// Forgets every hint that nobody took yet.
    pub fn purge(&self) {
        lock(&self.queues).values().for_each(|queue| lock(&queue.waiting).clear());
    }

    /// Puts bytes among a class's hints, as any program with access to a real broker can.
    pub fn post_bytes(&self, class: &Class, bytes: Bytes) -> Result<(), BrokerError> {
        self.post(class, Content::Bytes(bytes))
    }

    /// Puts a message of others among those that tell of uploads.
    pub fn post_upload(&self, body: Bytes) -> Result<(), BrokerError> {
        let full = |length| BrokerError::Full { queue: UPLOADS.to_owned(), length };
        self.uploads.push(body, HINTS_MAX).map_err(full)
    }

    /// Messages of uploads that nobody took yet.
    pub fn uploads_waiting(&self) -> usize {
        lock(&self.uploads.waiting).len()
    }

    fn post(&self, class: &Class, content: Content) -> Result<(), BrokerError> {
        self.queue(class)
            .push(content, HINTS_MAX)
            .map_err(|length| BrokerError::Full { queue: class.to_string(), length })
    }

    fn queue(&self, class: &Class) -> Arc<Queue<Content>> {
        lock(&self.queues).entry(class.clone()).or_default().clone()
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        let events = broadcast::Sender::new(EVENTS_MAX);
        Self { queues: Mutex::default(), dead: Arc::default(), uploads: Arc::default(), events }
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish_hint(&self, class: &Class, hint: &Hint) -> Result<(), BrokerError> {
        self.post(class, Content::Hint(hint.clone()))
    }

    async fn publish_event(&self, event: &Event) -> Result<(), BrokerError> {
        // An event that nobody subscribed to has arrived as far as it ever will.
        let _ = self.events.send(event.clone());
        Ok(())
    }

    async fn consume(&self, class: &Class) -> Result<Box<dyn Hints>, BrokerError> {
        let source = Source::new(self.queue(class));
        Ok(Box::new(Slot { class: class.clone(), source, dead: self.dead.clone() }))
    }

    async fn uploads(&self) -> Result<Box<dyn Uploads>, BrokerError> {
        Ok(Box::new(Postbox(Source::new(self.uploads.clone()))))
    }

    async fn dead_letters(&self) -> Result<Box<dyn DeadLetters>, BrokerError> {
        Ok(Box::new(Inspector(Source::new(self.dead.clone()))))
    }
}

#[async_trait]
impl Hints for Slot {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        loop {
            let (mut taken, arrival) = self.source.next().await;
            let body = match taken.message.as_ref().expect("not yet acknowledged") {
                Content::Hint(hint) => {
                    return Ok(Delivery { hint: hint.clone(), arrival, receipt: Box::new(taken) });
                }
                Content::Bytes(body) => body.clone(),
            };
            match wire::read(&body) {
                Ok(hint) => return Ok(Delivery { hint, arrival, receipt: Box::new(taken) }),
                Err(why) => {
                    taken.message = None;
                    self.dead.bury(Dead { class: self.class.clone(), reason: why.name(), body });
                }
            }
        }
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        Ok(())
    }
}

#[async_trait]
impl Uploads for Postbox {
    async fn next(&mut self) -> Result<Posted, BrokerError> {
        let (taken, _) = self.0.next().await;
        let body = taken.message.clone().expect("not yet acknowledged");
        let told = Told { queue: UPLOADS.to_owned(), id: Digest::of(&body).to_string(), body, trace: None };
        Ok(Posted { told, receipt: Box::new(taken) })
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        Ok(())
    }
}

#[async_trait]
impl DeadLetters for Inspector {
    async fn next(&mut self) -> Result<DeadLetter, BrokerError> {
        let (taken, _) = self.0.next().await;
        let Dead { class, reason, body } = taken.message.clone().expect("not yet acknowledged");
        Ok(DeadLetter {
            queue: class.to_string(),
            reason: reason.to_owned(),
            id: Digest::of(&body).to_string(),
            body: body.slice(..body.len().min(DeadLetter::BODY_BYTES_MAX)),
            bytes: body.len() as u64,
            receipt: Box::new(taken),
        })
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        Ok(())
    }
}

impl<T: Clone + Send> Source<T> {
    fn new(queue: Arc<Queue<T>>) -> Self {
        Self { queue, free: Arc::new(Semaphore::new(1)) }
    }

    async fn next(&mut self) -> (Taken<T>, Arrival) {
        let busy = self.free.clone().acquire_owned().await.expect("the semaphore is never closed");
        loop {
            let woken = self.queue.wake.notified();
            if let Some((message, arrival)) = self.queue.pop() {
                return (Taken { queue: self.queue.clone(), message: Some(message), _busy: busy }, arrival);
            }
            woken.await;
        }
    }
}

#[async_trait]
impl<T: Send> Receipt for Taken<T> {
    async fn ack(mut self: Box<Self>) -> Result<(), BrokerError> {
        self.message = None;
        Ok(())
    }
}

impl<T: Send> Drop for Taken<T> {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            lock(&self.queue.waiting).push_front((message, Arrival::Redelivered));
            self.queue.wake.notify_one();
        }
    }
}

impl<T> Queue<T> {
    /// The length is told if it is at its bound.
    fn push(&self, message: T, bound: usize) -> Result<(), usize> {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= bound {
            return Err(waiting.len());
        }
        waiting.push_back((message, Arrival::First));
        self.wake.notify_one();
        Ok(())
    }

    fn bury(&self, message: T) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() >= DEAD_MAX {
            waiting.pop_front();
        }
        waiting.push_back((message, Arrival::First));
        self.wake.notify_one();
    }

    fn pop(&self) -> Option<(T, Arrival)> {
        let mut waiting = lock(&self.waiting);
        let taken = waiting.pop_front();
        if !waiting.is_empty() {
            // Two messages that came while nobody slept left one wake-up between them: pass it on.
            self.wake.notify_one();
        }
        taken
    }
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), wake: Notify::new() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
