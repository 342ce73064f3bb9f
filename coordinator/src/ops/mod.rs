//! What users ask of a fleet: the command line and the HTTP API share these.

/// The operations on a fleet's own store.
pub mod fleet;
/// The operations over HTTP.
pub mod http;
/// Which jobs are on a page.
mod listing;
/// Pipelines as users see them.
pub mod pipelines;
/// A plan as programs are shown it.
pub mod planned;
/// What is asked and answered over HTTP, as JSON.
pub mod wire;

use std::collections::BTreeSet;

use async_trait::async_trait;
use framefleet_common::ports::store::{Entry, Version};
use framefleet_common::roster;
use framefleet_model::fault::Fault;
use framefleet_model::id::{JobId, TaskId};
use framefleet_model::job::{Closing, Job};
use framefleet_model::ledger::Ledger;
use framefleet_model::plan::Plan;
use framefleet_model::step::life::StepRow;
use framefleet_model::task::Progress;
use framefleet_model::terms::Tenant;
use framefleet_model::time::{MediaTime, StoreTime};

use crate::inbox::{Submission, Submitted};
use crate::letters::Letter;
use crate::preview::Preview;

#[async_trait]
pub trait Ops: Send + Sync {
    async fn submit(&self, submission: &Submission) -> Result<(JobId, Submitted), Fault>;

    /// Jobs, the youngest first, page by page.
    async fn list(&self, page: &Page) -> Result<Listed, Fault>;

    /// `None`: there is no such job.
    async fn show(&self, id: &JobId) -> Result<Option<JobView>, Fault>;

    /// Waits until the job looks otherwise than `seen`, or a moment has passed.
    async fn watch(&self, id: &JobId, seen: Option<&JobView>) -> Result<Option<JobView>, Fault>;

    /// Asks for the job's end; it is cancelled only when its state says so.
    async fn cancel(&self, id: &JobId, reason: &str) -> Result<(), Fault>;

    /// Begins the next generation of a job that failed or was cancelled.
    async fn retry(&self, id: &JobId) -> Result<Submitted, Fault>;

    /// The plan that a job of this submission would get, without any job.
    async fn preview(&self, submission: &Submission) -> Result<Preview, Fault>;

    /// The plan of a job that has one.
    async fn plan(&self, id: &JobId) -> Result<Option<Plan>, Fault>;

    /// The proof of a job that has been proved.
    async fn ledger(&self, id: &JobId) -> Result<Option<Ledger>, Fault>;

    /// What was given up, the youngest first, page by page.
    async fn dead(&self, page: &LetterPage) -> Result<ListedLetters, Fault>;

    /// `None`: there is no such letter.
    async fn letter(&self, id: &str) -> Result<Option<Letter>, Fault>;

    /// Tries again what the letter is about, and throws the letter away.
    async fn retry_letter(&self, id: &str) -> Result<(), Fault>;

    /// Throws the letter away; one that is not there is thrown away already.
    async fn drop_letter(&self, id: &str) -> Result<(), Fault>;

    /// The workers that were heard within the hour.
    async fn workers(&self) -> Result<Vec<roster::Seen>, Fault>;
}

/// Which jobs are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only jobs in the state of this name.
    pub state: Option<String>,
    /// Only these tenants'.
    pub tenants: Option<BTreeSet<Tenant>>,
    /// Only of sources whose URL begins so.
    pub source: Option<String>,
    pub created: Created,
    pub limit: usize,
    /// Where an earlier page ended.
    pub after: Option<Entry>,
}

/// When a job was created: from one moment on, and before another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Created {
    pub from: Option<StoreTime>,
    pub until: Option<StoreTime>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub jobs: Vec<Job>,
    /// Where the next page begins; `None`: there are no more.
    pub next: Option<Entry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterPage {
    pub limit: usize,
    /// Where an earlier page ended.
    pub after: Option<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedLetters {
    pub letters: Vec<Letter>,
    /// Where the next page begins; `None`: there are no more.
    pub next: Option<Entry>,
}

/// A job as its users see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobView {
    pub job: Job,
    /// Of the job's row: the same at every coordinator.
    pub version: Version,
    pub now: StoreTime,
    pub segments: Count,
    pub sounds: Count,
    pub merges: Count,
    /// Media time that is encoded, and all there is to encode.
    pub encoded: MediaTime,
    pub length: MediaTime,
    /// Attempts under way.
    pub running: Vec<Running>,
    /// Of all generations that have ended, in order.
    pub steps: Vec<StepRow>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub done: u32,
    pub total: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub task: TaskId,
    pub worker: String,
    pub since: StoreTime,
    pub progress: Progress,
}

impl JobView {
    /// Nothing more will happen to it, and nothing half-made is left.
    pub fn is_over(&self) -> bool {
        self.job.state.closing() == Some(Closing::Closed)
    }
}
