//! The inbox: what is asked for becomes a job, once.
//!
//! A job's id is a hash of the source as it is now and of all that is asked of it. The same asked again is the same
//! job: under way it goes on, ended in failure it is tried again as its next generation.

use std::sync::Arc;

use bytes::Bytes;
use framefleet_common::adapters::blob::{Object, Presence, Root, Side};
use framefleet_common::ports::rows;
use framefleet_common::ports::store::{Commit, Shard, Store, StoreError, Version};
use framefleet_common::ports::txn::Txn;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::JobId;
use framefleet_model::job::{Closing, Job, JobState};
use framefleet_model::key::ObjectKey;
use framefleet_model::pipeline::Request;
use framefleet_model::plan::SourceFacts;
use framefleet_model::time::StoreTime;

const CONFLICTS_MAX: u32 = 64;

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
}

pub(crate) struct Inbox {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) work: Root,
}

impl Inbox {
    pub(crate) async fn submit(&self, request: &Request) -> Result<(JobId, Submitted), Fault> {
        let source = source_facts(&request.source).await?;
        let id = job_id(request, &source);
        for _ in 0..CONFLICTS_MAX {
            let Some((submitted, generation)) = self.try_submit(&id, request, &source).await? else { continue };
            // Nobody is told of what a dying store could take back. Looked at after the barrier: before it, the store
            // may have died and forgotten.
            self.store.barrier().await?;
            if self.known(&id).await?.1.is_some_and(|(job, _)| job.generation >= generation) {
                return Ok((id, submitted));
            }
        }
        Err(Fault::new(FaultKind::StoreAway, format!("{CONFLICTS_MAX} conflicts in a row over job {id}")))
    }

    /// `None`: somebody else was faster.
    async fn try_submit(
        &self,
        id: &JobId,
        request: &Request,
        source: &SourceFacts,
    ) -> Result<Option<(Submitted, u32)>, Fault> {
        let key = rows::job_row(id);
        let (now, known) = self.known(id).await?;
        let (job, version, submitted) = match known {
            None => (Job::new(id.clone(), source.clone(), now), None, Submitted::New),
            Some((job, version)) => match again(&job, request).await? {
                Submitted::Again => (job.next_generation(now), Some(version), Submitted::Again),
                other @ (Submitted::New | Submitted::Joined | Submitted::Done) => {
                    return Ok(Some((other, job.generation)));
                }
            },
        };
        // Accepted only once what was asked for is kept.
        self.work.object(&ObjectKey::request(id)).put(Bytes::from(rows::to_bytes(request))).await?;
        let shard = Shard::of(id);
        let txn = Txn::new(shard)
            .expect(&key, version)
            .put(&key, rows::to_bytes(&job))
            .index_set(&rows::jobs(shard), id.as_str(), job.created.ms())
            .index_remove(&rows::garbage(shard), id.as_str())
            .index_set(&rows::turns(shard), id.as_str(), now.ms());
        match self.store.commit(txn).await? {
            Commit::Committed(_) => Ok(Some((submitted, job.generation))),
            Commit::Conflict => Ok(None),
        }
    }

    async fn known(&self, id: &JobId) -> Result<(StoreTime, Option<(Job, Version)>), StoreError> {
        let key = rows::job_row(id);
        let loaded = self.store.load(std::slice::from_ref(&key)).await?;
        let row = loaded.rows.into_iter().next().flatten();
        let known = row.map(|row| rows::from_row(&key, &row).map(|job| (job, row.version))).transpose()?;
        Ok((loaded.now, known))
    }
}

async fn again(job: &Job, request: &Request) -> Result<Submitted, Fault> {
    match job.state.closing() {
        // Being closed is being under way: what the next generation stages must not be swept with the last one's.
        None | Some(Closing::Open) => Ok(Submitted::Joined),
        Some(Closing::Closed) if matches!(job.state, JobState::Completed(_)) => {
            for output in &request.outputs {
                if Object::open(&output.to, Side::Destination)?.presence().await? == Presence::Absent {
                    return Ok(Submitted::Again);
                }
            }
            Ok(Submitted::Done)
        }
        Some(Closing::Closed) => Ok(Submitted::Again),
    }
}

/// The source as it is now; a source that changes under its job fails it.
pub(crate) async fn source_facts(url: &str) -> Result<SourceFacts, Fault> {
    let facts = Object::open(url, Side::Source)?.facts().await?;
    if facts.size == 0 {
        return Err(Fault::new(FaultKind::Corrupt, format!("source {url} is empty: 0 bytes")));
    }
    Ok(SourceFacts { url: url.to_owned(), size: facts.size, version: facts.version })
}

/// The id of the job that asks this of a source in this state.
pub fn job_id(request: &Request, source: &SourceFacts) -> JobId {
    let asked = serde_json::to_string(request).expect("a request has only string keys and finite numbers");
    JobId::of_parts(&["job-1", &source.url, &source.size.to_string(), &source.version, &asked])
}
