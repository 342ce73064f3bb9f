//! A store with somebody in between, so that a test decides what one role meets at one of its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use framefleet_common::ports::changes::Changes;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{Commit, Loaded, Message, Peek, RowKey, Scan, Scanned, Store, StoreError};
use framefleet_common::ports::txn::{Txn, Write};
use framefleet_model::board::{Task, TaskState};
use tokio::sync::Notify;

pub struct Between<H> {
    inner: Arc<dyn Store>,
    pub hook: H,
}

#[async_trait]
pub trait Hook: Send + Sync {
    async fn before_load(&self, _keys: &[RowKey]) {}

    /// Refused, a transaction does not take place and is not answered.
    async fn before_commit(&self, _txn: &Txn) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Halts whoever looks at a task once more than so often.
pub struct Halting {
    task: RowKey,
    free: AtomicU32,
    halted: Notify,
    released: Notify,
}

/// So often nobody answers to who puts a task back.
pub struct Unanswering {
    left: AtomicU32,
}

impl<H> Between<H> {
    pub fn new(inner: Arc<dyn Store>, hook: H) -> Self {
        Self { inner, hook }
    }
}

impl Halting {
    /// Looks at this task, alone or among other tasks, of which so many are let through.
    pub fn new(at: &TaskRef, free: u32) -> Self {
        Self { task: at.row(), free: AtomicU32::new(free), halted: Notify::new(), released: Notify::new() }
    }

    pub async fn halted(&self) {
        self.halted.notified().await;
    }

    pub fn release(&self) {
        self.released.notify_one();
    }

    /// Whoever looks at a job as well moves one task; who looks at tasks alone decides about the job.
    fn is_watched(&self, keys: &[RowKey]) -> bool {
        keys.contains(&self.task) && keys.iter().all(|key| key.name.starts_with("task/"))
    }
}

#[async_trait]
impl Hook for Halting {
    async fn before_load(&self, keys: &[RowKey]) {
        // Counted down beyond zero, it halts once.
        if self.is_watched(keys) && self.free.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.halted.notify_one();
            self.released.notified().await;
        }
    }
}

impl Unanswering {
    pub fn times(times: u32) -> Self {
        Self { left: AtomicU32::new(times) }
    }

    /// How often it will not answer yet.
    pub fn left(&self) -> u32 {
        self.left.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Hook for Unanswering {
    async fn before_commit(&self, txn: &Txn) -> Result<(), StoreError> {
        let tasks = txn.writes.iter().filter_map(|write| match write {
            Write::Put { row, bytes } if row.name.starts_with("task/") => {
                rows::from_bytes::<Task>(&row.name, bytes).ok()
            }
            _ => None,
        });
        let puts_back = tasks.into_iter().any(|task| matches!(task.state, TaskState::Waiting { .. }));
        let one_less = |left: u32| left.checked_sub(1);
        if puts_back && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            return Err(StoreError::Unavailable("as the test wants it".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl<H: Hook> Store for Between<H> {
    async fn load(&self, keys: &[RowKey]) -> Result<Loaded, StoreError> {
        self.hook.before_load(keys).await;
        self.inner.load(keys).await
    }

    async fn commit(&self, txn: Txn) -> Result<Commit, StoreError> {
        self.hook.before_commit(&txn).await?;
        self.inner.commit(txn).await
    }

    async fn scan(&self, scan: Scan) -> Result<Scanned, StoreError> {
        self.inner.scan(scan).await
    }

    async fn peek(&self, peek: Peek) -> Result<Vec<Message>, StoreError> {
        self.inner.peek(peek).await
    }

    async fn barrier(&self) -> Result<(), StoreError> {
        self.inner.barrier().await
    }

    fn subscribe(&self) -> Changes {
        self.inner.subscribe()
    }
}
