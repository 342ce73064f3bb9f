//! Death at any moment: what the store said is committed is there, and nothing is there by half.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::sqlite::SqliteStore;
use framefleet_common::ports::store::{Commit, Peek, Scan, Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::{Kind, run};

/// Lanes that commit side by side, so that a kill hits batches of several transactions.
pub(crate) const LANES: usize = 8;
const ROUNDS: u64 = 12;

pub(crate) fn what_was_committed_survives_being_dropped(kind: Kind) {
    let mut ground = kind.ground();
    for n in 1..=20 {
        run(step(&**ground.store(), 0)).unwrap();
        ground.reopen();
        assert_eq!(run(count(&**ground.store(), 0)), n);
    }
}

pub(crate) fn what_was_committed_survives_kill_nine(_: Kind) {
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

pub(crate) fn a_folder_is_free_when_its_holder_is_killed(_: Kind) {
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

fn lane_shard(lane: usize) -> Shard {
    Shard::of_jobs().nth(lane * 5).unwrap()
}

/// Counts one lane up by one transaction that touches everything a transaction can.
pub(crate) async fn step(store: &dyn Store, lane: usize) -> Result<usize, StoreError> {
    let shard = lane_shard(lane);
    let (left, right) = (shard.row("left"), shard.row("right"));
    let row = store.load(std::slice::from_ref(&left)).await?.rows.remove(0);
    let n = row.as_ref().map_or(0, |row| number(&row.bytes)) + 1;
    let txn = Txn::new(shard)
        .expect(&left, row.map(|row| row.version))
        .put(&left, n.to_string())
        .put(&right, n.to_string())
        .index_set(&shard.index("all"), n.to_string(), i64::try_from(n).unwrap())
        .append(&shard.queue("log"), n.to_string());
    let commit = store.commit(txn).await?;
    assert!(matches!(commit, Commit::Committed(_)), "a lane has no rival");
    Ok(n)
}

/// How far a lane is, after checking that its rows, index and queue all say so.
pub(crate) async fn count(store: &dyn Store, lane: usize) -> usize {
    let shard = lane_shard(lane);
    let rows = store.load(&[shard.row("left"), shard.row("right")]).await.unwrap().rows;
    let counts: Vec<usize> = rows.iter().map(|row| row.as_ref().map_or(0, |row| number(&row.bytes))).collect();
    let log = store.peek(Peek { queue: shard.queue("log"), after: None, limit: usize::MAX }).await.unwrap();
    let index = store.scan(Scan::all(shard.index("all"), usize::MAX)).await.unwrap().entries;
    assert_eq!(counts[0], counts[1]);
    let expected: Vec<usize> = (1..=counts[0]).collect();
    assert_eq!(log.iter().map(|message| number(&message.bytes)).collect::<Vec<_>>(), expected);
    assert_eq!(index.iter().map(|entry| number(entry.member.as_bytes())).collect::<Vec<_>>(), expected);
    counts[0]
}

fn number(bytes: &[u8]) -> usize {
    std::str::from_utf8(bytes).unwrap().parse().unwrap()
}
