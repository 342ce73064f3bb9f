//! The operations on a fleet's own store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::board::deliver;
use framefleet_common::ports::rows::{self, StepRef, TaskRef};
use framefleet_common::ports::store::{Commit, Peek, Scan, Sequence, Shard, StoreError, Version};
use framefleet_common::ports::txn::Txn;
use framefleet_common::roster::{self, Roster};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, JobId, TaskId};
use framefleet_model::job::{Job, JobState, Report};
use framefleet_model::key::ObjectKey;
use framefleet_model::ledger::Ledger;
use framefleet_model::plan::Plan;
use framefleet_model::tally::Tally;
use framefleet_model::time::{MediaTime, StoreTime};
use tokio::sync::Mutex;

use crate::effects::{Effects, internal};
use crate::inbox::{Inbox, Submission, Submitted};
use crate::letters::{self, Content, Letter};
use crate::ops::{Count, JobView, LetterPage, Listed, ListedLetters, Ops, Page, Running, listing};
use crate::preview::{Preview, Previews};
use crate::steps;
use crate::uploads::Uploads;

/// How long a lost wake-up can delay a watcher.
const POLL: Duration = Duration::from_millis(500);
const TASKS_MAX: usize = 4096;
const MAIL_MAX: usize = 65_536;
/// How often in a row a store may forget what it was told.
const TELLINGS_MAX: u32 = 8;

/// Operations on the fleet's own store.
pub struct FleetOps {
    effects: Effects,
    inbox: Inbox,
    uploads: Uploads,
    previews: Previews,
    /// The plan last shown: plans are immutable, and watchers ask again and again.
    plan: Mutex<Option<(JobId, Digest, Arc<Plan>)>>,
}

struct Found {
    job: Job,
    version: Version,
    now: StoreTime,
}

impl FleetOps {
    pub(crate) fn new(effects: Effects, (inbox, uploads): (Inbox, Uploads), previews: Previews) -> Self {
        Self { effects, inbox, uploads, previews, plan: Mutex::default() }
    }

    async fn job(&self, id: &JobId) -> Result<Option<Found>, Fault> {
        let key = rows::job_row(id);
        let loaded = self.effects.store.load(std::slice::from_ref(&key)).await?;
        let Some(row) = loaded.rows.into_iter().next().flatten() else { return Ok(None) };
        Ok(Some(Found { job: rows::from_row(&key, &row)?, version: row.version, now: loaded.now }))
    }

    async fn found(&self, id: &JobId) -> Result<Found, Fault> {
        self.job(id).await?.ok_or_else(|| Fault::new(FaultKind::Missing, format!("there is no job {id}")))
    }

    async fn is_in_mail(&self, id: &JobId, told: Option<Sequence>) -> Result<bool, StoreError> {
        let peek = Peek { queue: rows::mailbox(id), after: None, limit: MAIL_MAX };
        let mail = self.effects.store.peek(peek).await?;
        Ok(mail.iter().any(|message| Some(message.sequence) == told))
    }

    async fn shown_plan(&self, job: &Job) -> Result<Option<Arc<Plan>>, Fault> {
        let Some(digest) = job.state.plan() else { return Ok(None) };
        let mut shown = self.plan.lock().await;
        match &*shown {
            Some((id, known, plan)) if *id == job.id && known == digest => Ok(Some(plan.clone())),
            Some(_) | None => {
                let plan = Arc::new(self.effects.plan_by(job, digest).await?);
                *shown = Some((job.id.clone(), digest.clone(), plan.clone()));
                Ok(Some(plan))
            }
        }
    }

