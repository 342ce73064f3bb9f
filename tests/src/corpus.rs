//! A folder of real media with a manifest: what each file should give, what ours gave, and what is known to differ.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::place;

/// What ffmpeg, another decoder, makes of a file.
#[derive(Clone, Debug)]
pub struct Row {
    pub path: String,
    pub expected: Expected,
    pub pictures: u64,
    /// Samples of the first sound track at its own rate; none without sound.
    pub sound: Option<Sound>,
}

#[derive(Clone, Copy, Debug)]
pub struct Sound {
    pub samples: u64,
    pub rate: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Decodes.
    Whole,
    /// Decodes, with errors: what is left of it is kept.
    Damaged,
    /// Nothing usable comes out.
    Refused,
    /// Either is right.
    Either,
}

/// One reviewed way in which our result differs from ffmpeg's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub field: String,
    pub ours: String,
    pub reason: String,
}

impl Difference {
    /// Ours is wrong, and it is known why or at least that it is.
    pub fn is_open(&self) -> bool {
        self.reason.starts_with("open: ")
    }
}

pub enum Folder {
    Here(PathBuf),
    /// None is named and none lies beside the repository.
    NotPartOfThisRun,
}

/// The folder named by `FRAMEFLEET_CORPUS`, else the one beside the repository. Named but missing is a failure.
pub fn folder() -> Result<Folder, String> {
    if let Some(named) = std::env::var_os("FRAMEFLEET_CORPUS").map(PathBuf::from) {
        if named.join("manifest.csv").is_file() {
            return Ok(Folder::Here(named));
        }
        return Err(format!("FRAMEFLEET_CORPUS is {}, which holds no manifest.csv", named.display()));
    }
    let beside = place::top().join("../shared/corpus");
    if beside.join("manifest.csv").is_file() { Ok(Folder::Here(beside)) } else { Ok(Folder::NotPartOfThisRun) }
}

pub fn manifest(folder: &Path) -> Result<Vec<Row>, String> {
    let path = folder.join("manifest.csv");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    table(&text)?.iter().map(row_of).collect()
}

/// The reviewed differences of each file, by path.
pub fn differences() -> Result<BTreeMap<String, Vec<Difference>>, String> {
    let mut all: BTreeMap<String, Vec<Difference>> = BTreeMap::new();
    for row in table(include_str!("../corpus/differences.csv"))? {
        let [field, ours, reason] = ["field", "ours", "reason"].map(|key| row.get(key).cloned().unwrap_or_default());
        if reason.is_empty() {
            return Err(format!("a difference without a reason: {row:?}"));
        }
        all.entry(row["path"].clone()).or_default().push(Difference { field, ours, reason });
    }
    Ok(all)
}

fn row_of(cells: &BTreeMap<String, String>) -> Result<Row, String> {
    let path = cells.get("path").cloned().ok_or("the manifest has no column `path`")?;
    let number = |key: &str| cells.get(key).and_then(|text| text.parse::<u64>().ok());
    let expected = match cells.get("expected").map_or("", String::as_str) {
        "ok" => Expected::Whole,
        "ok-warn" => Expected::Damaged,
        text if text.starts_with("ok(") => Expected::Either,
        text if text.starts_with("error") => Expected::Refused,
        other => return Err(format!("{path}: expected is {other:?}")),
    };
    let sound = number("audio_samples").zip(number("audio_rate")).filter(|(samples, rate)| samples * rate > 0);
    let sound = sound.map(|(samples, rate)| Sound { samples, rate });
    Ok(Row { path, expected, pictures: number("video_frames").unwrap_or(0), sound })
}

/// Comma-separated values with a heading; cells may be quoted.
fn table(text: &str) -> Result<Vec<BTreeMap<String, String>>, String> {
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let heading = cells(lines.next().ok_or("an empty table")?);
    lines
        .map(|line| {
            let row = cells(line);
            if row.len() != heading.len() {
                return Err(format!("{} cells instead of {} in {line:?}", row.len(), heading.len()));
            }
            Ok(heading.iter().cloned().zip(row).collect())
        })
        .collect()
}

fn cells(line: &str) -> Vec<String> {
    let (mut all, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                cell.push('"');
                letters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut cell)),
            other => cell.push(other),
        }
    }
    all.push(cell);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_cells_keep_their_commas() {
        assert_eq!(cells(r#"a,"b,c","say ""x""",,d"#), ["a", "b,c", r#"say "x""#, "", "d"]);
    }

    #[test]
    fn every_reviewed_difference_has_a_reason() {
        for (path, all) in differences().unwrap() {
            assert!(
                all.iter().all(|one| ["exit", "pictures", "samples", "tracks", "fault"].contains(&one.field.as_str())),
                "{path}"
            );
        }
    }
}
