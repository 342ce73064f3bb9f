//! Which shards a loop looks at next: those that changed, or all when nothing was heard for a while. A lost wake-up
//! costs one interval.

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::ports::changes::Changes;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::store::{Shard, Store};
use framefleet_model::time::StoreTime;

pub(crate) struct Rounds {
    changes: Changes,
    clock: Arc<dyn Clock>,
    every: Duration,
    /// When all shards are looked at next, however often some change before.
    all_at: Duration,
}

impl Rounds {
    pub(crate) fn new(store: &dyn Store, clock: Arc<dyn Clock>, every: Duration) -> Self {
        Self { changes: store.subscribe(), clock, every, all_at: Duration::ZERO }
    }

    /// Whoever did not listen for a while looks at all shards next.
    pub(crate) fn begin_again(&mut self) {
        self.all_at = Duration::ZERO;
    }

    /// All shards at first, then those that changed, and all again after the interval or when something is `due`.
    pub(crate) async fn next(&mut self, due: Option<Duration>) -> Vec<Shard> {
        let now = self.clock.elapsed();
        // What was due before still is: only a look at all shards does away with it.
        self.all_at = due.map_or(self.all_at, |due| self.all_at.min(now + due));
        tokio::select! {
            biased;
            () = self.clock.sleep(self.all_at.saturating_sub(now)) => {
                self.all_at = self.clock.elapsed() + self.every;
                Shard::of_jobs().collect()
            }
            changed = self.changes.next() => changed.into_iter().filter(|shard| *shard != Shard::GLOBAL).collect(),
        }
    }
}

/// How long until a moment of the store's clock.
pub(crate) fn until(due: StoreTime, now: StoreTime) -> Duration {
    Duration::from_millis(u64::try_from(due.ms_since(now)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use framefleet_common::adapters::clock::ManualClock;
    use framefleet_common::adapters::memory::store::MemoryStore;
    use framefleet_common::ports::txn::Txn;
    use futures::FutureExt as _;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How many shards are to be looked at after each of six seconds, in all of which one of them changed.
    async fn looks(due: Option<Duration>) -> Vec<usize> {
        let clock = Arc::new(ManualClock::default());
        let store = MemoryStore::new(clock.clone());
        let mut rounds = Rounds::new(&store, clock.clone(), 5 * SECOND);
        assert_eq!(rounds.next(None).await.len(), usize::from(Shard::JOBS));
        assert!(rounds.next(due).now_or_never().is_none());
        let (busy, mut looks) = (Shard::of_jobs().next().unwrap(), Vec::new());
        for _ in 0..6 {
            store.commit(Txn::new(busy).put(&busy.row("a"), "x")).await.unwrap();
            clock.advance(SECOND);
            looks.push(rounds.next(None).await.len());
        }
        looks
    }

    #[tokio::test]
    async fn a_busy_shard_keeps_nobody_from_looking_at_the_others() {
        assert_eq!(looks(None).await, [1, 1, 1, 1, 64, 1]);
        assert_eq!(looks(Some(3 * SECOND)).await, [1, 1, 64, 1, 1, 1]);
    }
}
