//! Completing: the outputs stand at their final keys, the world is told, what was half-made is removed.

use framefleet_model::id::TaskId;
use framefleet_model::job::{Cancelled, Closing, Completed, Failed, Job, JobState, Merging, Publishing};
use framefleet_model::ledger::OutputProof;
use framefleet_model::plan::{OutputPlan, Plan};
use framefleet_model::tally::Tally;
use framefleet_model::time::StoreTime;

use crate::flow::dispatching::order;
use crate::flow::{Announcement, Delivered, Rejected, Step, TaskChange, Unpublished, failing, out_of_place};

pub(crate) fn published(
    job: &Job,
    published: &Result<Vec<Delivered>, Unpublished>,
    now: StoreTime,
) -> Result<Step, Rejected> {
    let JobState::Publishing(state) = &job.state else { return Err(out_of_place(job)) };
    match published {
        Ok(delivered) => {
            let Publishing { plan, ledger, .. } = state.clone();
            let end = JobState::Completed(Completed { at: now, plan, ledger, closing: Closing::Open });
            Ok(Step::to(end).telling(Announcement::Completed(delivered.clone())))
        }
        Err(Unpublished::Gone(merges)) => Ok(merge_again(job, state, merges)),
        Err(Unpublished::Fault(fault)) => Ok(failing::fail(job, fault.clone(), now)),
    }
}

/// What is told of an output beside its proof: the renditions that it holds.
pub(crate) fn delivered(plan: &Plan, output: &OutputPlan, (proof, files): (OutputProof, Vec<String>)) -> Delivered {
    let videos: Vec<u32> = match &output.package {
        Some(package) => package.videos.clone(),
        None => output.video.into_iter().collect(),
    };
    let videos = videos.iter().filter_map(|number| plan.video.get(*number as usize).cloned()).collect();
    let audios = output.audio.iter().filter_map(|number| plan.audio.get(*number as usize).cloned()).collect();
    Delivered { plan: output.clone(), proof, videos, audios, files }
}

fn merge_again(job: &Job, state: &Publishing, gone: &[TaskId]) -> Step {
    let mut merges = Tally::new(state.merges);
    (0..state.merges).filter(|number| gone.iter().all(|task| task.number != *number)).for_each(|number| {
        merges.tick(number);
    });
    let again = gone
        .iter()
        .flat_map(|task| [TaskChange::Again(*task), TaskChange::Order { task: *task, order: order(job, *task) }]);
    let tasks = again.collect();
    Step::to(JobState::Merging(Merging { plan: state.plan.clone(), merges, segments: state.segments }))
        .with_tasks(tasks)
}

pub(crate) fn closed(job: &Job) -> Result<Step, Rejected> {
    let closing = Closing::Closed;
    let state = match job.state.clone() {
        JobState::Completed(end) => JobState::Completed(Completed { closing, ..end }),
        JobState::Failed(end) => JobState::Failed(Failed { closing, ..end }),
        JobState::Cancelled(end) => JobState::Cancelled(Cancelled { closing, ..end }),
        JobState::Accepted
        | JobState::Indexing(_)
        | JobState::Encoding(_)
        | JobState::Merging(_)
        | JobState::Publishing(_) => return Err(Rejected::Stale),
    };
    if state == job.state { Err(Rejected::Duplicate) } else { Ok(Step::to(state)) }
}
