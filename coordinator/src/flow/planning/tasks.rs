//! From a plan to tasks, and a job's way through planning.

use framefleet_model::board::{Place, Task};
use framefleet_model::cost;
use framefleet_model::fault::Fault;
use framefleet_model::id::{TaskId, TaskKind};
use framefleet_model::job::{Encoding, Headers, IndexStep, Job, JobState, Tally};
use framefleet_model::plan::Plan;
use framefleet_model::time::{MediaTime, StoreTime};

use crate::flow::dispatching::{CLASS_LONG, CLASS_MERGE, CLASS_STANDARD, early_order, order};
use crate::flow::{Need, Planned, PlannedTask, Rejected, Step, TaskChange, failing, out_of_place};

/// Half of the grace that workers are given to finish.
const STANDARD_MAX: MediaTime = MediaTime::from_secs(300);

/// Every task of a plan: a segment in all its renditions, the sound in all of its, each output's merge.
pub fn tasks(plan: &Plan) -> Vec<PlannedTask> {
    let second = cost::second(&plan.video);
    let encodes = plan.segments.iter().map(|segment| {
        let long = cost::stretch(segment.span.len(), second) > STANDARD_MAX;
        open(TaskId::new(TaskKind::Encode, segment.number), if long { CLASS_LONG } else { CLASS_STANDARD })
    });
    let audios = (!plan.audio.is_empty()).then(|| open(TaskId::new(TaskKind::Audio, 0), CLASS_STANDARD));
    let merges = plan.outputs.iter().map(|output| open(TaskId::new(TaskKind::Merge, output.number), CLASS_MERGE));
    encodes.chain(audios).chain(merges).collect()
}

fn open(id: TaskId, class: &str) -> PlannedTask {
    PlannedTask { id, class: class.to_owned(), need: Need::Open }
}

pub(crate) fn indexed(job: &Job) -> Result<Step, Rejected> {
    match &job.state {
        JobState::Indexing(IndexStep::Awaited) => Ok(Step::to(JobState::Indexing(IndexStep::Found))),
        JobState::Indexing(IndexStep::Found | IndexStep::Disproved { .. }) => Err(Rejected::Duplicate),
        JobState::Accepted
        | JobState::Encoding(_)
        | JobState::Merging(_)
        | JobState::Publishing(_)
        | JobState::Completed(_)
        | JobState::Failed(_)
        | JobState::Cancelled(_) => Err(out_of_place(job)),
    }
}

pub(crate) fn planned(job: &Job, planned: &Result<Planned, Fault>, now: StoreTime) -> Result<Step, Rejected> {
    let JobState::Indexing(IndexStep::Found | IndexStep::Disproved { .. }) = &job.state else {
        return Err(out_of_place(job));
    };
    let planned = match planned {
        Ok(planned) => planned,
        Err(fault) => return Ok(failing::fail(job, fault.clone(), now)),
    };
    let state = Encoding {
        plan: planned.plan.clone(),
        encodes: tally(planned, TaskKind::Encode),
        audios: tally(planned, TaskKind::Audio),
        merges: tally(planned, TaskKind::Merge),
        headers: Headers::FirstTime,
    };
    let open = planned.tasks.iter().filter(|task| task.need == Need::Open);
    let tasks = open.map(|task| TaskChange::Create(Box::new(row(job, planned, task)))).collect();
    Ok(Step::to(JobState::Encoding(state)).with_tasks(tasks))
}

fn tally(planned: &Planned, kind: TaskKind) -> Tally {
    let of_kind = || planned.tasks.iter().filter(|task| task.id.kind == kind);
    let mut tally = Tally::new(u32::try_from(of_kind().count()).unwrap_or(u32::MAX));
    for task in of_kind().filter(|task| task.need == Need::Settled) {
        tally.tick(task.id.number);
    }
    tally
}

fn row(job: &Job, planned: &Planned, task: &PlannedTask) -> Task {
    let order = match task.id.kind {
        TaskKind::Index | TaskKind::Encode | TaskKind::Audio => order(job, task.id),
        TaskKind::Merge => early_order(job, task.id),
    };
    Task::new(task.id, Some(planned.plan.clone()), Place { class: task.class.clone(), order })
}