    /// Attempts under way are those whose leases somebody watches.
    async fn running(&self, job: &Job) -> Result<Vec<Running>, Fault> {
        let shard = Shard::of(&job.id);
        let due = self.effects.store.scan(Scan::all(rows::due(shard), TASKS_MAX)).await?.entries;
        let refs = due.iter().filter_map(|entry| entry.member.parse::<TaskRef>().ok());
        let ids: Vec<TaskId> = refs.filter(|at| at.job == job.id).map(|at| at.task).collect();
        let tasks = self.effects.tasks(job, &ids).await?;
        let mut running: Vec<Running> = tasks
            .iter()
            .flatten()
            .filter_map(|task| {
                let lease = task.lease()?;
                let (worker, since, progress) = (lease.worker.clone(), lease.since, lease.progress);
                Some(Running { task: task.id, worker, since, progress })
            })
            .collect();
        running.sort_by_key(|running| running.task);
        Ok(running)
    }

    async fn view(&self, found: Found) -> Result<JobView, Fault> {
        let Found { job, version, now } = found;
        let plan = self.shown_plan(&job).await?;
        let running = if job.state.has_ended() { Vec::new() } else { self.running(&job).await? };
        let all = |total: usize| Count { done: 0, total: u32::try_from(total).unwrap_or(u32::MAX) };
        let full = |count: Count| Count { done: count.total, ..count };
        let (segments, sounds, merges) = plan.as_ref().map_or_else(Default::default, |plan| {
            (all(plan.segments.len()), all(plan.sounds().len()), all(plan.outputs.len()))
        });
        let length = plan.as_ref().map_or(MediaTime::ZERO, |plan| encoded(plan, |_| true));
        let (counts, done) = match &job.state {
            JobState::Accepted | JobState::Indexing(_) | JobState::Failed(_) | JobState::Cancelled(_) => {
                ((segments, sounds, merges), MediaTime::ZERO)
            }
            JobState::Encoding(state) => {
                let part = plan.as_ref().map_or(MediaTime::ZERO, |plan| encoded(plan, |n| state.encodes.has(n)));
                ((count(&state.encodes), count(&state.audios), count(&state.merges)), part)
            }
            JobState::Merging(state) => ((full(segments), full(sounds), count(&state.merges)), length),
            JobState::Publishing(_) | JobState::Completed(_) => ((full(segments), full(sounds), full(merges)), length),
        };
        let (segments, sounds, merges) = counts;
        let steps = steps::of_job(&*self.effects.store, &job.id).await?;
        Ok(JobView { job, version, now, segments, sounds, merges, encoded: done, length, running, steps })
    }
}

#[async_trait]
impl Ops for FleetOps {
    async fn submit(&self, submission: &Submission) -> Result<(JobId, Submitted), Fault> {
        self.inbox.submit(submission).await
    }

    async fn list(&self, page: &Page) -> Result<Listed, Fault> {
        listing::jobs(&*self.effects.store, page).await
    }

    async fn retry(&self, id: &JobId) -> Result<Submitted, Fault> {
        self.inbox.retry(id).await
    }

    async fn dead(&self, page: &LetterPage) -> Result<ListedLetters, Fault> {
        listing::letters(&*self.effects.store, page).await
    }

    async fn letter(&self, id: &str) -> Result<Option<Letter>, Fault> {
        Ok(letters::find(&*self.effects.store, id).await?)
    }

    async fn retry_letter(&self, id: &str) -> Result<(), Fault> {
        let letter = self.letter(id).await?;
        let letter = letter.ok_or_else(|| Fault::new(FaultKind::Missing, format!("there is no dead letter {id}")))?;
        match &letter.content {
            Content::Task { job, .. } => {
                self.inbox.retry(job).await?;
            }
            // Its letter goes as it begins anew: it may leave another at any moment.
            Content::Step { job, generation, number, .. } => {
                let at = StepRef { job: job.clone(), generation: *generation, number: *number };
                return steps::again(&*self.effects.store, &at, id).await;
            }
            Content::Message { .. } => self.uploads.read_again(&letter).await?,
        }
        self.drop_letter(id).await
    }

