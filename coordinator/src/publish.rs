//! Destinations: looked at before any work, filled at the end, all or nothing under a final name.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use framefleet_common::adapters::blob::{self, Staged, url};
use framefleet_common::ports::rows;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, TaskId, TaskKind};
use framefleet_model::job::Job;
use framefleet_model::key::ObjectKey;
use framefleet_model::pipeline::{OnExisting, Request};
use framefleet_model::plan::OutputPlan;
use serde_json::json;

use crate::effects::{Effects, internal};
use crate::flow::Unpublished;

/// What a destination is tried with.
const TRIAL_BYTES: usize = 4096;

/// Whether an output can come to stand there: by trying, because only writing tells of room and rights.
pub(crate) async fn check(to: &str, on_existing: OnExisting) -> Result<(), Fault> {
    let path = url::to_path(to)?;
    let trying = tokio::task::spawn_blocking(move || try_out(&path, on_existing));
    trying.await.map_err(|panic| internal(format!("a look at {to} ended early: {panic}")))?
}

fn try_out(path: &Path, on_existing: OnExisting) -> Result<(), Fault> {
    let name = path.display();
    let fault = |kind, why: String| Err(Fault::new(kind, format!("output {name} {why}")));
    match std::fs::symlink_metadata(path) {
        Ok(_) if on_existing == OnExisting::Fail => {
            return fault(FaultKind::DestinationExists, "exists already".into());
        }
        Ok(there) if there.is_dir() => return fault(FaultKind::DestinationExists, "is a folder".into()),
        Ok(_) | Err(_) => {}
    }
    let Some(folder) = path.parent() else { return fault(FaultKind::DestinationExists, "is a folder".into()) };
    if !folder.is_dir() {
        return fault(FaultKind::DestinationMissing, format!("has no folder {}", folder.display()));
    }
    let trial = trial(path);
    let written = std::fs::write(&trial, [0; TRIAL_BYTES]);
    // A trial that could not be written has nothing to remove.
    drop(std::fs::remove_file(&trial));
    match written {
        Ok(()) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                fault(FaultKind::DestinationFull, format!("has no room for even {TRIAL_BYTES} bytes: {error}"))
            }
            ErrorKind::NotFound | ErrorKind::NotADirectory => fault(FaultKind::DestinationMissing, error.to_string()),
            _ => fault(FaultKind::DestinationDenied, format!("may not be written: {error}")),
        },
    }
}

fn trial(path: &Path) -> PathBuf {
    let mark = framefleet_model::id::Digest::of(path.as_os_str().as_encoded_bytes());
    path.with_file_name(format!(".framefleet-trial-{}.part", &mark.as_str()[..16]))
}

/// Gives every output its final name; the caller has seen that the store keeps the job's state. What stands there already with the same content was put there by a coordinator
/// that died before it could say so.
pub(crate) async fn publish(effects: &Effects, job: &Job) -> Result<Result<(), Unpublished>, Fault> {
    let plan = effects.plan_of(job).await?;
    let request = effects.request(job).await?;
    let on_existing = match request.on_existing {
        OnExisting::Fail => blob::OnExisting::Fail,
        OnExisting::Replace => blob::OnExisting::Replace,
    };
    let mut gone = Vec::new();
    for (output, (_, staged)) in plan.outputs.iter().zip(effects.merges(job, &plan).await?) {
        let staged = parse(&staged)?;
        match effects.output(&output.to)?.publish(&staged, on_existing).await {
            Ok(()) => {}
            Err(fault) if fault.kind == FaultKind::DestinationMissing && has_folder(output) => {
                gone.push(TaskId::new(TaskKind::Merge, output.number));
            }
            Err(fault) => return Ok(Err(Unpublished::Fault(fault))),
        }
    }
    Ok(if gone.is_empty() { Ok(()) } else { Err(Unpublished::Gone(gone)) })
}

fn has_folder(output: &OutputPlan) -> bool {
    url::to_path(&output.to).is_ok_and(|path| path.parent().is_some_and(Path::is_dir))
}

/// Removes what an ended job left half-made at its destinations, and writes down how it ended.
pub(crate) async fn close(effects: &Effects, job: &Job) -> Result<(), Fault> {
    let request = effects.request(job).await?;
    discard(effects, job, (&request, None)).await?;
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
        let object = effects.output(&output.to)?;
        // A published content is no longer staged: discarding it finds nothing.
        if let Some(staged) = task.settled().and_then(|settled| settled.staged.as_deref()) {
            object.discard(&parse(staged)?).await?;
        }
        for nonce in task.past.iter().chain(task.lease().map(|lease| &lease.nonce)) {
            object.discard_attempt(nonce).await?;
        }
    }
    Ok(())
}

fn parse(staged: &str) -> Result<Staged, Fault> {
    serde_json::from_str(staged).map_err(|e| internal(format!("a staged result does not parse: {e}")))
}
