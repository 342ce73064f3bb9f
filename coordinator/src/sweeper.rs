//! The sweeper: what time alone does. Leases that ran out, hints that nobody answered, retries that are due, and what
//! ended jobs leave behind.

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::board::Board;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{Scan, Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use framefleet_model::time::StoreTime;
use tokio_util::sync::CancellationToken;

use crate::observe;
use crate::rounds::{Rounds, until};

const POLL: Duration = Duration::from_secs(5);
const TASKS_PER_ROUND: usize = 1024;

pub(crate) struct Sweeper {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) board: Board,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Sweeper {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut rounds = Rounds::new(&*self.store, self.clock.clone(), POLL);
        let mut due = None;
        loop {
            let shards = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                shards = rounds.next(due) => shards,
            };
            due = None;
            for shard in shards {
                match self.sweep(shard).await {
                    Ok(next) => due = [due, next].into_iter().flatten().min(),
                    Err(error) => observe::store_away(&error),
                }
            }
        }
    }

    /// Does what is due in a shard; says how long until more is.
    pub(crate) async fn sweep(&self, shard: Shard) -> Result<Option<Duration>, StoreError> {
        let index = rows::due(shard);
        let scanned = self.store.scan(Scan::all(index.clone(), TASKS_PER_ROUND)).await?;
        let now = scanned.now;
        for entry in &scanned.entries {
            if entry.score > now.ms() {
                return Ok(Some(until(StoreTime(entry.score), now)));
            }
            match entry.member.parse::<TaskRef>() {
                Ok(at) => self.board.expire(&at).await?,
                Err(_) => {
                    self.store.commit(Txn::new(shard).index_remove(&index, &entry.member)).await?;
                }
            }
        }
        Ok(None)
    }

    /// Takes every task from its holder: nobody but this process ever used the store, and it has just begun.
    pub(crate) async fn adopt(&self) -> Result<(), StoreError> {
        for shard in Shard::of_jobs() {
            let mut after = None;
            loop {
                let scan = Scan::all(rows::due(shard), TASKS_PER_ROUND).after(after);
                let entries = self.store.scan(scan).await?.entries;
                for at in entries.iter().filter_map(|entry| entry.member.parse::<TaskRef>().ok()) {
                    self.board.adopt(&at).await?;
                }
                let Some(last) = entries.into_iter().last() else { break };
                after = Some(last);
            }
        }
        Ok(())
    }
}
