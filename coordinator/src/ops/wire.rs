//! What is asked and answered over HTTP. Times are milliseconds; those of the store count from 1970.

use std::collections::BTreeMap;

use framefleet_common::roster::{Phase, Seen};
use framefleet_model::fault::{Fault, FaultKind, Retry, Whose};
use framefleet_model::job::{Job, JobState};
use framefleet_model::step::life::{StepRow, StepState};
use framefleet_model::time::{MediaTime, StoreTime};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::events::moment;
use crate::inbox::Submitted;
use crate::letters::{Content, Letter};
use crate::ops::{Count, JobView};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmittedJson {
    pub job: String,
    /// new, joined, again, done or ended.
    pub submitted: String,
}

/// A job in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobJson {
    pub id: String,
    pub generation: u32,
    pub state: String,
    pub tenant: String,
    pub priority: String,
    pub source: String,
    /// The trigger that wanted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// The version of the pipeline that it goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    pub created_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// Why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<FaultJson>,
}

/// A job by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewJson {
    #[serde(flatten)]
    pub job: JobJson,
    /// Names this state of the job: the same at every coordinator.
    pub version: String,
    /// Nothing more will happen to it.
    pub over: bool,
    pub segments: CountJson,
    pub sounds: CountJson,
    pub merges: CountJson,
    pub encoded_ms: i64,
    pub length_ms: i64,
    pub running: Vec<RunningJson>,
    /// What happens once it has ended; of earlier generations as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepJson>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CountJson {
    pub done: u32,
    pub total: u32,
}

/// A step of a generation that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepJson {
    pub generation: u32,
    /// webhook, sql or cdn_prefetch, and the name of its target.
    pub name: String,
    /// waiting, done or dead.
    pub state: String,
    /// Since the job ended, or the step was last asked for again or came a part further.
    pub tries: u32,
    /// When it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_ms: Option<i64>,
    /// When it was done or given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// What came of the last try that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An attempt under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunningJson {
    pub task: String,
    pub worker: String,
    pub since_ms: i64,
    /// How far it is in the film.
    pub position_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FaultJson {
    pub code: u16,
    pub name: String,
    /// input, destination or ours.
    pub whose: String,
    pub retried: bool,
    pub message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ListJson {
    pub jobs: Vec<JobJson>,
    /// What to ask for as `after` to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LetterJson {
    pub id: String,
    pub at_ms: i64,
    /// What was given up: `<job>/<task>`, `<job>/<generation> <step>`, or the queue of a message.
    pub what: String,
    pub why: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// A message's text, cut where it is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LettersJson {
    pub letters: Vec<LetterJson>,
    /// What to ask for as `after` to go on; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkerJson {
    pub name: String,
    pub build: String,
    /// working, draining or silent.
    pub state: String,
    pub slots: BTreeMap<String, u32>,
    pub busy: BTreeMap<String, u32>,
    pub heard_ms: i64,
}

/// An error as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    #[schema(schema_with = code)]
    pub code: u16,
    pub whose: String,
    pub retried: bool,
}

impl From<&Fault> for FaultJson {
    fn from(fault: &Fault) -> Self {
        Self {
            code: fault.kind.code(),
            name: fault.kind.name().to_owned(),
            whose: whose(fault).to_owned(),
            retried: fault.kind.retry() != Retry::Never,
            message: fault.message.clone(),
            evidence: fault.evidence.clone(),
        }
    }
}

/// The number of a fault.
fn code() -> Object {
    let numbers = FaultKind::ALL.iter().map(|kind| kind.code());
    let described = FaultKind::ALL.iter().map(|kind| format!("{} {}", kind.code(), kind.name()));
    let described = format!("Numbers that are never given anew: {}.", described.collect::<Vec<_>>().join(", "));
    let code = ObjectBuilder::new().schema_type(Type::Integer).enum_values(Some(numbers));
    code.description(Some(described)).build()
}

pub(crate) fn whose(fault: &Fault) -> &'static str {
    match fault.kind.whose() {
        Whose::Input => "input",
        Whose::Destination => "destination",
        Whose::Ours => "ours",
    }
}

