//! What happens at run time, as typed events: each writes its line of log and counts itself, in one place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use framefleet_common::ports::broker::{BrokerError, Class};
use framefleet_common::ports::rows::TaskRef;
use framefleet_common::ports::store::StoreError;
use framefleet_model::fault::Fault;
use framefleet_model::id::Nonce;
use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};
use tracing::{debug, info, warn};

#[derive(Clone, Debug)]
pub(crate) struct Observer {
    attempts: IntCounterVec,
    hints_dropped: IntCounterVec,
    store_errors: IntCounter,
    broker_errors: IntCounter,
    busy_shown: IntGaugeVec,
    busy: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// A slot of a class at work, for as long as it lives.
pub(crate) struct Busy {
    observer: Observer,
    class: String,
}

impl Observer {
    /// Every family is there from the start, at zero.
    pub(crate) fn new(registry: &Registry) -> Self {
        let family = |name: &str, help: &str, (label, values): (&str, &[&str])| {
            let family = IntCounterVec::new(Opts::new(name, help), &[label]).expect("the names are ours and legal");
            values.iter().for_each(|value| drop(family.get_metric_with_label_values(&[value])));
            register(registry, family)
        };
        let counter = |name: &str, help: &str| {
            register(registry, IntCounter::new(name, help).expect("the names are ours and legal"))
        };
        let outcomes = ["settled", "lost", "unwanted", "handed_back", "declined", "failed"];
        let busy = Opts::new("framefleet_worker_busy_slots", "slots that are at work, by class");
        let busy = IntGaugeVec::new(busy, &["class"]);
        Self {
            attempts: family("framefleet_attempts_total", "attempts by how they ended", ("outcome", &outcomes)),
            hints_dropped: family(
                "framefleet_hints_dropped_total",
                "hints whose task was not to be had",
                ("answer", &["held", "not_yet", "over"]),
            ),
            store_errors: counter("framefleet_worker_store_errors_total", "calls that the store did not answer well"),
            broker_errors: counter("framefleet_worker_broker_errors_total", "times that the broker did not answer"),
            busy_shown: register(registry, busy.expect("the names are ours and legal")),
            busy: Arc::default(),
        }
    }

    pub(crate) fn claimed(&self, at: &TaskRef, (class, nonce): (&str, &Nonce)) -> Busy {
        debug!(job = %at.job, task = %at.task, attempt = %nonce, "claimed");
        *self.lock().entry(class.to_owned()).or_insert(0) += 1;
        self.busy_shown.with_label_values(&[class]).inc();
        Busy { observer: self.clone(), class: class.to_owned() }
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
        self.hints_dropped.with_label_values(&[answer]).inc();
        debug!(job = %at.job, task = %at.task, answer, "hint dropped");
    }

    pub(crate) fn ended(&self, at: &TaskRef, nonce: &Nonce, how: &str) {
        self.attempts.with_label_values(&[how]).inc();
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
        if let Some(count) = self.observer.lock().get_mut(&self.class) {
            *count = count.saturating_sub(1);
        }
        self.observer.busy_shown.with_label_values(&[&self.class]).dec();
    }
}

/// Two workers of one process, as tests have them, count apart: only the first is shown.
fn register<C: Collector + Clone + 'static>(registry: &Registry, family: C) -> C {
    drop(registry.register(Box::new(family.clone())));
    family
}
