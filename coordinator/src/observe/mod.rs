//! What happens at run time, as typed events: each writes its line of log and counts itself, in one place.

mod ends;
mod traced;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use framefleet_common::board::{Expired, Grant};
use framefleet_common::ports::broker::{BrokerError, Event, Hint};
use framefleet_common::ports::rows::TaskRef;
use framefleet_common::ports::store::StoreError;
use framefleet_common::process::metrics::{self, Counters, Gauges};
use framefleet_common::process::traces::{Begun, Traces, When};
use framefleet_common::spans;
use framefleet_model::board::{Claimant, Lease};
use framefleet_model::fault::{Fault, Whose};
use framefleet_model::id::{JobId, TaskId};
use framefleet_model::job::{IndexStep, Job, JobState};
use framefleet_model::step::life::{StepRow, Tried};
use framefleet_model::trace::{JobTrace, TraceContext};
use prometheus::{IntCounter, IntGauge, Registry};
use tracing::{debug, error, info, warn};

use self::ends::Ends;
use crate::flow::{Decision, Effect, TaskChange};
use crate::inbox::Asker;

#[derive(Clone, Debug)]
pub(crate) struct Observer {
    jobs: Counters,
    rejected: IntCounter,
    postponed: IntCounter,
    encoded_again: IntCounter,
    merges: Counters,
    store_errors: IntCounter,
    broker_errors: IntCounter,
    dead_letters: IntCounter,
    swept: Counters,
    uploads: Counters,
    sweeps: Counters,
    sweep_objects: Counters,
    steps: Counters,
    backlog: Backlog,
    ends: Ends,
    rounds: Gauges,
    /// Where the spans of jobs go.
    pub(crate) traces: Traces,
}

/// What waits, and what is given out of it.
#[derive(Clone, Debug)]
struct Backlog {
    demand: Gauges,
    demand_merges: IntGauge,
    oldest_ready: Gauges,
    hints: Counters,
}

/// The loops of a coordinator that must go round.
const LOOPS: [&str; 4] = ["census", "dispatcher", "outbox", "sweeper"];

/// Of an upload, the first for each that was told of, the others for what became of it; `malformed` is of messages.
const UPLOADS: [&str; 9] =
    ["received", "other", "matched", "unmatched", "duplicate", "refused", "gone", "parked", "malformed"];

/// What comes of a try at a step.
const STEPS: [&str; 5] = ["done", "part", "failed", "early", "dead"];

impl Backlog {
    fn new(registry: &Registry, classes: &[&str]) -> Self {
        Self {
            demand: Gauges::new(
                registry,
                (
                    "framefleet_demand_slots",
                    "Tasks that are ready, hinted, claimed or wait for their next try, by class; scope: fleet.",
                ),
                ("class", classes),
            ),
            demand_merges: metrics::gauge(
                registry,
                ("framefleet_demand_merges", "Merges that wait for a slot of a coordinator or have one; scope: fleet."),
            ),
            oldest_ready: Gauges::new(
                registry,
                (
                    "framefleet_oldest_ready_seconds",
                    "How long a task that nobody has claimed waits, as long as this process saw it; scope: fleet.",
                ),
                ("class", classes),
            ),
            hints: Counters::new(
                registry,
                ("framefleet_hints_total", "Hints that were given, and those that the broker did not confirm."),
                ("what", &["given", "unconfirmed"]),
            ),
        }
    }
}

impl Observer {
    /// Every figure is there from the start, at zero. `classes` are those that are hinted.
    pub(crate) fn new(registry: &Registry, classes: &[&str]) -> Self {
        let counter = |name: &str, sentence: &str| metrics::counter(registry, (name, sentence));
        let states = ["accepted", "indexing", "encoding", "merging", "publishing", "completed", "failed", "cancelled"];
        let outcomes = ["settled", "lost", "unwanted", "handed_back", "declined", "failed"];
        Self {
            jobs: Counters::new(
                registry,
                ("framefleet_jobs_total", "Jobs that came to this state here."),
                ("state", &states),
            ),
            rejected: counter("framefleet_news_rejected_total", "Repeated or late news that changed nothing."),
            postponed: counter(
                "framefleet_effects_postponed_total",
                "Effects that storage or store stood in the way of.",
            ),
            encoded_again: counter(
                "framefleet_segments_encoded_again_total",
                "Segments whose headers were another build's than the others'.",
            ),
            merges: Counters::new(
                registry,
                ("framefleet_merges_total", "Merge attempts by how they ended."),
                ("outcome", &outcomes),
            ),
            store_errors: counter(
                "framefleet_coordinator_store_errors_total",
                "Calls that the store did not answer well.",
            ),
            broker_errors: counter("framefleet_coordinator_broker_errors_total", "Messages that were not confirmed."),
            dead_letters: counter("framefleet_dead_letters_total", "Messages and tasks that were given up."),
            swept: Counters::new(
                registry,
                (
                    "framefleet_swept_total",
                    "What time alone did: leases that ran out, hints that nobody answered, pauses that were over, results that were told of once more, and what was cleared away.",
                ),
                ("what", &["lease", "hint", "pause", "attempts", "job", "report", "letter", "event"]),
            ),
            uploads: Counters::new(
                registry,
                ("framefleet_uploads_total", "What was told of uploads, and what became of each."),
                ("what", &UPLOADS),
            ),
            sweeps: Counters::new(
                registry,
                ("framefleet_bucket_sweeps_total", "Rounds over triggers' places, and whole passes."),
                ("what", &["round", "pass", "failed"]),
            ),
            sweep_objects: Counters::new(
                registry,
                ("framefleet_bucket_sweep_objects_total", "Objects that sweeps saw, and what became of each."),
                ("what", &["listed", "refused", "known", "unsettled", "submitted"]),
            ),
            steps: Counters::new(
                registry,
                ("framefleet_steps_total", "Tries at steps of ended jobs by what came of them."),
                ("outcome", &STEPS),
            ),
            backlog: Backlog::new(registry, classes),
            ends: Ends::new(registry),
            rounds: Gauges::new(
                registry,
                ("framefleet_round_timestamp_seconds", "When a loop last went round whole, in seconds since 1970."),
                ("loop", &LOOPS),
            ),
            traces: Traces::default(),
        }
    }

