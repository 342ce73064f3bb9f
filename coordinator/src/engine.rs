//! The engine: takes the turns of jobs.
//!
//! ```text
//! turns index ─▶ load job + mailbox ─▶ flow::decide ─▶ commit job + tasks + outbox + mailbox cursor ─┐
//!                     ▲                                                                            │
//!                     └──── finding ◀── effects::perform ◀── flow::effect(job) ◀───────────────────┘
//! ```
//! A conflict means that another coordinator was faster: everything is loaded again. A job that waits is looked at
//! again after `RECHECK_MS` even if nobody calls for it, so that no lost call can strand it.
//!
//! # Putting a fleet together in one process
//!
//! ```ignore
//! let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
//! let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&state_dir, clock.clone())?);
//! let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::default());
//! let media: Arc<dyn Media> = Arc::new(ChildMedia::new((program, registry), limits, sandbox)?);
//! let fleet = Fleet { store, broker, clock, work: Root::folder(&state_dir.join("work")), .. };
//! let coordinator = Coordinator::new(fleet.clone(), media.clone(), CoordinatorSettings { .. });
//! let worker = Worker::new(fleet, media, WorkerSettings { .. });
//! coordinator.adopt().await?;              // only where no other process uses the store: leases of the dead end
//! let (id, _) = coordinator.ops().submit(request).await?;
//! tokio::join!(coordinator.run(stop.clone()), worker.run(stop.clone()), watch_until_ended);
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{
    Commit, Entry, Message, Peek, RowKey, Scan, Sequence, Shard, Store, StoreError, Version,
};
use framefleet_common::ports::txn::Txn;
use framefleet_common::process::traces::Begun;
use framefleet_common::spans;
use framefleet_model::board::{self, Task};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{JobId, TaskId, TaskKind};
use framefleet_model::job::{Closing, Job, JobState, Mail};
use framefleet_model::time::StoreTime;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::effects::{Effects, Unfinished};
use crate::events::JobEvent;
use crate::flow::{self, Decision, Effect, News, TaskChange};
use crate::observe::Observer;
use crate::rounds::{Rounds, until};
use crate::{letters, outbox, steps};

/// A waiting job is looked at again after this, called for or not.
const RECHECK_MS: i64 = 30_000;
/// An effect that storage or store stood in the way of is tried again after this.
const POSTPONED_MS: i64 = 5_000;
const POLL: Duration = Duration::from_secs(5);
const JOBS_PER_SCAN: usize = 64;
const TURNS_AT_ONCE: usize = 8;
const MAIL_PER_ROUND: usize = 1024;
/// A turn ends after so many commits; what is left is another turn.
const ROUNDS_PER_TURN: usize = 64;

pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) effects: Effects,
    pub(crate) observer: Observer,
    /// How long what attempts made is kept after a job's end.
    pub(crate) keep_attempts_ms: i64,
}

struct Seen {
    job: Job,
    version: Version,
    now: StoreTime,
}

/// What becomes of the mailbox and the turn with a commit.
struct Turn {
    seen: Seen,
    read: Option<Sequence>,
}

