//! The workers that are there, as each of them says every few seconds. What nobody repeats is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use framefleet_model::task::Need;
use framefleet_model::time::StoreTime;
use serde::{Deserialize, Serialize};

use crate::ports::broker::Class;
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

    /// All that were heard within the hour; rows of others are removed.
    pub async fn all(&self) -> Result<Vec<Seen>, StoreError> {
        let scanned = self.store.scan(Scan::all(rows::workers(), WORKERS_MAX)).await?;
        let now = scanned.now;
        let gone = |entry: &Entry| now.ms_since(StoreTime(entry.score)) >= GONE_MS;
        for entry in scanned.entries.iter().filter(|entry| gone(entry)) {
            self.remove(&entry.member).await?;
        }
        let here: Vec<&Entry> = scanned.entries.iter().filter(|entry| !gone(entry)).collect();
        let keys: Vec<_> = here.iter().map(|entry| rows::worker(&entry.member)).collect();
        let loaded = self.store.load(&keys).await?;
        let rows = here.iter().zip(&keys).zip(loaded.rows).filter_map(|((entry, key), row)| {
            let worker = rows::from_row(key, &row?);
            Some(worker.map(|worker| Seen { worker, at: StoreTime(entry.score), now }))
        });
        rows.collect()
    }

    /// The builds of live workers that take tasks of any of these classes, and how many slots each has for them.
    pub async fn builds<const N: usize>(&self, classes: [Class; N]) -> Result<BTreeMap<String, usize>, StoreError> {
        let all = self.all().await?;
        let taking = all.into_iter().filter(|seen| seen.is_live() && seen.worker.phase == Phase::Working);
        let mut builds = BTreeMap::new();
        for WorkerRow { build, slots, .. } in taking.map(|seen| seen.worker) {
            let slots: u32 = classes.iter().filter_map(|class| slots.get(class.as_str())).sum();
            if slots > 0 {
                *builds.entry(build).or_insert(0) += slots as usize;
            }
        }
        Ok(builds)
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
        let builds = async |class| roster.builds([class]).await.unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(builds(Class::standard()).await, [("of working".to_owned(), 4)]);
        assert!(builds(Class::long()).await.is_empty());
        clock.advance(Duration::from_secs(3600));
        assert!(roster.slots().await.unwrap().is_empty());
        assert!(roster.all().await.unwrap().is_empty());
    }
}
