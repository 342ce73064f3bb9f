//! What a stretch of work is about: every line of log within one names it. What the names mean is written down in
//! docs/LOGGING.md.

use framefleet_model::board::Task;
use framefleet_model::id::{JobId, Nonce, TaskId, TaskKind};
use tracing::{Span, error_span};

use crate::ports::rows::TaskRef;
use crate::process::lines::SPANS;

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

fn segment(task: TaskId) -> Option<u32> {
    match task.kind {
        TaskKind::Encode => Some(task.number),
        TaskKind::Index | TaskKind::Audio | TaskKind::Image | TaskKind::Merge => None,
    }
}
