//! The board over a store: each verb loads the job and the task, decides by `framefleet_model::board`, and commits one
//! compare-and-set transaction, again from the start where somebody else was faster.
//!
//! A settle appends its report to the job's mailbox and never touches the job's row, so that a thousand workers which
//! finish at once do not conflict. An error means that the outcome is unknown: every verb may be repeated.

use std::sync::Arc;

use framefleet_model::board::{
    self, BeatAnswer, ClaimAnswer, Claimant, Company, Lease, Moved, SettleAnswer, Settled, Sign, Task, TaskState,
};
use framefleet_model::fault::Fault;
use framefleet_model::id::{Digest, Nonce};
use framefleet_model::job::{JOB_VERSION, Job, Mail, Report};
use framefleet_model::task::Outcome;
use framefleet_model::time::StoreTime;

use crate::ports::broker::Class;
use crate::ports::rows::{self, TaskRef};
use crate::ports::store::{Commit, Row, RowKey, Store, StoreError, Version};
use crate::ports::txn::Txn;

/// Names attempts. Random for real, seeded in simulations.
pub type Mint = Arc<dyn Fn() -> Nonce + Send + Sync>;

/// So often in a row somebody else can be faster before the store counts as away.
const CONFLICTS_MAX: u32 = 64;

#[derive(Clone)]
pub struct Board {
    store: Arc<dyn Store>,
}

#[derive(Debug)]
pub enum Claimed {
    Granted(Box<Grant>),
    /// It may be had, but not beside others.
    Alone,
    /// Somebody else has it.
    Held,
    /// It waits for its next try.
    NotYet,
    /// It is settled or dead, its job has ended, or there is no such task.
    Over,
}

/// A claim that was granted, and what it was granted for.
#[derive(Debug)]
pub struct Grant {
    pub job: Job,
    pub task: Task,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    Continue,
    /// The job has ended.
    Cancel,
    /// Somebody else has the task, or settled it.
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The result counts.
    Won,
    /// Another attempt was first, or nobody wants it any more: what it made may be deleted.
    Lost,
}

/// What of a task ran out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Its holder said nothing for too long.
    Lease(Lease),
    /// Nobody answered its hint.
    Hint,
    /// Its pause before the next try: all is as it should be.
    Pause,
}

/// What an attempt has to show.
#[derive(Clone, Debug)]
pub struct Made {
    /// The plan that it worked by.
    pub plan: Option<Digest>,
    pub outcome: Outcome,
    /// Where a merge's result waits, in its coordinator's own words.
    pub staged: Option<String>,
    /// CPU time of the attempt's child.
    pub cpu_ms: u64,
    /// Results of other tasks that it was made from: if any is no longer that task's, the settle is lost.
    pub inputs: Vec<Input>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    pub task: TaskRef,
    pub nonce: Nonce,
}

struct Seen {
    job: Option<Job>,
    task: Option<(Task, Version)>,
    now: StoreTime,
}

impl Board {
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// For an attempt that will share nothing with others.
    pub async fn claim(&self, at: &TaskRef, claimant: &Claimant) -> Result<Claimed, StoreError> {
        self.claim_for(at, claimant, Company::Alone).await
    }

    /// For an attempt beside others: a task that must run alone is not granted, so that whoever waits until it can is
    /// not blamed for what others do meanwhile.
    pub async fn claim_in_company(&self, at: &TaskRef, claimant: &Claimant) -> Result<Claimed, StoreError> {
        self.claim_for(at, claimant, Company::Shared).await
    }