    async fn drop_letter(&self, id: &str) -> Result<(), Fault> {
        let Some(letter) = self.letter(id).await? else { return Ok(()) };
        let txn = letters::remove(Txn::new(letters::shard(&letter)), id);
        Ok(self.effects.store.commit(txn).await.map(drop::<Commit>)?)
    }

    async fn workers(&self) -> Result<Vec<roster::Seen>, Fault> {
        Ok(Roster::new(self.effects.store.clone()).all().await?)
    }

    async fn show(&self, id: &JobId) -> Result<Option<JobView>, Fault> {
        match self.job(id).await? {
            Some(found) => self.view(found).await.map(Some),
            None => Ok(None),
        }
    }

    async fn watch(&self, id: &JobId, seen: Option<&JobView>) -> Result<Option<JobView>, Fault> {
        let mut changes = self.effects.store.subscribe();
        self.effects.health.check()?;
        let view = self.show(id).await?;
        let same = |view: &JobView| seen.is_some_and(|seen| JobView { now: seen.now, ..view.clone() } == *seen);
        if view.as_ref().is_none_or(|view| view.is_over() || !same(view)) {
            return Ok(view);
        }
        tokio::select! {
            _ = changes.next() => {}
            () = self.effects.clock.sleep(POLL) => {}
        }
        self.show(id).await
    }

    async fn cancel(&self, id: &JobId, reason: &str) -> Result<(), Fault> {
        let mut told = None;
        for _ in 0..TELLINGS_MAX {
            let Found { job, now, .. } = self.found(id).await?;
            // Looked at after a barrier: before it, the store may have died and forgotten.
            let is_past = job.state.has_ended() || matches!(job.state, JobState::Publishing(_));
            if told.is_some() && (is_past || self.is_in_mail(id, told).await?) {
                return Ok(());
            }
            let txn = deliver(Txn::new(Shard::of(id)), &job, Report::Cancel { reason: reason.to_owned() }, now);
            match self.effects.store.commit(txn).await? {
                Commit::Committed(committed) => told = committed.sequences.first().copied(),
                Commit::Conflict => {
                    return Err(StoreError::Refused("a transaction without expectations conflicted".to_owned()).into());
                }
            }
            self.effects.store.barrier().await?;
        }
        let text = format!("the store forgot {TELLINGS_MAX} times that job {id} is to be cancelled");
        Err(Fault::new(FaultKind::StoreAway, text))
    }

    async fn preview(&self, submission: &Submission) -> Result<Preview, Fault> {
        self.previews.preview(submission).await
    }

    async fn plan(&self, id: &JobId) -> Result<Option<Plan>, Fault> {
        let Some(Found { job, .. }) = self.job(id).await? else { return Ok(None) };
        Ok(self.shown_plan(&job).await?.map(|plan| (*plan).clone()))
    }

    async fn ledger(&self, id: &JobId) -> Result<Option<Ledger>, Fault> {
        let Some(Found { job, .. }) = self.job(id).await? else { return Ok(None) };
        let digest = match &job.state {
            JobState::Publishing(state) => &state.ledger,
            JobState::Completed(end) => &end.ledger,
            JobState::Accepted
            | JobState::Indexing(_)
            | JobState::Encoding(_)
            | JobState::Merging(_)
            | JobState::Failed(_)
            | JobState::Cancelled(_) => return Ok(None),
        };
        let key = ObjectKey::ledger(id, digest);
        let bytes = self.effects.get(&key).await?;
        serde_json::from_slice(&bytes).map(Some).map_err(|e| internal(format!("{key} does not parse: {e}")))
    }
}

fn count(tally: &Tally) -> Count {
    Count { done: tally.done(), total: tally.total() }
}

/// The length of the segments of these numbers; where there are no pictures, nothing.
fn encoded(plan: &Plan, is_done: impl Fn(u32) -> bool) -> MediaTime {
    let done = plan.segments.iter().filter(|segment| is_done(segment.number));
    done.fold(MediaTime::ZERO, |sum, segment| sum + segment.span.len())
}
