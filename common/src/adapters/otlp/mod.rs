//! Spans to a collector of OpenTelemetry: OTLP over HTTP, in protobuf, by the HTTP client that is here already.
//!
//! Nothing waits for it. What a collector does not take is counted and gone: traces are worth less than the memory that
//! keeping them would take.

mod observe;
mod spans;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use framefleet_model::trace::Share;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{Protocol, RetryPolicy, SpanExporter as Exporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::observe::Standing;
use crate::ports::clock::Clock;
use crate::process::tls;
use crate::process::traces::{Figures, Medium, QUEUE_SPANS, Span, Traces};

const SPANS_PER_REQUEST: usize = 512;
/// So long spans wait for others to go with.
const GATHER: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(3);
const REQUEST: Duration = Duration::from_secs(10);
/// What is still here at the end has so long.
const LAST: Duration = Duration::from_secs(5);

/// Where spans go, and how many.
#[derive(Clone)]
pub struct OtlpSettings {
    /// The whole address, such as `http://tempo:4318/v1/traces`.
    pub url: String,
    /// Secrets, perhaps.
    pub headers: Vec<(String, String)>,
    pub share: Share,
    /// What carries the messages that spans tell of.
    pub medium: Medium,
    /// Whose spans these are: `framefleet-worker`.
    pub service: String,
    /// Which of them.
    pub name: String,
}

/// Spans on their way out, until the process ends.
pub struct Exporting {
    stop: CancellationToken,
    sending: AbortOnDropHandle<()>,
}

struct Sending {
    spans: Receiver<Span>,
    exporter: Exporter,
    scope: InstrumentationScope,
    figures: Figures,
    clock: Arc<dyn Clock>,
    standing: Standing,
    /// Of spans that are being sent, how many: what becomes of them nobody knows yet.
    under_way: usize,
}

/// Within a runtime, which they are sent on.
pub fn start(
    settings: OtlpSettings,
    (clock, figures): (&Arc<dyn Clock>, Figures),
) -> Result<(Traces, Exporting), String> {
    let OtlpSettings { url, headers, share, medium, service, name } = settings;
    tls::install();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .timeout(REQUEST)
        .build()
        .map_err(|e| e.to_string())?;
    let exporter = Exporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&url)
        .with_timeout(REQUEST)
        // Between tries it would put a thread of the runtime to sleep, and who is away is away for longer.
        .with_retry_policy(RetryPolicy::default().with_max_retries(0))
        .with_headers(headers.into_iter().collect::<HashMap<_, _>>());
    let mut exporter = exporter.build().map_err(|e| e.to_string())?;
    let about = [("service.version", env!("CARGO_PKG_VERSION").to_owned()), ("service.instance.id", name)];
    let about = about.map(|(name, value)| KeyValue::new(name, value));
    exporter.set_resource(&Resource::builder_empty().with_service_name(service).with_attributes(about).build());
    observe::exporting(&url);
    let (traces, spans) = Traces::new((share, medium), QUEUE_SPANS, figures.clone());
    let (stop, scope) = (CancellationToken::new(), InstrumentationScope::builder("framefleet").build());
    let (clock, standing) = (clock.clone(), Standing::default());
    let sending = Sending { spans, exporter, scope, figures, clock, standing, under_way: 0 };
    let sending = AbortOnDropHandle::new(tokio::runtime::Handle::current().spawn(sending.run(stop.clone())));
    Ok((traces, Exporting { stop, sending }))
}

impl Exporting {
    /// Sends what is still here, for as long as that may take.
    pub async fn close(self) {
        self.stop.cancel();
        // That it panicked is told on standard error already.
        drop(self.sending.await);
    }
}

