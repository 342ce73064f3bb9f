//! What ended jobs leave: their tasks' rows, what their attempts made, and at last the job itself.
//!
//! A job may be asked for again at any moment. So rows go only while the job's own row stands as it was seen, and
//! objects only if they were there before it was seen to stand so still: what its next generation makes is younger.

use framefleet_common::adapters::blob::root::Stored;
use framefleet_common::ports::rows::{self, StepRef, TaskRef};
use framefleet_common::ports::store::{Commit, Shard, StoreError, Version};
use framefleet_common::ports::txn::Txn;
use framefleet_model::board::Task;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{JobId, TaskId, TaskKind};
use framefleet_model::job::{Closing, Job};
use framefleet_model::key::{ObjectKey, Place, STAGED_FILE};
use framefleet_model::plan::Plan;
use framefleet_model::time::StoreTime;

use crate::effects::Effects;
use crate::{owners, staging, steps};

/// A job whose steps are not all over is remembered for so long at a time.
const STEPS_MS: i64 = 3_600_000;
/// Rows that are removed in one transaction.
const ROWS_PER_TXN: usize = 256;

/// What becomes of the tasks of a job that ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// They leave all indexes: nobody is to look at them again, but the job's next generation may use their results.
    Unplaced,
    /// Their rows go as well.
    Removed,
}

/// Does this to all tasks that the job's plan has; nothing where the job's row is no longer as the caller knows it, for
/// they may be its next generation's by now.
pub(crate) async fn clear_tasks(effects: &Effects, job: &Job, fate: Fate) -> Result<(), Fault> {
    let Some((now, version)) = load(effects, &job.id).await? else { return Ok(()) };
    if now == *job {
        clear_seen(effects, (job, version), fate).await?;
    }
    Ok(())
}

async fn clear_seen(effects: &Effects, seen: (&Job, Version), fate: Fate) -> Result<Cleared, Fault> {
    let (job, _) = seen;
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
        if clear(effects, seen, (ids, fate)).await? == Cleared::NotAll {
            return Ok(Cleared::NotAll);
        }
    }
    Ok(Cleared::All)
}

/// The keep is over for what an ended job's attempts made: all of it goes, and the job is to be forgotten later.
pub(crate) async fn sweep(
    effects: &Effects,
    (id, now): (&JobId, StoreTime),
    keep_jobs_ms: i64,
) -> Result<Cleared, Fault> {
    let shard = Shard::of(id);
    let unlisted = Txn::new(shard).index_remove(&rows::garbage(shard), id.as_str());
    let Some((job, version)) = load(effects, id).await? else {
        return put_off(effects, unlisted).await;
    };
    if job.state.closing() != Some(Closing::Closed) {
        // It has been asked for again.
        return put_off(effects, unlisted).await;
    }
    if clear_seen(effects, (&job, version), Fate::Removed).await? == Cleared::NotAll {
        return Ok(Cleared::NotAll);
    }
    let old = objects(effects, id, is_kept).await?;
    if load(effects, id).await?.is_none_or(|(_, now)| now != version) {
        return Ok(Cleared::NotAll);
    }
    discard_noted(effects, &job, &old).await?;
    remove_objects(effects, &old).await?;
    let txn = unlisted.expect(&rows::job_row(id), version);
    let txn = txn.index_set(&rows::retired(shard), id.as_str(), now.after_ms(keep_jobs_ms).ms());
    Ok(committed(effects, txn).await?)
}

/// An ended job that nobody needs to know of any more: its rows, its claim to its final keys, all its objects. Or a key
/// whose job never came to be.
pub(crate) async fn forget(effects: &Effects, (id, now): (&JobId, StoreTime)) -> Result<Cleared, Fault> {
    let shard = Shard::of(id);
    let unlisted = Txn::new(shard).index_remove(&rows::retired(shard), id.as_str());
    let Some((job, version)) = load(effects, id).await? else {
        let txn = unlisted.delete(&rows::key(id));
        return put_off(effects, txn).await;
    };
    if job.state.closing() != Some(Closing::Closed) {
        return put_off(effects, unlisted).await;
    }
    let steps = steps::of_job(&*effects.store, id).await?;
    if steps.iter().any(|step| step.due().is_some()) {
        let later = now.after_ms(STEPS_MS).ms();
        let txn = Txn::new(shard).expect(&rows::job_row(id), version);
        let txn = txn.index_set(&rows::retired(shard), id.as_str(), later);
        return put_off(effects, txn).await;
    }
    if let Ok(request) = effects.request(&job).await {
        let urls: Vec<&str> = request.outputs.iter().map(|output| output.to.as_str()).collect();
        owners::release(&*effects.store, id, &urls).await?;
    }
    if clear_seen(effects, (&job, version), Fate::Removed).await? == Cleared::NotAll {
        return Ok(Cleared::NotAll);
    }
    let old = objects(effects, id, |_| Keep::No).await?;
    let without_steps = steps.iter().fold(unlisted, |txn, step| rows::remove_step(txn, &StepRef::of(step)));
    let txn = without_steps
        .expect(&rows::job_row(id), version)
        .delete(&rows::job_row(id))
        .delete(&rows::key(id))
        .index_remove(&rows::jobs(shard), id.as_str())
        .index_remove(&rows::garbage(shard), id.as_str());
    if committed(effects, txn).await? == Cleared::NotAll {
        return Ok(Cleared::NotAll);
    }
    remove_objects(effects, &old).await?;
    Ok(Cleared::All)
}

