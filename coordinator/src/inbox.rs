//! The inbox: what is asked for becomes a job, once.
//!
//! A job's id is a hash of its tenant, of the source as it is now and of all that is asked of it, or of a key that its caller
//! chose. No tenant's request finds another's job.
//! The same asked again is the same job: under way it goes on; ended in failure it is tried again as its next
//! generation, if whoever asks may ask for that.

use std::sync::Arc;

use bytes::Bytes;
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::adapters::blob::{Presence, Side, Stat};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows;
use framefleet_common::ports::store::{Commit, Row, Shard, Store};
use framefleet_common::ports::txn::Txn;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, JobId};
use framefleet_model::job::{Accepted, Closing, JOB_VERSION, Job, JobState};
use framefleet_model::key::ObjectKey;
use framefleet_model::pipeline::Request;
use framefleet_model::plan::SourceFacts;
use framefleet_model::terms::{Tenant, Terms};
use framefleet_model::time::StoreTime;
use framefleet_model::trace::TraceContext;
use framefleet_model::trigger::through::Through;
use framefleet_model::trigger::{Cause, Found, Unfit};
use framefleet_model::watermark::{IMAGE_BYTES_MAX, Mark};

use crate::events::JobEvent;
use crate::flow::Announcement;
use crate::observe::Observer;
use crate::{keyed, outbox};

const CONFLICTS_MAX: u32 = 64;
/// A request of a thousand outputs stays below.
const REQUEST_BYTES_MAX: u64 = 4 << 20;
/// So often at most does an event alone begin a job anew.
const GENERATIONS_BY_EVENT_MAX: u32 = 4;

/// What is asked for, on which terms, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    pub wanted: Wanted,
    pub terms: Terms,
    /// Names the job in place of source and request: the same key is the same job.
    pub key: Option<String>,
    pub origin: Origin,
    /// The trigger that wants it, if one does.
    pub cause: Option<Cause>,
    pub asked: Asker,
}

/// What is to be made of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Outputs(Request),
    /// What a pipeline says; only a look at the source tells what its outputs are called.
    Pipeline(Through),
}

/// What a submission comes to, its source and its images being as they are now.
pub(crate) struct Resolved {
    pub(crate) id: JobId,
    pub(crate) source: SourceFacts,
    pub(crate) request: Request,
    pub(crate) cause: Option<Cause>,
}

/// Where whoever asks says they are in a trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Asker {
    #[default]
    Unsaid,
    Within(TraceContext),
    Told(Heard),
}

/// A message that told of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub trace: Option<TraceContext>,
    pub queue: String,
    pub message: String,
    /// When it was taken, by the clock on the wall.
    pub begun_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody who wants it done: a job that failed is tried again.
    Command,
    /// A program that may ask twice without meaning it: a job that ended stays ended.
    Caller,
    /// Something was uploaded, at this moment: later than the end of a job that failed, it begins it anew.
    Event { at: StoreTime },
    /// It was found lying there: only what has no job yet gets one.
    Sweep,
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    New,
    /// The same job is under way.
    Joined,
    /// It failed or was cancelled, or its outputs are gone: its next generation begins.
    Again,
    /// It is completed, and its outputs stand where they should.
    Done,
    /// It failed or was cancelled, and only a retry begins it anew.
    Ended,
}

impl Submission {
    /// What somebody asks for who wants it done, on the usual terms.
    pub fn of(request: Request) -> Self {
        let (terms, origin, asked) = (Terms::default(), Origin::Command, Asker::Unsaid);
        Self { wanted: Wanted::Outputs(request), terms, key: None, origin, cause: None, asked }
    }

    pub(crate) fn source(&self) -> &str {
        match &self.wanted {
            Wanted::Outputs(request) => &request.source,
            Wanted::Pipeline(through) => &through.source,
        }
    }
}

pub(crate) struct Inbox {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) work: Root,
    pub(crate) storages: Storages,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Observer,
}

impl Inbox {
    pub(crate) async fn submit(&self, submission: &Submission) -> Result<(JobId, Submitted), Fault> {
        let resolved = self.resolve(submission).await?;
        if submission.key.is_some() {
            keyed::hold(self, &resolved, submission).await?;
        }
        self.enter(resolved, submission).await
    }