    async fn claim_for(&self, at: &TaskRef, claimant: &Claimant, company: Company) -> Result<Claimed, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let seen = self.see(at).await?;
            let (Some(job), Some((task, version))) = (seen.job, seen.task) else { return Ok(Claimed::Over) };
            if job.state.has_ended() {
                self.withdraw(at, &task).await?;
                return Ok(Claimed::Over);
            }
            let (row, claimed) = match board::claim(&task, claimant, seen.now) {
                ClaimAnswer::Granted(row) if company == Company::Shared && must_be_alone(&row) => {
                    return Ok(Claimed::Alone);
                }
                ClaimAnswer::Granted(row) => (row.clone(), Claimed::Granted(Box::new(Grant { job, task: row }))),
                ClaimAnswer::Held(Some(row)) => (row, Claimed::Held),
                ClaimAnswer::Held(None) => return Ok(Claimed::Held),
                ClaimAnswer::NotYet => return Ok(Claimed::NotYet),
                ClaimAnswer::Over => return Ok(Claimed::Over),
            };
            if self.put(at, version, &row).await? {
                return Ok(claimed);
            }
        }
        Err(busy(at))
    }

    pub async fn heartbeat(&self, at: &TaskRef, claimant: &Claimant, sign: &Sign) -> Result<Beat, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let seen = self.see(at).await?;
            let (Some(job), Some((task, version))) = (seen.job, seen.task) else { return Ok(Beat::Cancel) };
            if job.state.has_ended() {
                return Ok(Beat::Cancel);
            }
            let BeatAnswer::Continue(row) = board::heartbeat(&task, claimant, sign.clone(), seen.now) else {
                return Ok(Beat::Lost);
            };
            if *row == task || self.put(at, version, &row).await? {
                return Ok(Beat::Continue);
            }
        }
        Err(busy(at))
    }

    /// A heartbeat that the store will not forget: after `Continue` the task's row names the attempt for good.
    pub async fn keep(&self, at: &TaskRef, claimant: &Claimant, sign: &Sign) -> Result<Beat, StoreError> {
        let beat = self.heartbeat(at, claimant, sign).await?;
        if beat == Beat::Continue {
            self.store.barrier().await?;
            // Before the barrier the store may have died and forgotten.
            if !self.see(at).await?.task.is_some_and(|(task, _)| names(&task, &claimant.nonce)) {
                return Err(StoreError::Unavailable(format!("it forgot who claimed {at}")));
            }
        }
        Ok(beat)
    }

    pub async fn settle(&self, at: &TaskRef, nonce: &Nonce, result: &Made) -> Result<Settlement, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let seen = self.see(at).await?;
            let (Some(job), Some((task, version))) = (seen.job, seen.task) else { return Ok(Settlement::Lost) };
            if task.settled().is_some_and(|settled| settled.nonce == *nonce) {
                // Settled, and its answer lost on the way: whatever became of the job, the row names what was made, and
                // the job's next generation may use it.
                return Ok(Settlement::Won);
            }
            if job.state.has_ended() {
                return Ok(Settlement::Lost);
            }
            let Made { outcome, staged, cpu_ms, .. } = result.clone();
            let settled = Settled { nonce: nonce.clone(), outcome, staged, cpu_ms };
            let row = match board::settle(&task, result.plan.as_ref(), settled) {
                SettleAnswer::Settled(row) => row,
                SettleAnswer::Again => return Ok(Settlement::Won),
                SettleAnswer::Lost => return Ok(Settlement::Lost),
            };
            let Some(inputs) = self.inputs_stand(&result.inputs).await? else { return Ok(Settlement::Lost) };
            let txn = inputs.into_iter().fold(Txn::new(at.shard()), |txn, (row, version)| txn.expect(&row, version));
            let txn = rows::put_task(txn.expect(&at.row(), version), at, &row);
            let report = Report::Settled { task: at.task, nonce: nonce.clone(), plan: row.plan.clone(), cpu_ms };
            let txn = deliver(txn, &job, report, seen.now);
            if self.committed(txn).await? {
                return Ok(Settlement::Won);
            }
        }
        Err(busy(at))
    }

    /// The attempt failed: its task is tried again or dead, by the fault's kind.
    pub async fn fail(&self, at: &TaskRef, nonce: &Nonce, fault: &Fault) -> Result<(), StoreError> {
        self.shift(at, |task, now| board::fail(task, nonce, fault.clone(), now)).await.map(drop)
    }

    /// The attempt was told to stop: its task is ready again, and nothing is counted.
    pub async fn hand_back(&self, at: &TaskRef, nonce: &Nonce) -> Result<(), StoreError> {
        let long = Class::long();
        self.shift(at, |task, _| board::hand_back(task, nonce, long.as_str()).map(Moved::Back)).await.map(drop)
    }

    /// The attempt found no room for it: its task is offered again in a moment, and nothing is counted.
    pub async fn decline(&self, at: &TaskRef, nonce: &Nonce) -> Result<(), StoreError> {
        self.shift(at, |task, now| board::decline(task, nonce, now).map(Moved::Back)).await.map(drop)
    }

    /// The task's place among the ready ones of its class; `None`: there is no such task.
    pub async fn order(&self, at: &TaskRef) -> Result<Option<i64>, StoreError> {
        Ok(self.see(at).await?.task.map(|(task, _)| task.order))
    }

    /// Does what time alone does to a task, if it is due; says whose time it was.
    pub async fn expire(&self, at: &TaskRef) -> Result<Option<Expired>, StoreError> {
        Ok(self.shift(at, board::expire).await?.map(|before| match before.state {
            TaskState::Claimed(lease) => Expired::Lease(lease),
            TaskState::Hinted { .. } => Expired::Hint,
            TaskState::Waiting { .. } | TaskState::Ready | TaskState::Settled(_) | TaskState::Dead(_) => Expired::Pause,
        }))
    }

    /// Takes the task from a holder that is known to be gone.
    pub async fn adopt(&self, at: &TaskRef) -> Result<(), StoreError> {
        self.shift(at, |task, _| board::adopt(task).map(Moved::Back)).await.map(drop)
    }

    /// The task's job, if the task was ready and is now marked as hinted: the caller owes the broker its hint.
    pub async fn hint(&self, at: &TaskRef) -> Result<Option<Job>, StoreError> {
        let seen = self.see(at).await?;
        let Some((task, version)) = seen.task else {
            self.committed(Txn::new(at.shard()).index_remove(&rows::due(at.shard()), at.to_string())).await?;
            return Ok(None);
        };
        let Some(job) = seen.job.filter(|job| !job.state.has_ended()) else {
            self.withdraw(at, &task).await?;
            return Ok(None);
        };
        match board::hint(&task, seen.now) {
            Some(row) => Ok(self.put(at, version, &row).await?.then_some(job)),
            // An index entry that outlived its state: putting the row again puts it where it belongs.
            None => self.put(at, version, &task).await.map(|_| None),
        }
    }

    /// The task as it was, if it moved.
    async fn shift(
        &self,
        at: &TaskRef,
        decide: impl Fn(&Task, StoreTime) -> Option<Moved>,
    ) -> Result<Option<Task>, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let seen = self.see(at).await?;
            let Some((task, version)) = seen.task else { return Ok(None) };
            let Some(job) = seen.job.filter(|job| !job.state.has_ended()) else {
                self.withdraw(at, &task).await?;
                return Ok(None);
            };
            let txn = Txn::new(at.shard()).expect(&at.row(), version);
            let txn = match decide(&task, seen.now) {
                Some(Moved::Back(row)) => rows::put_task(txn, at, &row),
                Some(Moved::Dead(row, fault)) => {
                    let report = Report::Dead { task: at.task, fault, plan: row.plan.clone() };
                    deliver(rows::put_task(txn, at, &row), &job, report, seen.now)
                }
                None => return Ok(None),
            };
            if self.committed(txn).await? {
                return Ok(Some(task));
            }
        }
        Err(busy(at))
    }

    /// Nobody wants the task any more: it leaves all indexes.
    async fn withdraw(&self, at: &TaskRef, task: &Task) -> Result<(), StoreError> {
        self.committed(rows::unplace(Txn::new(at.shard()), at, task)).await.map(|_| ())
    }

    /// The rows of the inputs with their versions, if every one is still settled by the same attempt.
    async fn inputs_stand(&self, inputs: &[Input]) -> Result<Option<Vec<(RowKey, Version)>>, StoreError> {
        let keys: Vec<_> = inputs.iter().map(|input| input.task.row()).collect();
        if keys.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let loaded = self.store.load(&keys).await?;
        let mut versions = Vec::with_capacity(keys.len());
        for ((key, row), input) in keys.into_iter().zip(loaded.rows).zip(inputs) {
            let Some(row) = row else { return Ok(None) };
            let task: Task = rows::from_row(&key, &row)?;
            if task.settled().is_none_or(|settled| settled.nonce != input.nonce) {
                return Ok(None);
            }
            versions.push((key, row.version));
        }
        Ok(Some(versions))
    }

    async fn see(&self, at: &TaskRef) -> Result<Seen, StoreError> {
        let keys = [rows::job_row(&at.job), at.row()];
        let loaded = self.store.load(&keys).await?;
        let row = |n: usize| loaded.rows.get(n).and_then(Option::as_ref);
        let job = row(0).map(|r: &Row| rows::from_row::<Job>(&keys[0], r)).transpose()?;
        let task = row(1).map(|r: &Row| rows::from_row(&keys[1], r).map(|task| (task, r.version))).transpose()?;
        Ok(Seen { job, task, now: loaded.now })
    }

    async fn put(&self, at: &TaskRef, version: Version, task: &Task) -> Result<bool, StoreError> {
        self.committed(rows::put_task(Txn::new(at.shard()).expect(&at.row(), version), at, task)).await
    }

    async fn committed(&self, txn: Txn) -> Result<bool, StoreError> {
        match self.store.commit(txn).await? {
            Commit::Committed(_) => Ok(true),
            Commit::Conflict => Ok(false),
        }
    }
}

