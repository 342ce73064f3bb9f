//! The same film and settings give the same bytes: with any number of workers, whatever dies on the way, at any time.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use framefleet_tests::product::{self, Ran};
use framefleet_tests::running::{Chance, Running};
use framefleet_tests::{clip, place};
use tempfile::TempDir;

const TARGETS: [&str; 3] = ["mp4", "mkv", "ts"];

fn film() -> PathBuf {
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 25";
    clip::numbered("bytes.mov", &["--seconds", "8", "--fps", "25", "--vargs", coding])
}

/// One transcode of the film into all targets in eighteen or so tasks. The names of the outputs are part of the plan, so
/// all attempts of a test have one home.
struct Attempt<'a> {
    home: &'a Path,
    workers: &'static str,
}

impl<'a> Attempt<'a> {
    /// Where nothing is left of an attempt before.
    fn new(home: &'a TempDir, workers: &'static str) -> Self {
        for entry in std::fs::read_dir(home.path()).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
        Self { home: home.path(), workers }
    }

    fn command(&self) -> Command {
        let mut command = product::bare(self.home);
        command.arg("transcode").arg(film()).args(TARGETS.map(|kind| format!("film.{kind}")));
        command.args(["--segment-duration", "500ms", "--preset", "ultrafast", "-o", "json"]);
        command.args(["--workers", self.workers, "--state-dir", "state", "--overwrite"]);
        command.env("FRAMEFLEET_LOG", "framefleet_worker=debug");
        command
    }

    fn run(&self) -> Ran {
        Running::start(&mut self.command()).end()
    }

    fn state_stands(&self) -> bool {
        let states = std::fs::read_dir(self.home.join("state")).into_iter().flatten().flatten();
        states.map(|entry| entry.path()).any(|path| path.extension().is_none())
    }

    fn outputs(&self) -> Vec<Vec<u8>> {
        TARGETS.iter().map(|kind| std::fs::read(self.home.join(format!("film.{kind}"))).unwrap()).collect()
    }

    /// Nothing half-made stands beside the outputs.
    fn only_outputs_stand(&self) {
        let mut names: Vec<_> = std::fs::read_dir(self.home).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.retain(|name| name != "state");
        names.sort();
        assert_eq!(names, ["film.mkv", "film.mp4", "film.ts"]);
    }
}

fn undisturbed(home: &TempDir) -> Vec<Vec<u8>> {
    let attempt = Attempt::new(home, "2");
    attempt.run().done().unwrap();
    attempt.outputs()
}

fn assert_same(what: &str, ours: &[Vec<u8>], due: &[Vec<u8>]) {
    for ((kind, ours), due) in TARGETS.iter().zip(ours).zip(due) {
        let differs = ours.iter().zip(due).position(|(a, b)| a != b);
        assert!(ours == due, "{what}: {kind} differs from byte {differs:?} on; {} and {} bytes", ours.len(), due.len());
    }
}

#[test]
fn any_number_of_workers_gives_the_same_bytes() {
    let home = place::scratch();
    let due = undisturbed(&home);
    for workers in ["1", "3"] {
        let attempt = Attempt::new(&home, workers);
        attempt.run().done().unwrap();
        assert_same(workers, &attempt.outputs(), &due);
    }
}

/// The clock has moved on between the two: no time of making is in the bytes.
#[test]
fn muxing_again_later_gives_the_same_bytes() {
    let home = place::scratch();
    let due = undisturbed(&home);
    let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_same("later", &undisturbed(&home), &due);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!(now > began, "both were made within a second, which proves nothing");
}

#[test]
fn children_that_are_killed_cost_time_and_no_byte() {
    let home = place::scratch();
    let due = undisturbed(&home);
    let mut chance = Chance::new(20_261_122);
    for round in 0..3 {
        let attempt = Attempt::new(&home, ["1", "2", "3"][round]);
        let running = Running::start(&mut attempt.command());
        let mut killed = 0;
        let ran = loop {
            let pause = Duration::from_millis(100 + chance.below(900));
            if let Some(ran) = running.ends_within(pause) {
                break ran;
            }
            // more would use up the tries of the one task that runs at the start
            if killed < 2 && running.kill_a_child(chance.below(1 << 20)) {
                killed += 1;
            }
        };
        ran.done().unwrap();
        assert!(killed > 0, "round {round} was over before a child was killed");
        assert_same(&format!("round {round}, {killed} children killed"), &attempt.outputs(), &due);
        attempt.only_outputs_stand();
    }
}

#[test]
fn a_program_killed_at_any_moment_goes_on_where_it_was() {
    let home = place::scratch();
    let whole = Attempt::new(&home, "2");
    let began = Instant::now();
    whole.run().done().unwrap();
    let (took, due) = (began.elapsed(), whole.outputs());
    let mut chance = Chance::new(42);
    let mut kept = 0;
    for round in 0..6 {
        let attempt = Attempt::new(&home, "2");
        let moment = took.mul_f64(f64::from(u32::try_from(chance.below(95)).unwrap() + 3) / 100.0);
        let running = Running::start(&mut attempt.command());
        let first = running.ends_within(moment).unwrap_or_else(|| running.kill());
        assert_no_half_output(attempt.home, &due);
        // Killed once all was done: there is nothing to go on with, and the next run is a new one.
        let over =
            !attempt.state_stands() && TARGETS.iter().all(|kind| home.path().join(format!("film.{kind}")).exists());
        let second = attempt.run().done().unwrap();
        let what = format!("round {round}, killed after {moment:?}");
        assert_same(&what, &attempt.outputs(), &due);
        attempt.only_outputs_stand();
        let (settled, again) = (tasks(&first, "outcome=settled"), tasks(&second, "claimed"));
        let twice: Vec<_> = settled.intersection(&again).filter(|_| !over).collect();
        assert!(twice.is_empty(), "{what}: {twice:?} were finished and are done again");
        kept += settled.len();
    }
    assert!(kept > 0, "in no round was there a finished task to keep");
}

/// Tasks named by those log lines that hold this word.
fn tasks(ran: &Ran, word: &str) -> BTreeSet<String> {
    let lines = ran.err.lines().filter(|line| line.contains(word));
    lines.filter_map(|line| Some(line.split_once(" task=")?.1.split(' ').next()?.to_owned())).collect()
}

/// What stands at a final name is whole.
fn assert_no_half_output(home: &Path, due: &[Vec<u8>]) {
    for (kind, due) in TARGETS.iter().zip(due) {
        if let Ok(bytes) = std::fs::read(home.join(format!("film.{kind}"))) {
            assert!(bytes == *due, "film.{kind} is half-made: {} of {} bytes", bytes.len(), due.len());
        }
    }
}