    /// Looks at the source, and names the job.
    pub(crate) async fn resolve(&self, submission: &Submission) -> Result<Resolved, Fault> {
        let found = self.found(submission.source()).await?;
        let tenant = &submission.terms.tenant;
        let keyed = submission.key.as_ref().map(|key| keyed::job_id(tenant, key));
        match &submission.wanted {
            Wanted::Outputs(request) => {
                let request = self.with_images(request).await?;
                let named = || match job_id(&request, &found.source) {
                    id if *tenant == Tenant::default() => id,
                    id => JobId::of_parts(&["tenant-1", tenant.as_str(), id.as_str()]),
                };
                let id = keyed.unwrap_or_else(named);
                Ok(Resolved { id, source: found.source, request, cause: submission.cause.clone() })
            }
            Wanted::Pipeline(through) => {
                let id = keyed.unwrap_or_else(|| through.job_id(tenant, &found.source));
                let unfit = |unfit: Unfit| Fault::new(FaultKind::Settings, unfit.to_string());
                let request = self.with_images(&through.request(&found, &id).map_err(unfit)?).await?;
                Ok(Resolved { id, source: found.source, request, cause: Some(through.cause()) })
            }
        }
    }

    /// What was looked at just now becomes a job, or is one already.
    pub(crate) async fn enter(&self, resolved: Resolved, submission: &Submission) -> Result<(JobId, Submitted), Fault> {
        let Resolved { id, source, request, cause } = resolved;
        for _ in 0..CONFLICTS_MAX {
            let (known, now) = self.known(&id).await?;
            let Some((job, row)) = known else {
                let job = Job::new(id.clone(), source.clone(), now).on(submission.terms.clone());
                let job = job.because_of(cause.clone());
                if self.accept(&job, (&request, &submission.asked), None).await? {
                    return Ok((id, Submitted::New));
                }
                continue;
            };
            let again = self.again(&job, (&request, submission.origin)).await?;
            if again != Submitted::Again {
                if self.is_kept(&id, job.generation).await? {
                    return Ok((id, again));
                }
                continue;
            }
            let next = job.next_generation(submission.terms.clone(), now).because_of(cause.clone());
            let next = Job { source: source.clone(), ..next };
            if self.accept(&next, (&request, &submission.asked), Some(&row)).await? {
                return Ok((id, Submitted::Again));
            }
        }
        Err(busy(&id))
    }

    /// The next generation of a job that failed or was cancelled, on its old terms.
    pub(crate) async fn retry(&self, id: &JobId) -> Result<Submitted, Fault> {
        for _ in 0..CONFLICTS_MAX {
            let (Some((job, row)), now) = self.known(id).await? else {
                return Err(Fault::new(FaultKind::Missing, format!("there is no job {id}")));
            };
            match job.state.closing() {
                None | Some(Closing::Open) => return Ok(Submitted::Joined),
                Some(Closing::Closed) if matches!(job.state, JobState::Completed(_)) => return Ok(Submitted::Done),
                Some(Closing::Closed) => {}
            }
            let request = self.accepted(id).await?.request;
            let next = job.next_generation(job.terms.clone(), now);
            if self.accept(&next, (&request, &Asker::Unsaid), Some(&row)).await? {
                return Ok(Submitted::Again);
            }
        }
        Err(busy(id))
    }

    /// Nobody is told of what a dying store could take back: whoever is told may forget it. Looked at after the barrier:
    /// before it, the store may have died and forgotten.
    async fn is_kept(&self, id: &JobId, generation: u32) -> Result<bool, Fault> {
        self.store.barrier().await?;
        Ok(self.known(id).await?.0.is_some_and(|(job, _)| job.generation >= generation))
    }

    pub(crate) async fn known(&self, id: &JobId) -> Result<(Option<(Job, Row)>, StoreTime), Fault> {
        let key = rows::job_row(id);
        let loaded = self.store.load(std::slice::from_ref(&key)).await?;
        let row = loaded.rows.into_iter().next().flatten();
        let known = row.map(|row| rows::from_row(&key, &row).map(|job| (job, row))).transpose()?;
        Ok((known, loaded.now))
    }

    pub(crate) async fn accepted(&self, id: &JobId) -> Result<Accepted, Fault> {
        let key = ObjectKey::request(id);
        let bytes = self.work.object(&key).read_all(REQUEST_BYTES_MAX).await?;
        let odd = |e| Fault::new(FaultKind::Internal, format!("{key} does not parse: {e}"));
        serde_json::from_slice(&bytes).map_err(odd)
    }

