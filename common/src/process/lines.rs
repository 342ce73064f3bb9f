//! One event, one line: flat, each name once, whatever the event and the spans around it are about.
//!
//! ```text
//! span job ─▶ span attempt ─▶ event      job, task, segment, attempt, try of the spans; then the event's own fields;
//!                                        of two with one name the inner one counts
//! ```
//! Formats that come with the library put what spans say under keys of their own, where a query for a job would have to
//! look in several places.
//!
//! Names of films and words of servers stand on lines, and whoever chose them may have wished to write a line of ours. So a
//! line of text can be taken apart into just what it was made of: the first `=` of it ends a field's name, and within a
//! message or a value in quotes there is none.

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
/// What each line has itself, and what fields of these names are called.
const OF_LINES: [(&str, &str); 3] =
    [("timestamp", "their_timestamp"), ("level", "their_level"), ("target", "their_target")];
/// What our lines are about. A library that has such names means something else by them.
const OF_WORK: [(&str, &str); 5] = [
    ("job", "their_job"),
    ("task", "their_task"),
    ("segment", "their_segment"),
    ("attempt", "their_attempt"),
    ("try", "their_try"),
];

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
    Text(String),
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
        let mut own = Fields::default();
        event.record(&mut own);
        own.0.into_iter().for_each(|(name, value)| fields.put(called(name, event.metadata()), value));
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

    fn message(&self) -> String {
        let message = self.0.iter().find(|(name, _)| *name == MESSAGE);
        message.map(|(_, value)| value.to_string()).unwrap_or_default()
    }

    fn named(&self) -> impl Iterator<Item = &(&'static str, Value)> {
        self.0.iter().filter(|(name, _)| *name != MESSAGE)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), Value::Text(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), Value::Number(value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), Value::Number(value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let shown = || Value::Text(value.to_string());
        self.put(field.name(), Number::from_f64(value).map_or_else(shown, Value::Number));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), Value::Flag(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), Value::Text(format!("{value:?}")));
    }
}

/// What a field stands under: never a line's own name, and only we say what a line is about.
fn called(name: &'static str, said: &Metadata<'_>) -> &'static str {
    let theirs = !said.target().starts_with(SPANS);
    let taken = OF_LINES.iter().chain(OF_WORK.iter().filter(|_| theirs)).find(|(taken, _)| *taken == name);
    taken.map_or(name, |(_, instead)| instead)
}

fn json(at: &str, metadata: &Metadata<'_>, fields: &Fields) -> String {
    let level = metadata.level();
    let mut line = format!("{{\"timestamp\":{},\"level\":\"{level}\"", quoted(at));
    let rest = [("target", metadata.target()), (MESSAGE, &fields.message())];
    for (name, value) in rest {
        append(&mut line, format_args!(",\"{name}\":{}", quoted(value)));
    }
    for (name, value) in fields.named() {
        append(&mut line, format_args!(",{}:", quoted(name)));
        match value {
            Value::Text(text) => line.push_str(&quoted(text)),
            Value::Number(_) | Value::Flag(_) => append(&mut line, format_args!("{value}")),
        }
    }
    line.push_str("}\n");
    line
}

