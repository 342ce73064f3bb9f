//! A job's row: what it waits for, and no more than that needs. Results live in task rows; index, plan and ledger are
//! objects.
//!
//! ```text
//!                 ┌─ once, uncut ──┐
//!                 ▼                │
//! Accepted ─▶ Indexing ─▶ Encoding ─▶ Merging ─▶ Publishing ─▶ Completed
//!     └───────────┴───────────┴───────────┴───────────┴─▶ Failed
//!     └───────────┴───────────┴───────────┴─▶ Cancelled
//! ```

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::id::{Digest, JobId, Nonce, TaskId};
use crate::pipeline::Request;
use crate::plan::SourceFacts;
use crate::step::Step;
use crate::tally::Tally;
use crate::terms::Terms;
use crate::time::StoreTime;
use crate::trace::JobTrace;
use crate::trigger::Cause;

pub const JOB_VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub version: u32,
    pub id: JobId,
    /// Which asking for the same: a job that failed or was cancelled may be asked for again.
    pub generation: u32,
    pub created: StoreTime,
    pub source: SourceFacts,
    #[serde(default)]
    pub terms: Terms,
    /// The pipeline that it goes through, and the trigger that wanted it, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Its place in a trace, where anybody traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<JobTrace>,
    /// What happens once it has ended, as it was accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// When its destinations had been looked at and work began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<StoreTime>,
    /// CPU time of the attempts whose results it took.
    #[serde(default)]
    pub cpu_ms: u64,
    pub state: JobState,
}

/// A job as it was accepted, kept beside its other objects: enough to take it up again in an empty store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub version: u32,
    pub id: JobId,
    pub generation: u32,
    pub created: StoreTime,
    pub source: SourceFacts,
    pub terms: Terms,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    pub request: Request,
}