    /// A loop went round, and everything that it asked answered.
    pub(crate) fn rounded(&self, name: &str) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.rounds.set(name, i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    }

    /// A job's place in a trace.
    pub(crate) fn place(&self, job: (&JobId, u32), asked: &Asker) -> Option<JobTrace> {
        traced::place(&self.traces, job, asked)
    }

    /// Somebody is told that it will be seen to.
    pub(crate) fn accepted(&self, job: &Job, (asked, now_ms): (&Asker, i64)) {
        traced::heard(&self.traces, job, (asked, now_ms));
        let (id, generation, tenant) = (&job.id, job.generation, &job.terms.tenant);
        info!(job = %id, generation, %tenant, source_bytes = job.source.size, "job accepted");
    }

    pub(crate) fn decided(&self, before: &Job, decision: &Decision) {
        let (from, to) = (before.state.name(), decision.job.state.name());
        let job = &before.id;
        if !decision.rejected.is_empty() {
            self.rejected.inc_by(decision.rejected.len() as u64);
            debug!(%job, rejected = ?decision.rejected, "news changed nothing");
        }
        let again = decision.tasks.iter().filter(|change| matches!(change, TaskChange::AgainBy { .. })).count();
        if again > 0 {
            self.encoded_again.inc_by(again as u64);
            info!(%job, segments = again, "headers differ: segments are encoded again");
        }
        if from == to {
            return;
        }
        self.jobs.add(to, 1);
        self.ends.count(decision);
        traced::ended(&self.traces, &decision.job);
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
            | JobState::Merging(_)
            | JobState::Publishing(_)
            | JobState::Completed(_)
            | JobState::Cancelled(_) => info!(%job, from, to, "job went on"),
            JobState::Encoding(encoding) => {
                let (segments, sounds) = (encoding.encodes.total(), encoding.audios.total());
                info!(%job, from, to, segments, sounds, "job went on");
            }
        }
    }

    /// What a coordinator does for a job between two commits, such as its plan.
    pub(crate) fn performed(&self, job: &Job, effect: Effect, begun: Begun<'_>) {
        let when = begun.until_now();
        info!(job = %job.id, effect = effect.name(), took_ms = millis(when.took), "effect done");
        traced::performed(&self.traces, job, (effect, &begun.word(), when));
    }

    /// An event of the job is confirmed by the broker.
    pub(crate) fn published(&self, event: &Event, under: Option<TraceContext>, when: When) {
        let Event { id, key, .. } = event;
        info!(event = id, key, "event published");
        traced::sent(&self.traces, (event, under), when);
    }

    pub(crate) fn postponed(&self, job: &JobId, effect: Effect, why: &str) {
        self.postponed.inc();
        warn!(%job, effect = effect.name(), why, "effect put off");
    }

    pub(crate) fn store_away(&self, error: &StoreError) {
        self.store_errors.inc();
        warn!(%error, "store did not answer");
    }

    pub(crate) fn broker_away(&self, error: &BrokerError) {
        self.broker_errors.inc();
        warn!(%error, "broker did not confirm");
    }

    /// A hint is confirmed by the broker.
    pub(crate) fn told_of_task(&self, hint: &Hint, (class, under): (&str, Option<&JobTrace>), when: When) {
        self.hinted("given");
        traced::hinted(&self.traces, hint, ((class, under), when));
    }

    /// A merge as its job's trace tells of it.
    pub(crate) fn merged(
        &self,
        (grant, claimant): (&Grant, &Claimant),
        (outcome, fault): (&str, Option<String>),
        when: When,
    ) {
        if let Some(span) = spans::attempted(grant, claimant, (outcome, when)) {
            self.traces.emit(span.failed(fault));
        }
    }

    pub(crate) fn merge_began(&self, job: &JobId, task: TaskId) {
        info!(%job, %task, "merge began");
    }

    pub(crate) fn merge_ended(&self, (job, task): (&JobId, TaskId), (outcome, took): (&str, Duration)) {
        self.merges.add(outcome, 1);
        self.ends.merged(outcome, took);
        info!(%job, %task, outcome, took_ms = millis(took), "merge ended");
    }

    pub(crate) fn merge_failed(&self, job: &JobId, task: TaskId, fault: &Fault) {
        warn!(%job, %task, %fault, "merge failed");
    }

    /// People must look at what could not be done.
    pub(crate) fn buried(&self, letter: &str, what: &str) {
        self.dead_letters.inc();
        error!(letter, what, "given up: see `framefleet dead show`");
    }

    /// The oldest letters of messages went, for there are too many.
    pub(crate) fn crowded_out(&self, count: usize) {
        self.swept.add("letter", count as u64);
    }

    pub(crate) fn expired(&self, at: &TaskRef, expired: &Expired) {
        self.swept(match expired {
            Expired::Lease(_) => "lease",
            Expired::Hint => "hint",
            Expired::Pause => "pause",
        });
        if let Expired::Lease(Lease { nonce, worker, .. }) = expired {
            warn!(job = %at.job, task = %at.task, attempt = %nonce, worker, "attempt lost: its worker is not heard");
        }
    }

    pub(crate) fn swept(&self, what: &str) {
        self.swept.add(what, 1);
    }

    /// Reports that jobs had not heard of were given once more.
    pub(crate) fn reported(&self, count: usize) {
        self.swept.add("report", count as u64);
    }

    /// A worker's row that this build cannot read.
    pub(crate) fn unread_worker(&self, error: &StoreError) {
        warn!(%error, "a worker is left out: what it says of itself cannot be read");
    }

    /// A message was read, or once more.
    pub(crate) fn told(&self, uploads: usize, others: usize) {
        self.uploads.add("received", uploads as u64);
        self.uploads.add("other", others as u64);
    }

    pub(crate) fn upload(&self, what: &str) {
        self.uploads.add(what, 1);
    }

    /// A trigger's job begins.
    pub(crate) fn triggered(&self, job: &JobId, (trigger, source): (&str, &str)) {
        self.uploads.add("matched", 1);
        info!(%job, trigger, source, "upload became a job");
    }

    pub(crate) fn upload_postponed(&self, what: &str, fault: &Fault) {
        warn!(what, %fault, "upload put off");
    }

    pub(crate) fn bucket_swept(&self, trigger: &str, what: &str) {
        self.sweeps.add(what, 1);
        debug!(trigger, what, "bucket swept");
    }

    pub(crate) fn bucket_not_swept(&self, trigger: &str, fault: &Fault) {
        self.sweeps.add("failed", 1);
        warn!(trigger, %fault, "bucket not swept");
    }

    pub(crate) fn sweep_saw(&self, what: &str, objects: usize) {
        self.sweep_objects.add(what, objects as u64);
    }

    /// An upload that nobody told of.
    pub(crate) fn swept_up(&self, job: &JobId, (trigger, source): (&str, &str)) {
        self.sweep_saw("submitted", 1);
        info!(%job, trigger, source, "sweep found what nobody told of");
    }

    pub(crate) fn stepped(&self, row: &StepRow, outcome: &str) {
        self.steps.add(outcome, 1);
        let (job, step, generation) = (&row.job, &row.step, row.generation);
        match (outcome, row.tried.last()) {
            ("failed" | "early" | "dead", Some(Tried { why, .. })) => {
                warn!(%job, generation, %step, outcome, why, "step came to nothing");
            }
            _ => info!(%job, generation, %step, outcome, "step went on"),
        }
    }

    pub(crate) fn leftover(&self, job: &JobId, fault: &Fault) {
        warn!(%job, %fault, "what the job left could not be removed yet");
    }

    pub(crate) fn waited(&self, class: &str, oldest: Duration) {
        self.backlog.oldest_ready.set(class, i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX));
    }

    pub(crate) fn hinted(&self, what: &str) {
        self.backlog.hints.add(what, 1);
    }

    pub(crate) fn demand(&self, class: &str, tasks: usize) {
        self.backlog.demand.set(class, i64::try_from(tasks).unwrap_or(i64::MAX));
    }

    pub(crate) fn demand_merges(&self, merges: usize) {
        self.backlog.demand_merges.set(i64::try_from(merges).unwrap_or(i64::MAX));
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
