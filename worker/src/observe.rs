//! What happens at run time, as typed events: one line of log each.

use framefleet_common::ports::broker::{BrokerError, Class};
use framefleet_common::ports::rows::TaskRef;
use framefleet_common::ports::store::StoreError;
use framefleet_model::fault::Fault;
use framefleet_model::id::Nonce;
use tracing::{debug, warn};

pub(crate) fn claimed(at: &TaskRef, nonce: &Nonce) {
    debug!(job = %at.job, task = %at.task, attempt = %nonce, "claimed");
}

pub(crate) fn not_granted(at: &TaskRef, answer: &str) {
    debug!(job = %at.job, task = %at.task, answer, "hint dropped");
}

pub(crate) fn ended(at: &TaskRef, nonce: &Nonce, how: &str) {
    debug!(job = %at.job, task = %at.task, attempt = %nonce, how, "attempt ended");
}

pub(crate) fn failed(at: &TaskRef, nonce: &Nonce, fault: &Fault) {
    warn!(job = %at.job, task = %at.task, attempt = %nonce, %fault, "attempt failed");
}

pub(crate) fn leftover(at: &TaskRef, fault: &Fault) {
    warn!(job = %at.job, task = %at.task, %fault, "result that lost could not be deleted");
}

pub(crate) fn store_away(error: &StoreError) {
    warn!(%error, "store did not answer");
}

pub(crate) fn broker_away(class: &Class, error: &BrokerError) {
    warn!(%class, %error, "broker did not answer");
}
