//! Prints how the files of the corpus did, after `make test-corpus` has run them.

use std::process::ExitCode;

use framefleet_tests::corpus::{self, Folder};
use framefleet_tests::place;

/// Of a hundred files at least as many give what another decoder finds in them, or differ for a reason that holds.
const REACH_PER_CENT: usize = 97;

fn main() -> ExitCode {
    let Ok(Folder::Here(folder)) = corpus::folder() else {
        println!("corpus: not part of this run (FRAMEFLEET_CORPUS is not set)");
        return ExitCode::SUCCESS;
    };
    let files = corpus::manifest(&folder).map_or(0, |rows| rows.len());
    let mut lines: Vec<String> = std::fs::read_dir(place::cache("corpus"))
        .into_iter()
        .flatten()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
        .collect();
    lines.sort();
    let count = |verdict: &str| lines.iter().filter(|line| line.starts_with(verdict)).count();
    let (same, reviewed, open) = (count("same\t"), count("reviewed\t"), count("open\t"));
    println!("corpus: {same} of {files} files give what another decoder finds in them");
    println!(
        "  {reviewed} differ for a reason that holds, {open} are open, {} differ otherwise",
        count("unexpected\t")
    );
    let without = files.saturating_sub(lines.len());
    if without > 0 {
        println!("  {without} came to no verdict");
    }
    for line in lines.iter().filter(|line| !line.starts_with("same\t")) {
        let cells: Vec<&str> = line.trim_end().split('\t').collect();
        println!("  {}", cells.join("  "));
    }
    if (same + reviewed) * 100 < files * REACH_PER_CENT {
        println!("corpus: below its reach of {REACH_PER_CENT} %");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
