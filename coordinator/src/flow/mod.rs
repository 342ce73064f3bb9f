//! The life of a job as pure functions: no async, no I/O, no clock, no randomness.
//!
//! ```text
//!  news ──▶ decide(job, news, now) ──▶ Decision { job, tasks, outbox, rejected }     committed as one transaction
//!  job  ──▶ effect(job) ──▶ what to do next, whose finding is the next news           done after the commit
//! ```
//! What a job is to do follows from its row alone: a coordinator that dies between a commit and its effect leaves a row
//! from which any other does the same again. So every effect may happen twice.

// A state or a piece of news that is added must be decided about everywhere.
#![deny(clippy::wildcard_enum_match_arm)]

/// Publication is over, and so is the job.
pub mod completing;
/// Which ready tasks are hinted.
pub mod dispatching;
/// Segments and sound come in; their headers are compared.
pub mod encoding;
/// Deaths and cancellations.
pub mod failing;
/// Destinations are looked at, and the index is asked for.
pub mod intake;
/// Outputs come in; the ledger proves them.
pub mod merging;
/// From the index to cuts, renditions and tasks.
pub mod planning;
/// What nobody told of.
pub mod sweeping;

use framefleet_model::board::Task;
use framefleet_model::fault::Fault;
use framefleet_model::id::{Digest, JobId, TaskId, TaskKind};
use framefleet_model::job::{Closing, Encoding, IndexStep, Job, JobState, Merging, Report};
use framefleet_model::ledger::OutputProof;
use framefleet_model::plan::{AudioRendition, OutputPlan, VideoRendition};
use framefleet_model::time::StoreTime;

use self::encoding::headers::Odd;

/// What a turn has to decide about: mail, or what an effect found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    Mail(Report),
    Found(Finding),
    /// The job's deadline has passed.
    Overdue,
}

/// What an effect found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Whether the destinations can take what is asked for, and then whether the index is still to be made.
    Checked(Result<Need, Fault>),
    /// A newer job of the same source has taken its final keys.
    Superseded(JobId),
    Planned(Result<Planned, Fault>),
    /// Tasks whose headers are not those that the others are to have.
    Compared(Result<Vec<Odd>, Fault>),
    /// The ledger's digest, if it closed.
    Proved(Result<Digest, Fault>),
    Published(Result<Vec<Delivered>, Unpublished>),
    /// What an ended job left half-made is gone.
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unpublished {
    /// The staged results of these merges are gone: they must be made again.
    Gone(Vec<TaskId>),
    Fault(Fault),
}

/// A plan, and what is left to do of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    pub plan: Digest,
    pub tasks: Vec<PlannedTask>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTask {
    pub id: TaskId,
    pub class: String,
    /// What its attempts take of a worker.
    pub weight: framefleet_model::task::Need,
    pub need: Need,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Open,
    /// An earlier generation did it by the same plan.
    Settled,
}

/// What a coordinator does for a job between two commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Check,
    Plan,
    Compare,
    Prove,
    Publish,
    Close,
}

impl Effect {
    pub fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Plan => "plan",
            Self::Compare => "compare",
            Self::Prove => "prove",
            Self::Publish => "publish",
            Self::Close => "close",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub job: Job,
    pub tasks: Vec<TaskChange>,
    pub outbox: Vec<Announcement>,
    pub rejected: Vec<Rejected>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskChange {
    Create(Box<Task>),
    /// To be done again, from the start.
    Again(TaskId),
    /// The same, so that it can be joined with what this build made.
    AgainBy {
        task: TaskId,
        build: Option<String>,
    },
    /// No longer part of the job, whoever works on it.
    Drop(TaskId),
    /// It may go before its turn no longer, but at its turn.
    Order {
        task: TaskId,
        order: i64,
    },
}

/// What the world is told of a job. A job has each once a generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Announcement {
    Accepted,
    /// Its destinations can take what it makes, and its work begins.
    Started,
    Completed(Vec<Delivered>),
    Failed(Fault),
    Cancelled {
        reason: String,
    },
}

/// An output that stands at its final name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub plan: OutputPlan,
    pub proof: OutputProof,
    pub videos: Vec<VideoRendition>,
    pub audios: Vec<AudioRendition>,
    /// URLs of all its files, the one that leads to the others first.
    pub files: Vec<String>,
}

/// News that changes nothing: counted and forgotten, never an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    /// It was known.
    Duplicate,
    /// The job waits for something else by now.
    Stale,
    /// The job has ended, or can no longer be stopped.
    Terminal,
}

