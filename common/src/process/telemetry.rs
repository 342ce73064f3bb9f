//! Log lines on standard error: text for people, JSON for programs, nothing but warnings unless asked.

use std::io::IsTerminal as _;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, FilterFn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

use super::lines::{self, Lines, Style};

/// The variable that says what is logged where no flag does.
pub const VARIABLE: &str = "FRAMEFLEET_LOG";
const QUIET: &str = "warn";
/// The client of RabbitMQ calls every refusal an error, those among them that we ask for: what a server lets us do is found by
/// trying. Whatever it meets is told by whoever asked it.
const TALKATIVE: &str = "lapin";

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

    /// The same for whoever keeps the lines.
    pub fn subscriber<W>(&self, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
    where
        W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    {
        let style = match self.format {
            Format::Json => Style::Json,
            Format::Text if colours() => Style::Coloured,
            Format::Text => Style::Plain,
        };
        // What is logged is about what it is about, whichever levels are wanted.
        let spans = FilterFn::new(lines::is_ours).with_max_level_hint(LevelFilter::ERROR);
        let filter = self.filtered()?.or(spans);
        Ok(Box::new(Registry::default().with(Lines { style, writer }.with_filter(filter))))
    }

    fn filtered(&self) -> Result<EnvFilter, TelemetryError> {
        let text = self.filter.as_deref().unwrap_or(QUIET);
        let wrong = |e: String| TelemetryError::Filter(text.to_owned(), e);
        let filter = EnvFilter::try_new(text).map_err(|e| wrong(e.to_string()))?;
        if text.contains(TALKATIVE) {
            return Ok(filter);
        }
        Ok(filter.add_directive(format!("{TALKATIVE}=off").parse().map_err(|e| wrong(format!("{e}")))?))
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
            tracing::error!(target: "lapin::channel", "refused");
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

    fn within_spans(format: Format) -> String {
        let telemetry = Telemetry { format, filter: Some("framefleet_common=warn".into()) };
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(telemetry.subscriber(move || writer.clone()).unwrap(), || {
            let job = tracing::error_span!(target: lines::SPANS, "job", job = "j1", segment = 7_u64);
            let _within_job = job.entered();
            let _within_theirs = tracing::error_span!("theirs", path = "/").entered();
            let attempt = tracing::error_span!(target: lines::SPANS, "attempt", job = "j1", attempt = "a1");
            let _within = attempt.entered();
            tracing::warn!(job = %"j1", attempt = "a2", why = %"two\nlines", "lost \u{1b}[31m");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_spans_are_about_stands_on_the_line_each_name_once() {
        let text = within_spans(Format::Json);
        assert_eq!(text.matches("\"job\":").count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        let field = |name: &str| line[name].clone();
        assert_eq!([field("job"), field("attempt"), field("why")], ["j1", "a2", "two\nlines"]);
        assert_eq!(
            (field("segment"), field("path"), field("level")),
            (7.into(), serde_json::Value::Null, "WARN".into())
        );
    }

    #[test]
    fn lines_of_text_are_one_line_each_whoever_named_what_is_in_them() {
        let text = within_spans(Format::Text);
        let (_, told) = text.split_once("  WARN ").unwrap();
        let told = told.split_once(": ").unwrap().1;
        assert_eq!(told, "lost \\u{1b}[31m job=j1 segment=7 attempt=a2 why=\"two\\nlines\"\n");
    }

    #[test]
    fn a_wrong_level_is_named() {
        let telemetry = Telemetry { format: Format::Text, filter: Some("framefleet=loud".into()) };
        let error = telemetry.start().unwrap_err().to_string();
        assert!(error.starts_with("\"framefleet=loud\" is no log level"), "{error}");
    }
}
