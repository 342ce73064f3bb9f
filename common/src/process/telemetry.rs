//! Log lines on standard error: text for people, JSON for programs, nothing but warnings unless asked.

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The variable that says what is logged where no flag does.
pub const VARIABLE: &str = "FRAMEFLEET_LOG";
const QUIET: &str = "warn";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    pub format: Format,
    /// Such as `info` or `framefleet_worker=debug,warn`.
    pub filter: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    #[error("{0:?} is no log level, such as info, or framefleet_worker=debug,warn: {1}")]
    Filter(String, String),
    #[error("logging has started already")]
    Started,
}

impl Telemetry {
    /// What a flag asks for, else the environment, else warnings.
    pub fn new(format: Format, flag: Option<String>) -> Self {
        Self { format, filter: flag.or_else(|| std::env::var(VARIABLE).ok()) }
    }

    /// Whether the filter means anything.
    pub fn check(&self) -> Result<(), TelemetryError> {
        self.filtered().map(drop)
    }

    /// Once in a process, by its app file.
    pub fn start(&self) -> Result<(), TelemetryError> {
        let subscriber = self.subscriber(std::io::stderr)?;
        tracing::subscriber::set_global_default(subscriber).map_err(|_| TelemetryError::Started)
    }

    fn subscriber<W>(&self, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let builder = tracing_subscriber::fmt().with_env_filter(self.filtered()?).with_writer(writer);
        Ok(match self.format {
            Format::Text => Box::new(builder.with_ansi(colours()).finish()),
            Format::Json => Box::new(builder.json().flatten_event(true).finish()),
        })
    }

    fn filtered(&self) -> Result<EnvFilter, TelemetryError> {
        let text = self.filter.as_deref().unwrap_or(QUIET);
        EnvFilter::try_new(text).map_err(|e| TelemetryError::Filter(text.to_owned(), e.to_string()))
    }
}

fn colours() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(telemetry: &Telemetry) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = telemetry.subscriber(move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(segment = 3, "encoded");
            tracing::warn!(segment = 4, "lost");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_warnings_are_logged_unless_asked() {
        let text = logged(&Telemetry { format: Format::Text, filter: None });
        assert!(text.contains("lost") && !text.contains("encoded"), "{text}");
        assert!(!text.contains('\u{1b}'), "no colours in a pipe");
        let text = logged(&Telemetry { format: Format::Text, filter: Some("info".into()) });
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn json_lines_parse() {
        let text = logged(&Telemetry { format: Format::Json, filter: None });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((&line["message"], &line["segment"]), (&"lost".into(), &4.into()));
    }

    #[test]
    fn a_wrong_level_is_named() {
        let telemetry = Telemetry { format: Format::Text, filter: Some("framefleet=loud".into()) };
        let error = telemetry.start().unwrap_err().to_string();
        assert!(error.starts_with("\"framefleet=loud\" is no log level"), "{error}");
    }
}
