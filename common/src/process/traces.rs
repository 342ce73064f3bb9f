//! Spans of traces, on their way to whoever collects them: never waited for, and dropped where too many wait.
//!
//! ```text
//! observers ──emit──▶ bounded queue ──▶ adapters::otlp ──▶ collector
//!                        └ full: dropped, counted            └ away: failed, counted
//! ```
//! What spans and their attributes are called is written down here and nowhere else; the dashboard of a job asks by these names.

use std::time::Duration;

use framefleet_model::id::JobId;
use framefleet_model::trace::{JobTrace, Share, SpanId, TraceContext};
use prometheus::Registry;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::metrics::Counters;
use crate::ports::clock::Clock;

/// A job from accepted to its end.
pub const JOB: &str = "job";
/// One try at a task, from its claim on.
pub const ATTEMPT: &str = "attempt";
/// A message that told of an upload, until it was a job.
pub const EVENT: &str = "event";
/// A task is told of to whoever has a slot for it.
pub const HINT: &str = "hint";
/// An event of the job is published.
pub const SEND: &str = "send";
/// What a coordinator does for a job between two commits: spans have the effect's own name.
pub const EFFECTS: [&str; 6] = ["check", "plan", "compare", "prove", "publish", "close"];

/// Attributes that are ours. Those of messages are called as OpenTelemetry calls them.
pub mod attribute {
    pub const JOB: &str = "job";
    pub const GENERATION: &str = "generation";
    pub const TENANT: &str = "tenant";
    /// The state that a job ended in.
    pub const STATE: &str = "state";
    pub const FAULT: &str = "fault";
    pub const TASK: &str = "task";
    pub const SEGMENT: &str = "segment";
    pub const ATTEMPT: &str = "attempt";
    pub const TRY: &str = "try";
    pub const WORKER: &str = "worker";
    pub const OUTCOME: &str = "outcome";
    pub const ALL: [&str; 11] = [JOB, GENERATION, TENANT, STATE, FAULT, TASK, SEGMENT, ATTEMPT, TRY, WORKER, OUTCOME];

    pub const SYSTEM: &str = "messaging.system";
    pub const DESTINATION: &str = "messaging.destination.name";
    pub const KEY: &str = "messaging.rabbitmq.destination.routing_key";
    pub const OPERATION: &str = "messaging.operation.type";
    pub const MESSAGE: &str = "messaging.message.id";
}

/// Enough for what a busy process makes in the time that a collector takes to answer.
pub const QUEUE_SPANS: usize = 4096;

#[derive(Clone, Debug)]
pub struct Span {
    pub context: TraceContext,
    pub parent: Option<SpanId>,
    pub name: &'static str,
    pub kind: Kind,
    pub when: When,
    pub attributes: Vec<(&'static str, Value)>,
    /// Spans of whatever led here without waiting for it.
    pub links: Vec<TraceContext>,
    /// Why it failed, if it did.
    pub fault: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Internal,
    Producer,
    Consumer,
}

/// A beginning by the wall clock, and how long from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    pub begun_ms: i64,
    pub took: Duration,
}

/// A moment from which time is counted.
#[derive(Clone, Copy)]
pub struct Begun<'a> {
    clock: &'a dyn Clock,
    at: Duration,
    epoch_ms: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(i64),
}

/// What carries hints and events, as spans of messages name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Medium {
    RabbitMq {
        /// What its queues and exchanges begin with.
        prefix: String,
    },
    /// Nothing leaves the process.
    Within,
}

/// Where spans go. Off, they go nowhere, and no trace is begun.
#[derive(Clone, Debug, Default)]
pub struct Traces(Option<On>);

#[derive(Clone, Debug)]
struct On {
    share: Share,
    medium: Medium,
    queue: Sender<Span>,
    figures: Figures,
}

/// What becomes of spans.
#[derive(Clone, Debug)]
pub struct Figures(Counters);

impl Figures {
    /// There from the start, at zero, whether or not there are spans.
    pub fn new(registry: &Registry) -> Self {
        let named = ("framefleet_trace_spans_total", "Spans of traces by what became of them.");
        Self(Counters::new(registry, named, ("what", &["exported", "dropped", "failed"])))
    }

    pub fn exported(&self, spans: usize) {
        self.0.add("exported", spans as u64);
    }

    /// The collector did not take them.
    pub fn failed(&self, spans: usize) {
        self.0.add("failed", spans as u64);
    }
}

impl<'a> Begun<'a> {
    pub fn of(clock: &'a dyn Clock) -> Self {
        Self { clock, at: clock.elapsed(), epoch_ms: clock.epoch_ms() }
    }

    /// No two of one process have the same, even where the clock on the wall stands still.
    pub fn word(&self) -> String {
        format!("{}.{}", self.epoch_ms, self.at.as_nanos())
    }

    pub fn until_now(&self) -> When {
        When { begun_ms: self.epoch_ms, took: self.clock.elapsed().saturating_sub(self.at) }
    }
}

impl Medium {
    fn system(&self) -> &'static str {
        match self {
            Self::RabbitMq { .. } => "rabbitmq",
            Self::Within => "framefleet",
        }
    }

    /// The whole name of a queue or exchange of ours, such as `tasks.light`.
    pub fn whole(&self, name: &str) -> String {
        match self {
            Self::RabbitMq { prefix } => [prefix, ".", name].concat(),
            Self::Within => name.to_owned(),
        }
    }
}

