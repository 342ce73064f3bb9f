//! The rules of the house that no compiler knows: who may depend on whom, how long things are, which words are used.
//!
//! A rule is a function from the tree to what breaks it. `allowed.txt` lists the exceptions, each with its reason; one
//! that is no longer needed is itself a fault, so the list only shrinks.

/// Who may depend on whom.
pub mod dependencies;
/// Folders, files, functions: how many and how long.
pub mod layout;
/// What can be logged, and where that is done.
pub mod logged;
/// Words, texts, and what pure code may not do.
pub mod words;

mod code;
mod tree;

use std::collections::BTreeSet;
use std::fmt;

pub use code::Code;
pub use tree::{File, Tree};

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    pub rule: &'static str,
    pub path: String,
    pub line: usize,
    pub what: String,
}

impl Fault {
    pub fn new(rule: &'static str, file: &File, line: usize, what: impl Into<String>) -> Self {
        Self { rule, path: file.path.clone(), line, what: what.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} ({})", self.path, self.line, self.what, self.rule)
    }
}

/// An exception: this rule, in this file, for this reason.
struct Allowed {
    rule: String,
    path: String,
}

fn allowances(text: &str) -> Vec<Allowed> {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.splitn(3, ' ');
            let mut next = || words.next().filter(|word| !word.is_empty()).map(str::to_owned);
            let (rule, path, reason) = (next(), next(), next());
            let complete = rule.zip(path).filter(|_| reason.is_some());
            let (rule, path) = complete.unwrap_or_else(|| panic!("not `rule path reason`: {line:?}"));
            Allowed { rule, path }
        })
        .collect()
}

/// What is left after the exceptions, and the exceptions that nothing needs.
pub fn judge(faults: Vec<Fault>, rules: &[&str]) -> Vec<String> {
    judge_by(faults, rules, include_str!("allowed.txt"))
}

fn judge_by(faults: Vec<Fault>, rules: &[&str], list: &str) -> Vec<String> {
    let allowed = allowances(list);
    let covers = |one: &Allowed, fault: &Fault| one.rule == fault.rule && one.path == fault.path;
    let mut left: BTreeSet<String> =
        faults.iter().filter(|fault| !allowed.iter().any(|one| covers(one, fault))).map(ToString::to_string).collect();
    for one in allowed.iter().filter(|one| rules.contains(&one.rule.as_str())) {
        if !faults.iter().any(|fault| covers(one, fault)) {
            left.insert(format!("{}: is allowed to break `{}` and does not: take it off the list", one.path, one.rule));
        }
    }
    left.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_hides_its_own_fault_and_no_other() {
        let fault = |path: &str| Fault { rule: "length", path: path.into(), line: 1, what: "too long".into() };
        let list = "# reasons\nlength a.rs a table\n";
        assert_eq!(judge_by(vec![fault("a.rs")], &["length"], list), Vec::<String>::new());
        assert_eq!(judge_by(vec![fault("a.rs"), fault("b.rs")], &["length"], list).len(), 1);
    }

    #[test]
    fn an_exception_that_nothing_needs_is_a_fault() {
        let left = judge_by(Vec::new(), &["length"], "length a.rs a table\n");
        assert_eq!(left, ["a.rs: is allowed to break `length` and does not: take it off the list"]);
    }
}
