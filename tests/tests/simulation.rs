//! Whole fleets in memory under seeded misfortune. Whatever happens: no accepted job is lost, each ends once and tells
//! one end, outputs are right and whole, no slot and nothing half-made is left.
//!
//! `SEED=17` lives through one seed and tells its tale. `SEEDS=5000` tries more of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use framefleet_tests::fleet::orderly;
use framefleet_tests::fleet::storm::Voice;
use framefleet_tests::fleet::world::{Outcome, live_through};
use libtest_mimic::{Arguments, Failed, Trial};

const SEEDS: u64 = 1024;
const SEEDS_PER_TRIAL: u64 = 64;
const RUNS_AT_ONCE: usize = 4;
/// Seeds may be many gigabytes of small files in a row: in memory where there is room for that.
const IN_MEMORY: &str = "/dev/shm";
/// Names that are the same in every run make job ids that are the same.
const HERE: &str = "/proc/self/cwd";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let base = if Path::new(IN_MEMORY).is_dir() { IN_MEMORY.into() } else { std::env::temp_dir() };
    let folder = tempfile::tempdir_in(base).expect("the temporary folder takes a folder");
    std::env::set_current_dir(folder.path()).expect("the folder was just made");
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let trials = match number("SEED") {
        Some(seed) => vec![Trial::test("one_seed", move || through(seed, seed + 1, Voice::Aloud))],
        None => (0..number("SEEDS").unwrap_or(SEEDS).div_ceil(SEEDS_PER_TRIAL)).map(trial).collect(),
    };
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(number: u64) -> Trial {
    let (from, to) = (number * SEEDS_PER_TRIAL, (number + 1) * SEEDS_PER_TRIAL);
    Trial::test(format!("seeds_{from:04}_to_{to:04}"), move || through(from, to, Voice::Silent))
}

fn through(from: u64, to: u64, voice: Voice) -> Result<(), Failed> {
    let began = Instant::now();
    let (mut counts, mut failed) = (BTreeMap::<&str, u64>::new(), Vec::new());
    for (seed, outcome) in at_once(from..to, voice) {
        outcome.counts.iter().for_each(|(kind, count)| *counts.entry(kind).or_default() += count);
        if !outcome.wrongs.is_empty() {
            let again = format!("SEED={seed} cargo nextest run -p framefleet-tests --test simulation --no-capture");
            failed.push(format!("seed {seed}: {}\n  again: {again}", outcome.wrongs.join("\n  ")));
        }
    }
    let took = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "seeds are few")]
    let rate = (to - from) as f64 / took;
    println!("seeds {from}..{to}: {took:.1} s, {rate:.1} seeds/s; {counts:?}");
    if failed.is_empty() { Ok(()) } else { Err(Failed::from(failed.join("\n"))) }
}

/// Each run waits for its files now and then: others go on meanwhile.
fn at_once(seeds: Range<u64>, voice: Voice) -> Vec<(u64, Outcome)> {
    let seeds: Vec<u64> = seeds.collect();
    let share = seeds.len().div_ceil(RUNS_AT_ONCE);
    std::thread::scope(|scope| {
        let run = |seed: &u64| (*seed, one(*seed, voice));
        let runs = seeds.chunks(share).map(|share| scope.spawn(move || share.iter().map(run).collect::<Vec<_>>()));
        let runs: Vec<_> = runs.collect();
        runs.into_iter().flat_map(|run| run.join().expect("a run ends without a panic")).collect()
    })
}

fn one(seed: u64, voice: Voice) -> Outcome {
    let folder = Path::new(HERE).join(format!("seed-{seed}"));
    std::fs::create_dir(&folder).expect("the folder is empty");
    let outcome = orderly::run(live_through(seed, &folder, voice));
    std::fs::remove_dir_all(&folder).expect("a folder of ours");
    if voice == Voice::Aloud {
        println!("digest {:016x}, {:?}", outcome.digest, outcome.weather);
    }
    outcome
}
