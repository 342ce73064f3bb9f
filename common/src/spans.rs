//! What a stretch of work is about: every line of log within one names it. What the names mean is written down in
//! docs/LOGGING.md.

use framefleet_model::board::Claimant;
use framefleet_model::board::Task;
use framefleet_model::id::{JobId, Nonce, TaskId, TaskKind};
use tracing::{Span, error_span};

use crate::board::Grant;
use crate::ports::rows::TaskRef;
use crate::process::lines::SPANS;
use crate::process::traces::{self, When, attribute};

// Of the level of errors, so that there is no level of lines without them.

pub fn job(id: &JobId) -> Span {
    error_span!(target: SPANS, "job", job = %id)
}

pub fn task(at: &TaskRef) -> Span {
    error_span!(target: SPANS, "task", job = %at.job, task = %at.task, segment = segment(at.task))
}

pub fn attempt(at: &TaskRef, nonce: &Nonce, task: &Task) -> Span {
    let number = task.past.len() + 1;
    let (job, task, segment) = (&at.job, at.task, segment(at.task));
    error_span!(target: SPANS, "attempt", %job, %task, segment, attempt = %nonce, "try" = number)
}

/// An attempt that has ended, as its job's trace tells of it; none where nobody traces.
pub fn attempted(grant: &Grant, claimant: &Claimant, (outcome, when): (&str, When)) -> Option<traces::Span> {
    let (job, task) = (&grant.job, &grant.task);
    let tried = u32::try_from(task.past.len() + 1).unwrap_or(u32::MAX);
    let span = traces::Span::of(job.trace.as_ref()?, (traces::ATTEMPT, &[claimant.nonce.as_str()]), when)
        .with(attribute::JOB, job.id.as_str())
        .with(attribute::TASK, task.id.to_string())
        .with(attribute::ATTEMPT, claimant.nonce.as_str())
        .with(attribute::TRY, tried)
        .with(attribute::WORKER, claimant.worker.as_str())
        .with(attribute::OUTCOME, outcome);
    Some(segment(task.id).into_iter().fold(span, |span, number| span.with(attribute::SEGMENT, number)))
}

fn segment(task: TaskId) -> Option<u32> {
    match task.kind {
        TaskKind::Encode => Some(task.number),
        TaskKind::Index | TaskKind::Audio | TaskKind::Image | TaskKind::Merge => None,
    }
}
