//! Death at any moment: what the store said is committed is there, and nothing is there by half.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::sqlite::SqliteStore;
use framefleet_common::ports::store::StoreError;
use framefleet_conformance::store::lanes::{LANES, count, step};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::run;

const ROUNDS: u64 = 12;

pub(crate) fn what_was_committed_survives_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(9);
    let mut told = [0; LANES];
    for round in 0..ROUNDS {
        // Some die while they open the store, most in the middle of their commits.
        let lines = if round % 4 == 0 { 0 } else { rng.random_range(1..400) };
        let mut child = spawn(folder.path());
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut hear = |line: String| {
            if let Some((lane, n)) = parse(&line) {
                told[lane] = n;
            }
        };
        output.by_ref().take(lines).for_each(|line| hear(line.unwrap()));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it still said before it died counts.
        output.map_while(Result::ok).for_each(&mut hear);
        let store = open(folder.path()).unwrap();
        for (lane, told) in told.iter().enumerate() {
            let found = run(count(&store, lane));
            assert!(found >= *told, "round {round}, lane {lane}: {told} was told, {found} is there");
        }
    }
    assert!(told.iter().all(|n| *n > 0), "every lane got somewhere: {told:?}");
}

pub(crate) fn a_folder_is_free_when_its_holder_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = spawn(folder.path());
    let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
    output.next().unwrap().unwrap();
    let Err(refused) = open(folder.path()) else { panic!("two processes hold one folder") };
    let expected =
        StoreError::Locked { folder: folder.path().display().to_string(), holder: format!("process {}", child.id()) };
    assert_eq!(refused, expected);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(open(folder.path()).is_ok());
}

/// The child: counts in every lane for ever, and says what it was told.
pub(crate) fn committer(folder: &Path) -> ExitCode {
    let store = open(folder).unwrap();
    run(join_all((0..LANES).map(|lane| {
        let store = &store;
        async move {
            loop {
                let n = step(store, lane).await.unwrap();
                // Its parent is gone once nobody reads: then it may go too.
                if writeln!(std::io::stdout(), "{lane} {n}.").is_err() {
                    std::process::exit(0);
                }
            }
        }
    })));
    ExitCode::SUCCESS
}

fn open(folder: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(folder, Arc::new(HostClock::start()))
}

fn spawn(folder: &Path) -> Child {
    let program = std::env::current_exe().unwrap();
    Command::new(program).arg("committer").arg(folder).stdout(Stdio::piped()).spawn().unwrap()
}

/// A line of the child, unless it died over it.
fn parse(line: &str) -> Option<(usize, usize)> {
    let (lane, n) = line.strip_suffix('.')?.split_once(' ')?;
    Some((lane.parse().ok()?, n.parse().ok()?))
}
