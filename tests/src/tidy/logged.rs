//! What is logged: every line that the program can write, read off its sources.

use std::collections::{BTreeMap, BTreeSet};

use super::{Code, Fault, File, Tree};

pub const HOMES: &str = "logged-where-it-is-counted";

const MACROS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
/// What each line has whatever it tells of.
const RESERVED: [&str; 4] = ["timestamp", "level", "target", "message"];

/// A line of log by its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub levels: BTreeSet<&'static str>,
    pub targets: BTreeSet<String>,
    pub fields: BTreeSet<String>,
}

/// Everything that can be logged.
pub fn events(tree: &Tree) -> BTreeMap<String, Event> {
    let mut events: BTreeMap<String, Event> = BTreeMap::new();
    for file in product(tree) {
        for (level, words) in calls(file) {
            let (fields, message) = parts(&words);
            let event = events.entry(message).or_default();
            event.levels.insert(level);
            event.targets.insert(target(file));
            event.fields.extend(fields);
        }
    }
    events
}

/// Lines are written where the same is counted, or by those who put a process together; no field is called what every line
/// has.
pub fn homes(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in product(tree) {
        let calls = calls(file);
        let at_home = file.path.contains("observe") || file.path.starts_with("cli/src/roles/");
        if !at_home && !calls.is_empty() {
            faults.push(Fault::new(HOMES, file, 1, "logs by itself, and not through an observer"));
        }
        for (_, words) in &calls {
            let (fields, message) = parts(words);
            if let Some(field) = fields.iter().find(|field| RESERVED.contains(&field.as_str())) {
                faults.push(Fault::new(HOMES, file, 1, format!("{message:?} has a field {field:?}, as each line has")));
            }
        }
    }
    faults
}

fn product(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.rust().filter(|file| !file.is_test() && file.path.contains("/src/"))
}

/// `framefleet_worker::observe`
fn target(file: &File) -> String {
    let (package, module) = file.path.split_once("/src/").expect("it is below src");
    let module = module.trim_end_matches(".rs").trim_end_matches("/mod").replace('/', "::");
    format!("framefleet_{package}::{module}")
}

/// The level and the words of each call of a macro that logs.
fn calls(file: &File) -> Vec<(&'static str, String)> {
    let blanked = Code::of(&file.text).untested().map(|(_, line)| line.to_owned()).collect::<Vec<_>>().join("\n");
    // The same places in the text itself: what is blanked is as long as what it was, letter by letter.
    let (blanked, text): (Vec<char>, Vec<char>) = (blanked.chars().collect(), file.text.chars().collect());
    let mut calls = Vec::new();
    for level in MACROS {
        let start: Vec<char> = format!("{level}!(").chars().collect();
        for at in 0..blanked.len().saturating_sub(start.len()) {
            let joined = at > 0 && (blanked[at - 1].is_alphanumeric() || blanked[at - 1] == '_');
            if joined || blanked[at..at + start.len()] != start[..] {
                continue;
            }
            let from = at + start.len();
            let mut depth = 1;
            let len = blanked[from..].iter().position(|letter| {
                depth += i32::from(*letter == '(') - i32::from(*letter == ')');
                depth == 0
            });
            let len = len.expect("a call ends");
            calls.push((level, text[from..from + len].iter().collect()));
        }
    }
    calls
}

/// The fields of a call, and its message.
fn parts(words: &str) -> (Vec<String>, String) {
    let mut parts = split(words);
    let message = parts.pop().expect("a call says something");
    let fields = parts.iter().filter(|part| !part.starts_with("target:"));
    let name =
        |part: &String| part.split('=').next().unwrap_or_default().trim().trim_start_matches(['%', '?']).to_owned();
    (fields.map(name).collect(), message.trim_matches('"').to_owned())
}

/// At commas that stand in no literal and in no parentheses.
fn split(words: &str) -> Vec<String> {
    let blanked: Vec<char> = Code::of(words).lines.join("\n").chars().collect();
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for (letter, blank) in words.chars().zip(blanked) {
        match blank {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("there is one from the start").push(letter);
    }
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn a() {\n    info!(\n        %job,\n        took_ms = millis(took, 2),\n        \"done, all of it\"\n    );\n}\n";

    #[test]
    fn a_call_is_read_with_its_fields_and_its_text() {
        let events = events(&Tree::with("worker/src/observe.rs", TEXT));
        let event = &events["done, all of it"];
        let fields: Vec<&str> = event.fields.iter().map(String::as_str).collect();
        assert_eq!((fields, event.levels.first()), (vec!["job", "took_ms"], Some(&"info")));
        assert_eq!(event.targets.first().map(String::as_str), Some("framefleet_worker::observe"));
    }

    #[test]
    fn who_logs_elsewhere_or_under_a_name_that_is_taken_is_found() {
        assert_eq!(homes(&Tree::with("worker/src/room.rs", TEXT)).len(), 1);
        let named = TEXT.replace("%job", "level = 3");
        assert_eq!(homes(&Tree::with("worker/src/observe.rs", &named)).len(), 1);
        assert_eq!(homes(&Tree::with("worker/src/observe.rs", TEXT)), []);
    }
}
