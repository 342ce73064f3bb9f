//! What happens at run time, as typed events: one line of log each.

use framefleet_common::ports::broker::BrokerError;
use framefleet_common::ports::store::StoreError;
use framefleet_model::fault::{Fault, Whose};
use framefleet_model::id::{JobId, TaskId};
use framefleet_model::job::{IndexStep, Job, JobState};
use tracing::{debug, error, info, warn};

use crate::flow::{Decision, Effect};

pub(crate) fn decided(before: &Job, decision: &Decision) {
    let (from, to) = (before.state.name(), decision.job.state.name());
    let job = &before.id;
    if !decision.rejected.is_empty() {
        debug!(%job, rejected = ?decision.rejected, "news changed nothing");
    }
    if from == to {
        return;
    }
    match &decision.job.state {
        JobState::Failed(end) => match end.fault.kind.whose() {
            Whose::Input | Whose::Destination => info!(%job, from, fault = %end.fault, "job failed"),
            Whose::Ours => error!(%job, from, fault = %end.fault, "job failed"),
        },
        JobState::Indexing(IndexStep::Disproved { fault, .. }) => {
            warn!(%job, from, %fault, "job did not prove and is planned again without cuts");
        }
        JobState::Accepted
        | JobState::Indexing(IndexStep::Awaited | IndexStep::Found)
        | JobState::Encoding(_)
        | JobState::Merging(_)
        | JobState::Publishing(_)
        | JobState::Completed(_)
        | JobState::Cancelled(_) => info!(%job, from, to, "job went on"),
    }
}

pub(crate) fn postponed(job: &JobId, effect: Effect, fault: &Fault) {
    warn!(%job, ?effect, %fault, "effect put off");
}

pub(crate) fn store_away(error: &StoreError) {
    warn!(%error, "store did not answer");
}

pub(crate) fn broker_away(error: &BrokerError) {
    warn!(%error, "broker did not confirm");
}

pub(crate) fn merge_began(job: &JobId, task: TaskId) {
    debug!(%job, %task, "merge began");
}

pub(crate) fn merge_ended(job: &JobId, task: TaskId, how: &str) {
    debug!(%job, %task, how, "merge ended");
}

pub(crate) fn merge_failed(job: &JobId, task: TaskId, fault: &Fault) {
    warn!(%job, %task, %fault, "merge failed");
}