fn text(at: &str, metadata: &Metadata<'_>, (fields, style): (&Fields, Style)) -> String {
    let (level, target) = (metadata.level(), metadata.target());
    // Only within quotes does a quote end anything.
    let message = escaped(&fields.message()).replace("\\\"", "\"");
    let mut line = match style {
        Style::Coloured => {
            format!("\x1b[2m{at}\x1b[0m {}{level:>5}\x1b[0m \x1b[2m{target}:\x1b[0m {message}", colour(level))
        }
        Style::Plain | Style::Json => format!("{at} {level:>5} {target}: {message}"),
    };
    for (name, value) in fields.named() {
        append(&mut line, format_args!(" {name}={}", word(&value.to_string())));
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

/// A value as one word: in quotes, unless it is one that nothing else can be taken for.
fn word(text: &str) -> String {
    let escaped = escaped(text);
    if text.is_empty() || text.contains(' ') || escaped != text { format!("\"{escaped}\"") } else { escaped }
}

/// Whoever names a film or an object writes no line of ours, no field of one, and nothing to the terminal.
fn escaped(text: &str) -> String {
    text.escape_debug().to_string().replace("\\'", "'").replace('=', "\\u{3d}")
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any, prop_oneof, proptest};
    use proptest::sample::select;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::registry::Registry;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(style: Style, say: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let lines = Lines { style, writer: move || writer.clone() };
        tracing::subscriber::with_default(Registry::default().with(lines), say);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    /// What a line of text says, by the rules that docs/LOGGING.md gives to whoever reads it: message, then fields.
    fn taken_apart(line: &str) -> (String, Vec<(String, String)>) {
        let (_, told) = line.strip_suffix('\n').unwrap().split_once("tests: ").unwrap();
        let first = told.find('=').map_or(told.len(), |at| told[..at].rfind(' ').unwrap());
        let (message, mut rest) = told.split_at(first);
        let mut fields = Vec::new();
        while let Some((name, value)) = rest.strip_prefix(' ').map(|field| field.split_once('=').unwrap()) {
            let value_end = match value.strip_prefix('"') {
                None => value.find(' ').unwrap_or(value.len()),
                Some(inside) => quote(inside) + 2,
            };
            let (value, after) = value.split_at(value_end);
            let inside = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            fields.push((name.to_owned(), inside.map_or_else(|| value.to_owned(), unescaped)));
            rest = after;
        }
        assert_eq!(rest, "");
        (unescaped(message), fields)
    }

    /// Where the quote stands that ends a value.
    fn quote(text: &str) -> usize {
        let mut letters = text.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => return at,
                '\\' => drop(letters.next()),
                _ => {}
            }
        }
        panic!("no end: {text}")
    }

    fn unescaped(text: &str) -> String {
        let (mut said, mut letters) = (String::new(), text.chars());
        while let Some(letter) = letters.next() {
            said.push(match (letter, letter == '\\') {
                (letter, false) => letter,
                (_, true) => match letters.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    '0' => '\0',
                    'u' => {
                        let code: String = letters.by_ref().skip(1).take_while(|letter| *letter != '}').collect();
                        u32::from_str_radix(&code, 16).ok().and_then(char::from_u32).unwrap()
                    }
                    itself => itself,
                },
            });
        }
        said
    }

    const EVIL: &[&str] =
        &[" job=bad", "=", "\"", "\\", "'", " ", "\n", "\u{1b}[2J", "\u{9b}", "\u{202e}", "\u{a0}", "\u{301}", "a"];

    /// What somebody might call a film who wishes to be found by another's job.
    fn hostile() -> impl Strategy<Value = String> {
        let part = prop_oneof![any::<char>().prop_map(String::from), select(EVIL).prop_map(str::to_owned)];
        vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_line_of_text_is_taken_apart_into_just_what_was_said(
            message in hostile(), name in hostile(), error in hostile(), number in any::<i64>()
        ) {
            let line = written(Style::Plain, || {
                let _within = tracing::error_span!(target: SPANS, "job", job = "good").entered();
                tracing::warn!(name, %error, shown = ?name, number, flag = true, "{message}");
            });
            let shown = format!("{name:?}");
            let fields = [
                ("job", "good"), ("name", &name), ("error", &error), ("shown", &shown),
                ("number", &number.to_string()), ("flag", "true"),
            ];
            let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            assert_eq!(taken_apart(&line), (message, fields), "{line}");
            let job: Vec<_> = line.match_indices(" job=").map(|(at, _)| &line[at..at + 10]).collect();
            assert_eq!(job, [" job=good "], "{line}");
            assert!(!line.trim_end_matches('\n').chars().any(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn plain_words_stay_plain() {
        let line = written(Style::Plain, || {
            tracing::warn!(outcome = "settled", url = "s3://films/a-b_c.mov", name = "don't", none = "", "it's \"so\"");
        });
        let (_, told) = line.split_once("tests: ").unwrap();
        assert_eq!(told, "it's \"so\" outcome=settled url=s3://films/a-b_c.mov name=don't none=\"\"\n");
    }

    #[test]
    fn a_library_overwrites_neither_what_a_line_has_nor_what_it_is_about() {
        let say = || {
            let _within = tracing::error_span!(target: SPANS, "attempt", job = "ours", "try" = 1).entered();
            tracing::warn!(
                target: "hyper::proto::tests",
                job = "theirs", task = "t", segment = 2, attempt = "a", "try" = 9, level = "low", target = "moon",
                timestamp = "never", "moved"
            );
        };
        let (line, text) = (written(Style::Json, say), written(Style::Plain, say));
        let json: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&line).unwrap();
        assert_eq!(json.len(), line.matches("\":").count(), "each name once: {line}");
        let told = ["job", "their_job", "level", "their_level", "target", "their_target", "their_timestamp", "message"];
        let told = told.map(|name| json[name].as_str().unwrap());
        assert_eq!(told, ["ours", "theirs", "WARN", "low", "hyper::proto::tests", "moon", "never", "moved"]);
        assert_eq!((&json["try"], &json["their_try"]), (&1.into(), &9.into()));
        let names: Vec<String> = taken_apart(&text).1.into_iter().map(|(name, _)| name).collect();
        let theirs = OF_WORK.iter().chain(OF_LINES[1..].iter()).chain(&OF_LINES[..1]).map(|(_, name)| *name);
        assert_eq!(names, ["job", "try"].into_iter().chain(theirs).collect::<Vec<_>>());
    }
}
