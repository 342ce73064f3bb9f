//! Final keys have one owner: before a job plans anything, it takes a row for every key that it will fill.
//!
//! ```text
//! nobody's, or of a job that failed, was cancelled or is gone ─▶ taken
//! of an older job of the same source                          ─▶ taken; that job is cancelled, its end waited for
//! of a newer job of the same source                           ─▶ this job is superseded
//! of a job of another source                                  ─▶ this job fails, naming both
//! ```
//! These rows belong to no job's shard, so they are taken one by one; every step may be repeated.

use framefleet_common::board::deliver;
use framefleet_common::ports::rows;
use framefleet_common::ports::store::{Commit, Row, Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::JobId;
use framefleet_model::job::{Closing, Job, JobState, Report};
use framefleet_model::time::StoreTime;
use serde::{Deserialize, Serialize};

use crate::effects::Unfinished;

const OWNER_VERSION: u32 = 1;
const CONFLICTS_MAX: u32 = 64;

/// Whose job fills a final key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    version: u32,
    url: String,
    job: JobId,
    source: String,
    created: StoreTime,
    /// The job that it took the key from, whose end it waits for.
    before: Option<JobId>,
}

/// How a job stands to its final keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    All,
    /// This newer job of the same source has one of them.
    Superseded(JobId),
}

pub(crate) async fn take(store: &dyn Store, job: &Job, urls: &[&str]) -> Result<Taken, Unfinished> {
    for url in urls {
        let taken = take_one(store, job, url).await?;
        if taken != Taken::All {
            return Ok(taken);
        }
    }
    Ok(Taken::All)
}

async fn take_one(store: &dyn Store, job: &Job, url: &str) -> Result<Taken, Unfinished> {
    let key = rows::owner(url);
    let mine = Owner {
        version: OWNER_VERSION,
        url: url.to_owned(),
        job: job.id.clone(),
        source: job.source.url.clone(),
        created: job.created,
        before: None,
    };
    for _ in 0..CONFLICTS_MAX {
        let row = load(store, &key).await?;
        let owner: Option<Owner> = row.as_ref().map(|row| rows::from_row(&key, row)).transpose()?;
        let wanted = match owner {
            None => mine.clone(),
            Some(owner) if owner.job == job.id => {
                if let Some(before) = &owner.before {
                    end_of(store, before, &job.id).await?;
                }
                if owner == mine {
                    return Ok(Taken::All);
                }
                mine.clone()
            }
            Some(owner) => match against(store, job, &owner).await? {
                Stand::Free => mine.clone(),
                Stand::Newer => Owner { before: Some(owner.job), ..mine.clone() },
                Stand::Older => return Ok(Taken::Superseded(owner.job)),
                Stand::Foreign => return Err(owned(job, &owner).into()),
            },
        };
        let txn = Txn::new(Shard::GLOBAL).expect(&key, row.map(|row| row.version)).put(&key, rows::to_bytes(&wanted));
        // Whatever came of it, the next look says how things stand.
        drop::<Commit>(store.commit(txn).await?);
    }
    Err(StoreError::Unavailable(format!("{CONFLICTS_MAX} conflicts in a row over the final key {url}")).into())
}

/// How a job stands to the owner of a key that it wants.
enum Stand {
    Free,
    Newer,
    Older,
    Foreign,
}

async fn against(store: &dyn Store, job: &Job, owner: &Owner) -> Result<Stand, StoreError> {
    let Some(other) = job_of(store, &owner.job).await? else { return Ok(Stand::Free) };
    let in_vain = matches!(&other.state, JobState::Failed(_) | JobState::Cancelled(_));
    if in_vain && other.state.closing() == Some(Closing::Closed) {
        return Ok(Stand::Free);
    }
    if owner.source != job.source.url {
        return Ok(if in_vain { Stand::Newer } else { Stand::Foreign });
    }
    let is_newer = (job.created, &job.id) > (other.created, &other.id);
    Ok(if is_newer || in_vain { Stand::Newer } else { Stand::Older })
}

/// Calls for the older job's end; it is waited for until nothing half-made of it is left.
async fn end_of(store: &dyn Store, older: &JobId, newer: &JobId) -> Result<(), Unfinished> {
    let Some(job) = job_of(store, older).await? else { return Ok(()) };
    if job.state.closing() == Some(Closing::Closed) {
        return Ok(());
    }
    if !job.state.has_ended() {
        let now = store.load(&[]).await?.now;
        let reason = format!("superseded by job {newer}");
        let txn = deliver(Txn::new(Shard::of(older)), &job, Report::Cancel { reason }, now);
        drop::<Commit>(store.commit(txn).await?);
    }
    Err(Unfinished::Later(format!("job {older} of the same key is {} and must end first", job.state.name())))
}

/// A job that ended in vain gives its keys back.
pub(crate) async fn release(store: &dyn Store, job: &JobId, urls: &[&str]) -> Result<(), StoreError> {
    for url in urls {
        let key = rows::owner(url);
        let Some(row) = load(store, &key).await? else { continue };
        let owner: Owner = rows::from_row(&key, &row)?;
        if owner.job == *job {
            // A conflict: somebody has taken it, and it is no longer ours to give.
            drop::<Commit>(store.commit(Txn::new(Shard::GLOBAL).expect(&key, row.version).delete(&key)).await?);
        }
    }
    Ok(())
}

fn owned(job: &Job, owner: &Owner) -> Fault {
    let text = format!(
        "{} is the output of job {}, which is of {}; job {} of {} may not write it",
        owner.url, owner.job, owner.source, job.id, job.source.url
    );
    Fault::new(FaultKind::DestinationOwned, text)
}

async fn job_of(store: &dyn Store, id: &JobId) -> Result<Option<Job>, StoreError> {
    let key = rows::job_row(id);
    load(store, &key).await?.map(|row| rows::from_row(&key, &row)).transpose()
}

async fn load(store: &dyn Store, key: &framefleet_common::ports::store::RowKey) -> Result<Option<Row>, StoreError> {
    Ok(store.load(std::slice::from_ref(key)).await?.rows.into_iter().next().flatten())
}
