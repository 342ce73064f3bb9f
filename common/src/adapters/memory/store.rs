//! The store's rules in their plainest form, under one lock. For tests and simulation: it keeps nothing.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::adapters::clock::EmbeddedTime;
use crate::ports::changes::{Announcer, Changes};
use crate::ports::clock::Clock;
use crate::ports::store::{
    Commit, Committed, Entry, IndexKey, Loaded, Message, Peek, QueueKey, Row, RowKey, Scan, Scanned, Sequence, Shard,
    Store, StoreError, Version,
};
use crate::ports::txn::{Expect, Txn, Write};

pub struct MemoryStore {
    contents: Mutex<Contents>,
    time: EmbeddedTime,
    announcer: Announcer,
}

/// All that the store holds at one moment.
#[derive(Clone)]
pub struct Snapshot(Contents);

#[derive(Clone, Default)]
struct Contents {
    rows: HashMap<RowKey, Row>,
    indexes: HashMap<IndexKey, Index>,
    queues: HashMap<QueueKey, VecDeque<Message>>,
    /// Versions and sequence numbers alike come from here, so none is ever given twice.
    counter: u64,
}

#[derive(Clone, Default)]
struct Index {
    scores: HashMap<String, i64>,
    order: BTreeSet<Entry>,
}

impl MemoryStore {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { contents: Mutex::default(), time: EmbeddedTime::open(clock), announcer: Announcer::default() }
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.contents().clone())
    }

    /// Goes back to an earlier moment, as a store does that dies with its last seconds. Versions and sequence numbers
    /// go on from where they were: none that was given is given again.
    pub fn restore(&self, snapshot: &Snapshot) {
        let mut contents = self.contents();
        let counter = contents.counter;
        *contents = Contents { counter, ..snapshot.0.clone() };
        drop(contents);
        Shard::all().for_each(|shard| self.announcer.announce(shard));
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // A panic under this lock can only come from exhausted memory, which ends the process.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&self, keys: &[RowKey]) -> Result<Loaded, StoreError> {
        let contents = self.contents();
        let rows = keys.iter().map(|key| contents.rows.get(key).cloned()).collect();
        Ok(Loaded { rows, now: self.time.now() })
    }

    async fn commit(&self, txn: Txn) -> Result<Commit, StoreError> {
        txn.check()?;
        let shard = txn.shard;
        let Some((version, sequences)) = self.contents().apply(txn) else { return Ok(Commit::Conflict) };
        self.announcer.announce(shard);
        Ok(Commit::Committed(Committed { version, sequences, now: self.time.now() }))
    }

    async fn scan(&self, scan: Scan) -> Result<Scanned, StoreError> {
        let contents = self.contents();
        let entries = contents.indexes.get(&scan.index).map_or_else(Vec::new, |index| index.page(&scan));
        Ok(Scanned { entries, now: self.time.now() })
    }

    async fn peek(&self, peek: Peek) -> Result<Vec<Message>, StoreError> {
        let contents = self.contents();
        let messages = contents.queues.get(&peek.queue).into_iter().flatten();
        Ok(messages.filter(|m| Some(m.sequence) > peek.after).take(peek.limit).cloned().collect())
    }

    async fn barrier(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn subscribe(&self) -> Changes {
        self.announcer.subscribe()
    }
}

impl Snapshot {
    pub fn row(&self, key: &RowKey) -> Option<&Row> {
        self.0.rows.get(key)
    }

    pub fn rows(&self) -> impl Iterator<Item = (&RowKey, &Row)> {
        self.0.rows.iter()
    }

    /// Each index that is not empty, with its members in order.
    pub fn indexes(&self) -> impl Iterator<Item = (&IndexKey, impl Iterator<Item = &Entry>)> {
        self.0.indexes.iter().map(|(key, index)| (key, index.order.iter()))
    }

    /// Each queue that is not empty, with its messages in order.
    pub fn queues(&self) -> impl Iterator<Item = (&QueueKey, impl Iterator<Item = &Message>)> {
        self.0.queues.iter().map(|(key, queue)| (key, queue.iter()))
    }
}

impl Contents {
    fn apply(&mut self, txn: Txn) -> Option<(Version, Vec<Sequence>)> {
        if !txn.expected.iter().all(|(row, expect)| self.stands(row, *expect)) {
            return None;
        }
        let version = Version(self.next());
        let sequences = txn.writes.into_iter().filter_map(|write| self.write(write, version)).collect();
        Some((version, sequences))
    }

    fn stands(&self, row: &RowKey, expect: Expect) -> bool {
        match expect {
            Expect::Absent => !self.rows.contains_key(row),
            Expect::At(version) => self.rows.get(row).is_some_and(|row| row.version == version),
        }
    }

    fn write(&mut self, write: Write, version: Version) -> Option<Sequence> {
        match write {
            Write::Put { row, bytes } => {
                self.rows.insert(row, Row { version, bytes });
            }
            Write::Delete { row } => {
                self.rows.remove(&row);
            }
            Write::IndexSet { index, member, score } => self.indexes.entry(index).or_default().set(member, score),
            Write::IndexRemove { index, member } => self.index_remove(&index, &member),
            Write::Append { queue, bytes } => {
                let sequence = Sequence(self.next());
                self.queues.entry(queue).or_default().push_back(Message { sequence, bytes });
                return Some(sequence);
            }
            Write::Ack { queue, up_to } => self.ack(&queue, up_to),
        }
        None
    }

    fn index_remove(&mut self, key: &IndexKey, member: &str) {
        let Some(index) = self.indexes.get_mut(key) else { return };
        index.remove(member);
        if index.scores.is_empty() {
            self.indexes.remove(key);
        }
    }

    fn ack(&mut self, key: &QueueKey, up_to: Sequence) {
        let Some(queue) = self.queues.get_mut(key) else { return };
        queue.retain(|message| message.sequence > up_to);
        if queue.is_empty() {
            self.queues.remove(key);
        }
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }
}

impl Index {
    fn set(&mut self, member: String, score: i64) {
        self.remove(&member);
        self.order.insert(Entry { score, member: member.clone() });
        self.scores.insert(member, score);
    }

    fn remove(&mut self, member: &str) {
        if let Some(score) = self.scores.remove(member) {
            self.order.remove(&Entry { score, member: member.to_owned() });
        }
    }

    fn page(&self, scan: &Scan) -> Vec<Entry> {
        let from = Entry { score: scan.from, member: String::new() };
        let start = match &scan.after {
            Some(after) if *after >= from => Bound::Excluded(after.clone()),
            _ => Bound::Included(from),
        };
        let entries = self.order.range((start, Bound::Unbounded));
        entries.take_while(|entry| entry.score <= scan.to).take(scan.limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::ManualClock;

    #[tokio::test]
    async fn a_store_that_went_back_gives_no_version_twice() {
        let store = MemoryStore::new(Arc::new(ManualClock::default()));
        let (shard, row) = (Shard::GLOBAL, Shard::GLOBAL.row("a"));
        let put = |bytes: &'static str| store.commit(Txn::new(shard).put(&row, bytes));
        put("kept").await.unwrap();
        let snapshot = store.snapshot();
        let Commit::Committed(forgotten) = put("forgotten").await.unwrap() else { panic!("nobody else writes") };
        store.restore(&snapshot);
        assert_eq!(store.load(std::slice::from_ref(&row)).await.unwrap().rows[0].as_ref(), snapshot.row(&row));
        let Commit::Committed(again) = put("again").await.unwrap() else { panic!("nobody else writes") };
        assert!(again.version > forgotten.version);
    }
}
