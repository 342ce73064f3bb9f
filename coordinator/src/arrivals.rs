//! Arrivals: an object that a trigger takes becomes a job, whoever told of it or found it.
//!
//! ```text
//! its storage is asked ─▶ Found ─▶ a job of an earlier version? ─▶ wish ─▶ inbox ─▶ barrier ─▶ Arrived
//! ```
//! Size, version and date are the storage's to say, tenant and names the trigger's. Nothing here is believed of a message
//! but that it is worth a look.

use std::sync::Arc;

use framefleet_common::adapters::blob::{Side, Stat};
use framefleet_common::ports::rows;
use framefleet_common::ports::store::{Commit, Row, RowKey, Shard, StoreError};
use framefleet_common::ports::txn::Txn;
use framefleet_model::event::{UploadKey, UploadKind};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::JobId;
use framefleet_model::job::{Job, JobState};
use framefleet_model::plan::SourceFacts;
use framefleet_model::time::StoreTime;
use framefleet_model::trigger::{Found, Trigger, Wish};

use crate::flow::sweeping::Watch;
use crate::inbox::{Asker, Inbox, Origin, Resolved, Submission, Submitted};

const CONFLICTS_MAX: u32 = 64;

pub(crate) struct Arrivals {
    pub(crate) inbox: Inbox,
    pub(crate) triggers: Arc<[Trigger]>,
}

/// An object that a trigger takes.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) trigger: &'a Trigger,
    pub(crate) key: &'a UploadKey,
    /// `None`: nobody said.
    pub(crate) kind: Option<UploadKind>,
    pub(crate) origin: Origin,
    pub(crate) asked: &'a Asker,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arrived {
    /// It has this job, from now on or already.
    Job(JobId, Submitted),
    /// It is not there any more.
    Gone,
    /// No job can be made of it, and none ever could as it is.
    Unfit(String),
    /// More may be appended: it has not been left alone for long enough.
    Unquiet { until: StoreTime },
}

impl Arrivals {
    /// What cannot be known now is an error, and worth another try.
    pub(crate) async fn arrive(&self, arrival: Arrival<'_>) -> Result<Arrived, Fault> {
        let Arrival { trigger, key, kind, origin, asked } = arrival;
        let url = trigger.url(key);
        let stat = match self.stat(&url).await {
            Ok(stat) => stat,
            Err(fault) => return refusal(fault),
        };
        // What was only found may be one that is appended to.
        if kind.is_none_or(|kind| kind == UploadKind::Append) && trigger.quiet_ms > 0 {
            let until = StoreTime(stat.modified.0).after_ms(trigger.quiet_ms);
            if until > self.now().await? {
                return Ok(Arrived::Unquiet { until });
            }
        }
        let source = SourceFacts { url, size: stat.facts.size, version: stat.facts.version };
        let Wish { id, request, terms, cause } =
            match trigger.wish(&Found { source: source.clone(), modified: stat.modified }) {
                Ok(wish) => wish,
                Err(unfit) => return Ok(Arrived::Unfit(unfit.to_string())),
            };
        let (watch, _) = self.watch(trigger).await?;
        if let Some(earlier) = self.earlier(&job_ids(trigger, &watch, &source), (&id, origin)).await? {
            return Ok(Arrived::Job(earlier, Submitted::Ended));
        }
        let request = match self.inbox.with_images(&request).await {
            Ok(request) => request,
            Err(fault) => return refusal(fault),
        };
        let submission = Submission { terms, origin, asked: asked.clone(), ..Submission::of(request.clone()) };
        let resolved = Resolved { id, source, request, cause: Some(cause) };
        let (id, submitted) = self.inbox.enter(resolved, &submission).await?;
        Ok(Arrived::Job(id, submitted))
    }

    pub(crate) async fn stat(&self, url: &str) -> Result<Stat, Fault> {
        self.inbox.storages.object(url, Side::Source)?.stat().await
    }

