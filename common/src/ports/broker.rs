//! Messages. Hints may be lost, doubled, late or stale: the store is the truth, and whoever takes a hint claims its
//! task there first. Completion events are repeated until the broker confirms them, and carry the same id each time.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{JobId, TaskId};
use framefleet_model::trace::TraceContext;

#[async_trait]
pub trait Broker: Send + Sync {
    /// `Ok` is the broker's confirm. After an error it is unknown whether anybody will see the hint.
    async fn publish_hint(&self, class: &Class, hint: &Hint) -> Result<(), BrokerError>;

    /// `Ok` is the broker's confirm. After an error: publish again, later, with the same id.
    async fn publish_event(&self, event: &Event) -> Result<(), BrokerError>;

    /// Begins to take hints of one class, one at a time: the next comes after the last was acknowledged or dropped.
    async fn consume(&self, class: &Class) -> Result<Box<dyn Hints>, BrokerError>;

    /// Begins to take messages that tell of uploads, whatever is in them.
    async fn uploads(&self) -> Result<Box<dyn Uploads>, BrokerError>;

    /// Begins to take what was given up on: messages that nobody can read, that came back too often or lay too long.
    async fn dead_letters(&self) -> Result<Box<dyn DeadLetters>, BrokerError>;
}

/// Where messages about uploads are handed on to whoever looks into them.
#[async_trait]
pub trait Ingest: Send + Sync {
    /// `Ok` is the broker's confirm. After an error: publish again, later, with the same id.
    async fn publish_notice(&self, notice: &Notice) -> Result<(), BrokerError>;

    /// Why messages do not flow, and what to do about it.
    fn readiness(&self) -> Result<(), String>;
}

/// One slot's source of hints.
#[async_trait]
pub trait Hints: Send {
    /// Waits for a hint. What is no hint never comes: it goes to the dead letters. After an error the connection is
    /// gone: consume again. Safe to cancel.
    async fn next(&mut self) -> Result<Delivery, BrokerError>;

    /// Stops taking hints; one that was on its way goes to another slot, one that was delivered can still be
    /// acknowledged. Dropping does the same, without waiting.
    async fn close(self: Box<Self>) -> Result<(), BrokerError>;
}

/// A source of messages that tell of uploads, one at a time like hints.
#[async_trait]
pub trait Uploads: Send {
    /// Waits for a message. After an error the connection is gone: ask for uploads again. Safe to cancel.
    async fn next(&mut self) -> Result<Posted, BrokerError>;

    async fn close(self: Box<Self>) -> Result<(), BrokerError>;
}

/// An inspector's source of dead letters, one at a time like hints.
#[async_trait]
pub trait DeadLetters: Send {
    /// Waits for a dead letter. After an error the connection is gone: ask for dead letters again. Safe to cancel.
    async fn next(&mut self) -> Result<DeadLetter, BrokerError>;

    async fn close(self: Box<Self>) -> Result<(), BrokerError>;
}

/// The right to say that a message is done with. Dropped unused, the message comes again, a hint marked as
/// redelivered; its source may then answer with an error once, for that is how some brokers take a message back.
#[async_trait]
pub trait Receipt: Send {
    /// After an error the hint may come again, which is harmless: its claim will say so.
    async fn ack(self: Box<Self>) -> Result<(), BrokerError>;
}

pub struct Delivery {
    pub hint: Hint,
    pub arrival: Arrival,
    pub receipt: Box<dyn Receipt>,
}

/// A message of others. It comes again until it is acknowledged.
pub struct Posted {
    pub told: Told,
    pub receipt: Box<dyn Receipt>,
}

/// What others wrote, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The queue it was in.
    pub queue: String,
    /// The sender's id, or a hash of the body.
    pub id: String,
    pub body: Bytes,
    /// Where the sender says it is in a trace.
    pub trace: Option<TraceContext>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    First,
    /// Somebody took it before and did not acknowledge it: they may be dead.
    Redelivered,
}

/// A message that nobody will take from its queue again, as evidence.
pub struct DeadLetter {
    /// The queue it was in.
    pub queue: String,
    /// `foreign`, `oversized` or `unknown-version` if it was no hint of ours; else the broker's own word: `rejected`,
    /// `delivery_limit`, `expired`, `maxlen`; `unwanted` if it is an event of ours that ran out.
    pub reason: String,
    pub id: String,
    /// At most `BODY_BYTES_MAX` of it.
    pub body: Bytes,
    /// Its whole size.
    pub bytes: u64,
    pub receipt: Box<dyn Receipt>,
}

/// The queue of events that no other queue takes, behind the prefix.
pub const EVENTS: &str = "out.events";

/// Names a task that is ready. Carries no work: that is read from the store.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Hint {
    pub job: JobId,
    pub task: TaskId,
    /// The span of who gave it; it goes beside the message, and nothing depends on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceContext>,
}

/// What a slot must be able to do for the tasks behind its hints.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Class(String);

/// Something that the world is told, such as a job's completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The same at each repetition, so that receivers can tell.
    pub id: String,
    /// Dotted routing key, such as `job.completed.default`.
    pub key: String,
    /// CloudEvents JSON.
    pub body: Bytes,
    /// The span of who tells; it goes beside the message.
    pub trace: Option<TraceContext>,
}

/// What somebody was told of uploads, as it came: `framefleet_model::event` reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The same at each repetition.
    pub id: String,
    /// Dotted routing key that says where it came from, such as `mns.films`.
    pub key: String,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// No connection, or one that broke: connect and try again.
    #[error("the broker does not answer: {0}")]
    Unavailable(String),
    /// It was sent and not confirmed: it may have arrived.
    #[error("the broker did not confirm: {0}")]
    Unconfirmed(String),
    /// A queue is at its bound.
    #[error("the queue {queue} holds {length} messages, its bound")]
    Full { queue: String, length: usize },
    /// It can never be connected to as it was asked for.
    #[error("{0}")]
    Settings(String),
    #[error("{0:?} is no class: 1 to 32 of a-z, 0-9, - and _")]
    Class(String),
}

impl DeadLetter {
    pub const BODY_BYTES_MAX: usize = 4096;

    /// An event that nobody took for as long as it was kept for them. Nothing failed, and nothing can be done about it.
    pub fn is_unwanted_event(&self) -> bool {
        self.reason == "unwanted"
    }
}

impl Class {
    pub const NAME_BYTES_MAX: usize = 32;

    pub fn new(name: &str) -> Result<Self, BrokerError> {
        let fits = (1..=Self::NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if fits { Ok(Self(name.to_owned())) } else { Err(BrokerError::Class(name.to_owned())) }
    }

    /// Index and image tasks: short, little CPU. Only the planner sets it.
    pub fn light() -> Self {
        Self("light".to_owned())
    }

    pub fn standard() -> Self {
        Self("standard".to_owned())
    }

    /// Tasks that may outlast a worker's grace.
    pub fn long() -> Self {
        Self("long".to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Class {
    type Error = BrokerError;
    fn try_from(name: String) -> Result<Self, BrokerError> {
        Self::new(&name)
    }
}

impl From<Class> for String {
    fn from(class: Class) -> Self {
        class.0
    }
}

impl From<BrokerError> for Fault {
    fn from(error: BrokerError) -> Self {
        // Exit code 69 is for broker and store alike, and both are waited for in the same way.
        Self::new(FaultKind::StoreAway, error.to_string())
    }
}
