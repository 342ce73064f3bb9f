//! The sweeper: what time alone does. Leases that ran out, hints that nobody answered, retries that are due, what ended
//! jobs leave behind, and now and then a look for anything that lost its place.
//!
//! Every coordinator does all of it, each step one compare-and-set: two at once do it once.

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::board::Board;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{Commit, Entry, IndexKey, Scan, Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use framefleet_common::spans;
use framefleet_model::fault::Fault;
use framefleet_model::id::JobId;
use framefleet_model::time::StoreTime;
use tokio_util::sync::CancellationToken;

use crate::effects::Effects;
use crate::garbage::{self, Cleared};
use crate::observe::Observer;
use crate::repair::Repair;
use crate::rounds::{Rounds, until};

const POLL: Duration = Duration::from_secs(5);
const TASKS_PER_ROUND: usize = 1024;
/// Between two looks for what lost its place.
const REPAIR_EVERY: Duration = Duration::from_secs(600);
/// Between two looks for what ended jobs left.
const GARBAGE_EVERY: Duration = Duration::from_secs(60);
const JOBS_PER_ROUND: usize = 64;

pub(crate) struct Sweeper {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) board: Board,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) effects: Effects,
    pub(crate) repair: Repair,
    pub(crate) observer: Observer,
    /// How long an ended job is remembered.
    pub(crate) keep_jobs_ms: i64,
}

impl Sweeper {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.run_due(stop.clone()), self.run_garbage(stop.clone()), self.run_repair(stop));
    }

    async fn run_due(&self, stop: CancellationToken) {
        let mut rounds = Rounds::new(&*self.store, self.clock.clone(), POLL);
        let mut due = None;
        loop {
            let shards = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                shards = rounds.next(due) => shards,
            };
            due = None;
            let mut is_whole = true;
            for shard in shards {
                match self.sweep(shard).await {
                    Ok(next) => due = [due, next].into_iter().flatten().min(),
                    Err(error) => {
                        self.observer.store_away(&error);
                        is_whole = false;
                    }
                }
            }
            if is_whole {
                self.observer.rounded("sweeper");
            }
        }
    }

    async fn run_garbage(&self, stop: CancellationToken) {
        while self.paused(GARBAGE_EVERY, &stop).await {
            for shard in Shard::of_jobs() {
                if let Err(error) = self.collect(shard).await {
                    self.observer.store_away(&error);
                }
            }
        }
    }

    async fn run_repair(&self, stop: CancellationToken) {
        while self.paused(REPAIR_EVERY, &stop).await {
            for shard in Shard::of_jobs() {
                match self.repair.shard(shard).await {
                    Ok(reported) => self.observer.reported(reported),
                    Err(error) => self.observer.store_away(&error),
                }
            }
        }
    }

    /// `false`: told to stop.
    async fn paused(&self, pause: Duration, stop: &CancellationToken) -> bool {
        tokio::select! {
            () = self.clock.sleep(pause) => true,
            () = stop.cancelled() => false,
        }
    }

    /// Does what is due in a shard; says how long until more is.
    async fn sweep(&self, shard: Shard) -> Result<Option<Duration>, StoreError> {
        let index = rows::due(shard);
        let scanned = self.store.scan(Scan::all(index.clone(), TASKS_PER_ROUND)).await?;
        let now = scanned.now;
        for entry in &scanned.entries {
            if entry.score > now.ms() {
                return Ok(Some(until(StoreTime(entry.score), now)));
            }
            match entry.member.parse::<TaskRef>() {
                Ok(at) => {
                    if let Some(expired) = self.board.expire(&at).await? {
                        spans::task(&at).in_scope(|| self.observer.expired(&at, &expired));
                    }
                }
                Err(_) => self.unlist(&index, &entry.member).await?,
            }
        }
        Ok(None)
    }

    /// Sweeps what ended jobs left in a shard, then forgets those that ended long ago.
    async fn collect(&self, shard: Shard) -> Result<(), StoreError> {
        let (garbage, retired) = (rows::garbage(shard), rows::retired(shard));
        for (id, now) in self.jobs_due(&garbage).await? {
            let swept = garbage::sweep(&self.effects, (&id, now), self.keep_jobs_ms).await;
            self.cleared(&id, "attempts", swept);
        }
        for (id, now) in self.jobs_due(&retired).await? {
            let forgotten = garbage::forget(&self.effects, (&id, now)).await;
            self.cleared(&id, "job", forgotten);
        }
        Ok(())
    }

    fn cleared(&self, id: &JobId, what: &str, cleared: Result<Cleared, Fault>) {
        match cleared {
            Ok(Cleared::All) => self.observer.swept(what),
            Ok(Cleared::NotAll) => {}
            Err(fault) => self.observer.leftover(id, &fault),
        }
    }

    async fn jobs_due(&self, index: &IndexKey) -> Result<Vec<(JobId, StoreTime)>, StoreError> {
        let scanned = self.store.scan(Scan::all(index.clone(), JOBS_PER_ROUND)).await?;
        let is_due = |entry: &&Entry| entry.score <= scanned.now.ms();
        let mut jobs = Vec::new();
        for entry in scanned.entries.iter().take_while(is_due) {
            match entry.member.parse() {
                Ok(id) => jobs.push((id, scanned.now)),
                Err(_) => self.unlist(index, &entry.member).await?,
            }
        }
        Ok(jobs)
    }

    /// What no one can have meant.
    async fn unlist(&self, index: &IndexKey, member: &str) -> Result<(), StoreError> {
        self.store.commit(Txn::new(index.shard).index_remove(index, member)).await.map(drop::<Commit>)
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
