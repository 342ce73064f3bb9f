//! Repair: what should never be needed. Every task of a job that has not ended is put where its row says it waits, and
//! results that the job's row does not know of are reported to it once more. An index that lost an entry, or a mailbox
//! that lost a letter, strands nothing for longer than one round of this.

use std::sync::Arc;

use framefleet_common::board::deliver;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{Commit, Row, Scan, Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use framefleet_model::board::{Task, TaskState};
use framefleet_model::id::{JobId, TaskId, TaskKind};
use framefleet_model::job::{IndexStep, Job, JobState, Report};
use framefleet_model::time::StoreTime;

const JOBS_PER_SCAN: usize = 256;
const TASKS_PER_LOAD: usize = 512;

pub(crate) struct Repair {
    pub(crate) store: Arc<dyn Store>,
}

impl Repair {
    /// One round over a shard; says how many reports it gave once more.
    pub(crate) async fn shard(&self, shard: Shard) -> Result<usize, StoreError> {
        let (mut after, mut reported) = (None, 0);
        loop {
            let scan = Scan::all(rows::jobs(shard), JOBS_PER_SCAN).after(after);
            let entries = self.store.scan(scan).await?.entries;
            for id in entries.iter().filter_map(|entry| entry.member.parse::<JobId>().ok()) {
                reported += self.job(&id).await?;
            }
            let Some(last) = entries.into_iter().last() else { return Ok(reported) };
            after = Some(last);
        }
    }

    async fn job(&self, id: &JobId) -> Result<usize, StoreError> {
        let key = rows::job_row(id);
        let loaded = self.store.load(std::slice::from_ref(&key)).await?;
        let Some(row) = loaded.rows.into_iter().next().flatten() else { return Ok(0) };
        let job: Job = rows::from_row(&key, &row)?;
        if job.state.has_ended() {
            return Ok(0);
        }
        let mut reported = 0;
        let expected = tasks_of(&job);
        for ids in expected.chunks(TASKS_PER_LOAD) {
            let refs: Vec<TaskRef> = ids.iter().map(|task| TaskRef::new(id, *task)).collect();
            let keys: Vec<_> = refs.iter().map(TaskRef::row).collect();
            let loaded = self.store.load(&keys).await?;
            for (at, row) in refs.iter().zip(loaded.rows) {
                if let Some(row) = row {
                    reported += self.task(&job, (at, &row), loaded.now).await?;
                }
            }
        }
        let turn = Txn::new(Shard::of(id)).expect(&key, row.version);
        // A job without a turn would wait for ever; one that is called once too often finds nothing to do.
        let turn = turn.index_set(&rows::turns(Shard::of(id)), id.as_str(), loaded.now.ms());
        self.store.commit(turn).await.map(|_: Commit| reported)
    }

    async fn task(&self, job: &Job, (at, row): (&TaskRef, &Row), now: StoreTime) -> Result<usize, StoreError> {
        let task: Task = rows::from_row(&at.row(), row)?;
        let txn = Txn::new(at.shard()).expect(&at.row(), row.version);
        let plan = task.plan.clone();
        let (txn, reports) = match &task.state {
            TaskState::Settled(settled) if is_unknown(job, at.task) => {
                let (nonce, cpu_ms) = (settled.nonce.clone(), settled.cpu_ms);
                (deliver(txn, job, Report::Settled { task: at.task, nonce, plan, cpu_ms }, now), 1)
            }
            TaskState::Dead(fault) => {
                (deliver(txn, job, Report::Dead { task: at.task, fault: fault.clone(), plan }, now), 1)
            }
            TaskState::Settled(_) => return Ok(0),
            TaskState::Waiting { .. } | TaskState::Ready | TaskState::Hinted { .. } | TaskState::Claimed(_) => {
                (rows::place(txn, at, &task), 0)
            }
        };
        Ok(match self.store.commit(txn).await? {
            Commit::Committed(_) => reports,
            // It moved meanwhile, so it is where it should be.
            Commit::Conflict => 0,
        })
    }
}

/// The tasks that the job waits for.
fn tasks_of(job: &Job) -> Vec<TaskId> {
    let numbered = |kind, total: u32| (0..total).map(move |number| TaskId::new(kind, number));
    match &job.state {
        JobState::Indexing(IndexStep::Awaited) => vec![TaskId::INDEX],
        JobState::Encoding(state) => numbered(TaskKind::Encode, state.encodes.total())
            .chain(numbered(TaskKind::Audio, state.audios.total()))
            .chain(numbered(TaskKind::Image, state.images.total()))
            .chain(numbered(TaskKind::Merge, state.merges.total()))
            .collect(),
        JobState::Merging(state) => numbered(TaskKind::Merge, state.merges.total()).collect(),
        JobState::Accepted
        | JobState::Indexing(IndexStep::Found | IndexStep::Disproved { .. })
        | JobState::Publishing(_)
        | JobState::Completed(_)
        | JobState::Failed(_)
        | JobState::Cancelled(_) => Vec::new(),
    }
}

/// Whether the job waits for this task's result and has not heard of it.
fn is_unknown(job: &Job, task: TaskId) -> bool {
    match &job.state {
        JobState::Indexing(IndexStep::Awaited) => task == TaskId::INDEX,
        JobState::Encoding(state) => match task.kind {
            TaskKind::Encode => !state.encodes.has(task.number),
            TaskKind::Audio => !state.audios.has(task.number),
            TaskKind::Image => !state.images.has(task.number),
            TaskKind::Merge => !state.merges.has(task.number),
            TaskKind::Index => false,
        },
        JobState::Merging(state) => task.kind == TaskKind::Merge && !state.merges.has(task.number),
        JobState::Accepted
        | JobState::Indexing(IndexStep::Found | IndexStep::Disproved { .. })
        | JobState::Publishing(_)
        | JobState::Completed(_)
        | JobState::Failed(_)
        | JobState::Cancelled(_) => false,
    }
}
