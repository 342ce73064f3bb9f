//! Encoding: segments and sound come in, in any order. When all are there their headers are compared, because no muxer
//! may join unequal ones.

use std::collections::BTreeMap;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, TaskId, TaskKind};
use framefleet_model::job::{Encoding, Headers, Job, JobState, Merging};
use framefleet_model::ledger::SegmentProof;
use framefleet_model::tally::{Tallied, Tally};
use framefleet_model::time::StoreTime;

use crate::flow::dispatching::order;
use crate::flow::{Rejected, Step, TaskChange, failing, out_of_place};

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

/// The tasks whose headers are not those of most segments of the same rendition.
pub fn odd_headers<'a>(segments: &'a [(TaskId, Vec<SegmentProof>)]) -> Vec<TaskId> {
    let mut votes: BTreeMap<u32, BTreeMap<&'a Digest, usize>> = BTreeMap::new();
    for proof in segments.iter().flat_map(|(_, proofs)| proofs).filter(|proof| proof.pictures > 0) {
        *votes.entry(proof.rendition).or_default().entry(&proof.header).or_default() += 1;
    }
    // A tie is broken by the digest, so that every coordinator finds the same.
    let most = |(rendition, of): (&u32, &BTreeMap<&'a Digest, usize>)| {
        let (header, _) = of.iter().max_by_key(|(header, votes)| (**votes, **header))?;
        Some((*rendition, *header))
    };
    let usual: BTreeMap<u32, &Digest> = votes.iter().filter_map(most).collect();
    let differs = |proof: &SegmentProof| proof.pictures > 0 && usual.get(&proof.rendition) != Some(&&proof.header);
    segments.iter().filter(|(_, proofs)| proofs.iter().any(differs)).map(|(task, _)| *task).collect()
}

pub(crate) fn compared(job: &Job, odd: &[TaskId], now: StoreTime) -> Result<Step, Rejected> {
    let JobState::Encoding(state) = &job.state else { return Err(out_of_place(job)) };
    if !(state.encodes.is_full() && state.audios.is_full() && state.images.is_full()) {
        return Err(Rejected::Stale);
    }
    if odd.is_empty() {
        return Ok(merge(job, state));
    }
    match state.headers {
        Headers::FirstTime => Ok(encode_again(state, odd)),
        Headers::EncodedAgain => {
            let list: Vec<String> = odd.iter().map(TaskId::to_string).collect();
            let text = format!("the headers of {} segments differ even when encoded again", odd.len());
            let fault = Fault::new(FaultKind::LedgerOpen, text).with_evidence(list.join(" "));
            Ok(failing::disproved(job, fault, None, now))
        }
    }
}

fn merge(job: &Job, state: &Encoding) -> Step {
    let open = (0..state.merges.total()).filter(|number| !state.merges.has(*number));
    let turn = open.map(|number| TaskId::new(TaskKind::Merge, number));
    let tasks = turn.map(|task| TaskChange::Order { task, order: order(job, task) }).collect();
    let (plan, merges, segments) = (state.plan.clone(), state.merges.clone(), state.encodes.total());
    let merging = Merging { plan, merges, segments };
    Step::to(JobState::Merging(merging)).with_tasks(tasks)
}

fn encode_again(state: &Encoding, odd: &[TaskId]) -> Step {
    let mut next = Encoding { headers: Headers::EncodedAgain, ..state.clone() };
    odd.iter().for_each(|task| next.encodes.untick(task.number));
    // Merges read what is made again.
    let merged = (0..state.merges.total()).filter(|number| state.merges.has(*number));
    let merged = merged.map(|number| TaskId::new(TaskKind::Merge, number));
    let again = odd.iter().copied().chain(merged).map(TaskChange::Again).collect();
    next.merges = Tally::new(state.merges.total());
    Step::to(JobState::Encoding(next)).with_tasks(again)
}
