//! One event, one line: flat, each name once, whatever the event and the spans around it are about.
//!
//! ```text
//! span job ─▶ span attempt ─▶ event      job, task, segment, attempt, try of the spans; then the event's own fields;
//!                                        of two with one name the inner one counts
//! ```
//! Formats that come with the library put what spans say under keys of their own, where a query for a job would have to
//! look in several places.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};

use serde_json::Number;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// The target of spans whose fields stand on each line within them, as they are when a span begins. Those of libraries do not: nobody knows their names.
pub const SPANS: &str = "framefleet";
/// What the library calls the text of an event.
const MESSAGE: &str = "message";

pub(super) struct Lines<W> {
    pub(super) style: Style,
    pub(super) writer: W,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Coloured,
    Json,
}

/// What a span or an event says, by name.
#[derive(Clone, Debug, Default)]
struct Fields(Vec<(&'static str, Value)>);

#[derive(Clone, Debug, PartialEq)]
enum Value {
    /// Text that is a value of its own, such as an outcome.
    Word(String),
    /// Whatever was shown as text.
    Shown(String),
    Number(Number),
    Flag(bool),
}

pub(super) fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target() == SPANS
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'l> LookupSpan<'l>,
    W: for<'w> MakeWriter<'w> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id).filter(|_| is_ours(attributes.metadata())) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(fields);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(known) = span.extensions().get::<Fields>() {
                known.0.iter().for_each(|(name, value)| fields.put(name, value.clone()));
            }
        }
        event.record(&mut fields);
        let mut at = String::new();
        // A clock before 1970 is told as nothing.
        let _ = SystemTime.format_time(&mut Writer::new(&mut at));
        let line = match self.style {
            Style::Json => json(&at, event.metadata(), &fields),
            Style::Plain | Style::Coloured => text(&at, event.metadata(), (&fields, self.style)),
        };
        // Where nobody takes lines there is nobody to tell of it.
        drop::<io::Result<()>>(self.writer.make_writer_for(event.metadata()).write_all(line.as_bytes()));
    }
}

impl Fields {
    fn put(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    fn message(&self) -> &str {
        let message = self.0.iter().find(|(name, _)| *name == MESSAGE);
        match message {
            Some((_, Value::Shown(text) | Value::Word(text))) => text,
            Some((_, Value::Number(_) | Value::Flag(_))) | None => "",
        }
    }

    fn named(&self) -> impl Iterator<Item = &(&'static str, Value)> {
        self.0.iter().filter(|(name, _)| *name != MESSAGE)
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), Value::Word(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), Value::Number(value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), Value::Number(value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let shown = || Value::Shown(value.to_string());
        self.put(field.name(), Number::from_f64(value).map_or_else(shown, Value::Number));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), Value::Flag(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), Value::Shown(format!("{value:?}")));
    }
}

fn json(at: &str, metadata: &Metadata<'_>, fields: &Fields) -> String {
    let level = metadata.level();
    let mut line = format!("{{\"timestamp\":{},\"level\":\"{level}\"", quoted(at));
    let rest = [("target", metadata.target()), (MESSAGE, fields.message())];
    for (name, value) in rest {
        append(&mut line, format_args!(",\"{name}\":{}", quoted(value)));
    }
    for (name, value) in fields.named() {
        append(&mut line, format_args!(",{}:", quoted(name)));
        match value {
            Value::Word(text) | Value::Shown(text) => line.push_str(&quoted(text)),
            Value::Number(number) => append(&mut line, format_args!("{number}")),
            Value::Flag(flag) => append(&mut line, format_args!("{flag}")),
        }
    }
    line.push_str("}\n");
    line
}

fn text(at: &str, metadata: &Metadata<'_>, (fields, style): (&Fields, Style)) -> String {
    let (level, target, message) = (metadata.level(), metadata.target(), printable(fields.message()));
    let mut line = match style {
        Style::Coloured => {
            format!("\x1b[2m{at}\x1b[0m {}{level:>5}\x1b[0m \x1b[2m{target}:\x1b[0m {message}", colour(level))
        }
        Style::Plain | Style::Json => format!("{at} {level:>5} {target}: {message}"),
    };
    for (name, value) in fields.named() {
        match value {
            Value::Word(text) => append(&mut line, format_args!(" {name}={text:?}")),
            Value::Shown(text) => append(&mut line, format_args!(" {name}={}", printable(text))),
            Value::Number(number) => append(&mut line, format_args!(" {name}={number}")),
            Value::Flag(flag) => append(&mut line, format_args!(" {name}={flag}")),
        }
    }
    line.push('\n');
    line
}

fn append(line: &mut String, what: fmt::Arguments<'_>) {
    line.write_fmt(what).expect("a string takes all that is written to it");
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("any text is JSON")
}

/// Whoever names a film or an object does not write lines of ours, nor to the terminal.
fn printable(text: &str) -> String {
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text.to_owned() }
}

fn colour(level: &Level) -> &'static str {
    match *level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}
