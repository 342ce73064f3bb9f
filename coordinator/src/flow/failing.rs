//! Failing and cancelling: a job ends once, with the first reason that it is given.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{TaskId, TaskKind};
use framefleet_model::job::{Cancelled, Closing, Failed, IndexStep, Job, JobState};
use framefleet_model::time::StoreTime;

use crate::flow::{Announcement, Effect, Finding, Rejected, Step, TaskChange, Unpublished, out_of_place};

pub(crate) fn fail(job: &Job, fault: Fault, now: StoreTime) -> Step {
    end(job, fault, None, now)
}

pub(crate) fn died(job: &Job, task: TaskId, fault: &Fault, now: StoreTime) -> Result<Step, Rejected> {
    match &job.state {
        JobState::Accepted | JobState::Indexing(_) | JobState::Encoding(_) | JobState::Merging(_) => {
            Ok(disproved(job, fault.clone(), Some(task), now))
        }
        // All tasks have been settled: no attempt can die any more.
        JobState::Publishing(_) => Err(Rejected::Stale),
        JobState::Completed(_) | JobState::Failed(_) | JobState::Cancelled(_) => Err(out_of_place(job)),
    }
}

/// The job fails, unless it is a plan with cuts that did not prove: cuts are given up once, for all of the film.
/// What was encoded is dropped; what was merged is overwritten by the next plan, which first removes what it staged.
pub(crate) fn disproved(job: &Job, fault: Fault, task: Option<TaskId>, now: StoreTime) -> Step {
    let (segments, sounds, images) = match &job.state {
        JobState::Encoding(state) => (state.encodes.total(), state.audios.total(), state.images.total()),
        // No more outputs are of pictures than there are.
        JobState::Merging(state) => (state.segments, 1, state.merges.total()),
        JobState::Accepted
        | JobState::Indexing(_)
        | JobState::Publishing(_)
        | JobState::Completed(_)
        | JobState::Failed(_)
        | JobState::Cancelled(_) => (0, 0, 0),
    };
    let Some(plan) = job.state.plan().filter(|_| fault.kind == FaultKind::LedgerOpen && segments > 1).cloned() else {
        return end(job, fault, task, now);
    };
    let numbered = |kind, count| (0..count).map(move |number| TaskChange::Drop(TaskId::new(kind, number)));
    let tasks = numbered(TaskKind::Encode, segments).chain(numbered(TaskKind::Audio, sounds));
    let tasks = tasks.chain(numbered(TaskKind::Image, images)).collect();
    Step::to(JobState::Indexing(IndexStep::Disproved { plan, fault })).with_tasks(tasks)
}

/// The job fails, unless something may stand at a final key already: then it is let finish.
pub(crate) fn overdue(job: &Job, now: StoreTime) -> Result<Step, Rejected> {
    match &job.state {
        JobState::Accepted | JobState::Indexing(_) | JobState::Encoding(_) | JobState::Merging(_) => {
            let given = job.terms.deadline_ms.unwrap_or(0);
            let text = format!("it had not ended {given} ms after it was accepted, its deadline: {}", job.state.name());
            Ok(end(job, Fault::new(FaultKind::Overdue, text), None, now))
        }
        JobState::Publishing(_) => Err(Rejected::Stale),
        JobState::Completed(_) | JobState::Failed(_) | JobState::Cancelled(_) => Err(out_of_place(job)),
    }
}

pub(crate) fn cancelled(job: &Job, reason: &str, now: StoreTime) -> Result<Step, Rejected> {
    match &job.state {
        JobState::Accepted | JobState::Indexing(_) | JobState::Encoding(_) | JobState::Merging(_) => {
            let plan = job.state.plan().cloned();
            let end = Cancelled { at: now, reason: reason.to_owned(), plan, closing: Closing::Open };
            let told = Announcement::Cancelled { reason: end.reason.clone() };
            Ok(Step::to(JobState::Cancelled(end)).telling(told))
        }
        // Something may stand at a final key already: the job is past stopping.
        JobState::Publishing(_) => Err(Rejected::Terminal),
        JobState::Completed(_) | JobState::Failed(_) | JobState::Cancelled(_) => Err(out_of_place(job)),
    }
}

fn end(job: &Job, fault: Fault, task: Option<TaskId>, now: StoreTime) -> Step {
    let plan = job.state.plan().cloned();
    let end = Failed { at: now, fault: fault.clone(), task, plan, closing: Closing::Open };
    Step::to(JobState::Failed(end)).telling(Announcement::Failed(fault))
}

/// What an effect that could not be brought to an end means for its job.
pub(crate) fn finding(effect: Effect, fault: Fault) -> Finding {
    match effect {
        Effect::Check => Finding::Checked(Err(fault)),
        Effect::Plan => Finding::Planned(Err(fault)),
        Effect::Compare => Finding::Compared(Err(fault)),
        Effect::Prove => Finding::Proved(Err(fault)),
        Effect::Publish => Finding::Published(Err(Unpublished::Fault(fault))),
        // What could not be removed is left to the sweeper: the job has ended.
        Effect::Close => Finding::Closed,
    }
}
