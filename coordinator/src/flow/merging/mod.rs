//! Merging: outputs come in; when all are there the ledger is drawn up, and only if it closes is anything published.

/// The ledger: what each segment held, that seams meet, what was read back.
pub mod proof;

use framefleet_model::fault::Fault;
use framefleet_model::id::{Digest, TaskId};
use framefleet_model::job::{Job, JobState, Publishing};
use framefleet_model::tally::Tallied;
use framefleet_model::time::StoreTime;

use crate::flow::{Rejected, Step, failing, out_of_place};

pub(crate) fn settled(job: &Job, task: TaskId) -> Result<Step, Rejected> {
    let mut state = job.state.clone();
    let merges = match &mut state {
        JobState::Merging(state) => &mut state.merges,
        // It began early, and ended before the headers were compared.
        JobState::Encoding(state) => &mut state.merges,
        JobState::Accepted
        | JobState::Indexing(_)
        | JobState::Publishing(_)
        | JobState::Completed(_)
        | JobState::Failed(_)
        | JobState::Cancelled(_) => return Err(out_of_place(job)),
    };
    match merges.tick(task.number) {
        Tallied::First => Ok(Step::to(state)),
        Tallied::Again => Err(Rejected::Duplicate),
        Tallied::Unknown => Err(Rejected::Stale),
    }
}

pub(crate) fn proved(job: &Job, proved: &Result<Digest, Fault>, now: StoreTime) -> Result<Step, Rejected> {
    let JobState::Merging(state) = &job.state else { return Err(out_of_place(job)) };
    if !state.merges.is_full() {
        return Err(Rejected::Stale);
    }
    match proved {
        Ok(ledger) => Ok(Step::to(JobState::Publishing(Publishing {
            plan: state.plan.clone(),
            ledger: ledger.clone(),
            merges: state.merges.total(),
            segments: state.segments,
        }))),
        Err(fault) => Ok(failing::disproved(job, fault.clone(), None, now)),
    }
}
