//! The one thread that writes: takes every transaction that waits, commits them with one fsync, answers each.

use std::sync::Arc;
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::adapters::sqlite::{Shared, schema, tables};
use crate::ports::store::{Commit, Committed, Sequence, Shard, StoreError, Version};
use crate::ports::txn::{Txn, Write};

/// Transactions that may wait; who comes later waits to wait.
const QUEUE_MAX: usize = 1024;
/// Transactions that share one fsync.
const BATCH_MAX: usize = 256;

pub(crate) struct Writer {
    /// `None` only while dropping.
    queue: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    txn: Txn,
    answer: oneshot::Sender<Result<Commit, StoreError>>,
}

/// What the thread holds.
struct Desk {
    db: Connection,
    counter: u64,
    shared: Arc<Shared>,
}

/// What a transaction got when its expectations stood.
struct Stamps {
    version: Version,
    sequences: Vec<Sequence>,
}

impl Writer {
    pub(crate) fn start(db: Connection, shared: Arc<Shared>) -> Result<Self, StoreError> {
        let counter = tables::counter(&db).map_err(schema::error)?;
        let (queue, requests) = mpsc::channel(QUEUE_MAX);
        let desk = Desk { db, counter, shared };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || desk.serve(requests))
            .map_err(|e| StoreError::Unavailable(format!("the writer thread does not start: {e}")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(crate) async fn commit(&self, txn: Txn) -> Result<Commit, StoreError> {
        let ended = || StoreError::Unavailable("its writer has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(Request { txn, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// An empty transaction is answered after all that were queued before it.
    pub(crate) async fn barrier(&self) -> Result<(), StoreError> {
        self.commit(Txn::new(Shard::GLOBAL)).await.map(|_| ())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // What was queued is still committed; a panic of the thread was told to those who waited.
            let _ = thread.join();
        }
    }
}

impl Desk {
    fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        while requests.blocking_recv_many(&mut batch, BATCH_MAX) > 0 {
            match self.write(&batch) {
                Ok(outcomes) => {
                    batch.drain(..).zip(outcomes).for_each(|(request, stamps)| self.answer(request, stamps))
                }
                Err(error) => {
                    let error = schema::error(error);
                    // Whoever gave up waiting needs no answer.
                    batch.drain(..).for_each(|request| drop(request.answer.send(Err(error.clone()))));
                }
            }
        }
    }

    /// One database transaction; a conflict is `None`. An error means that none of the batch stands, or, where the
    /// commit itself failed, that nobody knows.
    fn write(&mut self, batch: &[Request]) -> rusqlite::Result<Vec<Option<Stamps>>> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = self.counter;
        let outcomes = batch
            .iter()
            .map(|request| apply(&transaction, &request.txn, &mut self.counter))
            .collect::<rusqlite::Result<Vec<_>>>()?;
        if self.counter != before {
            tables::keep_counter(&transaction, self.counter)?;
        }
        transaction.commit()?;
        Ok(outcomes)
    }

    fn answer(&self, request: Request, stamps: Option<Stamps>) {
        let commit = stamps.map_or(Commit::Conflict, |Stamps { version, sequences }| {
            if !request.txn.writes.is_empty() {
                self.shared.announcer.announce(request.txn.shard);
            }
            Commit::Committed(Committed { version, sequences, now: self.shared.time.now() })
        });
        // Whoever gave up waiting needs no answer.
        drop(request.answer.send(Ok(commit)));
    }
}

fn apply(db: &Connection, txn: &Txn, counter: &mut u64) -> rusqlite::Result<Option<Stamps>> {
    for (row, expect) in &txn.expected {
        if !tables::stands(db, row, *expect)? {
            return Ok(None);
        }
    }
    let mut next = || {
        *counter += 1;
        *counter
    };
    let version = if txn.writes.is_empty() { 0 } else { next() };
    let mut sequences = Vec::new();
    for write in &txn.writes {
        let stamp = if let Write::Append { .. } = write { next() } else { version };
        tables::write(db, write, stamp)?;
        if let Write::Append { .. } = write {
            sequences.push(Sequence(stamp));
        }
    }
    Ok(Some(Stamps { version: Version(version), sequences }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::{EmbeddedTime, ManualClock};
    use crate::ports::changes::Announcer;

    fn writer(db: Connection) -> Writer {
        let time = EmbeddedTime::open(Arc::new(ManualClock::default()));
        Writer::start(db, Arc::new(Shared { time, announcer: Announcer::default() })).unwrap()
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_what_was_committed_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("state.db");
        let db = schema::open(&file).unwrap();
        db.pragma_update(None, "max_page_count", 64).unwrap();
        let writer = writer(db);
        let g = Shard::GLOBAL;
        let kept = |n: usize| g.row(format!("row {n}"));
        let mut count = 0;
        let error = loop {
            match writer.commit(Txn::new(g).create(&kept(count), vec![7; 10_000])).await {
                Ok(_) => count += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Full(_)), "{error}");
        let smaller = Txn::new(g).delete(&kept(0)).delete(&kept(1));
        assert!(matches!(writer.commit(smaller).await, Ok(Commit::Committed(_))), "room can be made");
        assert!(matches!(writer.commit(Txn::new(g).create(&kept(0), "x")).await, Ok(Commit::Committed(_))));
        drop(writer);
        let db = schema::open(&file).unwrap();
        for n in 2..count {
            assert_eq!(tables::row(&db, &kept(n)).unwrap().unwrap().bytes, vec![7; 10_000]);
        }
        assert_eq!(tables::row(&db, &kept(count)).unwrap(), None);
    }
}
