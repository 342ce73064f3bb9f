//! Every row, index and queue of the store is named here, and written and read in one form: versioned JSON.
//!
//! ```text
//! job/<job>            row    the job              turns                  index  jobs by their next turn
//! task/<job>/<task>    row    a task               due                    index  tasks by when to look at them
//! mail/<job>           queue  news for the job     ready/<class>/<tenant> index  tasks nobody was told of, by order
//! outbox               queue  news for the world   tenants/<class>        index  tenants that ever had one ready
//! key/<job>            row    what was asked for by the key that names the job
//! dead/<letter>        row    what was given up    hinted/<class>         index  tasks whose hint is on its way
//!                                                  waiting/<class>        index  tasks by when they are ready again
//!                                                  jobs                   index  all jobs by their age
//!                                                  garbage                index  ended jobs by when to sweep what they left
//!                                                  retired                index  swept jobs by when to forget them
//! step/<step>          row    a step of an ended job   dead                   index  letters by their age
//!                                                  steps                  index  steps by when to look at them
//!                                                  steps/<job>            index  a job's steps, in order
//!
//! of no job: owner/<key>  row  whose job fills a final key     workers  index  workers by when they were last heard
//!            worker/<name> row a worker as it last said it is
//!            trigger/<rule> row how far a trigger's sweep is
//!            parked/<object> row an upload that waits      parked  index  such uploads by when to look at them
//! ```

use std::fmt;
use std::str::FromStr;

use framefleet_model::board::{Task, TaskState};
use framefleet_model::id::{Digest, IdError, JobId, TaskId};
use framefleet_model::step::life::StepRow;
use framefleet_model::terms::Tenant;
use framefleet_model::time::StoreTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ports::store::{IndexKey, QueueKey, Row, RowKey, Shard, StoreError};
use crate::ports::txn::Txn;

/// A task of a job, as indexes name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRef {
    pub job: JobId,
    pub task: TaskId,
}

impl TaskRef {
    pub fn new(job: &JobId, task: TaskId) -> Self {
        Self { job: job.clone(), task }
    }

    pub fn shard(&self) -> Shard {
        Shard::of(&self.job)
    }

    pub fn row(&self) -> RowKey {
        self.shard().row(format!("task/{self}"))
    }
}

impl fmt::Display for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.job, self.task)
    }
}

impl FromStr for TaskRef {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let (job, task) = text.split_once('/').unwrap_or((text, ""));
        Ok(Self { job: job.parse()?, task: task.parse()? })
    }
}

/// A step of a job's generation, as indexes name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepRef {
    pub job: JobId,
    pub generation: u32,
    pub number: u32,
}

impl StepRef {
    pub fn of(row: &StepRow) -> Self {
        Self { job: row.job.clone(), generation: row.generation, number: row.number }
    }

    pub fn shard(&self) -> Shard {
        Shard::of(&self.job)
    }

    pub fn row(&self) -> RowKey {
        self.shard().row(format!("step/{self}"))
    }

    /// As it is displayed.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let job = parts.next()?.parse().ok()?;
        Some(Self { job, generation: parts.next()?.parse().ok()?, number: parts.next()?.parse().ok()? })
    }

    /// Among the job's own.
    fn order(&self) -> i64 {
        (i64::from(self.generation) << 16) + i64::from(self.number)
    }
}

impl fmt::Display for StepRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.job, self.generation, self.number)
    }
}

pub fn job_row(job: &JobId) -> RowKey {
    Shard::of(job).row(format!("job/{job}"))
}

/// What was asked for by the key that names this job.
pub fn key(job: &JobId) -> RowKey {
    Shard::of(job).row(format!("key/{job}"))
}

pub fn mailbox(job: &JobId) -> QueueKey {
    Shard::of(job).queue(format!("mail/{job}"))
}

pub fn outbox(shard: Shard) -> QueueKey {
    shard.queue("outbox")
}

pub fn turns(shard: Shard) -> IndexKey {
    shard.index("turns")
}

pub fn due(shard: Shard) -> IndexKey {
    shard.index("due")
}

pub fn ready(shard: Shard, class: &str, tenant: &Tenant) -> IndexKey {
    shard.index(format!("ready/{class}/{tenant}"))
}

pub fn tenants(shard: Shard, class: &str) -> IndexKey {
    shard.index(format!("tenants/{class}"))
}

pub fn hinted(shard: Shard, class: &str) -> IndexKey {
    shard.index(format!("hinted/{class}"))
}

pub fn waiting(shard: Shard, class: &str) -> IndexKey {
    shard.index(format!("waiting/{class}"))
}

pub fn jobs(shard: Shard) -> IndexKey {
    shard.index("jobs")
}

/// A job's score among all jobs: the youngest first.
pub fn age(created: StoreTime) -> i64 {
    -created.ms()
}

pub fn garbage(shard: Shard) -> IndexKey {
    shard.index("garbage")
}

pub fn retired(shard: Shard) -> IndexKey {
    shard.index("retired")
}

