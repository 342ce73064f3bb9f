//! Five layers, the later over the earlier, and of each value where it came from:
//!
//! ```text
//! defaults < /etc/framefleet/framefleet.toml < --config FILE < FRAMEFLEET__STORE__URL < flags ──▶ Merged ──▶ Raw
//! ```
//!
//! A list is replaced as a whole, a table key by key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ::config::{ConfigError, File, FileFormat, Map, Source, Value, ValueKind};
use framefleet_common::process::telemetry::VARIABLE;
use framefleet_model::fault::Fault;

use super::keys::{self, Count, SECTIONS};
use super::raw::Raw;
use crate::args::asking;
use crate::settings::refused;

pub(super) const SYSTEM_FILE: &str = "/etc/framefleet/framefleet.toml";
const PREFIX: &str = "FRAMEFLEET__";
/// What they begin with, too, and what those who ask a coordinator are told by: no keys of a role.
const ASKING: [&str; 3] = [asking::SERVER, asking::TOKEN, asking::TOKEN_FILE];
const FILE_BYTES_MAX: u64 = 1 << 20;
const DEFAULT: &str = "default";

/// What a process is told of its configuration.
#[derive(Clone, Debug)]
pub struct Told {
    /// Read if it is there.
    pub system: PathBuf,
    /// Read, and must be there.
    pub file: Option<PathBuf>,
    pub environment: Vec<(String, String)>,
    pub flags: Vec<Flag>,
}

/// A flag of the command line that sets a key, such as `store.url`.
#[derive(Clone, Debug)]
pub struct Flag {
    pub name: &'static str,
    pub key: String,
    pub value: String,
}

/// All layers as one.
pub(super) struct Merged {
    values: Map<String, Value>,
    leaves: BTreeMap<String, Leaf>,
}

/// A value that is no table.
#[derive(Clone)]
pub(super) struct Leaf {
    pub(super) origin: String,
    pub(super) kind: ValueKind,
}

#[derive(Clone, Debug)]
struct Layer(Map<String, Value>);

impl Told {
    /// By the environment of this process, and no file or flag yet.
    pub fn here() -> Result<Self, Fault> {
        let ours = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let ours = ours.filter(|(name, _)| name.starts_with(PREFIX) || name == VARIABLE);
        let ours = ours.filter(|(name, _)| !ASKING.contains(&name.as_str()));
        let environment = ours.map(|(name, value)| match value.into_string() {
            Ok(value) => Ok((name, value)),
            Err(_) => Err(refused(format!("the value of {name} is no UTF-8 (environment)"))),
        });
        let environment = environment.collect::<Result<_, _>>()?;
        Ok(Self { system: SYSTEM_FILE.into(), file: None, environment, flags: Vec::new() })
    }
}

impl Merged {
    pub(super) fn of(told: &Told) -> Result<Self, Fault> {
        let system = told.system.exists().then_some(&told.system);
        let mut layers = vec![defaults()];
        for path in system.into_iter().chain(&told.file) {
            layers.push(file(path)?);
        }
        layers.push(environment(&told.environment));
        layers.push(flags(&told.flags));
        Self::of_layers(layers)
    }

    /// The defaults, and beside them these tables.
    pub(super) fn of_tables(tables: Map<String, Value>) -> Result<Self, Fault> {
        Self::of_layers(vec![defaults(), Layer(tables)])
    }

    fn of_layers(layers: Vec<Layer>) -> Result<Self, Fault> {
        let merged = layers.into_iter().fold(::config::Config::builder(), |built, layer| built.add_source(layer));
        let merged = merged.build().and_then(|merged| merged.collect()).map_err(|e| refused(e.to_string()))?;
        let mut values = merged;
        fill_in(&mut values);
        let mut leaves = BTreeMap::new();
        for (name, value) in &values {
            flatten(name.clone(), value, &mut leaves);
        }
        let merged = Self { values, leaves };
        merged.leaves.iter().try_for_each(|(path, leaf)| known(path, leaf))?;
        Ok(merged)
    }

    pub(super) fn raw(&self) -> Result<Raw, Fault> {
        let values = Value::new(None, ValueKind::Table(self.values.clone()));
        values.try_deserialize().map_err(|e| self.wrong(&e))
    }

    /// A value of a wrong kind.
    fn wrong(&self, error: &ConfigError) -> Fault {
        match error {
            ConfigError::Type { unexpected, expected, key: Some(key), .. } => {
                refused(format!("{key}: {unexpected} is not {expected} ({})", self.origin(key)))
            }
            ConfigError::At { error, key: Some(key), .. } => refused(format!("{key}: {error} ({})", self.origin(key))),
            error => refused(error.to_string()),
        }
    }

