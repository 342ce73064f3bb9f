//! Words that mean one thing each, texts of errors, and what pure code may not do.

use super::code::{has_word, name_after};
use super::{Code, Fault, File, Tree};

pub const INTEGER_TIME: &str = "integer-time";
pub const PURE: &str = "pure";
pub const WILDCARD: &str = "no-wildcard";
pub const NAMES: &str = "names";
pub const TEXTS: &str = "error-texts";
pub const PATIENCE: &str = "no-sleep-no-ignore";
pub const PICTURES: &str = "pipeline-picture";
pub const ARCHITECTURE: &str = "architecture";

const PURE_FOLDERS: [&str; 2] = ["common/model/src/", "coordinator/src/flow/"];
const IMPURE: [&str; 10] =
    ["async", "await", "tokio", "tracing", "SystemTime", "Instant", "rand", "fs", "thread", "println"];
const BANNED_ENDINGS: [&str; 5] = ["Manager", "Handler", "Service", "Helper", "Impl"];
/// Names for what has a name already: segment, task, job.
const BANNED_WORDS: [&str; 4] = ["Chunk", "Piece", "Item", "Manager"];
/// One meaning each; ARCHITECTURE.md says which.
const GLOSSARY: [&str; 21] = [
    "event",
    "trigger",
    "pipeline",
    "job",
    "generation",
    "index",
    "plan",
    "cut",
    "segment",
    "rendition",
    "task",
    "attempt",
    "hint",
    "lease",
    "settle",
    "output",
    "ledger",
    "step",
    "unit",
    "slice",
    "effect",
];

/// No floating point where time is counted.
pub fn integer_time(tree: &Tree) -> Vec<Fault> {
    in_code(tree, INTEGER_TIME, |line| {
        ["f64", "f32"].into_iter().find(|word| has_word(line, word)).map(|word| format!("{word} in pure code"))
    })
}

/// No waiting, no clock, no chance, no input or output.
pub fn pure(tree: &Tree) -> Vec<Fault> {
    in_code(tree, PURE, |line| {
        IMPURE.into_iter().find(|word| has_word(line, word)).map(|word| format!("{word} in pure code: {}", line.trim()))
    })
}

/// A new state must break the build of the flow, not fall into a default.
pub fn wildcard(tree: &Tree) -> Vec<Fault> {
    let flow: Vec<&File> = tree.below("coordinator/src/flow/").collect();
    lines_of(&flow, WILDCARD, |line| line.trim_start().starts_with("_ =>").then(|| "a wildcard arm".to_owned()))
}

pub fn names(tree: &Tree) -> Vec<Fault> {
    let files: Vec<&File> = tree.rust().collect();
    lines_of(&files, NAMES, |line| {
        let name = ["struct ", "enum ", "trait ", "type "].iter().find_map(|keyword| name_after(line, keyword))?;
        // an associated type is named by its trait
        let ours = !line.trim_start().starts_with("type ");
        let ending = BANNED_ENDINGS.iter().find(|ending| name.ends_with(*ending));
        let word = BANNED_WORDS.iter().find(|word| ours && (name.starts_with(*word) || name.ends_with(*word)));
        ending.or(word).map(|bad| format!("{name}: {bad} is not one of our words"))
    })
}

/// Texts of errors: lower-case, no full stop, no "failed to".
pub fn texts(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.rust().filter(|file| !file.is_test()) {
        let untested = Code::of(&file.text).untested().count();
        for (at, line) in file.text.lines().enumerate().take(untested) {
            for text in texts_on(line) {
                if let Some(what) = bad_text(text) {
                    faults.push(Fault::new(TEXTS, file, at + 1, format!("{what}: {text:?}")));
                }
            }
        }
    }
    faults
}

fn texts_on(line: &str) -> Vec<&str> {
    const MARKS: [&str; 4] = ["#[error(\"", "Fault::new(FaultKind::", "anyhow!(\"", "bail!(\""];
    let Some((mark, at)) = MARKS.iter().find_map(|mark| Some((mark, line.find(mark)?))) else { return Vec::new() };
    let rest =
        if mark.ends_with('"') { Some(&line[at + mark.len()..]) } else { line[at..].split_once('"').map(|p| p.1) };
    rest.and_then(|rest| rest.split_once('"')).map(|(text, _)| text).into_iter().collect()
}

fn bad_text(text: &str) -> Option<&'static str> {
    let mut letters = text.chars();
    let (first, second) = (letters.next()?, letters.next().unwrap_or(' '));
    // a name such as MP4 or SQLite keeps its capitals
    let sentence = first.is_uppercase() && second.is_lowercase() && !text.starts_with("Matroska");
    if sentence {
        return Some("begins with a capital");
    }
    if text.ends_with('.') && !text.ends_with(" .") {
        return Some("ends with a full stop");
    }
    text.contains("failed to").then_some("says what was tried, not what is wrong")
}

/// No test waits for time to pass, is skipped, or is content with any panic.
pub fn patience(tree: &Tree) -> Vec<Fault> {
    let files: Vec<&File> = tree.rust().collect();
    lines_of(&files, PATIENCE, |line| {
        let bad = ["#[ignore", "thread::sleep(", "#[should_panic"];
        bad.into_iter().find(|bad| line.contains(bad)).map(|bad| format!("{bad}: tests wait for facts, not for time"))
    })
}