impl Engine {
    pub(crate) async fn run(&self, mut rounds: Rounds, stop: CancellationToken) {
        let mut due = None;
        loop {
            let shards = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                shards = rounds.next(due) => shards,
            };
            due = None;
            for shard in shards {
                match self.round(shard).await {
                    Ok(next) => due = [due, next].into_iter().flatten().min(),
                    Err(error) => self.effects.health.heard(&error),
                }
            }
        }
    }

    /// Takes the turns that are due in a shard; says how long until the next is.
    async fn round(&self, shard: Shard) -> Result<Option<Duration>, StoreError> {
        let scanned = self.store.scan(Scan::all(rows::turns(shard), JOBS_PER_SCAN)).await?;
        let now = scanned.now;
        let is_due = |entry: &&Entry| entry.score <= now.ms();
        let jobs = scanned.entries.iter().take_while(is_due).filter_map(|entry| entry.member.parse().ok());
        let turns = futures::stream::iter(jobs.collect::<Vec<JobId>>());
        turns
            .for_each_concurrent(TURNS_AT_ONCE, |id| {
                let span = spans::job(&id);
                let turn = async move {
                    if let Err(error) = self.turn(&id).await {
                        self.effects.health.heard(&error);
                    }
                };
                turn.instrument(span)
            })
            .await;
        let next = scanned.entries.iter().find(|entry| !is_due(entry));
        Ok(next.map(|entry| until(StoreTime(entry.score), now)))
    }

    /// Decides all that there is to decide about a job.
    pub(crate) async fn turn(&self, id: &JobId) -> Result<(), StoreError> {
        for _ in 0..ROUNDS_PER_TURN {
            let Some(seen) = self.see(id).await? else { return self.forget(id).await };
            if seen.job.is_overdue(seen.now) && !matches!(seen.job.state, JobState::Publishing(_)) {
                self.commit(Turn { seen, read: None }, &[News::Overdue]).await?;
                continue;
            }
            let peek = Peek { queue: rows::mailbox(id), after: None, limit: MAIL_PER_ROUND };
            let mail = self.store.peek(peek).await?;
            if !mail.is_empty() {
                let news = news(&mail, &seen.job)?;
                self.commit(Turn { seen, read: mail.last().map(|m| m.sequence) }, &news).await?;
                continue;
            }
            let Some(effect) = flow::effect(&seen.job) else {
                if self.rest(&seen).await? {
                    return Ok(());
                }
                continue;
            };
            if matches!(effect, Effect::Publish | Effect::Close) && !self.is_kept(&seen).await? {
                continue;
            }
            let begun = Begun::of(&*self.effects.clock);
            match self.effects.perform(&seen.job, effect).await {
                Ok(finding) => {
                    self.observer.performed(&seen.job, effect, begun);
                    self.commit(Turn { seen, read: None }, &[News::Found(finding)]).await?;
                }
                Err(Unfinished::Later(why)) => {
                    self.observer.postponed(id, effect, &why);
                    return self.call_again(&seen, POSTPONED_MS).await;
                }
                Err(Unfinished::Fault(fault)) if passes(&fault) => {
                    self.observer.postponed(id, effect, &fault.to_string());
                    return self.call_again(&seen, POSTPONED_MS).await;
                }
                Err(Unfinished::Fault(fault)) => {
                    let finding = flow::failing::finding(effect, fault);
                    self.commit(Turn { seen, read: None }, &[News::Found(finding)]).await?;
                }
            }
        }
        Ok(())
    }

    async fn see(&self, id: &JobId) -> Result<Option<Seen>, StoreError> {
        let key = rows::job_row(id);
        let loaded = self.store.load(std::slice::from_ref(&key)).await?;
        let Some(row) = loaded.rows.into_iter().next().flatten() else { return Ok(None) };
        Ok(Some(Seen { job: rows::from_row(&key, &row)?, version: row.version, now: loaded.now }))
    }

    /// Nothing is shown to the world or deleted for a state that a dying store could take back. Looked at after the
    /// barrier: before it, the store may have died and forgotten.
    async fn is_kept(&self, seen: &Seen) -> Result<bool, StoreError> {
        self.store.barrier().await?;
        Ok(self.see(&seen.job.id).await?.is_some_and(|now| now.version == seen.version))
    }

    /// One transaction of all that the news leads to. A conflict is no error: the next round sees what changed.
    async fn commit(&self, turn: Turn, news: &[News]) -> Result<(), StoreError> {
        let Turn { seen, read } = turn;
        let decision = flow::decide(&seen.job, news, seen.now);
        let id = &seen.job.id;
        let shard = Shard::of(id);
        let mut txn = Txn::new(shard).expect(&rows::job_row(id), seen.version);
        if decision.job != seen.job {
            txn = txn.put(&rows::job_row(id), rows::to_bytes(&decision.job));
        }
        let Some(mut txn) = self.change_tasks(txn, &seen, &decision).await? else { return Ok(()) };
        for announcement in &decision.outbox {
            let event = JobEvent::of(&decision.job, announcement, seen.now);
            txn = steps::begin(txn, &decision.job, (announcement, &event));
            txn = txn.append(&rows::outbox(shard), outbox::message(event));
        }
        if let Some(read) = read {
            txn = txn.ack(&rows::mailbox(id), read);
        }
        let letter = if decision.outbox.is_empty() { None } else { letters::of_job(&decision.job) };
        if let Some(letter) = &letter {
            txn = letters::put(txn, letter);
        }
        if let Commit::Committed(_) = self.store.commit(txn).await? {
            self.observer.decided(&seen.job, &decision);
            if let Some(letter) = &letter {
                self.observer.buried(&letter.id, "task");
            }
        }
        Ok(())
    }

    /// `None`: a task that was to change is not there, or done by now.
    async fn change_tasks(&self, mut txn: Txn, seen: &Seen, decision: &Decision) -> Result<Option<Txn>, StoreError> {
        let Seen { job, now, .. } = seen;
        let changed: BTreeSet<TaskId> = decision.tasks.iter().map(TaskChange::task).collect();
        let refs: Vec<TaskRef> = changed.into_iter().map(|task| TaskRef::new(&job.id, task)).collect();
        let keys: Vec<RowKey> = refs.iter().map(TaskRef::row).collect();
        if keys.is_empty() {
            return Ok(Some(txn));
        }
        let mut tasks: BTreeMap<TaskId, Option<Task>> = BTreeMap::new();
        for ((at, key), row) in refs.iter().zip(&keys).zip(self.store.load(&keys).await?.rows) {
            txn = txn.expect(key, row.as_ref().map(|row| row.version));
            tasks.insert(at.task, row.map(|row| rows::from_row(key, &row)).transpose()?);
        }
        // A task may change more than once in a turn: each change goes by what the last one made of it.
        for change in &decision.tasks {
            let at = TaskRef::new(&job.id, change.task());
            let known = tasks.get(&at.task).cloned().flatten();
            let next = match (change, known) {
                (TaskChange::Create(task), None) => (**task).clone(),
                // It settled after it was looked at whether it had: whoever looks again finds its result.
                (TaskChange::Create(task), Some(known)) if is_done(&known, task) => return Ok(None),
                (TaskChange::Create(task), Some(known)) => {
                    txn = rows::unplace(txn, &at, &known);
                    // Whoever cleans up must still find what its attempts made.
                    Task { past: board::again(&known).past, ..(**task).clone() }
                }
                (TaskChange::Drop(_), None) => continue,
                (TaskChange::Drop(_), Some(known)) => {
                    txn = rows::unplace(txn.delete(&at.row()), &at, &known);
                    tasks.insert(at.task, None);
                    continue;
                }
                (TaskChange::Again(_) | TaskChange::AgainBy { .. } | TaskChange::Order { .. }, None) => {
                    return Ok(None);
                }
                (TaskChange::Again(_), Some(known)) => board::again(&known),
                (TaskChange::AgainBy { build, .. }, Some(known)) => board::again_by(&known, build.as_deref(), *now),
                (TaskChange::Order { order, .. }, Some(known)) => board::at_turn(&known, *order),
            };
            txn = rows::put_task(txn, &at, &next);
            tasks.insert(at.task, Some(next));
        }
        Ok(Some(txn))
    }

    /// Nothing is left to decide: the job is looked at again later, or never if it is closed. `false`: news came.
    async fn rest(&self, seen: &Seen) -> Result<bool, StoreError> {
        let id = &seen.job.id;
        let shard = Shard::of(id);
        let txn = Txn::new(shard).expect(&rows::job_row(id), seen.version);
        let txn = if seen.job.state.closing() == Some(Closing::Closed) {
            let later = seen.now.after_ms(self.keep_attempts_ms).ms();
            txn.index_remove(&rows::turns(shard), id.as_str()).index_set(&rows::garbage(shard), id.as_str(), later)
        } else {
            let recheck = seen.now.after_ms(RECHECK_MS);
            let next = seen.job.deadline().filter(|at| *at > seen.now).map_or(recheck, |at| at.min(recheck));
            txn.index_set(&rows::turns(shard), id.as_str(), next.ms())
        };
        if self.store.commit(txn).await? == Commit::Conflict {
            return Ok(false);
        }
        // A report may have come between the look into the mailbox and the commit, which moved its call away.
        let peek = Peek { queue: rows::mailbox(id), after: None, limit: 1 };
        Ok(self.store.peek(peek).await?.is_empty())
    }

    async fn call_again(&self, seen: &Seen, after_ms: i64) -> Result<(), StoreError> {
        let (id, shard) = (&seen.job.id, Shard::of(&seen.job.id));
        let at = seen.now.after_ms(after_ms).ms();
        self.store.commit(Txn::new(shard).index_set(&rows::turns(shard), id.as_str(), at)).await.map(|_| ())
    }

    async fn forget(&self, id: &JobId) -> Result<(), StoreError> {
        let shard = Shard::of(id);
        self.store.commit(Txn::new(shard).index_remove(&rows::turns(shard), id.as_str())).await.map(|_| ())
    }

    pub(crate) fn rounds(&self) -> Rounds {
        Rounds::new(&*self.store, self.effects.clock(), POLL)
    }
}

/// Whether what is asked for is there already. Merges are done again: what they staged is gone.
fn is_done(known: &Task, asked: &Task) -> bool {
    known.plan == asked.plan && known.settled().is_some() && known.id.kind != TaskKind::Merge
}

/// Mail for an earlier generation is read and dropped.
fn news(mail: &[Message], job: &Job) -> Result<Vec<News>, StoreError> {
    let name = rows::mailbox(&job.id).name;
    let mut news = Vec::with_capacity(mail.len());
    for message in mail {
        let mail: Mail = rows::from_bytes(&name, &message.bytes)?;
        if mail.generation == job.generation {
            news.push(News::Mail(mail.report));
        }
    }
    Ok(news)
}

/// Whether waiting may help: the job itself is not to blame, and does not fail of it.
fn passes(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::StorageAway | FaultKind::StoreAway)
}
