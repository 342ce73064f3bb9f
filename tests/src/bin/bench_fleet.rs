//! Measures the fleet: `bench_fleet [--write FILE] [--short] [control] [backlog] [recovery] [scaling]`, all where none is named.

use std::path::PathBuf;
use std::process::ExitCode;

use framefleet_tests::bench::table::Table;
use framefleet_tests::bench::{Size, backlog, control, recovery, scaling};
use framefleet_tests::processes::servers::Servers;
use tokio::runtime::Runtime;

const PARTS: [&str; 4] = ["control", "backlog", "recovery", "scaling"];

struct Asked {
    parts: Vec<String>,
    size: Size,
    page: Option<PathBuf>,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some((backlog::COORDINATOR, words)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        runtime().block_on(backlog::coordinate(words));
        return ExitCode::SUCCESS;
    }
    let Some(asked) = asked(words) else {
        eprintln!("usage: bench_fleet [--write FILE] [--short] [{}]", PARTS.join("] ["));
        return ExitCode::FAILURE;
    };
    let mut table = Table::new();
    for part in &asked.parts {
        // Servers of its own: what one part leaves in them is no other's burden.
        let servers = Servers::start();
        match part.as_str() {
            "control" => runtime().block_on(control::measure(&servers, asked.size, &mut table)),
            "backlog" => runtime().block_on(backlog::measure(&servers, asked.size, &mut table)),
            "recovery" => recovery::measure(&servers, asked.size, &mut table),
            _ => scaling::measure(&servers, asked.size, &mut table),
        }
    }
    match asked.page.map(|page| (table.keep(&page), page)) {
        Some((Err(error), page)) => {
            eprintln!("{} cannot be written: {error}", page.display());
            ExitCode::FAILURE
        }
        Some((Ok(()), _)) | None => ExitCode::SUCCESS,
    }
}

/// `None`: not understood.
fn asked(words: Vec<String>) -> Option<Asked> {
    let mut asked = Asked { parts: Vec::new(), size: Size::Whole, page: None };
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--write" => asked.page = Some(PathBuf::from(words.next()?)),
            "--short" => asked.size = Size::Short,
            part if PARTS.contains(&part) => asked.parts.push(word),
            _ => return None,
        }
    }
    if asked.parts.is_empty() {
        asked.parts = PARTS.map(str::to_owned).to_vec();
    }
    Some(asked)
}

fn runtime() -> Runtime {
    Runtime::new().expect("threads can be started")
}
