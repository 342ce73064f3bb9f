//! The dispatcher: hints ready tasks to the broker, no more of them than slots can soon take. What it marks as hinted
//! and dies before publishing, the sweeper makes ready again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::board::Board;
use framefleet_common::ports::broker::{Broker, Class, Hint};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{Entry, Scan, Shard, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::flow::dispatching::{CLASSES, credit};
use crate::observe;
use crate::rounds::Rounds;

const POLL: Duration = Duration::from_secs(5);
/// More than any window.
const ENTRIES_PER_SHARD: usize = 256;

pub(crate) struct Dispatcher {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) board: Board,
    pub(crate) clock: Arc<dyn Clock>,
    /// Slots known to be alive; 0 where nothing is known.
    pub(crate) live_slots: usize,
}

/// What was last seen of a class in each shard: only shards that changed are looked at again.
#[derive(Default)]
struct Seen {
    ready: BTreeMap<Shard, Vec<Entry>>,
    on_their_way: BTreeMap<Shard, usize>,
}

impl Dispatcher {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut rounds = Rounds::new(&*self.store, self.clock.clone(), POLL);
        let mut seen: [Seen; CLASSES.len()] = std::array::from_fn(|_| Seen::default());
        loop {
            let shards = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                shards = rounds.next(None) => shards,
            };
            for (class, seen) in CLASSES.iter().zip(&mut seen) {
                if let Err(error) = self.round(class, seen, &shards).await {
                    observe::store_away(&error);
                }
            }
        }
    }

    async fn round(&self, class: &str, seen: &mut Seen, shards: &[Shard]) -> Result<(), StoreError> {
        for shard in shards {
            let ready = self.scan(Scan::all(rows::ready(*shard, class), ENTRIES_PER_SHARD)).await?;
            let hinted = self.scan(Scan::all(rows::hinted(*shard, class), ENTRIES_PER_SHARD)).await?;
            seen.ready.insert(*shard, ready);
            seen.on_their_way.insert(*shard, hinted.len());
        }
        let on_their_way = seen.on_their_way.values().sum();
        let mut ready: Vec<&Entry> = seen.ready.values().flatten().collect();
        ready.sort_unstable();
        let Ok(class) = Class::new(class) else { return Ok(()) };
        self.dispatch(&class, ready, credit(self.live_slots, on_their_way)).await
    }

    async fn dispatch(&self, class: &Class, ready: Vec<&Entry>, mut credit: usize) -> Result<(), StoreError> {
        for at in ready.iter().filter_map(|entry| entry.member.parse::<TaskRef>().ok()) {
            if credit == 0 {
                return Ok(());
            }
            if !self.board.hint(&at).await? {
                continue;
            }
            credit -= 1;
            let hint = Hint { job: at.job, task: at.task };
            if let Err(error) = self.broker.publish_hint(class, &hint).await {
                observe::broker_away(&error);
                return Ok(());
            }
        }
        Ok(())
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>, StoreError> {
        self.store.scan(scan).await.map(|scanned| scanned.entries)
    }
}
