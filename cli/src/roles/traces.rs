//! Where a role's spans go.

use std::sync::Arc;

use framefleet_common::adapters::otlp::{self, Exporting, OtlpSettings};
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::traces::{Figures, Traces};
use framefleet_model::fault::{Fault, FaultKind};
use prometheus::Registry;

use crate::config::traces::TracesConfig;

/// What sends spans away, if anything does.
pub struct Way(Option<Exporting>);

/// `role` and the process's name say whose spans they are. Nothing is traced where the configuration says nothing of it.
pub fn start(
    config: Option<&TracesConfig>,
    (role, name): (&str, &str),
    (clock, metrics): (&Arc<dyn Clock>, &Registry),
) -> Result<(Traces, Way), Fault> {
    let figures = Figures::new(metrics);
    let Some(TracesConfig { url, headers, share }) = config else { return Ok((Traces::default(), Way(None))) };
    let headers = headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    let (service, name) = (format!("framefleet-{role}"), name.to_owned());
    let settings = OtlpSettings { url: url.clone(), headers, share: *share, service, name };
    let refused = |why| Fault::new(FaultKind::Settings, format!("traces cannot be sent to {url}: {why}"));
    let (traces, exporting) = otlp::start(settings, (clock, figures)).map_err(refused)?;
    Ok((traces, Way(Some(exporting))))
}

impl Way {
    /// Sends what is left, for as long as that may take.
    pub async fn close(self) {
        if let Some(exporting) = self.0 {
            exporting.close().await;
        }
    }
}
