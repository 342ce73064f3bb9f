//! Destinations: filled at the end, all or nothing under a final name.

use framefleet_common::adapters::blob::{self, Published};
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_model::fault::Fault;
use framefleet_model::id::{Digest, TaskId, TaskKind};
use framefleet_model::job::{Job, JobState};
use framefleet_model::key::ObjectKey;
use framefleet_model::pipeline::{OnExisting, Request};
use serde_json::json;

use crate::effects::Effects;
use crate::flow::{Delivered, Unpublished, completing};
use crate::garbage::{self, Fate};
use crate::{owners, staging, steps};

/// Gives every output its final name; the caller has seen that the store keeps the job's state. What stands there already
/// with the same content was put there by a coordinator that died before it could say so.
pub(crate) async fn publish(effects: &Effects, job: &Job) -> Result<Result<Vec<Delivered>, Unpublished>, Fault> {
    let plan = effects.plan_of(job).await?;
    let request = effects.request(job).await?;
    let on_existing = rule(&request);
    let (mut gone, mut delivered) = (Vec::new(), Vec::new());
    for (output, (proof, staged)) in plan.outputs.iter().zip(effects.merges(job, &plan).await?) {
        let staging = staging::parse(&staged, &output.to)?;
        match staging::publish(effects, &staging, on_existing).await? {
            Published::Stands => delivered.push(completing::delivered(&plan, output, (proof, staging.files()))),
            Published::Gone => gone.push(TaskId::new(TaskKind::Merge, output.number)),
        }
    }
    Ok(if gone.is_empty() { Ok(delivered) } else { Err(Unpublished::Gone(gone)) })
}

/// What is to become of something that stands at an output's final key.
pub(crate) fn rule(request: &Request) -> blob::OnExisting {
    match request.on_existing {
        OnExisting::Fail => blob::OnExisting::Fail,
        OnExisting::Replace => blob::OnExisting::Replace,
    }
}

/// Removes what an ended job left half-made at its destinations, and writes down how it ended.
pub(crate) async fn close(effects: &Effects, job: &Job) -> Result<(), Fault> {
    let request = effects.request(job).await?;
    discard(effects, job, (&request, None)).await?;
    match &job.state {
        JobState::Failed(_) | JobState::Cancelled(_) => {
            let urls: Vec<&str> = request.outputs.iter().map(|output| output.to.as_str()).collect();
            owners::release(&*effects.store, &job.id, &urls).await?;
            garbage::clear_tasks(effects, job, Fate::Unplaced).await?;
        }
        // The ledger says all that its tasks' rows did.
        JobState::Completed(_) => garbage::clear_tasks(effects, job, Fate::Removed).await?,
        JobState::Accepted
        | JobState::Indexing(_)
        | JobState::Encoding(_)
        | JobState::Merging(_)
        | JobState::Publishing(_) => {}
    }
    steps::note(effects, job).await?;
    let (state, fault) = Effects::end_of(job);
    let end = json!({ "version": 1, "job": job.id, "generation": job.generation, "state": state, "fault": fault });
    effects.put(&ObjectKey::end(&job.id), rows::to_bytes(&end)).await
}

/// Removes what merges staged and nobody published: those of one plan, or of any.
pub(crate) async fn discard(
    effects: &Effects,
    job: &Job,
    (request, of): (&Request, Option<&Digest>),
) -> Result<(), Fault> {
    for (output, number) in request.outputs.iter().zip(0..) {
        let task = effects.tasks(job, &[TaskId::new(TaskKind::Merge, number)]).await?.into_iter().next().flatten();
        let Some(task) = task.filter(|task| of.is_none() || task.plan.as_ref() == of) else { continue };
        // A published content is no longer staged: discarding it finds nothing.
        if let Some(staged) = task.settled().and_then(|settled| settled.staged.as_deref()) {
            staging::discard(effects, &staging::parse(staged, &output.to)?).await?;
        }
        let at = TaskRef::new(&job.id, task.id);
        for nonce in task.past.iter().chain(task.lease().map(|lease| &lease.nonce)) {
            if let Some(begun) = staging::noted(effects, (&at, nonce), &output.to).await? {
                staging::discard(effects, &begun).await?;
            }
        }
    }
    Ok(())
}