/// Whoever builds a pipeline draws it.
pub fn pictures(tree: &Tree) -> Vec<Fault> {
    let builders =
        tree.below("media/src/").filter(|file| Code::of(&file.text).untested().any(|(_, l)| l.contains("Pipe::new()")));
    let drawn = |file: &File| {
        let doc = file.text.lines().map(str::trim_start).filter(|line| line.starts_with("//"));
        doc.into_iter().any(|line| line.contains(" ! ") || line.contains("──") || line.contains("->"))
    };
    builders
        .filter(|file| !drawn(file))
        .map(|file| Fault::new(PICTURES, file, 1, "builds a pipeline and does not draw it"))
        .collect()
}

/// ARCHITECTURE.md explains every word and has a section for every stage of the flow.
pub fn architecture(tree: &Tree) -> Vec<Fault> {
    let missing = File { path: "ARCHITECTURE.md".into(), text: String::new() };
    let file = tree.file("ARCHITECTURE.md").unwrap_or(&missing);
    let words = GLOSSARY.iter().filter(|word| !file.text.contains(&format!("**{word}**")));
    let mut faults: Vec<Fault> =
        words.map(|word| Fault::new(ARCHITECTURE, file, 1, format!("does not explain {word}"))).collect();
    for stage in stages(tree) {
        if !file.text.lines().any(|line| line.starts_with('#') && line.to_lowercase().contains(stage)) {
            faults.push(Fault::new(ARCHITECTURE, file, 1, format!("has no section on {stage}")));
        }
    }
    faults
}

/// Names of the flow's stages: a file or a folder each.
fn stages(tree: &Tree) -> std::collections::BTreeSet<&str> {
    let files = tree.below("coordinator/src/flow/").map(|file| file.path.trim_start_matches("coordinator/src/flow/"));
    files.filter_map(|below| below.split(['/', '.']).next()).filter(|name| *name != "mod").collect()
}

fn in_code(tree: &Tree, rule: &'static str, bad: impl Fn(&str) -> Option<String>) -> Vec<Fault> {
    let files: Vec<&File> = PURE_FOLDERS.iter().flat_map(|folder| tree.below(folder)).collect();
    lines_of(&files, rule, bad)
}

fn lines_of(files: &[&File], rule: &'static str, bad: impl Fn(&str) -> Option<String>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in files {
        let code = Code::of(&file.text);
        faults.extend(code.untested().filter_map(|(at, line)| Some(Fault::new(rule, file, at, bad(line)?))));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: &str = "coordinator/src/flow/merging.rs";

    fn count(rule: fn(&Tree) -> Vec<Fault>, path: &str, text: &str) -> usize {
        rule(&Tree::with(path, text)).len()
    }

    #[test]
    fn impure_code_is_found_in_pure_folders_only() {
        assert_eq!(count(integer_time, "common/model/src/time.rs", "fn a(x: f64) {}\n// f64\n"), 1);
        assert_eq!(count(integer_time, "media/src/a.rs", "fn a(x: f64) {}\n"), 0);
        assert_eq!(count(pure, FLOW, "async fn a() { b().await }\n"), 1);
        assert_eq!(count(pure, FLOW, "let now = Instant::now();\n"), 1);
        assert_eq!(count(pure, FLOW, "#[cfg(test)]\nmod tests { use std::fs; }\n"), 0);
        assert_eq!(count(wildcard, FLOW, "match x {\n    A => 1,\n    _ => 2,\n}\n"), 1);
        assert_eq!(count(wildcard, "coordinator/src/engine.rs", "    _ => 2,\n"), 0);
    }

    #[test]
    fn names_that_say_nothing_are_found() {
        assert_eq!(count(names, "media/src/a.rs", "pub struct JobManager;\n"), 1);
        assert_eq!(count(names, "media/src/a.rs", "enum WorkItem {}\n"), 1);
        assert_eq!(count(names, "media/src/a.rs", "    type Item = u8;\nstruct Segment;\n"), 0);
    }

    #[test]
    fn texts_that_shout_are_found() {
        let fault =
            |text: &str| count(texts, "media/src/a.rs", &format!("Fault::new(FaultKind::Corrupt, \"{text}\")\n"));
        assert_eq!(fault("Something broke"), 1);
        assert_eq!(fault("something broke."), 1);
        assert_eq!(fault("failed to open"), 1);
        assert_eq!(fault("MP4 has no tables"), 0);
        assert_eq!(fault("no picture decodes"), 0);
        assert_eq!(count(texts, "media/src/a.rs", "#[error(\"Bad\")]\n"), 1);
    }

    #[test]
    fn impatience_and_missing_pictures_are_found() {
        assert_eq!(count(patience, "worker/src/a.rs", "std::thread::sleep(x);\n"), 1);
        assert_eq!(count(pictures, "media/src/a.rs", "let pipe = Pipe::new();\n"), 1);
        assert_eq!(count(pictures, "media/src/a.rs", "/// a ! b\nfn x() { let pipe = Pipe::new(); }\n"), 0);
    }

    #[test]
    fn an_architecture_that_leaves_out_a_word_or_a_stage_is_found() {
        assert_eq!(count(architecture, FLOW, ""), GLOSSARY.len() + 1);
    }
}