    /// What is kept of a trigger, with the versions that it has now.
    pub(crate) async fn watch(&self, trigger: &Trigger) -> Result<(Watch, Row), Fault> {
        let key = row_of(trigger);
        for _ in 0..CONFLICTS_MAX {
            let loaded = self.inbox.store.load(std::slice::from_ref(&key)).await?;
            let row = loaded.rows.into_iter().next().flatten();
            let known: Option<Watch> = row.as_ref().map(|row| rows::from_row(&key, row)).transpose()?;
            let wanted = match (&known, row) {
                (None, _) | (_, None) => (Watch::new(trigger, loaded.now), None),
                (Some(known), Some(row)) => match known.with(trigger) {
                    None => return Ok((known.clone(), row)),
                    Some(more) => (more, Some(row)),
                },
            };
            let (wanted, row) = wanted;
            let txn =
                Txn::new(Shard::GLOBAL).expect(&key, row.map(|row| row.version)).put(&key, rows::to_bytes(&wanted));
            // Whatever came of it, the next look says how things stand.
            drop::<Commit>(self.inbox.store.commit(txn).await?);
        }
        let text = format!("{CONFLICTS_MAX} conflicts in a row over trigger {}", trigger.name);
        Err(StoreError::Unavailable(text).into())
    }

    /// `None`: somebody else was faster.
    pub(crate) async fn keep(
        &self,
        trigger: &Trigger,
        (watch, row): (&Watch, &Row),
    ) -> Result<Option<Row>, StoreError> {
        let (key, bytes) = (row_of(trigger), rows::to_bytes(watch));
        let txn = Txn::new(Shard::GLOBAL).replace(&key, row.version, bytes.clone());
        Ok(match self.inbox.store.commit(txn).await? {
            Commit::Committed(committed) => Some(Row { version: committed.version, bytes: bytes.into() }),
            Commit::Conflict => None,
        })
    }

    pub(crate) async fn now(&self) -> Result<StoreTime, StoreError> {
        Ok(self.inbox.store.load(&[]).await?.now)
    }

    /// A job of the same source through a version that the trigger had before: a source has one job, whatever became of
    /// the configuration while it was told of. What was uploaded again after that job had ended in vain is for the version
    /// of now.
    async fn earlier(&self, ids: &[JobId], (id, origin): (&JobId, Origin)) -> Result<Option<JobId>, Fault> {
        let earlier: Vec<&JobId> = ids.iter().filter(|known| *known != id).collect();
        let keys: Vec<RowKey> = earlier.iter().map(|id| rows::job_row(id)).collect();
        if keys.is_empty() {
            return Ok(None);
        }
        for (key, row) in keys.iter().zip(self.inbox.store.load(&keys).await?.rows) {
            let Some(job) = row.map(|row| rows::from_row::<Job>(key, &row)).transpose()? else { continue };
            let ended_in_vain = match &job.state {
                JobState::Failed(end) => Some(end.at),
                JobState::Cancelled(end) => Some(end.at),
                JobState::Accepted
                | JobState::Indexing(_)
                | JobState::Encoding(_)
                | JobState::Merging(_)
                | JobState::Publishing(_)
                | JobState::Completed(_) => None,
            };
            let is_over = matches!((origin, ended_in_vain), (Origin::Event { at }, Some(end)) if at > end);
            if !is_over {
                return Ok(Some(job.id));
            }
        }
        Ok(None)
    }
}

/// Every job that a source in this state may have by its trigger.
pub(crate) fn job_ids(trigger: &Trigger, watch: &Watch, source: &SourceFacts) -> Vec<JobId> {
    watch.versions.iter().map(|version| trigger.job_id(source, version)).collect()
}

/// A trigger is the same as long as it takes the same.
fn row_of(trigger: &Trigger) -> RowKey {
    let Trigger { name, place, prefix, suffix, .. } = trigger;
    rows::trigger(&[name.as_str(), &place.url(), prefix, suffix].join("\n"))
}

/// What a look at an object or at what belongs to its job ended with.
fn refusal(fault: Fault) -> Result<Arrived, Fault> {
    match fault.kind {
        FaultKind::SourceMissing => Ok(Arrived::Gone),
        FaultKind::SourceUnreadable | FaultKind::SourceChanged | FaultKind::Settings => {
            Ok(Arrived::Unfit(fault.message))
        }
        _ => Err(fault),
    }
}
