//! Where a role's spans go.

use std::sync::Arc;

use framefleet_common::adapters::otlp::{self, Exporting, OtlpSettings};
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::traces::{Figures, Medium, Traces};
use framefleet_model::fault::{Fault, FaultKind};
use prometheus::Registry;

use crate::config::BrokerConfig;
use crate::config::traces::TracesConfig;

/// The exporter's library sends these over those of the configuration, to whomever they belong.
const AMBIENT: [&str; 2] = ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"];

/// What sends spans away, if anything does.
pub struct Way(Option<Exporting>);

/// `role` and the process's name say whose spans they are. Nothing is traced where the configuration says nothing of it.
pub fn start(
    (config, medium): (Option<&TracesConfig>, Medium),
    (role, name): (&str, &str),
    (clock, metrics): (&Arc<dyn Clock>, &Registry),
) -> Result<(Traces, Way), Fault> {
    let figures = Figures::new(metrics);
    let Some(TracesConfig { url, headers, share }) = config else { return Ok((Traces::default(), Way(None))) };
    if let Some(name) = AMBIENT.into_iter().find(|name| std::env::var_os(name).is_some()) {
        let why = format!(
            "{name} is set: its headers would go to {url} in place of telemetry.traces_headers_file's; unset it"
        );
        return Err(Fault::new(FaultKind::Settings, why));
    }
    let headers = headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    let (service, name) = (format!("framefleet-{role}"), name.to_owned());
    let settings = OtlpSettings { url: url.clone(), headers, share: *share, medium, service, name };
    let refused = |why| Fault::new(FaultKind::Settings, format!("traces cannot be sent to {url}: {why}"));
    let (traces, exporting) = otlp::start(settings, (clock, figures)).map_err(refused)?;
    Ok((traces, Way(Some(exporting))))
}

/// By the broker of a fleet.
pub fn by_broker(broker: &BrokerConfig) -> Medium {
    Medium::RabbitMq { prefix: broker.prefix.clone() }
}

impl Way {
    /// Of who traces nothing.
    pub const NOWHERE: Self = Self(None);

    /// Sends what is left, for as long as that may take.
    pub async fn close(self) {
        if let Some(exporting) = self.0 {
            exporting.close().await;
        }
    }
}
