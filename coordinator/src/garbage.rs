//! What ended jobs leave: their tasks' rows, what their attempts made, and at last the job itself.

use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{Commit, Shard, StoreError, Version};
use framefleet_common::ports::txn::Txn;
use framefleet_model::board::Task;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{JobId, TaskId, TaskKind};
use framefleet_model::job::{Closing, Job};
use framefleet_model::plan::Plan;
use framefleet_model::time::StoreTime;

use crate::effects::Effects;
use crate::owners;

/// Rows that are removed in one transaction.
const ROWS_PER_TXN: usize = 256;

/// Removes the rows of all tasks that the job's plan has, and takes them out of every index.
pub(crate) async fn remove_tasks(effects: &Effects, job: &Job) -> Result<(), Fault> {
    let plan = match job.state.plan() {
        Some(digest) => match effects.plan_by(job, digest).await {
            Ok(plan) => Some(plan),
            // Swept before: its tasks went first.
            Err(fault) if fault.kind == FaultKind::StorageAway => return Err(fault),
            Err(_) => None,
        },
        None => None,
    };
    let ids = ids(plan.as_ref());
    for ids in ids.chunks(ROWS_PER_TXN) {
        remove(effects, job, ids).await?;
    }
    Ok(())
}

/// The keep is over for what an ended job's attempts made: all of it goes, and the job is to be forgotten later.
pub(crate) async fn sweep(effects: &Effects, (id, now): (&JobId, StoreTime), keep_jobs_ms: i64) -> Result<(), Fault> {
    let shard = Shard::of(id);
    let unlisted = Txn::new(shard).index_remove(&rows::garbage(shard), id.as_str());
    let Some((job, version)) = load(effects, id).await? else {
        return Ok(effects.store.commit(unlisted).await.map(drop::<Commit>)?);
    };
    if job.state.closing() != Some(Closing::Closed) {
        // It has been asked for again.
        return Ok(effects.store.commit(unlisted).await.map(drop::<Commit>)?);
    }
    remove_tasks(effects, &job).await?;
    // A conflict: the job has been asked for again meanwhile, and finds that it must do all anew.
    let txn = unlisted.expect(&rows::job_row(id), version);
    let txn = txn.index_set(&rows::retired(shard), id.as_str(), now.after_ms(keep_jobs_ms).ms());
    Ok(effects.store.commit(txn).await.map(drop::<Commit>)?)
}

/// An ended job that nobody needs to know of any more: its rows, its claim to its final keys, all its objects.
pub(crate) async fn forget(effects: &Effects, id: &JobId) -> Result<(), Fault> {
    let shard = Shard::of(id);
    let unlisted = Txn::new(shard).index_remove(&rows::retired(shard), id.as_str());
    let Some((job, version)) = load(effects, id).await? else {
        return Ok(effects.store.commit(unlisted).await.map(drop::<Commit>)?);
    };
    if job.state.closing() != Some(Closing::Closed) {
        return Ok(effects.store.commit(unlisted).await.map(drop::<Commit>)?);
    }
    if let Ok(request) = effects.request(&job).await {
        let urls: Vec<&str> = request.outputs.iter().map(|output| output.to.as_str()).collect();
        owners::release(&*effects.store, id, &urls).await?;
    }
    remove_tasks(effects, &job).await?;
    let txn = unlisted
        .expect(&rows::job_row(id), version)
        .delete(&rows::job_row(id))
        .index_remove(&rows::jobs(shard), id.as_str())
        .index_remove(&rows::garbage(shard), id.as_str());
    Ok(effects.store.commit(txn).await.map(drop::<Commit>)?)
}

async fn load(effects: &Effects, id: &JobId) -> Result<Option<(Job, Version)>, StoreError> {
    let key = rows::job_row(id);
    let row = effects.store.load(std::slice::from_ref(&key)).await?.rows.into_iter().next().flatten();
    row.map(|row| rows::from_row(&key, &row).map(|job| (job, row.version))).transpose()
}

fn ids(plan: Option<&Plan>) -> Vec<TaskId> {
    let index = std::iter::once(TaskId::INDEX);
    let Some(plan) = plan else { return index.collect() };
    let encodes = plan.segments.iter().map(|segment| TaskId::new(TaskKind::Encode, segment.number));
    let audios = (!plan.audio.is_empty()).then(|| TaskId::new(TaskKind::Audio, 0));
    let merges = plan.outputs.iter().map(|output| TaskId::new(TaskKind::Merge, output.number));
    index.chain(encodes).chain(audios).chain(merges).collect()
}

async fn remove(effects: &Effects, job: &Job, ids: &[TaskId]) -> Result<(), StoreError> {
    let refs: Vec<TaskRef> = ids.iter().map(|id| TaskRef::new(&job.id, *id)).collect();
    let keys: Vec<_> = refs.iter().map(TaskRef::row).collect();
    let loaded = effects.store.load(&keys).await?;
    let Some(first) = refs.first() else { return Ok(()) };
    let mut txn = Txn::new(first.shard());
    for ((at, key), row) in refs.iter().zip(&keys).zip(loaded.rows) {
        let Some(row) = row else { continue };
        let task: Task = rows::from_row(key, &row)?;
        txn = rows::unplace(txn.delete(key), at, &task);
    }
    effects.store.commit(txn).await.map(drop::<Commit>)
}
