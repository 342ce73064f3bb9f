//! The workers that are there, as each of them says every few seconds. What nobody repeats is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use framefleet_model::task::Need;
use framefleet_model::time::StoreTime;
use serde::{Deserialize, Serialize};

use crate::ports::rows;
use crate::ports::store::{Commit, Entry, Scan, Store, StoreError};
use crate::ports::txn::Txn;

pub const WORKER_VERSION: u32 = 1;
/// A worker that was silent for so long does not count.
const SILENT_MS: i64 = 30_000;
/// One that was silent for so long is gone, and so is its row.
const GONE_MS: i64 = 3_600_000;
const WORKERS_MAX: usize = 65_536;

/// A worker's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerRow {
    pub version: u32,
    pub name: String,
    /// Which framefleet, GStreamer and encoders it has.
    pub build: String,
    /// Its slots by class.
    pub slots: BTreeMap<String, u32>,
    /// Those of them that are at work.
    pub busy: BTreeMap<String, u32>,
    pub phase: Phase,
    /// What it could give to one attempt if it did nothing else.
    pub capacity: Need,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Working,
    /// It takes nothing more: it was told to stop, or has no room left.
    Draining,
}

/// The slots of a class over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// That take tasks.
    pub taking: usize,
    pub busy: usize,
}

/// A worker, and when it was last heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub worker: WorkerRow,
    pub at: StoreTime,
    pub now: StoreTime,
}

/// What the roster says. A row that cannot be read, as of a build to come, is one worker less and stops nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub seen: Vec<Seen>,
    pub unread: Vec<StoreError>,
}

#[derive(Clone)]
pub struct Roster {
    store: Arc<dyn Store>,
}

impl Seen {
    pub fn is_live(&self) -> bool {
        self.now.ms_since(self.at) < SILENT_MS
    }
}

impl Roster {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    pub async fn report(&self, worker: &WorkerRow) -> Result<(), StoreError> {
        let now = self.store.load(&[]).await?.now;
        let txn = Txn::new(rows::worker(&worker.name).shard)
            .put(&rows::worker(&worker.name), rows::to_bytes(worker))
            .index_set(&rows::workers(), &worker.name, now.ms());
        self.store.commit(txn).await.map(|_: Commit| ())
    }

    /// It says goodbye, or has been gone for long.
    pub async fn remove(&self, name: &str) -> Result<(), StoreError> {
        let row = rows::worker(name);
        let txn = Txn::new(row.shard).delete(&row).index_remove(&rows::workers(), name);
        self.store.commit(txn).await.map(|_: Commit| ())
    }

    /// All that were heard within the hour and that this build can read.
    pub async fn all(&self) -> Result<Vec<Seen>, StoreError> {
        Ok(self.read().await?.seen)
    }

    /// All that were heard within the hour; rows of others are removed.
    pub async fn read(&self) -> Result<Read, StoreError> {
        let scanned = self.store.scan(Scan::all(rows::workers(), WORKERS_MAX)).await?;
        let now = scanned.now;
        let gone = |entry: &Entry| now.ms_since(StoreTime(entry.score)) >= GONE_MS;
        for entry in scanned.entries.iter().filter(|entry| gone(entry)) {
            self.remove(&entry.member).await?;
        }
        let here: Vec<&Entry> = scanned.entries.iter().filter(|entry| !gone(entry)).collect();
        let keys: Vec<_> = here.iter().map(|entry| rows::worker(&entry.member)).collect();
        let loaded = self.store.load(&keys).await?;
        let mut read = Read::default();
        for ((entry, key), row) in here.iter().zip(&keys).zip(loaded.rows) {
            let Some(row) = row else { continue };
            match rows::from_row(key, &row) {
                Ok(worker) => read.seen.push(Seen { worker, at: StoreTime(entry.score), now }),
                Err(error) => read.unread.push(error),
            }
        }
        Ok(read)
    }

    /// The builds of live workers that take tasks of all these classes and have room for as much, and how many slots each
    /// has for them.
    pub async fn builds(&self, tasks: &BTreeMap<String, Need>) -> Result<BTreeMap<String, usize>, StoreError> {
        Ok(builds(&self.all().await?, tasks))
    }

    /// The slots of live workers by class. Those of workers that drain are no longer there, yet may be at work.
    pub async fn slots(&self) -> Result<BTreeMap<String, Slots>, StoreError> {
        let mut slots: BTreeMap<String, Slots> = BTreeMap::new();
        for seen in self.all().await?.iter().filter(|seen| seen.is_live()) {
            let taking = seen.worker.slots.iter().filter(|_| seen.worker.phase == Phase::Working);
            taking.for_each(|(class, count)| slots.entry(class.clone()).or_default().taking += *count as usize);
            let busy = seen.worker.busy.iter();
            busy.for_each(|(class, count)| slots.entry(class.clone()).or_default().busy += *count as usize);
        }
        Ok(slots)
    }
}

