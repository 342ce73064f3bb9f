//! What happens at run time, as typed events: each writes its line of log and counts itself, in one place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use framefleet_common::ports::broker::{BrokerError, Class};
use framefleet_common::ports::rows::TaskRef;
use framefleet_common::ports::store::StoreError;
use framefleet_common::process::metrics::{self, Counters, Gauges};
use framefleet_model::fault::Fault;
use framefleet_model::id::Nonce;
use prometheus::{IntCounter, Registry};
use tracing::{debug, info, warn};

#[derive(Clone, Debug)]
pub(crate) struct Observer {
    attempts: Counters,
    hints_dropped: Counters,
    store_errors: IntCounter,
    broker_errors: IntCounter,
    busy_shown: Gauges,
    busy: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// A slot of a class at work, for as long as it lives.
pub(crate) struct Busy {
    observer: Observer,
    class: String,
}

impl Observer {
    /// Every figure is there from the start, at zero. `classes` are those of the worker's slots.
    pub(crate) fn new(registry: &Registry, classes: &[&str]) -> Self {
        let counter = |name: &str, sentence: &str| metrics::counter(registry, (name, sentence));
        let outcomes = ["settled", "lost", "unwanted", "handed_back", "declined", "failed"];
        Self {
            attempts: Counters::new(
                registry,
                ("framefleet_attempts_total", "Attempts by how they ended."),
                ("outcome", &outcomes),
            ),
            hints_dropped: Counters::new(
                registry,
                ("framefleet_hints_dropped_total", "Hints whose task was not to be had."),
                ("answer", &["held", "not_yet", "over"]),
            ),
            store_errors: counter("framefleet_worker_store_errors_total", "Calls that the store did not answer well."),
            broker_errors: counter("framefleet_worker_broker_errors_total", "Times that the broker did not answer."),
            busy_shown: Gauges::new(
                registry,
                ("framefleet_worker_busy_slots", "Slots that are at work, by class."),
                ("class", classes),
            ),
            busy: Arc::default(),
        }
    }

    /// `class` is the slot's own: the task may have moved to another since it was hinted.
    pub(crate) fn claimed(&self, at: &TaskRef, (class, nonce): (&str, &Nonce)) -> Busy {
        debug!(job = %at.job, task = %at.task, attempt = %nonce, "claimed");
        self.count(class, |busy| busy.saturating_add(1));
        Busy { observer: self.clone(), class: class.to_owned() }
    }

    fn count(&self, class: &str, change: impl FnOnce(u32) -> u32) {
        let mut busy = self.lock();
        let count = busy.entry(class.to_owned()).or_insert(0);
        *count = change(*count);
        self.busy_shown.set(class, (*count).into());
    }

    /// Slots at work, by class.
    pub(crate) fn busy(&self) -> BTreeMap<String, u32> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        // What is behind this lock is whole after every statement.
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn not_granted(&self, at: &TaskRef, answer: &str) {
        self.hints_dropped.add(answer, 1);
        debug!(job = %at.job, task = %at.task, answer, "hint dropped");
    }

    pub(crate) fn ended(&self, at: &TaskRef, nonce: &Nonce, how: &str) {
        self.attempts.add(how, 1);
        debug!(job = %at.job, task = %at.task, attempt = %nonce, how, "attempt ended");
    }

    pub(crate) fn failed(&self, at: &TaskRef, nonce: &Nonce, fault: &Fault) {
        warn!(job = %at.job, task = %at.task, attempt = %nonce, %fault, "attempt failed");
    }

    pub(crate) fn leftover(&self, at: &TaskRef, fault: &Fault) {
        warn!(job = %at.job, task = %at.task, %fault, "result that lost could not be deleted");
    }

    pub(crate) fn store_away(&self, error: &StoreError) {
        self.store_errors.inc();
        warn!(%error, "store did not answer");
    }

    pub(crate) fn broker_away(&self, class: &Class, error: &BrokerError) {
        self.broker_errors.inc();
        warn!(%class, %error, "broker did not answer");
    }

    pub(crate) fn no_room(&self, why: &str) {
        warn!(why, "taking nothing more for now");
    }

    pub(crate) fn draining(&self) {
        info!(busy = ?self.busy(), "told to stop: taking nothing more");
    }

    pub(crate) fn abandoning(&self) {
        info!(busy = ?self.busy(), "grace is over: handing back what still runs");
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.observer.count(&self.class, |busy| busy.saturating_sub(1));
    }
}
