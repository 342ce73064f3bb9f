//! `framefleet transcode`: one job through a fleet of one process, from its submission to the removal of its state.
//!
//! A signal ends the process, not the job: what is settled stays in the job's folder, and the same command goes on
//! from there. The folder goes when the job is completed, or failed for a reason that asking again cannot mend.

use std::path::{Path, PathBuf};
use std::time::Duration;

use framefleet_common::process::machine;
use framefleet_common::process::shutdown::{Ended, Shutdown, signals};
use framefleet_coordinator::inbox::{Submission, Submitted, job_id};
use framefleet_coordinator::ops::fleet::FleetOps;
use framefleet_coordinator::ops::{JobView, Ops};
use framefleet_model::fault::{Fault, FaultKind, Whose};
use framefleet_model::id::JobId;
use framefleet_model::job::JobState;
use framefleet_model::pipeline::OnExisting;

use crate::app::{Crew, Embedded, Film};
use crate::args::{Format, PlaceArgs, TranscodeArgs};
use crate::asked::steps::Names;
use crate::asked::{Asked, OVERWRITE};
use crate::location::Reach;
use crate::made::{Made, Unmade, table};
use crate::progress::Bar;
use crate::request::{Checked, check};
use crate::settings::whole;
use crate::{folders, jobfile, preflight, render};

const WORKERS_MAX: u32 = 256;
/// From the first signal until whatever still runs is dropped.
const GRACE: Duration = Duration::from_secs(15);

/// How a command wants its one job to be done.
#[derive(Clone, Copy)]
pub struct Manner<'a> {
    pub workers: Option<&'a str>,
    /// Replace what stands at an output, whatever the job file says.
    pub overwrite: bool,
    pub place: &'a PlaceArgs,
}

pub async fn transcode(args: &TranscodeArgs) -> Result<(), Fault> {
    let asked = match &args.film.job {
        Some(path) => jobfile::read(path),
        None => Ok(Asked::by_flags(&args.film)),
    };
    let manner = Manner { workers: args.workers.as_deref(), overwrite: args.overwrite, place: &args.place };
    tell(manner.place.output, async { make(asked?, manner).await }).await
}

pub async fn run(asked: Asked, manner: Manner<'_>) -> Result<(), Fault> {
    tell(manner.place.output, make(asked, manner)).await
}

async fn tell(format: Format, made: impl Future<Output = Result<Made, Fault>>) -> Result<(), Fault> {
    match made.await {
        Ok(made) => render::print(format, &made, table),
        Err(fault) => {
            if format != Format::Table {
                render::print(format, &Unmade::of(&fault), |_| String::new())?;
            }
            Err(fault)
        }
    }
}

async fn make(mut asked: Asked, manner: Manner<'_>) -> Result<Made, Fault> {
    if manner.overwrite {
        asked.on_existing = Some(OVERWRITE.to_owned());
    }
    let checked = check(&asked, (OnExisting::Fail, Reach::Here))?;
    // Here is nobody that they could speak to.
    Names::default().know(&checked.request.steps)?;
    let crew = Crew { workers: workers(manner.workers)?, outputs: checked.outputs.len() };
    preflight::source(checked.source.path())?;
    let facts = Film::open(&checked.source).await?.facts(&checked.source);
    let folder = folders::state(manner.place.state_dir.as_deref())?.join(job_id(&checked.request, &facts).as_str());
    // An earlier life may have died while it removed what was done.
    let _ = std::fs::remove_dir_all(done(&folder));
    if !folder.exists() {
        // A job under way may have published some of its outputs itself.
        let on_existing = checked.request.on_existing;
        checked.outputs.iter().try_for_each(|output| preflight::destination(output.path(), on_existing))?;
    }
    let ended = job(&checked, &folder, crew).await;
    if ended.as_ref().map_or_else(is_final, |_| true) {
        remove(&folder)?;
    }
    ended
}