    /// `false`: somebody else was faster, or the store forgot.
    async fn accept(&self, job: &Job, (request, asked): (&Request, &Asker), row: Option<&Row>) -> Result<bool, Fault> {
        let trace = self.observer.place((&job.id, job.generation), asked);
        let job = &job.clone().with_steps(request.steps.clone()).traced(trace);
        let Job { id, generation, created, source, terms, cause, .. } = job.clone();
        let request = request.clone();
        let accepted = Accepted { version: JOB_VERSION, id, generation, created, source, terms, cause, request };
        // Accepted only once what was asked for is kept.
        self.work.object(&ObjectKey::request(&job.id)).put(Bytes::from(rows::to_bytes(&accepted))).await?;
        let (key, shard) = (rows::job_row(&job.id), Shard::of(&job.id));
        let txn = Txn::new(shard)
            .expect(&key, row.map(|row| row.version))
            .put(&key, rows::to_bytes(job))
            .index_set(&rows::jobs(shard), job.id.as_str(), rows::age(job.created))
            .index_remove(&rows::garbage(shard), job.id.as_str())
            .index_remove(&rows::retired(shard), job.id.as_str())
            .index_set(&rows::turns(shard), job.id.as_str(), job.created.ms())
            .append(&rows::outbox(shard), outbox::message(JobEvent::of(job, &Announcement::Accepted, job.created)));
        if self.store.commit(txn).await? == Commit::Conflict {
            return Ok(false);
        }
        let kept = self.is_kept(&job.id, job.generation).await?;
        if kept {
            self.observer.accepted(job, (asked, self.clock.epoch_ms()));
        }
        Ok(kept)
    }

    async fn again(&self, job: &Job, (request, origin): (&Request, Origin)) -> Result<Submitted, Fault> {
        let ended_at = match &job.state {
            JobState::Completed(end) if end.closing == Closing::Closed => return self.done(request, origin).await,
            JobState::Failed(end) if end.closing == Closing::Closed => end.at,
            JobState::Cancelled(end) if end.closing == Closing::Closed => end.at,
            // Being closed is being under way: what the next generation stages must not be swept with the last one's.
            JobState::Accepted
            | JobState::Indexing(_)
            | JobState::Encoding(_)
            | JobState::Merging(_)
            | JobState::Publishing(_)
            | JobState::Completed(_)
            | JobState::Failed(_)
            | JobState::Cancelled(_) => return Ok(Submitted::Joined),
        };
        let anew = match origin {
            Origin::Command => true,
            Origin::Caller => false,
            Origin::Event { at } => at > ended_at && job.generation < GENERATIONS_BY_EVENT_MAX,
            Origin::Sweep => false,
        };
        Ok(if anew { Submitted::Again } else { Submitted::Ended })
    }

    async fn done(&self, request: &Request, origin: Origin) -> Result<Submitted, Fault> {
        if origin == Origin::Command {
            for output in &request.outputs {
                if self.storages.object(&output.to, Side::Destination)?.presence().await? == Presence::Absent {
                    return Ok(Submitted::Again);
                }
            }
        }
        Ok(Submitted::Done)
    }

    /// Every image that marks pictures is the one that is there now.
    pub(crate) async fn with_images(&self, request: &Request) -> Result<Request, Fault> {
        let mut request = request.clone();
        let videos = request.outputs.iter_mut().filter_map(|output| output.video.as_mut());
        for watermark in videos.flat_map(|video| &mut video.watermarks) {
            if let Mark::Image { source, digest, .. } = &mut watermark.mark {
                let image = self.storages.object(source, Side::Source)?;
                let size = image.facts().await?.size;
                if size > IMAGE_BYTES_MAX {
                    let text = format!("the image {source} has {size} bytes, {IMAGE_BYTES_MAX} at most");
                    return Err(Fault::new(FaultKind::Settings, text));
                }
                let bytes = image.read_all(IMAGE_BYTES_MAX).await?;
                *digest = Some(Digest::of(&bytes));
            }
        }
        Ok(request)
    }

    /// The source as it is now; a source that changes under its job fails it.
    async fn found(&self, url: &str) -> Result<Found, Fault> {
        let Stat { facts, modified } = self.storages.object(url, Side::Source)?.stat().await?;
        if facts.size == 0 {
            return Err(Fault::new(FaultKind::Corrupt, format!("source {url} is empty: 0 bytes")));
        }
        Ok(Found { source: SourceFacts { url: url.to_owned(), size: facts.size, version: facts.version }, modified })
    }
}

pub(crate) fn busy(id: &JobId) -> Fault {
    Fault::new(FaultKind::StoreAway, format!("{CONFLICTS_MAX} conflicts in a row over job {id}"))
}

/// The id of the job that asks this of a source in this state.
pub fn job_id(request: &Request, source: &SourceFacts) -> JobId {
    let asked = serde_json::to_string(request).expect("a request has only string keys and finite numbers");
    JobId::of_parts(&["job-1", &source.url, &source.size.to_string(), &source.version, &asked])
}
