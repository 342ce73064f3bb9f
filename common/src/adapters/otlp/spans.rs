//! Our spans as OpenTelemetry's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use framefleet_model::trace::{Sampling, SpanId, TraceContext};
use opentelemetry::trace::{self, Link, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanLinks};

use crate::process::traces::{Kind, Span, Value};

pub(super) fn data(span: Span, scope: &InstrumentationScope) -> SpanData {
    let Span { context, parent, name, kind, when, attributes, links, fault } = span;
    let begun = Duration::from_millis(u64::try_from(when.begun_ms).unwrap_or(0));
    let start_time = UNIX_EPOCH + begun;
    let mut links_of = SpanLinks::default();
    links_of.links = links.into_iter().map(|link| Link::new(told(&link), Vec::new(), 0)).collect();
    SpanData {
        span_context: told(&context),
        parent_span_id: parent.map_or(trace::SpanId::INVALID, id),
        parent_span_is_remote: false,
        span_kind: match kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        },
        name: name.into(),
        start_time,
        end_time: start_time.checked_add(when.took).unwrap_or_else(SystemTime::now),
        attributes: attributes.into_iter().map(|(name, value)| attribute(name, value)).collect(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: links_of,
        status: fault.map_or(Status::Unset, |fault| Status::Error { description: fault.into() }),
        instrumentation_scope: scope.clone(),
    }
}

fn told(context: &TraceContext) -> SpanContext {
    let flags = match context.sampling {
        Sampling::Kept => TraceFlags::SAMPLED,
        Sampling::Left => TraceFlags::NOT_SAMPLED,
    };
    let trace = trace::TraceId::from_bytes(context.trace.bytes());
    SpanContext::new(trace, id(context.span), flags, true, TraceState::NONE)
}

fn id(span: SpanId) -> trace::SpanId {
    trace::SpanId::from_bytes(span.bytes())
}

fn attribute(name: &'static str, value: Value) -> KeyValue {
    match value {
        Value::Text(text) => KeyValue::new(name, text),
        Value::Number(number) => KeyValue::new(name, number),
    }
}
