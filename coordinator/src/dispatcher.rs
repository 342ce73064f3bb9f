//! The dispatcher: hints ready tasks to the broker, no more of them than slots can soon take. What it marks as hinted
//! and dies before publishing, the sweeper makes ready again.

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

impl Dispatcher {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut rounds = Rounds::new(&*self.store, self.clock.clone(), POLL);
        loop {
            tokio::select! {
                _ = rounds.next(None) => {}
                () = stop.cancelled() => return,
            }
            for class in CLASSES {
                if let Err(error) = self.dispatch(class).await {
                    observe::store_away(&error);
                }
            }
        }
    }

    async fn dispatch(&self, class: &str) -> Result<(), StoreError> {
        let (mut ready, mut on_their_way): (Vec<Entry>, usize) = (Vec::new(), 0);
        for shard in Shard::of_jobs() {
            on_their_way += self.scan(Scan::all(rows::hinted(shard, class), ENTRIES_PER_SHARD)).await?.len();
            ready.extend(self.scan(Scan::all(rows::ready(shard, class), ENTRIES_PER_SHARD)).await?);
        }
        ready.sort_unstable();
        let Ok(class) = Class::new(class) else { return Ok(()) };
        let mut left = credit(self.live_slots, on_their_way);
        for at in ready.iter().filter_map(|entry| entry.member.parse::<TaskRef>().ok()) {
            if left == 0 {
                return Ok(());
            }
            if !self.board.hint(&at).await? {
                continue;
            }
            left -= 1;
            let hint = Hint { job: at.job, task: at.task };
            if let Err(error) = self.broker.publish_hint(&class, &hint).await {
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