/// Leaves news in a job's mailbox and calls for its turn.
pub fn deliver(txn: Txn, job: &Job, report: Report, now: StoreTime) -> Txn {
    let mail = Mail { version: JOB_VERSION, generation: job.generation, report };
    let turns = rows::turns(txn.shard);
    txn.append(&rows::mailbox(&job.id), rows::to_bytes(&mail)).index_set(&turns, job.id.as_str(), now.ms())
}

fn must_be_alone(task: &Task) -> bool {
    task.lease().is_some_and(|lease| lease.company == Company::Alone)
}

fn names(task: &Task, nonce: &Nonce) -> bool {
    let held = task.lease().is_some_and(|lease| lease.nonce == *nonce);
    let settled = task.settled().is_some_and(|settled| settled.nonce == *nonce);
    held || settled || task.past.contains(nonce)
}

fn busy(at: &TaskRef) -> StoreError {
    StoreError::Unavailable(format!("{CONFLICTS_MAX} conflicts in a row over {at}"))
}

#[cfg(test)]
mod tests {
    use framefleet_model::board::Heard;
    use framefleet_model::id::{JobId, TaskId};
    use framefleet_model::job::{Cancelled, Closing, JobState};
    use framefleet_model::ledger::Produced;
    use framefleet_model::plan::SourceFacts;
    use framefleet_model::task::{IndexDone, Place};

