//! A store that says how long it takes: in front of any other.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prometheus::Registry;

use crate::ports::changes::Changes;
use crate::ports::clock::Clock;
use crate::ports::store::{Commit, Loaded, Message, Peek, RowKey, Scan, Scanned, Store, StoreError};
use crate::ports::txn::Txn;
use crate::process::metrics::Timings;

const OPERATIONS: [&str; 5] = ["load", "commit", "scan", "peek", "barrier"];
/// Seconds: from a lookup nearby to a barrier that waits for a disk.
const BOUNDS: [f64; 10] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 2.5, 10.0];

pub struct TimedStore {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    seconds: Timings,
}

impl TimedStore {
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>, registry: &Registry) -> Self {
        let named = ("framefleet_store_seconds", "How long the store took to answer, well or not.");
        Self { inner, clock, seconds: Timings::new(registry, named, ("op", &OPERATIONS), &BOUNDS) }
    }

    async fn timed<T>(&self, operation: &str, asked: impl Future<Output = T>) -> T {
        let begun = self.clock.elapsed();
        let answer = asked.await;
        self.seconds.took(operation, self.since(begun));
        answer
    }

    fn since(&self, begun: Duration) -> Duration {
        self.clock.elapsed().saturating_sub(begun)
    }
}

#[async_trait]
impl Store for TimedStore {
    async fn load(&self, keys: &[RowKey]) -> Result<Loaded, StoreError> {
        self.timed("load", self.inner.load(keys)).await
    }

    async fn commit(&self, txn: Txn) -> Result<Commit, StoreError> {
        self.timed("commit", self.inner.commit(txn)).await
    }

    async fn scan(&self, scan: Scan) -> Result<Scanned, StoreError> {
        self.timed("scan", self.inner.scan(scan)).await
    }

    async fn peek(&self, peek: Peek) -> Result<Vec<Message>, StoreError> {
        self.timed("peek", self.inner.peek(peek)).await
    }

    async fn barrier(&self) -> Result<(), StoreError> {
        self.timed("barrier", self.inner.barrier()).await
    }

    fn subscribe(&self) -> Changes {
        self.inner.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::clock::ManualClock;
    use crate::adapters::memory::store::MemoryStore;
    use crate::process::metrics;

    #[tokio::test]
    async fn every_call_is_counted_and_answered() {
        let (clock, registry) = (Arc::new(ManualClock::default()), Registry::new());
        let inner = Arc::new(MemoryStore::new(clock.clone()));
        let store = TimedStore::new(inner.clone(), clock, &registry);
        let row = crate::ports::store::Shard::GLOBAL.row("a");
        store.commit(Txn::new(row.shard).put(&row, "x")).await.unwrap();
        store.barrier().await.unwrap();
        let loaded = store.load(std::slice::from_ref(&row)).await.unwrap();
        assert_eq!(loaded, inner.load(std::slice::from_ref(&row)).await.unwrap());
        let text = metrics::text(&registry);
        for (operation, count) in [("commit", 1), ("barrier", 1), ("load", 1), ("scan", 0), ("peek", 0)] {
            let line = format!("framefleet_store_seconds_count{{op=\"{operation}\"}} {count}");
            assert!(text.lines().any(|shown| shown == line), "{line} in\n{text}");
        }
    }
}