/// The next state with the changes that come with it.
pub(crate) struct Step {
    pub(crate) state: JobState,
    pub(crate) tasks: Vec<TaskChange>,
    pub(crate) outbox: Vec<Announcement>,
}

pub fn decide(job: &Job, news: &[News], now: StoreTime) -> Decision {
    let mut decision = Decision { job: job.clone(), tasks: Vec::new(), outbox: Vec::new(), rejected: Vec::new() };
    for item in news {
        match step(&decision.job, item, now) {
            Ok(step) => {
                decision.job.state = step.state;
                decision.job.started =
                    decision.job.started.or_else(|| step.outbox.contains(&Announcement::Started).then_some(now));
                if let News::Mail(Report::Settled { cpu_ms, .. }) = item {
                    decision.job.cpu_ms = decision.job.cpu_ms.saturating_add(*cpu_ms);
                }
                decision.tasks.extend(step.tasks);
                decision.outbox.extend(step.outbox);
            }
            Err(rejected) => decision.rejected.push(rejected),
        }
    }
    decision
}

fn step(job: &Job, news: &News, now: StoreTime) -> Result<Step, Rejected> {
    match news {
        News::Mail(Report::Settled { plan: Some(plan), .. } | Report::Dead { plan: Some(plan), .. })
            if job.state.plan() != Some(plan) =>
        {
            Err(out_of_place(job))
        }
        News::Mail(Report::Settled { task, nonce: _, plan: _, cpu_ms: _ }) => match task.kind {
            TaskKind::Index => planning::tasks::indexed(job),
            TaskKind::Encode | TaskKind::Audio | TaskKind::Image => encoding::settled(job, *task),
            TaskKind::Merge => merging::settled(job, *task),
        },
        News::Mail(Report::Dead { task, fault, plan: _ }) => failing::died(job, *task, fault, now),
        News::Mail(Report::Cancel { reason }) => failing::cancelled(job, reason, now),
        News::Overdue => failing::overdue(job, now),
        News::Found(Finding::Superseded(by)) => failing::cancelled(job, &format!("superseded by job {by}"), now),
        News::Found(Finding::Checked(checked)) => intake::checked(job, checked, now),
        News::Found(Finding::Planned(planned)) => planning::tasks::planned(job, planned, now),
        News::Found(Finding::Compared(compared)) => encoding::compared(job, compared, now),
        News::Found(Finding::Proved(proved)) => merging::proved(job, proved, now),
        News::Found(Finding::Published(published)) => completing::published(job, published, now),
        News::Found(Finding::Closed) => completing::closed(job),
    }
}

/// What is to be done for a job that waits for nobody but its coordinator.
pub fn effect(job: &Job) -> Option<Effect> {
    match &job.state {
        JobState::Accepted => Some(Effect::Check),
        JobState::Indexing(IndexStep::Awaited) => None,
        JobState::Indexing(IndexStep::Found | IndexStep::Disproved { .. }) => Some(Effect::Plan),
        JobState::Encoding(Encoding { encodes, audios, images, .. }) => {
            (encodes.is_full() && audios.is_full() && images.is_full()).then_some(Effect::Compare)
        }
        JobState::Merging(Merging { merges, .. }) => merges.is_full().then_some(Effect::Prove),
        JobState::Publishing(_) => Some(Effect::Publish),
        JobState::Completed(_) | JobState::Failed(_) | JobState::Cancelled(_) => {
            (job.state.closing() == Some(Closing::Open)).then_some(Effect::Close)
        }
    }
}

impl TaskChange {
    pub fn task(&self) -> TaskId {
        match self {
            Self::Create(task) => task.id,
            Self::Again(task) | Self::Drop(task) | Self::AgainBy { task, .. } => *task,
            Self::Order { task, .. } => *task,
        }
    }
}

impl Step {
    pub(crate) fn to(state: JobState) -> Self {
        Self { state, tasks: Vec::new(), outbox: Vec::new() }
    }

    pub(crate) fn with_tasks(self, tasks: Vec<TaskChange>) -> Self {
        Self { tasks, ..self }
    }

    /// The world is told of it.
    pub(crate) fn telling(self, announcement: Announcement) -> Self {
        Self { outbox: vec![announcement], ..self }
    }
}

/// Why news is refused that the job's state does not wait for.
pub(crate) fn out_of_place(job: &Job) -> Rejected {
    if job.state.has_ended() { Rejected::Terminal } else { Rejected::Stale }
}

#[cfg(test)]
mod tests;
