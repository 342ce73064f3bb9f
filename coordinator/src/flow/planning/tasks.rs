//! From a plan to tasks, and a job's way through planning.

use framefleet_model::board::Task;
use framefleet_model::cost;
use framefleet_model::fault::Fault;
use framefleet_model::id::{TaskId, TaskKind};
use framefleet_model::job::{Encoding, Headers, IndexStep, Job, JobState};
use framefleet_model::plan::{Plan, VideoRendition};
use framefleet_model::tally::Tally;
use framefleet_model::task;
use framefleet_model::time::{MediaTime, StoreTime};

use crate::flow::dispatching::{CLASS_LIGHT, CLASS_LONG, CLASS_MERGE, CLASS_STANDARD, place};
use crate::flow::{Need, Planned, PlannedTask, Rejected, Step, TaskChange, failing, out_of_place};

/// Half of the grace that workers are given to finish.
const STANDARD_MAX: MediaTime = MediaTime::from_secs(300);

/// What a light slot may be kept with.
const LIGHT_MAX: MediaTime = MediaTime::from_secs(30);

/// Every task of a plan: a segment in all its renditions, each sound track in all of its, the pictures of each output that has
/// some, each output's merge.
pub fn tasks(plan: &Plan) -> Vec<PlannedTask> {
    let second = cost::second(&plan.video);
    let encodes = plan.segments.iter().map(|segment| {
        let long = cost::stretch(segment.span.len(), second) > STANDARD_MAX;
        let class = if long { CLASS_LONG } else { CLASS_STANDARD };
        open(TaskId::new(TaskKind::Encode, segment.number), class, cost::encode_need(&plan.video, segment.span.len()))
    });
    let audios = plan.sounds().into_iter().zip(plan.sound_tasks()).map(|(track, task)| {
        let renditions = plan.audio.iter().filter(|rendition| rendition.track == track);
        open(task, CLASS_STANDARD, cost::audio_need(renditions, plan.span.len()))
    });
    let images = plan.images.iter().map(|image| {
        let class = match cost::image(image) {
            Some(cost) if cost <= LIGHT_MAX => CLASS_LIGHT,
            Some(cost) if cost <= STANDARD_MAX => CLASS_STANDARD,
            Some(_) | None => CLASS_LONG,
        };
        open(TaskId::new(TaskKind::Image, image.number), class, cost::image_need(image))
    });
    let merges = plan.outputs.iter().map(|output| {
        let in_package = |number| output.package.as_ref().is_some_and(|package| package.videos.contains(&number));
        let is_in = |r: &&VideoRendition| Some(r.number) == output.video || in_package(r.number);
        let pictures = plan.video.iter().filter(is_in);
        let need = cost::merge_need(&pictures.cloned().collect::<Vec<_>>(), plan.span.len());
        open(TaskId::new(TaskKind::Merge, output.number), CLASS_MERGE, need)
    });
    encodes.chain(audios).chain(images).chain(merges).collect()
}

fn open(id: TaskId, class: &str, weight: task::Need) -> PlannedTask {
    PlannedTask { id, class: class.to_owned(), weight, need: Need::Open }
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
        images: tally(planned, TaskKind::Image),
        merges: tally(planned, TaskKind::Merge),
        headers: Headers::FirstTime,
        encoded_again: 0,
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
    Task::new(task.id, Some(planned.plan.clone()), place(job, task.id, (&task.class, task.weight)))
}