pub fn dead(shard: Shard) -> IndexKey {
    shard.index("dead")
}

/// Steps by when to look at them.
pub fn steps(shard: Shard) -> IndexKey {
    shard.index("steps")
}

/// All steps of a job, those of its first generation first.
pub fn steps_of(job: &JobId) -> IndexKey {
    Shard::of(job).index(format!("steps/{job}"))
}

/// Puts a step's row, and the step where its state says it waits.
pub fn put_step(txn: Txn, row: &StepRow) -> Txn {
    let at = StepRef::of(row);
    let txn = txn.put(&at.row(), to_bytes(row)).index_set(&steps_of(&at.job), at.to_string(), at.order());
    match row.due() {
        Some(due) => txn.index_set(&steps(at.shard()), at.to_string(), due.ms()),
        None => txn.index_remove(&steps(at.shard()), at.to_string()),
    }
}

pub fn remove_step(txn: Txn, at: &StepRef) -> Txn {
    let txn = txn.delete(&at.row()).index_remove(&steps_of(&at.job), at.to_string());
    txn.index_remove(&steps(at.shard()), at.to_string())
}

pub fn letter(shard: Shard, id: &str) -> RowKey {
    shard.row(format!("dead/{id}"))
}

/// Whose job fills the final key of this URL.
pub fn owner(url: &str) -> RowKey {
    Shard::GLOBAL.row(format!("owner/{}", Digest::of(url.as_bytes())))
}

pub fn worker(name: &str) -> RowKey {
    Shard::GLOBAL.row(format!("worker/{name}"))
}

pub fn workers() -> IndexKey {
    Shard::GLOBAL.index("workers")
}

/// What is kept of the trigger that takes this.
pub fn trigger(rule: &str) -> RowKey {
    Shard::GLOBAL.row(format!("trigger/{}", Digest::of(rule.as_bytes())))
}

/// An upload of the object of this URL, which waits.
pub fn parked(url: &str) -> RowKey {
    Shard::GLOBAL.row(format!("parked/{}", Digest::of(url.as_bytes())))
}

/// The row of a member of the index of what is parked.
pub fn parked_member(member: &str) -> RowKey {
    Shard::GLOBAL.row(member)
}

pub fn all_parked() -> IndexKey {
    Shard::GLOBAL.index("parked")
}

/// Puts a task's row, and the task where its state says it waits.
pub fn put_task(txn: Txn, at: &TaskRef, task: &Task) -> Txn {
    place(txn.put(&at.row(), to_bytes(task)), at, task)
}

/// Puts a task where its state says it waits.
pub fn place(txn: Txn, at: &TaskRef, task: &Task) -> Txn {
    let (shard, member) = (at.shard(), at.to_string());
    let ready = ready(shard, &task.class, &task.tenant);
    let (hinted, waiting, due) = (hinted(shard, &task.class), waiting(shard, &task.class), due(shard));
    let txn = match &task.state {
        TaskState::Ready => {
            txn.index_set(&ready, &member, task.order).index_set(&tenants(shard, &task.class), task.tenant.as_str(), 0)
        }
        TaskState::Waiting { .. }
        | TaskState::Hinted { .. }
        | TaskState::Claimed(_)
        | TaskState::Settled(_)
        | TaskState::Dead(_) => txn.index_remove(&ready, &member),
    };
    let txn = match &task.state {
        TaskState::Hinted { at } => txn.index_set(&hinted, &member, at.ms()),
        TaskState::Waiting { .. }
        | TaskState::Ready
        | TaskState::Claimed(_)
        | TaskState::Settled(_)
        | TaskState::Dead(_) => txn.index_remove(&hinted, &member),
    };
    let txn = match &task.state {
        TaskState::Waiting { until } => txn.index_set(&waiting, &member, until.ms()),
        TaskState::Ready
        | TaskState::Hinted { .. }
        | TaskState::Claimed(_)
        | TaskState::Settled(_)
        | TaskState::Dead(_) => txn.index_remove(&waiting, &member),
    };
    match task.due() {
        Some(at) => txn.index_set(&due, member, at.ms()),
        None => txn.index_remove(&due, member),
    }
}

/// Takes a task out of every index: its row has been deleted, or its job has ended.
pub fn unplace(txn: Txn, at: &TaskRef, task: &Task) -> Txn {
    let (shard, member) = (at.shard(), at.to_string());
    let (ready, hinted) = (ready(shard, &task.class, &task.tenant), hinted(shard, &task.class));
    let txn = txn.index_remove(&ready, &member).index_remove(&hinted, &member);
    txn.index_remove(&waiting(shard, &task.class), &member).index_remove(&due(shard), member)
}

pub fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("rows have only string keys and finite numbers")
}

pub fn from_row<T: DeserializeOwned>(key: &RowKey, row: &Row) -> Result<T, StoreError> {
    from_bytes(&key.name, &row.bytes)
}

pub fn from_bytes<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|e| StoreError::Corrupt(format!("{name} does not parse: {e}")))
}
