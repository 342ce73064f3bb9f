//! Intake: an accepted job whose destinations can take its outputs asks for its index.

use framefleet_model::board::Task;
use framefleet_model::cost;
use framefleet_model::fault::Fault;
use framefleet_model::id::TaskId;
use framefleet_model::job::{IndexStep, Job, JobState};
use framefleet_model::time::StoreTime;

use crate::flow::dispatching::{CLASS_LIGHT, place};
use crate::flow::{Announcement, Need, Rejected, Step, TaskChange, failing, out_of_place};

pub(crate) fn checked(job: &Job, checked: &Result<Need, Fault>, now: StoreTime) -> Result<Step, Rejected> {
    let JobState::Accepted = &job.state else { return Err(out_of_place(job)) };
    match checked {
        Err(fault) => return Ok(failing::fail(job, fault.clone(), now)),
        // An earlier generation made it, of the same source.
        Ok(Need::Settled) => {
            return Ok(Step::to(JobState::Indexing(IndexStep::Found)).telling(Announcement::Started));
        }
        Ok(Need::Open) => {}
    }
    let place = place(job, TaskId::INDEX, (CLASS_LIGHT, cost::index_need()));
    let index = TaskChange::Create(Box::new(Task::new(TaskId::INDEX, None, place)));
    Ok(Step::to(JobState::Indexing(IndexStep::Awaited)).with_tasks(vec![index]).telling(Announcement::Started))
}
