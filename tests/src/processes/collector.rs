//! A collector of traces: OTLP over HTTP as anybody's collector takes it, every span kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::runtime::Runtime;

/// A span as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    pub service: String,
    pub instance: String,
    pub trace: String,
    pub id: String,
    /// Empty for one that stands under none.
    pub parent: String,
    pub name: String,
    pub kind: i32,
    pub begun_ns: u64,
    pub ended_ns: u64,
    pub attributes: BTreeMap<String, String>,
    /// Ids of the spans that it is linked to.
    pub links: Vec<String>,
    /// Why it failed, if it did.
    pub fault: Option<String>,
}

pub struct Collector {
    pub url: String,
    inner: Arc<Inner>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Inner {
    spans: Mutex<Vec<Collected>>,
    /// The header that was asked for, as the last request had it.
    word: Mutex<Option<String>>,
}

impl Collector {
    /// A header in which a secret may come.
    pub const HEADER: &str = "x-collector-word";

    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread can be started");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let inner = Arc::<Inner>::default();
        let router = Router::new().route("/v1/traces", post(take)).layer(DefaultBodyLimit::max(16 << 20));
        runtime.spawn(axum::serve(listener, router.with_state(inner.clone())).into_future());
        Self { url, inner, _runtime: runtime }
    }

    pub fn spans(&self) -> Vec<Collected> {
        self.inner.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those of one trace.
    pub fn of(&self, trace: &str) -> Vec<Collected> {
        self.spans().into_iter().filter(|span| span.trace == trace).collect()
    }

    pub fn word(&self) -> Option<String> {
        self.inner.word.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Collected {
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

async fn take(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let protobuf = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-protobuf");
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    if !protobuf {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE;
    }
    let word = headers.get(Collector::HEADER).and_then(|word| word.to_str().ok()).map(str::to_owned);
    *inner.word.lock().unwrap_or_else(PoisonError::into_inner) = word;
    let mut spans = inner.spans.lock().unwrap_or_else(PoisonError::into_inner);
    for of_process in request.resource_spans {
        let about = of_process.resource.unwrap_or_default();
        let of_scopes = of_process.scope_spans.into_iter().flat_map(|of_scope| of_scope.spans);
        spans.extend(of_scopes.map(|span| collected(&about, span)));
    }
    StatusCode::OK
}

fn collected(about: &Resource, span: Span) -> Collected {
    let about = attributes(&about.attributes);
    let of_process = |name: &str| about.get(name).cloned().unwrap_or_default();
    Collected {
        service: of_process("service.name"),
        instance: of_process("service.instance.id"),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name,
        kind: span.kind,
        begun_ns: span.start_time_unix_nano,
        ended_ns: span.end_time_unix_nano,
        attributes: attributes(&span.attributes),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        fault: span.status.filter(|status| status.code == 2).map(|status| status.message),
    }
}

fn attributes(known: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |known: &KeyValue| match known.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    known.iter().map(|known| (known.key.clone(), value(known))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
