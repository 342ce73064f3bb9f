//! The truth. Everything that the fleet knows is rows, ordered indexes and queues in a store.
//!
//! ```text
//! load rows ─▶ decide (pure) ─▶ commit { expect versions · put/delete · index · append · ack } ─▶ Committed | Conflict
//! ```
//!
//! Invariants that every adapter keeps, and that one conformance suite holds them to:
//! - A commit is atomic and touches one shard. Rows loaded in one call are one consistent picture of each shard.
//! - A version is never given twice to the same row, not even after the row was deleted and made again.
//! - Sequence numbers of a queue rise strictly and are never reused; they may have gaps.
//! - After an error the outcome of a commit is *unknown*: it may have happened. Repeating it is safe, because the
//!   versions that it expects are gone if it did.
//! - Whoever sees `Commit::Committed` sees the commit in every later answer of the same store; that it outlives the
//!   store's own death is promised only by `Store::barrier`.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::JobId;
use framefleet_model::time::StoreTime;

use crate::ports::changes::Changes;
use crate::ports::txn::Txn;

/// The truth, by its five verbs: load, scan, peek, commit, barrier.
#[async_trait]
pub trait Store: Send + Sync {
    /// The rows in the order of `keys`, and the store's time. No keys: just the time.
    async fn load(&self, keys: &[RowKey]) -> Result<Loaded, StoreError>;

    /// All of it or, if any expected version differs, nothing.
    async fn commit(&self, txn: Txn) -> Result<Commit, StoreError>;

    /// Members of an ordered index by rising (score, member).
    async fn scan(&self, scan: Scan) -> Result<Scanned, StoreError>;

    /// Messages of a queue by rising sequence number. They stay until a commit acknowledges them.
    async fn peek(&self, peek: Peek) -> Result<Vec<Message>, StoreError>;

    /// Returns when everything committed before the call will survive the death of any one machine of the store.
    async fn barrier(&self) -> Result<(), StoreError>;

    /// Hears which shards had commits. A hint: what it loses costs one polling interval, never correctness.
    fn subscribe(&self) -> Changes;
}

/// What is kept together: a job's rows, indexes and queues share the job's shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u8);

/// A row: the unit of compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    pub shard: Shard,
    pub name: String,
}

/// An ordered index: members, each with one score.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IndexKey {
    pub shard: Shard,
    pub name: String,
}

/// A queue: a job's mailbox, a shard's outbox.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueKey {
    pub shard: Shard,
    pub name: String,
}

/// Which writing of a row this is. Opaque: compare for equality only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// A message's place in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub version: Version,
    pub bytes: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// As many as there were keys, in their order.
    pub rows: Vec<Option<Row>>,
    pub now: StoreTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commit {
    Committed(Committed),
    /// Somebody else was faster: load again.
    Conflict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The version of every row that the transaction put.
    pub version: Version,
    /// One for each message that the transaction appended, in its order.
    pub sequences: Vec<Sequence>,
    pub now: StoreTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    pub index: IndexKey,
    /// Lowest score wanted.
    pub from: i64,
    /// Highest score wanted.
    pub to: i64,
    /// Where an earlier page ended: only entries beyond it are given.
    pub after: Option<Entry>,
    pub limit: usize,
}

/// A member of an index. Ordered by score, then by the member's bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    pub score: i64,
    pub member: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned {
    pub entries: Vec<Entry>,
    pub now: StoreTime,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peek {
    pub queue: QueueKey,
    /// Only messages beyond this one; `None` begins with the oldest.
    pub after: Option<Sequence>,
    pub limit: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub sequence: Sequence,
    pub bytes: Bytes,
}

/// What stands between a caller and the truth, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No answer, or one that leaves the outcome unknown: wait, load, try again.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// What is stored cannot be read: only people can help.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// No room is left: nothing was written.
    #[error("the store is full: {0}")]
    Full(String),
    /// Another process uses the state folder.
    #[error("the state folder {folder} is in use by {holder}")]
    Locked { folder: String, holder: String },
    /// It cannot live where it was told to, or does not let us in: only people can help.
    #[error("the store cannot be used: {0}")]
    Unusable(String),
    /// Written by another version of framefleet.
    #[error("the store has schema version {found}, this framefleet knows {known}")]
    Schema { found: i64, known: i64 },
    /// The caller broke the port's rules: a bug of ours.
    #[error("the transaction is refused: {0}")]
    Refused(String),
}

impl Shard {
    /// What belongs to no job.
    pub const GLOBAL: Self = Self(Self::JOBS);
    /// How many shards jobs are spread over. Part of what is stored: it never changes.
    pub const JOBS: u8 = 64;

    pub fn of(job: &JobId) -> Self {
        // A job id is a hash already: its first two hexadecimal digits spread evenly.
        let leading = u8::from_str_radix(&job.as_str()[..2], 16).expect("a job id is hexadecimal digits");
        Self(leading % Self::JOBS)
    }

    /// The shards of jobs, in order; [`Shard::GLOBAL`] is not among them.
    pub fn of_jobs() -> impl Iterator<Item = Self> {
        (0..Self::JOBS).map(Self)
    }

    /// All shards.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=Self::JOBS).map(Self)
    }

    pub fn number(self) -> u8 {
        self.0
    }

    pub fn row(self, name: impl Into<String>) -> RowKey {
        RowKey { shard: self, name: name.into() }
    }

    pub fn index(self, name: impl Into<String>) -> IndexKey {
        IndexKey { shard: self, name: name.into() }
    }

    pub fn queue(self, name: impl Into<String>) -> QueueKey {
        QueueKey { shard: self, name: name.into() }
    }
}

/// `s00` … `s63`, or `g`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::GLOBAL { f.write_str("g") } else { write!(f, "s{:02}", self.0) }
    }
}

impl Scan {
    /// The entries that are due: from the lowest score up to and with `to`.
    pub fn up_to(index: IndexKey, to: i64, limit: usize) -> Self {
        Self { index, from: i64::MIN, to, after: None, limit }
    }

    /// The whole index, page by page.
    pub fn all(index: IndexKey, limit: usize) -> Self {
        Self::up_to(index, i64::MAX, limit)
    }

    pub fn after(mut self, last: Option<Entry>) -> Self {
        self.after = last;
        self
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Unavailable(_) | StoreError::Locked { .. } | StoreError::Unusable(_) => FaultKind::StoreAway,
            StoreError::Full(_) => FaultKind::ScratchFull,
            StoreError::Corrupt(_) | StoreError::Schema { .. } | StoreError::Refused(_) => FaultKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_named_and_jobs_spread_over_them() {
        assert_eq!(Shard::GLOBAL.to_string(), "g");
        assert_eq!(Shard::of_jobs().next().map(|s| s.to_string()), Some("s00".into()));
        assert_eq!(Shard::all().count(), 65);
        let used: std::collections::BTreeSet<_> =
            (0..1000).map(|n| Shard::of(&JobId::of_parts(&[&n.to_string()]))).collect();
        assert_eq!(used.len(), 64);
        assert!(!used.contains(&Shard::GLOBAL));
    }

    #[test]
    fn a_store_that_does_not_answer_ends_a_command_with_69() {
        let fault = Fault::from(StoreError::Unavailable("connection refused".into()));
        assert_eq!(fault.kind.exit_code(), 69);
    }
}