    /// How many tables there are of a section that stands there as often as needed.
    pub(super) fn count(&self, section: &str) -> usize {
        self.tables(section).len()
    }

    /// A value of a table, with all that is in it.
    pub(super) fn value(&self, (section, at): (&str, usize), key: &str) -> Option<&ValueKind> {
        let ValueKind::Table(table) = &self.tables(section).get(at)?.kind else { return None };
        Some(&table.get(key)?.kind)
    }

    pub(super) fn tables(&self, section: &str) -> &[Value] {
        let (outer, inner) = section.split_once('.').map_or((section, None), |(outer, inner)| (outer, Some(inner)));
        let found = self.values.get(outer).and_then(|value| match (&value.kind, inner) {
            (ValueKind::Table(table), Some(inner)) => table.get(inner),
            (_, Some(_)) => None,
            (_, None) => Some(value),
        });
        match found.map(|value| &value.kind) {
            Some(ValueKind::Array(tables)) => tables,
            _ => &[],
        }
    }

    /// The first of such keys that somebody wrote, and where they did.
    pub(super) fn written(&self, is_such: impl Fn(&str) -> bool) -> Option<String> {
        let found = self.leaves.iter().find(|(path, leaf)| !leaf.is_default() && is_such(path));
        found.map(|(path, leaf)| format!("{path} ({})", leaf.origin))
    }

    /// Whether a file that somebody named for a secret cannot be opened here.
    pub(super) fn lacks_a_file(&self) -> bool {
        self.leaves
            .iter()
            .filter(|(path, leaf)| !leaf.is_default() && path.ends_with("_file"))
            .any(|(_, leaf)| matches!(&leaf.kind, ValueKind::String(file) if std::fs::File::open(file).is_err()))
    }

    /// Where the value of this key, or the first of those below it, came from.
    pub(super) fn origin<'a>(&'a self, key: &'a str) -> &'a str {
        self.below(key).next().map_or(DEFAULT, |(_, leaf)| &leaf.origin)
    }

    /// The values of this key or of those below it, by their paths.
    pub(super) fn below<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a str, &'a Leaf)> {
        let inside = move |path: &str| {
            path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        self.leaves.iter().filter(move |(path, _)| inside(path)).map(|(path, leaf)| (path.as_str(), leaf))
    }
}

