//! Steps: what happens once a job has ended, kept in the job's shard from the transaction on that ends it.
//!
//! ```text
//! end of the job ─▶ a row for each step ─▶ run.rs: claim · barrier · look · try · commit ─▶ done | later | dead + letter
//!                        └─ steps/<generation>.json at the job's closing, for a lost store ─┘
//! ```
//! Whatever becomes of a step changes nothing of its job. A generation's steps are its own: they go on when the next one
//! begins.

/// Steps are tried, until they are done or given up.
pub mod run;

use framefleet_common::ports::rows::{self, StepRef};
use framefleet_common::ports::store::{Commit, Entry, Row, Scan, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::JobId;
use framefleet_model::job::Job;
use framefleet_model::key::ObjectKey;
use framefleet_model::step::life::{STEP_VERSION, StepRow, StepState};
use framefleet_model::step::{Ending, Step};

use crate::effects::Effects;
use crate::events::JobEvent;
use crate::flow::Announcement;
use crate::letters;

const STEPS_PER_SCAN: usize = 1024;
/// A row has room for as many; whoever has longer names gets fewer files fetched ahead.
const FILES_BYTES_MAX: usize = 512 << 10;
const CONFLICTS_MAX: u32 = 16;

/// The steps that follow from this announcement, if it is of the job's end.
pub(crate) fn begin(txn: Txn, job: &Job, (announcement, event): (&Announcement, &JobEvent)) -> Txn {
    let files: Vec<&String> = match announcement {
        Announcement::Accepted | Announcement::Started => return txn,
        Announcement::Completed(delivered) => delivered.iter().flat_map(|delivered| &delivered.files).collect(),
        Announcement::Failed(_) | Announcement::Cancelled { .. } => Vec::new(),
    };
    let Some((ending, at)) = Ending::of(&job.state).zip(job.state.ended_at()) else { return txn };
    let wanted = job.steps.iter().zip(0..).filter(|(step, _)| step.is_for(ending));
    wanted.fold(txn, |txn, (step, number)| {
        let row = StepRow {
            version: STEP_VERSION,
            job: job.id.clone(),
            generation: job.generation,
            number,
            step: step.clone(),
            event: event.id.clone(),
            body: event.body.clone(),
            files: concerned(step, &files),
            files_done: 0,
            since: at,
            tries: 0,
            tried: Vec::new(),
            state: StepState::Waiting { due: at },
        };
        rows::put_step(txn, &row)
    })
}

/// The first of all files, as many as the step has to do with.
fn concerned(step: &Step, files: &[&String]) -> Vec<String> {
    let mut bytes = 0;
    let fits = |file: &&&String| {
        bytes += file.len();
        bytes <= FILES_BYTES_MAX
    };
    files.iter().take(step.files_max() as usize).take_while(fits).map(|file| (*file).clone()).collect()
}

/// The steps of all generations of a job that have ended, in order.
pub(crate) async fn of_job(store: &dyn Store, job: &JobId) -> Result<Vec<StepRow>, StoreError> {
    let entries = store.scan(Scan::all(rows::steps_of(job), STEPS_PER_SCAN)).await?.entries;
    let keys: Vec<_> = entries.iter().filter_map(|Entry { member, .. }| Some(StepRef::parse(member)?.row())).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let loaded = keys.iter().zip(store.load(&keys).await?.rows);
    loaded.filter_map(|(key, row)| Some(rows::from_row(key, &row?))).collect()
}

/// Writes down what is to happen after the end of this generation, for a lost store to be built anew from.
pub(crate) async fn note(effects: &Effects, job: &Job) -> Result<(), Fault> {
    if job.steps.is_empty() {
        return Ok(());
    }
    let mut steps = of_job(&*effects.store, &job.id).await?;
    steps.retain(|step| step.generation == job.generation);
    if steps.is_empty() {
        return Ok(());
    }
    effects.put(&ObjectKey::steps(&job.id, job.generation), rows::to_bytes(&steps)).await
}

/// A step that was given up is tried again, and its letter thrown away.
pub(crate) async fn again(store: &dyn Store, at: &StepRef, letter: &str) -> Result<(), Fault> {
    for _ in 0..CONFLICTS_MAX {
        let loaded = store.load(&[at.row()]).await?;
        let Some(row) = loaded.rows.into_iter().next().flatten() else {
            let text = format!("step {at} is forgotten with its job: its letter can only be dropped");
            return Err(Fault::new(FaultKind::Settings, text));
        };
        let Row { version, .. } = row;
        let known: StepRow = rows::from_row(&at.row(), &row)?;
        let txn = letters::remove(Txn::new(at.shard()).expect(&at.row(), version), letter);
        let txn = match known.state {
            StepState::Dead { .. } => rows::put_step(txn, &known.again(loaded.now)),
            // Somebody else asked for it before.
            StepState::Waiting { .. } | StepState::Done { .. } => txn,
        };
        if let Commit::Committed(_) = store.commit(txn).await? {
            return Ok(());
        }
    }
    Err(Fault::new(FaultKind::StoreAway, format!("{CONFLICTS_MAX} conflicts in a row over step {at}")))
}