impl Traces {
    /// Spans come out of the receiver, at most so many waiting there.
    pub fn new((share, medium): (Share, Medium), spans_max: usize, figures: Figures) -> (Self, Receiver<Span>) {
        let (queue, spans) = channel(spans_max);
        (Self(Some(On { share, medium, queue, figures })), spans)
    }

    /// None where nobody traces.
    pub fn medium(&self) -> Option<&Medium> {
        self.0.as_ref().map(|on| &on.medium)
    }

    /// A job's place: under whoever asked for it, if they say where they are, else in a trace of its own.
    pub fn place(&self, job: (&JobId, u32), caller: Option<TraceContext>) -> Option<JobTrace> {
        match (caller, &self.0) {
            (Some(caller), _) => Some(JobTrace::under(caller, job)),
            (None, Some(on)) => Some(JobTrace::begun(job, on.share)),
            (None, None) => None,
        }
    }

    pub fn are_on(&self) -> bool {
        self.0.is_some()
    }

    pub fn emit(&self, span: Span) {
        let Some(on) = self.0.as_ref().filter(|_| span.context.is_kept()) else { return };
        if on.queue.try_send(span).is_err() {
            on.figures.0.add("dropped", 1);
        }
    }
}

impl Span {
    /// Of a job, under the job's own.
    pub fn of(trace: &JobTrace, (name, words): (&'static str, &[&str]), when: When) -> Self {
        let context = trace.traceparent.span(&[&[name], words].concat());
        let parent = Some(trace.traceparent.span);
        let (kind, attributes, links, fault) = (Kind::Internal, Vec::new(), Vec::new(), None);
        Self { context, parent, name, kind, when, attributes, links, fault }
    }

    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// It sends or takes a message of this id, there by its whole name.
    pub fn messaging(self, (kind, medium): (Kind, &Medium), (destination, message): (&str, &str)) -> Self {
        let operation = match kind {
            Kind::Producer => "send",
            Kind::Consumer | Kind::Internal => "process",
        };
        let span = Self { kind, ..self }.with(attribute::SYSTEM, medium.system()).with(attribute::OPERATION, operation);
        span.with(attribute::DESTINATION, destination).with(attribute::MESSAGE, message)
    }

    /// Whom RabbitMQ gives it to.
    pub fn routed(self, medium: &Medium, key: &str) -> Self {
        match medium {
            Medium::RabbitMq { .. } => self.with(attribute::KEY, key),
            Medium::Within => self,
        }
    }

    pub fn linked(self, links: impl IntoIterator<Item = TraceContext>) -> Self {
        Self { links: links.into_iter().collect(), ..self }
    }

    pub fn failed(self, fault: Option<String>) -> Self {
        Self { fault, ..self }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics;
    use super::*;

    fn span(job: &JobTrace) -> Span {
        Span::of(job, (HINT, &[]), When { begun_ms: 0, took: Duration::ZERO })
    }

    #[tokio::test]
    async fn a_full_queue_drops_spans_counts_them_and_holds_nobody_up() {
        let registry = Registry::new();
        let (traces, mut spans) = Traces::new((Share::ALL, Medium::Within), 2, Figures::new(&registry));
        let job = traces.place((&JobId::of_parts(&["film"]), 1), None).unwrap();
        (0..5).for_each(|_| traces.emit(span(&job)));
        let text = metrics::text(&registry);
        assert!(text.contains("framefleet_trace_spans_total{what=\"dropped\"} 3\n"), "{text}");
        assert_eq!(spans.recv().await.map(|span| span.name), Some(HINT));
    }

    #[test]
    fn a_message_is_named_as_whoever_carries_it_names_it() {
        let job = JobTrace::begun((&JobId::of_parts(&["film"]), 1), Share::ALL);
        let said = |medium: &Medium| {
            let span = span(&job).messaging((Kind::Producer, medium), (&medium.whole("out"), "m")).routed(medium, "k");
            let told = span.attributes.into_iter().filter(|(name, _)| *name != attribute::OPERATION);
            told.map(|(name, value)| format!("{name} {value:?}")).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(
            said(&Medium::RabbitMq { prefix: "fleet".to_owned() }),
            "messaging.system Text(\"rabbitmq\"), messaging.destination.name Text(\"fleet.out\"), \
             messaging.message.id Text(\"m\"), messaging.rabbitmq.destination.routing_key Text(\"k\")"
        );
        assert_eq!(
            said(&Medium::Within),
            "messaging.system Text(\"framefleet\"), messaging.destination.name Text(\"out\"), \
             messaging.message.id Text(\"m\")"
        );
    }

    #[test]
    fn nothing_is_told_of_traces_that_are_left_and_none_begins_where_nobody_traces() {
        let job = (&JobId::of_parts(&["film"]), 1);
        let none = (Share::of_millionths(0).unwrap(), Medium::Within);
        let (traces, mut spans) = Traces::new(none, 2, Figures::new(&Registry::new()));
        traces.emit(span(&traces.place(job, None).unwrap()));
        assert!(spans.try_recv().is_err());
        let off = Traces::default();
        let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse::<TraceContext>().unwrap();
        assert_eq!(off.place(job, None), None);
        assert_eq!(
            off.place(job, Some(caller)).map(|trace| trace.traceparent.trace),
            Some(caller.trace),
            "it is handed on"
        );
        off.emit(span(&JobTrace::under(caller, job)));
    }
}