impl From<&Job> for JobJson {
    fn from(job: &Job) -> Self {
        let (ended, reason, fault) = match &job.state {
            JobState::Completed(end) => (Some(end.at), None, None),
            JobState::Failed(end) => (Some(end.at), None, Some(FaultJson::from(&end.fault))),
            JobState::Cancelled(end) => (Some(end.at), Some(end.reason.clone()), None),
            JobState::Accepted
            | JobState::Indexing(_)
            | JobState::Encoding(_)
            | JobState::Merging(_)
            | JobState::Publishing(_) => (None, None, None),
        };
        Self {
            id: job.id.to_string(),
            generation: job.generation,
            state: job.state.name().to_owned(),
            tenant: job.terms.tenant.to_string(),
            priority: job.terms.priority.name().to_owned(),
            source: job.source.url.clone(),
            trigger: job.cause.as_ref().and_then(|cause| cause.trigger.clone()),
            pipeline: job.cause.as_ref().map(|cause| cause.pipeline.to_string()),
            created_ms: job.created.ms(),
            deadline_ms: job.deadline().map(|at| at.ms()),
            ended_ms: ended.map(|at| at.ms()),
            reason,
            fault,
        }
    }
}

impl From<&JobView> for ViewJson {
    fn from(view: &JobView) -> Self {
        let running = view.running.iter().map(|running| RunningJson {
            task: running.task.to_string(),
            worker: running.worker.clone(),
            since_ms: running.since.ms(),
            position_ms: millis(running.progress.position),
        });
        Self {
            job: (&view.job).into(),
            version: format!("{:016x}", view.version.0),
            over: view.is_over(),
            segments: view.segments.into(),
            sounds: view.sounds.into(),
            merges: view.merges.into(),
            encoded_ms: millis(view.encoded),
            length_ms: millis(view.length),
            running: running.collect(),
            steps: view.steps.iter().map(StepJson::from).collect(),
        }
    }
}

impl From<&StepRow> for StepJson {
    fn from(row: &StepRow) -> Self {
        let (state, next, ended) = match row.state {
            StepState::Waiting { due } => ("waiting", Some(due), None),
            StepState::Done { at } => ("done", None, Some(at)),
            StepState::Dead { at } => ("dead", None, Some(at)),
        };
        Self {
            generation: row.generation,
            name: row.step.to_string(),
            state: state.to_owned(),
            tries: row.tries,
            next_ms: next.map(StoreTime::ms),
            ended_ms: ended.map(StoreTime::ms),
            error: row.tried.last().map(|tried| tried.why.clone()),
        }
    }
}

impl From<Count> for CountJson {
    fn from(Count { done, total }: Count) -> Self {
        Self { done, total }
    }
}

impl From<&Letter> for LetterJson {
    fn from(letter: &Letter) -> Self {
        let (what, why, evidence, body) = match &letter.content {
            Content::Task { job, task, fault, .. } => {
                (format!("{job}/{task}"), fault.to_string(), fault.evidence.clone(), None)
            }
            Content::Step { job, generation, step, tried, .. } => {
                let lines = tried.iter().map(|tried| format!("{}: {}", moment(tried.at), tried.why));
                let why = tried.last().map(|tried| tried.why.clone()).unwrap_or_default();
                (format!("{job}/{generation} {step}"), why, lines.collect(), None)
            }
            Content::Message { queue, reason, body, bytes } => {
                (queue.clone(), format!("{reason}, {bytes} bytes"), Vec::new(), Some(body.clone()))
            }
        };
        Self { id: letter.id.clone(), at_ms: letter.at.ms(), what, why, evidence, body }
    }
}

impl From<&Seen> for WorkerJson {
    fn from(seen: &Seen) -> Self {
        let state = match seen.worker.phase {
            _ if !seen.is_live() => "silent",
            Phase::Working => "working",
            Phase::Draining => "draining",
        };
        let worker = &seen.worker;
        Self {
            name: worker.name.clone(),
            build: worker.build.clone(),
            state: state.to_owned(),
            slots: worker.slots.clone(),
            busy: worker.busy.clone(),
            heard_ms: seen.at.ms(),
        }
    }
}

impl SubmittedJson {
    pub(crate) fn new(job: String, submitted: Submitted) -> Self {
        let submitted = match submitted {
            Submitted::New => "new",
            Submitted::Joined => "joined",
            Submitted::Again => "again",
            Submitted::Done => "done",
            Submitted::Ended => "ended",
        };
        Self { job, submitted: submitted.to_owned() }
    }
}

pub(crate) fn millis(time: MediaTime) -> i64 {
    time.ns() / 1_000_000
}
