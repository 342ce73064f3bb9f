//! The spans of a job that a coordinator tells of. What they are called and where they stand: `framefleet_common::process::traces`
//! and docs/adr/0024.

use std::time::Duration;

use framefleet_common::ports::broker::{Event, Hint};
use framefleet_common::process::traces::{self, Kind, Span, Traces, When, attribute};
use framefleet_model::id::JobId;
use framefleet_model::job::{Job, JobState};
use framefleet_model::trace::{JobTrace, TraceContext};

use crate::flow::Effect;
use crate::inbox::Asker;

/// Under whoever asks; under the message's own span where one told of it.
pub(super) fn place(traces: &Traces, (job, generation): (&JobId, u32), asked: &Asker) -> Option<JobTrace> {
    let caller = match asked {
        Asker::Unsaid => None,
        Asker::Within(caller) => Some(*caller),
        Asker::Told(heard) if traces.are_on() => {
            let begun = || traces.place((job, generation), None).map(|trace| trace.traceparent);
            let words = [traces::EVENT, job.as_str(), &generation.to_string()];
            heard.trace.or_else(begun).map(|trace| trace.span(&words))
        }
        Asker::Told(heard) => heard.trace,
    };
    traces.place((job, generation), caller)
}

/// The message that told of it, until it was a job.
pub(super) fn heard(traces: &Traces, job: &Job, (asked, now_ms): (&Asker, i64)) {
    let (Some(trace), Asker::Told(heard), Some(medium)) = (job.trace, asked, traces.medium()) else { return };
    let Some(own) = trace.parent else { return };
    let took = Duration::from_millis(u64::try_from(now_ms - heard.begun_ms).unwrap_or(0));
    let span = Span::of(&trace, (traces::EVENT, &[]), When { begun_ms: heard.begun_ms, took });
    let context = TraceContext { span: own, ..trace.traceparent };
    let span = Span { context, parent: heard.trace.map(|sender| sender.span), ..span };
    let span = span.messaging((Kind::Consumer, medium), (&heard.queue, &heard.message));
    traces.emit(span.with(attribute::JOB, job.id.as_str()));
}

pub(super) fn performed(traces: &Traces, job: &Job, (effect, word, when): (Effect, &str, When)) {
    let Some(trace) = &job.trace else { return };
    let span = Span::of(trace, (effect.name(), &[word]), when);
    traces.emit(span.with(attribute::JOB, job.id.as_str()));
}

/// The job itself, from its acceptance to the end that it has come to just now, if it has.
pub(super) fn ended(traces: &Traces, job: &Job) {
    let (Some(trace), Some(at)) = (&job.trace, job.state.ended_at()) else { return };
    let took = Duration::from_millis(u64::try_from(at.ms_since(job.created)).unwrap_or(0));
    let when = When { begun_ms: job.created.ms(), took };
    let span = Span::of(trace, (traces::JOB, &[]), when);
    let span = Span { context: trace.traceparent, parent: trace.parent, ..span }
        .with(attribute::JOB, job.id.as_str())
        .with(attribute::GENERATION, job.generation)
        .with(attribute::TENANT, job.terms.tenant.as_str())
        .with(attribute::STATE, job.state.name());
    let fault = match &job.state {
        JobState::Failed(end) => Some(end.fault.to_string()),
        JobState::Accepted
        | JobState::Indexing(_)
        | JobState::Encoding(_)
        | JobState::Merging(_)
        | JobState::Publishing(_)
        | JobState::Completed(_)
        | JobState::Cancelled(_) => None,
    };
    traces.emit(span.failed(fault));
}

pub(super) fn hinted(traces: &Traces, hint: &Hint, ((class, under), when): ((&str, Option<&JobTrace>), When)) {
    let (Some(trace), Some(context), Some(medium)) = (under, hint.trace, traces.medium()) else { return };
    let span = Span { context, ..Span::of(trace, (traces::HINT, &[]), when) };
    let message = format!("{}.{}", hint.job, hint.task);
    let queue = medium.whole(&["tasks.", class].concat());
    let span = span.messaging((Kind::Producer, medium), (&queue, &message));
    traces.emit(span.with(attribute::JOB, hint.job.as_str()).with(attribute::TASK, hint.task.to_string()));
}

pub(super) fn sent(traces: &Traces, (event, under): (&Event, Option<TraceContext>), when: When) {
    let (Some(under), Some(context), Some(medium)) = (under, event.trace, traces.medium()) else { return };
    let trace = JobTrace { traceparent: under, parent: None };
    let span = Span { context, ..Span::of(&trace, (traces::SEND, &[]), when) };
    let span = span.messaging((Kind::Producer, medium), (&medium.whole("out"), &event.id));
    let span = span.routed(medium, event.key.as_str());
    let job = crate::events::job_of(&event.id);
    traces.emit(job.iter().fold(span, |span, job| span.with(attribute::JOB, job.as_str())));
}