/// The same, as these workers were seen.
pub fn builds(seen: &[Seen], tasks: &BTreeMap<String, Need>) -> BTreeMap<String, usize> {
    let mut slots: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for Seen { worker, .. } in seen.iter().filter(|seen| seen.is_live() && seen.worker.phase == Phase::Working) {
        for (class, _) in tasks.iter().filter(|(_, need)| worker.has_room_for(**need)) {
            let of_class = worker.slots.get(class).map_or(0, |slots| *slots as usize);
            *slots.entry(&worker.build).or_default().entry(class).or_default() += of_class;
        }
    }
    let able = slots.into_iter().filter(|(_, of)| of.len() == tasks.len() && of.values().all(|slots| *slots > 0));
    able.map(|(build, of)| (build.to_owned(), of.values().sum())).collect()
}

impl WorkerRow {
    /// If it did nothing else.
    pub fn has_room_for(&self, need: Need) -> bool {
        need.memory_mib <= self.capacity.memory_mib && need.scratch_mib <= self.capacity.scratch_mib
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::adapters::clock::ManualClock;
    use crate::adapters::memory::store::MemoryStore;

    #[tokio::test]
    async fn slots_of_workers_that_fell_silent_or_drain_do_not_count() {
        let clock = Arc::new(ManualClock::default());
        let roster = Roster::new(Arc::new(MemoryStore::new(clock.clone())));
        let worker = |name: &str, phase| WorkerRow {
            version: WORKER_VERSION,
            name: name.to_owned(),
            build: format!("of {name}"),
            slots: BTreeMap::from([("light".to_owned(), 1), ("standard".to_owned(), 4)]),
            busy: BTreeMap::from([("standard".to_owned(), 3)]),
            phase,
            capacity: Need::default(),
        };
        roster.report(&worker("silent", Phase::Working)).await.unwrap();
        clock.advance(Duration::from_secs(31));
        roster.report(&worker("working", Phase::Working)).await.unwrap();
        roster.report(&worker("draining", Phase::Draining)).await.unwrap();
        let standard = roster.slots().await.unwrap().get("standard").copied();
        assert_eq!(standard, Some(Slots { taking: 4, busy: 6 }));
        assert_eq!(roster.all().await.unwrap().len(), 3);
        let builds = async |classes: &[&str], memory_mib| {
            let need = Need { memory_mib, scratch_mib: 0 };
            let tasks = classes.iter().map(|class| ((*class).to_owned(), need)).collect();
            roster.builds(&tasks).await.unwrap().into_iter().collect::<Vec<_>>()
        };
        let working = |slots| vec![("of working".to_owned(), slots)];
        assert_eq!(builds(&["standard"], 0).await, working(4));
        assert_eq!(builds(&["light", "standard"], 0).await, working(5));
        assert_eq!(builds(&["standard", "long"], 0).await, [], "it has no slot of one of them");
        assert_eq!(builds(&["standard"], 1).await, [], "it has no room for one");
    }

    #[tokio::test]
    async fn a_worker_that_cannot_be_read_is_left_out_and_told_of() {
        let store = Arc::new(MemoryStore::new(Arc::new(ManualClock::default())));
        let roster = Roster::new(store.clone());
        let (slots, busy) = (BTreeMap::from([("standard".to_owned(), 4)]), BTreeMap::new());
        let (name, build, phase) = ("known".to_owned(), "b".to_owned(), Phase::Working);
        let known = WorkerRow { version: WORKER_VERSION, name, build, slots, busy, phase, capacity: Need::default() };
        roster.report(&known).await.unwrap();
        let row = rows::worker("of a build to come");
        let txn = Txn::new(row.shard).put(&row, r#"{"version":2,"phase":"dreaming"}"#);
        let now = store.load(&[]).await.unwrap().now;
        store.commit(txn.index_set(&rows::workers(), "of a build to come", now.ms())).await.unwrap();
        let read = roster.read().await.unwrap();
        assert_eq!(read.seen.iter().map(|seen| seen.worker.name.as_str()).collect::<Vec<_>>(), ["known"]);
        let [StoreError::Corrupt(why)] = &read.unread[..] else { panic!("{:?}", read.unread) };
        assert!(why.contains("of a build to come"), "{why}");
        assert_eq!(roster.slots().await.unwrap()["standard"].taking, 4);
    }
}