fn workers(text: Option<&str>) -> Result<usize, Fault> {
    let Some(text) = text else { return Ok(machine::cores().get()) };
    let workers = whole("workers", text, &(1..=WORKERS_MAX))?;
    Ok(usize::try_from(workers).expect("a number of workers is small"))
}

/// Everything between taking the folder and giving it back.
async fn job(checked: &Checked, folder: &Path, crew: Crew) -> Result<Made, Fault> {
    let fleet = Embedded::open(folder, crew).await?;
    fleet.adopt().await?;
    let ops = fleet.ops();
    let (id, submitted) = ops.submit(&Submission::of(checked.request.clone())).await?;
    let shutdown = Shutdown::new(fleet.clock.clone(), GRACE);
    let heard = signals().map_err(|e| Fault::new(FaultKind::Internal, format!("signals cannot be heard: {e}")))?;
    let stop = shutdown.stopping();
    let followed = async {
        let view = tokio::select! {
            view = follow(&ops, &id) => view.map(Some),
            () = stop.cancelled() => Ok(None),
        };
        stop.cancel();
        view
    };
    let work = async { tokio::join!(fleet.run(stop.clone()), followed).1 };
    let view = match shutdown.run(heard, work).await {
        Ended::Finished(view) => view?,
        Ended::Abandoned => None,
    };
    match view {
        Some(view) => made(&ops, view, submitted).await,
        None => Err(Fault::new(FaultKind::Cancelled, "cancelled; the same command goes on where this one stopped")),
    }
}

/// Until the job is over and nothing half-made is left.
async fn follow(ops: &FleetOps, id: &JobId) -> Result<JobView, Fault> {
    let mut bar = Bar::on_terminal();
    let mut seen = None;
    loop {
        let view = ops.watch(id, seen.as_ref()).await?;
        let view = view.ok_or_else(|| Fault::new(FaultKind::Internal, format!("job {id} is gone")))?;
        bar.show(&view);
        if view.is_over() {
            return Ok(view);
        }
        seen = Some(view);
    }
}

async fn made(ops: &FleetOps, view: JobView, submitted: Submitted) -> Result<Made, Fault> {
    let id = view.job.id;
    match view.job.state {
        JobState::Completed(_) => {
            let lost = |what: &str| Fault::new(FaultKind::Internal, format!("job {id} is completed without a {what}"));
            let plan = ops.plan(&id).await?.ok_or_else(|| lost("plan"))?;
            let ledger = ops.ledger(&id).await?.ok_or_else(|| lost("ledger"))?;
            Ok(Made::of(id, submitted, &plan, &ledger))
        }
        JobState::Failed(end) => Err(end.fault),
        JobState::Cancelled(end) => Err(Fault::new(FaultKind::Cancelled, end.reason)),
        state @ (JobState::Accepted
        | JobState::Indexing(_)
        | JobState::Encoding(_)
        | JobState::Merging(_)
        | JobState::Publishing(_)) => {
            Err(Fault::new(FaultKind::Internal, format!("job {id} is over and still {}", state.name())))
        }
    }
}

/// Whether asking again would end the same way: nothing is worth keeping then.
fn is_final(fault: &Fault) -> bool {
    match fault.kind.whose() {
        Whose::Input | Whose::Destination => true,
        Whose::Ours => false,
    }
}

/// In one step, so that a program that dies meanwhile leaves a whole state or none.
fn remove(folder: &Path) -> Result<(), Fault> {
    let done = done(folder);
    let there = |ended: std::io::Result<()>| match ended {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    let removed = there(std::fs::rename(folder, &done)).and_then(|()| there(std::fs::remove_dir_all(&done)));
    removed.map_err(|error| {
        let message = format!("the job is done, its state {} cannot be removed: {error}", folder.display());
        Fault::new(FaultKind::Internal, message)
    })
}

/// What the state of a job is called while it is being removed.
fn done(folder: &Path) -> PathBuf {
    folder.with_extension("done")
}
