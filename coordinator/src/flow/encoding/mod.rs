//! Encoding: segments and sound come in, in any order. When all are there their headers are compared, because no muxer
//! may join unequal ones.

/// Which segments do not fit the others.
pub mod headers;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{TaskId, TaskKind};
use framefleet_model::job::{Encoding, Headers, Job, JobState, Merging};
use framefleet_model::tally::{Tallied, Tally};
use framefleet_model::time::StoreTime;

use self::headers::Odd;
use crate::flow::dispatching::order;
use crate::flow::{Rejected, Step, TaskChange, failing, out_of_place};

/// Each time, builds that were there may have gone: an upgrade is over before.
const AGAIN_MAX: u8 = 8;

pub(crate) fn settled(job: &Job, task: TaskId) -> Result<Step, Rejected> {
    let JobState::Encoding(state) = &job.state else { return Err(out_of_place(job)) };
    let mut next = state.clone();
    let tally = match task.kind {
        TaskKind::Encode => &mut next.encodes,
        TaskKind::Audio => &mut next.audios,
        TaskKind::Image => &mut next.images,
        TaskKind::Index | TaskKind::Merge => return Err(Rejected::Stale),
    };
    match tally.tick(task.number) {
        Tallied::First => Ok(Step::to(JobState::Encoding(next))),
        Tallied::Again => Err(Rejected::Duplicate),
        Tallied::Unknown => Err(Rejected::Stale),
    }
}

pub(crate) fn compared(job: &Job, compared: &Result<Vec<Odd>, Fault>, now: StoreTime) -> Result<Step, Rejected> {
    let JobState::Encoding(state) = &job.state else { return Err(out_of_place(job)) };
    if !(state.encodes.is_full() && state.audios.is_full() && state.images.is_full()) {
        return Err(Rejected::Stale);
    }
    let odd = match compared {
        Ok(odd) => odd,
        Err(fault) => return Ok(failing::disproved(job, fault.clone(), None, now)),
    };
    if odd.is_empty() {
        return Ok(merge(job, state));
    }
    let in_vain = state.encoded_again > 0 && odd.iter().any(Odd::is_fickle);
    if in_vain || state.encoded_again >= AGAIN_MAX {
        let list: Vec<String> = odd.iter().map(|odd| format!("{} by {}", odd.task, odd.made_by)).collect();
        let times = state.encoded_again;
        let text = format!("the headers of {} segments differ even when encoded again {times} times", odd.len());
        let fault = Fault::new(FaultKind::LedgerOpen, text).with_evidence(list.join(", "));
        return Ok(failing::disproved(job, fault, None, now));
    }
    Ok(encode_again(state, odd))
}

fn merge(job: &Job, state: &Encoding) -> Step {
    // Those that are known to be done, too: of some only an earlier end may be known.
    let turn = (0..state.merges.total()).map(|number| TaskId::new(TaskKind::Merge, number));
    let tasks = turn.map(|task| TaskChange::Order { task, order: order(job, task) }).collect();
    let (plan, merges, segments) = (state.plan.clone(), state.merges.clone(), state.encodes.total());
    let merging = Merging { plan, merges, segments };
    Step::to(JobState::Merging(merging)).with_tasks(tasks)
}

fn encode_again(state: &Encoding, odd: &[Odd]) -> Step {
    let encoded_again = state.encoded_again + 1;
    let mut next = Encoding { headers: Headers::EncodedAgain, encoded_again, ..state.clone() };
    odd.iter().for_each(|odd| next.encodes.untick(odd.task.number));
    let encodes = odd.iter().map(|odd| TaskChange::AgainBy { task: odd.task, build: odd.wanted.clone() });
    // Merges read what is made again, and one that is done may not have been heard of.
    let merges = (0..state.merges.total()).map(|number| TaskChange::Again(TaskId::new(TaskKind::Merge, number)));
    let again = encodes.chain(merges).collect();
    next.merges = Tally::new(state.merges.total());
    Step::to(JobState::Encoding(next)).with_tasks(again)
}