/// Nothing is cleared yet, or nothing is left to: the job is looked at again later, if ever.
async fn put_off(effects: &Effects, txn: Txn) -> Result<Cleared, Fault> {
    effects.store.commit(txn).await?;
    Ok(Cleared::NotAll)
}

async fn committed(effects: &Effects, txn: Txn) -> Result<Cleared, StoreError> {
    Ok(match effects.store.commit(txn).await? {
        Commit::Committed(_) => Cleared::All,
        Commit::Conflict => Cleared::NotAll,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cleared {
    All,
    /// The job's row has changed, or its time has not come.
    NotAll,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    Yes,
    No,
}

/// What tells of a job for as long as it is remembered.
fn is_kept(key: &ObjectKey) -> Keep {
    match key.place {
        Place::Request | Place::Plan(_) | Place::Ledger(_) | Place::End | Place::Steps(_) | Place::StepDone { .. } => {
            Keep::Yes
        }
        Place::Index(_) | Place::Attempt { .. } => Keep::No,
    }
}

/// What lies under a job, less what is kept.
async fn objects(effects: &Effects, id: &JobId, keep: fn(&ObjectKey) -> Keep) -> Result<Vec<Stored>, Fault> {
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = effects.work.list(Some(id), cursor.as_ref()).await?;
        let kept = |stored: &Stored| matches!(stored, Stored::Known(key) if keep(key) == Keep::Yes);
        found.extend(page.found.into_iter().filter(|stored| !kept(stored)));
        let Some(next) = page.next else { return Ok(found) };
        cursor = Some(next);
    }
}

/// What merges noted that they stage, of which the job's end found nothing: they came back from the dead, or a lost store
/// had forgotten them. What has been published stays.
async fn discard_noted(effects: &Effects, job: &Job, old: &[Stored]) -> Result<(), Fault> {
    let notes = old.iter().filter_map(|stored| match stored {
        Stored::Known(ObjectKey { place: Place::Attempt { task, nonce, file }, .. }) => {
            (file.as_str() == STAGED_FILE).then_some((task, nonce))
        }
        Stored::Known(_) | Stored::Unknown(_) => None,
    });
    let notes: Vec<_> = notes.collect();
    if notes.is_empty() {
        return Ok(());
    }
    let request = effects.request(job).await?;
    for (task, nonce) in notes {
        let Some(output) = request.outputs.get(task.number as usize) else { continue };
        let at = TaskRef::new(&job.id, *task);
        let Some(staging) = staging::noted(effects, (&at, nonce), &output.to).await? else { continue };
        match staging::discard(effects, &staging).await {
            Err(fault) if fault.kind == FaultKind::StorageAway => return Err(fault),
            // A destination that is no longer there, or no longer ours, keeps what it has.
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

async fn remove_objects(effects: &Effects, old: &[Stored]) -> Result<(), Fault> {
    for stored in old {
        effects.work.delete(stored).await?;
    }
    Ok(())
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
    let images = plan.images.iter().map(|image| TaskId::new(TaskKind::Image, image.number));
    let merges = plan.outputs.iter().map(|output| TaskId::new(TaskKind::Merge, output.number));
    index.chain(encodes).chain(plan.sound_tasks()).chain(images).chain(merges).collect()
}

async fn clear(
    effects: &Effects,
    (job, version): (&Job, Version),
    (ids, fate): (&[TaskId], Fate),
) -> Result<Cleared, StoreError> {
    let refs: Vec<TaskRef> = ids.iter().map(|id| TaskRef::new(&job.id, *id)).collect();
    let keys: Vec<_> = refs.iter().map(TaskRef::row).collect();
    let loaded = effects.store.load(&keys).await?;
    let job_row = rows::job_row(&job.id);
    let mut txn = Txn::new(job_row.shard).expect(&job_row, version);
    for ((at, key), row) in refs.iter().zip(&keys).zip(loaded.rows) {
        let Some(row) = row else { continue };
        let task: Task = rows::from_row(key, &row)?;
        txn = match fate {
            Fate::Unplaced => rows::unplace(txn, at, &task),
            Fate::Removed => rows::unplace(txn.delete(key), at, &task),
        };
    }
    committed(effects, txn).await
}