    use super::*;
    use crate::adapters::clock::ManualClock;
    use crate::adapters::memory::store::MemoryStore;

    async fn put(store: &dyn Store, txn: Txn) {
        assert!(matches!(store.commit(txn).await.unwrap(), Commit::Committed(_)));
    }

    /// Its answer was lost, and the job was cancelled before it asked again: what it made must not be deleted, for the
    /// job's next generation uses it.
    #[tokio::test]
    async fn a_settle_that_is_repeated_after_its_jobs_end_has_won_all_the_same() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::new(ManualClock::default())));
        let source = SourceFacts { url: "file:///film".into(), size: 1, version: "1".into() };
        let job = Job::new(JobId::of_parts(&["film"]), source, StoreTime(0));
        let at = TaskRef::new(&job.id, TaskId::INDEX);
        let place = Place { class: "light".into(), tenant: Default::default(), order: 1, need: Default::default() };
        let txn = Txn::new(at.shard()).put(&rows::job_row(&job.id), rows::to_bytes(&job));
        put(&*store, rows::put_task(txn, &at, &Task::new(TaskId::INDEX, None, place))).await;
        let board = Board::new(store.clone());
        let nonce = Nonce::from_bytes([7; 16]);
        let claimant = Claimant { nonce: nonce.clone(), worker: "w".into(), heard: Heard::First, lease_ms: 30_000 };
        assert!(matches!(board.claim(&at, &claimant).await.unwrap(), Claimed::Granted(_)));
        let file = Produced { name: "index".into(), size: 1, digest: Digest::of(b"x") };
        let outcome = Outcome::Index(IndexDone { file, units: 1 });
        let made = Made { plan: None, outcome, staged: None, cpu_ms: 1, inputs: Vec::new() };
        assert_eq!(board.settle(&at, &nonce, &made).await.unwrap(), Settlement::Won);
        let end = Cancelled { at: StoreTime(1), reason: "x".into(), plan: None, closing: Closing::Open };
        let job = Job { state: JobState::Cancelled(end), ..job };
        put(&*store, Txn::new(at.shard()).put(&rows::job_row(&job.id), rows::to_bytes(&job))).await;
        assert_eq!(board.settle(&at, &nonce, &made).await.unwrap(), Settlement::Won);
        assert_eq!(board.settle(&at, &Nonce::from_bytes([8; 16]), &made).await.unwrap(), Settlement::Lost);
    }
}
