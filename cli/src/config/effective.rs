//! What `--check-config` prints: the whole configuration as TOML that could be a file again, without its secrets, and
//! with where each value came from that is no default.

use ::config::ValueKind;

use super::keys::{Count, Key, SECTIONS, Secrecy, Section};
use super::layers::{Leaf, Merged};
use super::secret::{HIDDEN, ServerUrl};

/// What a value that leaves it to the machine comes to here, by its path and its text.
pub(super) type Meaning<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

pub(super) fn text(merged: &Merged, meaning: Meaning<'_>) -> String {
    let mut text = String::new();
    for section in &SECTIONS {
        match section.count {
            Count::One => {
                text.push_str(&format!("[{}]\n", section.name));
                text.push_str(&lines((merged, meaning), section, None));
                text.push('\n');
            }
            Count::Any => {
                for at in 0..merged.count(section.name) {
                    text.push_str(&format!("[[{}]]\n", section.name));
                    text.push_str(&lines((merged, meaning), section, Some(at)));
                    text.push('\n');
                }
            }
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// The lines of a section, or of one of its tables.
fn lines((merged, meaning): (&Merged, Meaning<'_>), section: &Section, number: Option<usize>) -> String {
    let at = &number.map_or_else(|| section.name.to_owned(), |number| format!("{}[{number}]", section.name));
    let mut lines = String::new();
    for key in section.keys {
        let path = format!("{at}.{}", key.name);
        // Tables within a table are one line.
        let nested = number.and_then(|number| merged.value((section.name, number), key.name));
        if let Some(kind) = nested.filter(|kind| holds_tables(kind)) {
            let origin = merged.origin(&path);
            lines.push_str(&format!("{} = {}  # {origin}\n", key.name, inline(kind)));
            continue;
        }
        for (leaf_path, leaf) in merged.below(&path) {
            let name = leaf_path.strip_prefix(at.as_str()).unwrap_or(leaf_path).trim_start_matches('.');
            let notes = [origin(leaf), here(leaf_path, leaf, meaning)];
            let notes = notes.into_iter().flatten().collect::<Vec<_>>().join(", ");
            let notes = if notes.is_empty() { notes } else { format!("  # {notes}") };
            lines.push_str(&format!("{name} = {}{notes}\n", shown(key, &leaf.kind)));
        }
    }
    lines
}

fn holds_tables(kind: &ValueKind) -> bool {
    let ValueKind::Array(values) = kind else { return false };
    values.iter().any(|value| matches!(value.kind, ValueKind::Table(_)))
}

/// A value with all that is in it. None of it is a secret.
fn inline(kind: &ValueKind) -> String {
    match kind {
        ValueKind::Array(values) => {
            let values: Vec<String> = values.iter().map(|value| inline(&value.kind)).collect();
            format!("[{}]", values.join(", "))
        }
        ValueKind::Table(table) => {
            let mut names: Vec<&String> = table.keys().collect();
            names.sort_unstable();
            let pairs = names.into_iter().filter_map(|name| Some((name, &table.get(name)?.kind)));
            let pairs: Vec<String> = pairs.map(|(name, kind)| format!("{name} = {}", inline(kind))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        ValueKind::String(text) => quoted(text),
        kind => kind.to_string(),
    }
}

fn origin(leaf: &Leaf) -> Option<String> {
    (!leaf.is_default()).then(|| leaf.origin.clone())
}

fn here(path: &str, leaf: &Leaf, meaning: Meaning<'_>) -> Option<String> {
    let ValueKind::String(text) = &leaf.kind else { return None };
    meaning(path, text).map(|here| format!("here {here}"))
}

fn shown(key: &Key, kind: &ValueKind) -> String {
    match (key.secrecy, kind) {
        (_, ValueKind::String(text)) if text.is_empty() => quoted(text),
        (Secrecy::Open, ValueKind::Array(values)) => {
            let values = values.iter().map(|value| shown(key, &value.kind)).collect::<Vec<_>>();
            format!("[{}]", values.join(", "))
        }
        (Secrecy::Open, ValueKind::String(text)) => quoted(text),
        (Secrecy::Open, kind) => kind.to_string(),
        (Secrecy::Url, ValueKind::String(text)) => {
            quoted(&ServerUrl::parse(text).map_or_else(|_| HIDDEN.to_owned(), |url| url.to_string()))
        }
        (Secrecy::Url | Secrecy::Nothing, _) => quoted(HIDDEN),
    }
}

/// The escapes of a JSON string are those of a TOML string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