/// What a job waits for. An ended job accepts nothing more; asking again is its next generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// A look at its destinations.
    Accepted,
    /// Its index, then the plan made of it.
    Indexing(IndexStep),
    /// Its segments and its sound, then that their headers agree.
    Encoding(Encoding),
    /// Its outputs, then the ledger that proves them.
    Merging(Merging),
    /// That its outputs stand at their final keys.
    Publishing(Publishing),
    Completed(Completed),
    Failed(Failed),
    Cancelled(Cancelled),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexStep {
    Awaited,
    Found,
    /// This plan with cuts did not prove, for this reason: the film is planned once more, as one segment.
    Disproved {
        plan: Digest,
        fault: Fault,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoding {
    pub plan: Digest,
    pub encodes: Tally,
    pub audios: Tally,
    #[serde(default)]
    pub images: Tally,
    /// A merge that began early may be done before the headers were compared.
    pub merges: Tally,
    /// What older builds read in place of `encoded_again`, and cannot do without.
    #[serde(default)]
    pub headers: Headers,
    /// How often segments were encoded again because their headers differed from the others'.
    #[serde(default)]
    pub encoded_again: u8,
}

/// Whether segments were encoded again because their headers differed from most others'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Headers {
    #[default]
    FirstTime,
    EncodedAgain,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merging {
    pub plan: Digest,
    pub merges: Tally,
    /// Into how many the film was cut.
    #[serde(default)]
    pub segments: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publishing {
    pub plan: Digest,
    pub ledger: Digest,
    pub merges: u32,
    #[serde(default)]
    pub segments: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed {
    pub at: StoreTime,
    pub plan: Digest,
    pub ledger: Digest,
    pub closing: Closing,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub at: StoreTime,
    pub fault: Fault,
    /// The task that failed, where one did.
    pub task: Option<TaskId>,
    /// The plan that was in force.
    #[serde(default)]
    pub plan: Option<Digest>,
    pub closing: Closing,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    pub at: StoreTime,
    pub reason: String,
    /// The plan that was in force.
    #[serde(default)]
    pub plan: Option<Digest>,
    pub closing: Closing,
}

/// Whether what an ended job left half-made has been removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Closing {
    Open,
    Closed,
}

/// News for a job, left in its mailbox or found during its turn. What is told of a task is told of it as part of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Report {
    Settled {
        task: TaskId,
        nonce: Nonce,
        plan: Option<Digest>,
        /// CPU time that the result took.
        #[serde(default)]
        cpu_ms: u64,
    },
    Dead {
        task: TaskId,
        fault: Fault,
        plan: Option<Digest>,
    },
    Cancel {
        reason: String,
    },
}

/// A report as it lies in the mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    pub version: u32,
    /// The generation that it is news for.
    pub generation: u32,
    pub report: Report,
}

impl Job {
    pub fn new(id: JobId, source: SourceFacts, created: StoreTime) -> Self {
        let (version, generation, terms) = (JOB_VERSION, 1, Terms::default());
        let (cause, trace, steps, started, cpu_ms, state) = (None, None, Vec::new(), None, 0, JobState::Accepted);
        Self { version, id, generation, created, source, terms, cause, trace, steps, started, cpu_ms, state }
    }

    pub fn because_of(self, cause: Option<Cause>) -> Self {
        Self { cause, ..self }
    }

    pub fn traced(self, trace: Option<JobTrace>) -> Self {
        Self { trace, ..self }
    }

    pub fn with_steps(self, steps: Vec<Step>) -> Self {
        Self { steps, ..self }
    }

    pub fn on(self, terms: Terms) -> Self {
        Self { terms, ..self }
    }

    /// The same job asked for again, on terms of its own.
    pub fn next_generation(&self, terms: Terms, now: StoreTime) -> Self {
        let generation = self.generation.saturating_add(1);
        let (trace, started, cpu_ms, state) = (None, None, 0, JobState::Accepted);
        Self { generation, created: now, terms, trace, started, cpu_ms, state, ..self.clone() }
    }

    /// By when it must have ended.
    pub fn deadline(&self) -> Option<StoreTime> {
        self.terms.deadline_ms.map(|ms| self.created.after_ms(ms))
    }

    /// It must have ended by now and has not.
    pub fn is_overdue(&self, now: StoreTime) -> bool {
        !self.state.has_ended() && self.deadline().is_some_and(|deadline| deadline <= now)
    }
}

impl JobState {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Indexing(_) => "indexing",
            Self::Encoding(_) => "encoding",
            Self::Merging(_) => "merging",
            Self::Publishing(_) => "publishing",
            Self::Completed(_) => "completed",
            Self::Failed(_) => "failed",
            Self::Cancelled(_) => "cancelled",
        }
    }

    pub fn has_ended(&self) -> bool {
        self.closing().is_some()
    }

    pub fn ended_at(&self) -> Option<StoreTime> {
        match self {
            Self::Accepted | Self::Indexing(_) | Self::Encoding(_) | Self::Merging(_) | Self::Publishing(_) => None,
            Self::Completed(end) => Some(end.at),
            Self::Failed(end) => Some(end.at),
            Self::Cancelled(end) => Some(end.at),
        }
    }

    /// `None` as long as the job has not ended.
    pub fn closing(&self) -> Option<Closing> {
        match self {
            Self::Accepted | Self::Indexing(_) | Self::Encoding(_) | Self::Merging(_) | Self::Publishing(_) => None,
            Self::Completed(end) => Some(end.closing),
            Self::Failed(end) => Some(end.closing),
            Self::Cancelled(end) => Some(end.closing),
        }
    }

    /// The plan in force, once there is one; of a job that ended, the last.
    pub fn plan(&self) -> Option<&Digest> {
        match self {
            Self::Encoding(state) => Some(&state.plan),
            Self::Merging(state) => Some(&state.plan),
            Self::Publishing(state) => Some(&state.plan),
            Self::Completed(end) => Some(&end.plan),
            Self::Failed(end) => end.plan.as_ref(),
            Self::Cancelled(end) => end.plan.as_ref(),
            Self::Accepted | Self::Indexing(_) => None,
        }
    }
}
