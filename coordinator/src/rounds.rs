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
    begun: Begun,
}

#[derive(PartialEq, Eq)]
enum Begun {
    No,
    Yes,
}

impl Rounds {
    pub(crate) fn new(store: &dyn Store, clock: Arc<dyn Clock>, every: Duration) -> Self {
        Self { changes: store.subscribe(), clock, every, begun: Begun::No }
    }

    /// Whoever did not listen for a while looks at all shards next.
    pub(crate) fn begin_again(&mut self) {
        self.begun = Begun::No;
    }

    /// All shards at first, then those that changed, then all again after the interval or what is left of `due`.
    pub(crate) async fn next(&mut self, due: Option<Duration>) -> Vec<Shard> {
        if self.begun == Begun::No {
            self.begun = Begun::Yes;
            return Shard::of_jobs().collect();
        }
        let wait = due.map_or(self.every, |due| due.min(self.every));
        tokio::select! {
            changed = self.changes.next() => changed.into_iter().filter(|shard| *shard != Shard::GLOBAL).collect(),
            () = self.clock.sleep(wait) => Shard::of_jobs().collect(),
        }
    }
}

/// How long until a moment of the store's clock.
pub(crate) fn until(due: StoreTime, now: StoreTime) -> Duration {
    Duration::from_millis(u64::try_from(due.ms_since(now)).unwrap_or(0))
}
