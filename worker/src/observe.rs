//! What happens at run time, as typed events: each writes its line of log and counts itself, in one place.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use framefleet_common::board::Settlement;
use framefleet_common::ports::broker::{BrokerError, Class};
use framefleet_common::ports::rows::TaskRef;
use framefleet_common::ports::store::StoreError;
use framefleet_common::process::metrics::{self, Counters, Gauges, Timings};
use framefleet_common::process::traces::{Span, Traces};
use framefleet_model::fault::Fault;
use framefleet_model::id::{Nonce, TaskId, TaskKind};
use framefleet_model::task::Need;
use framefleet_model::time::MediaTime;
use prometheus::{Counter, CounterVec, IntCounter, IntGauge, Opts, Registry};
use tracing::{debug, info, warn};

#[derive(Clone, Debug)]
pub(crate) struct Observer {
    attempts: Counters,
    hints_dropped: Counters,
    store_errors: IntCounter,
    broker_errors: IntCounter,
    took: Timings,
    cpu: BTreeMap<&'static str, Counter>,
    media: Counter,
    room: RoomFigures,
    /// Where the spans of attempts go.
    pub(crate) traces: Traces,
    busy_shown: Gauges,
    busy: Arc<Mutex<BTreeMap<String, u32>>>,
}

/// What there is of room, when it was last looked at.
#[derive(Clone, Debug)]
struct RoomFigures {
    scratch_free: IntGauge,
    scratch_reserved: IntGauge,
    memory_reserved: IntGauge,
}

/// What an attempt did, whatever came of it.
pub(crate) struct Done {
    pub(crate) task: TaskId,
    pub(crate) took: Duration,
    pub(crate) cpu_ms: u64,
    /// The part of the film that a segment's encode showed.
    pub(crate) media: Option<MediaTime>,
}

const KINDS: [(&str, TaskKind); 4] =
    [("index", TaskKind::Index), ("encode", TaskKind::Encode), ("audio", TaskKind::Audio), ("image", TaskKind::Image)];
/// Seconds, from a short index to the longest task that is not cut.
const BOUNDS: [f64; 10] = [0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0, 3600.0, 21_600.0];

/// A slot of a class at work, for as long as it lives.
pub(crate) struct Busy {
    observer: Observer,
    class: String,
}

impl Observer {
    /// Every figure is there from the start, at zero. `classes` are those of the worker's slots.
    pub(crate) fn new(registry: &Registry, classes: &[&str]) -> Self {
        let counter = |name: &str, sentence: &str| metrics::counter(registry, (name, sentence));
        let gauge = |name: &str, sentence: &str| metrics::gauge(registry, (name, sentence));
        let outcomes = ["settled", "lost", "unwanted", "handed_back", "declined", "left", "failed"];
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
            took: Timings::new(
                registry,
                ("framefleet_task_duration_seconds", "How long attempts took that settled, from claim to settle."),
                ("kind", &KINDS.map(|(name, _)| name)),
                &BOUNDS,
            ),
            cpu: {
                let named = Opts::new(
                    "framefleet_task_cpu_seconds_total",
                    "CPU time of children, whatever came of their attempts.",
                );
                let family = metrics::family(registry, CounterVec::new(named, &["kind"]));
                KINDS.iter().map(|(name, _)| (*name, family.with_label_values(&[name]))).collect()
            },
            media: metrics::family(
                registry,
                Counter::new(
                    "framefleet_encoded_media_seconds_total",
                    "Length of the segments whose encodes settled, each once however many renditions it has.",
                ),
            ),
            room: RoomFigures {
                scratch_free: gauge("framefleet_scratch_free_bytes", "What the scratch folder's file system has free."),
                scratch_reserved: gauge(
                    "framefleet_scratch_reserved_bytes",
                    "Scratch that attempts are estimated to need.",
                ),
                memory_reserved: gauge(
                    "framefleet_memory_reserved_bytes",
                    "Memory that attempts are estimated to need.",
                ),
            },
            traces: Traces::default(),
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
        info!(job = %at.job, task = %at.task, attempt = %nonce, class, "claimed");
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

    pub(crate) fn ended(&self, at: &TaskRef, nonce: &Nonce, outcome: &str) {
        self.attempts.add(outcome, 1);
        info!(job = %at.job, task = %at.task, attempt = %nonce, outcome, "attempt ended");
    }

    /// The same, to whoever traces.
    pub(crate) fn trace(&self, span: Option<Span>) {
        if let Some(span) = span {
            self.traces.emit(span);
        }
    }

    /// Its child has ended, and its result was settled or not.
    pub(crate) fn done(&self, done: &Done, settled: Option<Settlement>) {
        let Some((kind, _)) = KINDS.iter().find(|(_, kind)| *kind == done.task.kind) else { return };
        if let Some(cpu) = self.cpu.get(kind) {
            cpu.inc_by(done.cpu_ms as f64 / 1e3);
        }
        let took_ms = u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX);
        debug!(took_ms, cpu_ms = done.cpu_ms, "media child is done with");
        if settled == Some(Settlement::Won) {
            self.took.took(kind, done.took);
            self.media.inc_by(done.media.map_or(0.0, |media| media.ns() as f64 / 1e9));
        }
    }

    /// In MiB.
    pub(crate) fn room(&self, scratch_free: Option<u64>, reserved: Need) {
        let bytes = |mib: u64| i64::try_from(mib << 20).unwrap_or(i64::MAX);
        self.room.scratch_free.set(scratch_free.map_or(0, bytes));
        self.room.scratch_reserved.set(bytes(reserved.scratch_mib.into()));
        self.room.memory_reserved.set(bytes(reserved.memory_mib.into()));
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
