//! What `--check-config` prints: the whole configuration as TOML that could be a file again, without its secrets, and
//! with where each value came from that is no default.

use ::config::ValueKind;

use super::Config;
use super::keys::{Count, Key, SECTIONS, Secrecy, Section};
use super::layers::{Leaf, Merged};
use super::secret::{HIDDEN, ServerUrl};

pub(super) fn text(merged: &Merged, config: &Config) -> String {
    let mut text = String::new();
    for section in &SECTIONS {
        match section.count {
            Count::One => {
                text.push_str(&format!("[{}]\n", section.name));
                text.push_str(&lines(merged, section, section.name));
                text.push('\n');
            }
            Count::Any => {
                for at in 0..config.storage.len() {
                    text.push_str(&format!("[[{}]]\n", section.name));
                    text.push_str(&lines(merged, section, &format!("{}[{at}]", section.name)));
                    text.push('\n');
                }
            }
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn lines(merged: &Merged, section: &Section, at: &str) -> String {
    let mut lines = String::new();
    for key in section.keys {
        let path = format!("{at}.{}", key.name);
        for (leaf_path, leaf) in merged.below(&path) {
            let name = leaf_path.strip_prefix(at).unwrap_or(leaf_path).trim_start_matches('.');
            lines.push_str(&format!("{name} = {}{}\n", shown(key, &leaf.kind), origin(leaf)));
        }
    }
    lines
}

fn origin(leaf: &Leaf) -> String {
    if leaf.is_default() { String::new() } else { format!("  # {}", leaf.origin) }
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