impl Sending {
    async fn run(mut self, stop: CancellationToken) {
        let mut gathered = Vec::with_capacity(SPANS_PER_REQUEST);
        let (clock, stopped) = (self.clock.clone(), stop.clone());
        let last = async {
            stopped.cancelled().await;
            clock.sleep(LAST).await;
        };
        tokio::select! {
            () = self.send_all(&mut gathered, &stop) => {}
            () = last => {}
        }
        // Whoever emits one now is told that nobody takes it, and counts it.
        self.spans.close();
        let waiting = std::iter::from_fn(|| self.spans.try_recv().ok()).count();
        let lost = self.under_way + gathered.len() + waiting;
        if lost > 0 {
            self.figures.failed(lost);
            observe::lost(lost);
        }
    }

    async fn send_all(&mut self, gathered: &mut Vec<Span>, stop: &CancellationToken) {
        while let Some(first) = stop.run_until_cancelled(self.spans.recv()).await.flatten() {
            gathered.push(first);
            let clock = self.clock.clone();
            tokio::select! {
                () = clock.sleep(GATHER) => {}
                () = stop.cancelled() => {}
                () = fill(&mut self.spans, gathered) => {}
            }
            self.send(gathered).await;
        }
        loop {
            while gathered.len() < SPANS_PER_REQUEST {
                let Ok(span) = self.spans.try_recv() else { break };
                gathered.push(span);
            }
            if gathered.is_empty() {
                return;
            }
            self.send(gathered).await;
        }
    }

    async fn send(&mut self, gathered: &mut Vec<Span>) {
        let count = gathered.len();
        self.under_way = count;
        let batch = gathered.drain(..).map(|span| spans::data(span, &self.scope)).collect();
        let sent = tokio::select! {
            sent = self.exporter.export(batch) => sent.map_err(|e| e.to_string()),
            () = self.clock.sleep(REQUEST) => Err(format!("no answer within {} s", REQUEST.as_secs())),
        };
        self.under_way = 0;
        let now = self.clock.elapsed();
        match sent {
            Ok(()) => {
                self.figures.exported(count);
                self.standing.taken(now);
            }
            Err(error) => {
                self.figures.failed(count);
                self.standing.refused(now, (count, &error));
            }
        }
    }
}

/// Until there are enough for a request; what was taken when it is dropped stays.
async fn fill(spans: &mut Receiver<Span>, gathered: &mut Vec<Span>) {
    while gathered.len() < SPANS_PER_REQUEST {
        match spans.recv().await {
            Some(span) => gathered.push(span),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use framefleet_model::id::JobId;
    use framefleet_model::trace::JobTrace;
    use prometheus::Registry;

    use super::*;
    use crate::adapters::clock::HostClock;
    use crate::process::metrics;
    use crate::process::traces::{HINT, When};

    #[tokio::test]
    async fn spans_that_nobody_takes_before_the_end_are_counted() {
        let (registry, silent) = (Registry::new(), TcpListener::bind("127.0.0.1:0").unwrap());
        let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
        let settings = OtlpSettings {
            url: format!("http://{}/v1/traces", silent.local_addr().unwrap()),
            headers: Vec::new(),
            share: Share::ALL,
            medium: Medium::Within,
            service: "framefleet-worker".to_owned(),
            name: "w".to_owned(),
        };
        let (traces, exporting) = start(settings, (&clock, Figures::new(&registry))).unwrap();
        let job = JobTrace::begun((&JobId::of_parts(&["film"]), 1), Share::ALL);
        let span = || Span::of(&job, (HINT, &[]), When { begun_ms: 0, took: Duration::ZERO });
        (0..SPANS_PER_REQUEST + 3).for_each(|_| traces.emit(span()));
        exporting.close().await;
        traces.emit(span());
        let text = metrics::text(&registry);
        for (what, spans) in [("exported", 0), ("failed", SPANS_PER_REQUEST + 3), ("dropped", 1)] {
            let line = format!("framefleet_trace_spans_total{{what=\"{what}\"}} {spans}\n");
            assert!(text.contains(&line), "{line}{text}");
        }
    }
}