impl Leaf {
    pub(super) fn is_default(&self) -> bool {
        self.origin == DEFAULT
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

impl Layer {
    fn of_text(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let values = File::from_str(text, FileFormat::Toml).collect()?;
        Ok(Self(values.into_iter().map(|(name, value)| (name, come_from(value, origin))).collect()))
    }
}

fn defaults() -> Layer {
    let sections = SECTIONS.iter().filter(|section| section.count == Count::One);
    let text: String = sections.map(|section| format!("[{}]\n{}", section.name, defaults_of(section))).collect();
    Layer::of_text(&text, DEFAULT).expect("the defaults are tested to be TOML")
}

fn defaults_of(section: &keys::Section) -> String {
    section.keys.iter().map(|key| format!("{} = {}\n", key.name, key.default)).collect()
}

/// Sections that stand there more than once are complete, too.
fn fill_in(values: &mut Map<String, Value>) {
    for section in SECTIONS.iter().filter(|section| section.count == Count::Any) {
        let Some(ValueKind::Array(tables)) = at(values, section.name).map(|value| &mut value.kind) else {
            continue;
        };
        let defaults = Layer::of_text(&defaults_of(section), DEFAULT).expect("the defaults are tested to be TOML");
        for table in tables {
            let ValueKind::Table(table) = &mut table.kind else { continue };
            for (name, value) in &defaults.0 {
                table.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
    }
}

/// The value at a path of names.
fn at<'a>(values: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Value> {
    match path.split_once('.') {
        None => values.get_mut(path),
        Some((first, rest)) => match &mut values.get_mut(first)?.kind {
            ValueKind::Table(table) => at(table, rest),
            _ => None,
        },
    }
}

fn file(path: &Path) -> Result<Layer, Fault> {
    let name = path.display().to_string();
    let unreadable = |e: std::io::Error| refused(format!("configuration {name}: {e}"));
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        return Err(refused(format!("configuration {name}: {size} bytes are over the bound of {FILE_BYTES_MAX}")));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    Layer::of_text(&text, &name).map_err(|e| refused(format!("configuration {name}: {}", unquoted(&e.to_string()))))
}

/// `FRAMEFLEET__STORE__URL` is `store.url`, `FRAMEFLEET__STORAGE__0__SECRET` is `secret` of the first `[[storage]]`.
fn environment(variables: &[(String, String)]) -> Layer {
    let values = variables.iter().filter_map(|(name, value)| {
        let key = match name.strip_prefix(PREFIX) {
            Some(path) => path_of(&path.to_lowercase()),
            None if name == VARIABLE => "telemetry.filter".to_owned(),
            None => return None,
        };
        let value = valued(&key, value, &format!("environment {name}"));
        Some((key, value))
    });
    Layer(values.collect())
}

fn flags(flags: &[Flag]) -> Layer {
    let one = |flag: &Flag| (flag.key.clone(), valued(&flag.key, &flag.value, &format!("flag {}", flag.name)));
    Layer(flags.iter().map(one).collect())
}

fn path_of(name: &str) -> String {
    let mut path = String::new();
    for part in name.split("__") {
        match part.parse::<u16>() {
            Ok(number) => path.push_str(&format!("[{number}]")),
            Err(_) if path.is_empty() => path.push_str(part),
            Err(_) => path.push_str(&format!(".{part}")),
        }
    }
    path
}

/// Text as the kind of value that its key has: a list's parts between commas, a number, true or false.
fn valued(key: &str, text: &str, origin: &str) -> Value {
    let origin = Some(origin.to_owned());
    let known = keys::find(key);
    match (known.map_or("\"", |key| key.default), text.parse::<i64>(), text.parse::<bool>()) {
        (default, _, _) if default.starts_with('"') => Value::new(origin.as_ref(), text),
        (default, _, _) if default.starts_with('[') => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            let parts: Vec<Value> = parts.map(|part| Value::new(origin.as_ref(), part)).collect();
            Value::new(origin.as_ref(), parts)
        }
        (_, Ok(number), _) => Value::new(origin.as_ref(), number),
        (_, _, Ok(truth)) => Value::new(origin.as_ref(), truth),
        _ => Value::new(origin.as_ref(), text),
    }
}

fn come_from(value: Value, origin: &str) -> Value {
    let kind = match value.kind {
        ValueKind::Table(table) => {
            ValueKind::Table(table.into_iter().map(|(name, value)| (name, come_from(value, origin))).collect())
        }
        ValueKind::Array(values) => {
            ValueKind::Array(values.into_iter().map(|value| come_from(value, origin)).collect())
        }
        kind => kind,
    };
    Value::new(Some(&origin.to_owned()), kind)
}

fn flatten(path: String, value: &Value, leaves: &mut BTreeMap<String, Leaf>) {
    match &value.kind {
        ValueKind::Table(table) => {
            table.iter().for_each(|(name, value)| flatten(format!("{path}.{name}"), value, leaves));
        }
        ValueKind::Array(values) if values.iter().any(|value| matches!(value.kind, ValueKind::Table(_))) => {
            values.iter().enumerate().for_each(|(at, value)| flatten(format!("{path}[{at}]"), value, leaves));
        }
        kind => {
            let origin = value.origin().unwrap_or(DEFAULT).to_owned();
            leaves.insert(path, Leaf { origin, kind: kind.clone() });
        }
    }
}

/// Whether the table has this key, with where it was seen if not.
fn known(path: &str, leaf: &Leaf) -> Result<(), Fault> {
    let section = SECTIONS.iter().find(|one| one.name == path);
    let found = match section {
        Some(_) if matches!(leaf.kind, ValueKind::Array(_)) => true,
        Some(_) => return Err(refused(format!("{path} is a section, not a value ({})", leaf.origin))),
        None => keys::find(path).is_some(),
    };
    if found {
        return Ok(());
    }
    let there = match keys::placed(path) {
        Some((section, _)) => section.keys.iter().map(|key| key.name).collect::<Vec<_>>(),
        None => SECTIONS.iter().map(|section| section.name).collect(),
    };
    Err(refused(format!("{path} is no key of the configuration, those are: {} ({})", there.join(", "), leaf.origin)))
}

/// A parser's words without the lines that it quotes, which may hold secrets.
pub(super) fn unquoted(text: &str) -> String {
    let quotes = |line: &&str| !line.trim().is_empty() && !line.contains(" | ") && !line.trim_end().ends_with('|');
    text.lines().filter(quotes).map(str::trim).collect::<Vec<_>>().join(": ")
}
