//! A job of many outputs of all kinds, killed at any moment, leaves what an undisturbed one leaves.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use framefleet_tests::product;
use framefleet_tests::running::{Chance, Running};
use framefleet_tests::{clip, place};

/// A job file, and how many files it makes.
struct Job {
    text: &'static str,
    files: usize,
}

const FILES_AND_STREAMS: Job = Job {
    text: "version: 1
source: SRC
segment: { duration: 1s }
outputs:
  - { to: film.mp4, video: { preset: ultrafast } }
  - { to: film.flv, video: { preset: ultrafast } }
  - { to: film.avi }
  - { to: film.webm, video: { codec: vp8, preset: ultrafast, size: 160x90 } }
  - { to: film.mp3 }
  - { to: film.ogg }
  - to: list.m3u8
    video: { preset: ultrafast }
    hls: { time: 2s, segment: ts }
    ladder: [ { size: 320x180 }, { size: 160x90 } ]
  - { to: 'at-{n}.jpg', thumbnails: { every: 1s, size: 160x90 } }
  - { to: sheet.vtt, sprites: { interval: 1s, tile: 2x2, size: 160x90 } }
  - { to: film.gif, gif: { start: 1s, duration: 2s, fps: 5, size: 160x90 } }
",
    files: 6 + 1 + 2 * 4 + 6 + 3 + 1,
};

const FRAGMENTS_AND_COPIES: Job = Job {
    text: "version: 1
source: SRC
segment: { duration: 1s }
outputs:
  - { to: parts.mp4, container: fmp4, video: { preset: ultrafast } }
  - { to: copy.mkv, video: copy, audio: copy }
  - { to: loud.mov, video: copy, audio: { codec: aac, loudness: { integrated: -16, true_peak: -1 } } }
  - to: list.m3u8
    video: { preset: ultrafast }
    hls: { time: 2s, segment: fmp4 }
    ladder: [ { size: 320x180 }, { size: 160x90 } ]
  - { to: manifest.mpd, video: { preset: ultrafast }, dash: { time: 2s } }
",
    files: 3 + 2 + 4 * 3,
};

fn command(home: &Path, job: &Job) -> Command {
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 25 -sc_threshold 0";
    let film = clip::numbered("key-each-second.mov", &["--seconds", "6", "--fps", "25", "--vargs", coding]);
    std::fs::write(home.join("job.yaml"), job.text.replace("SRC", film.to_str().unwrap())).unwrap();
    let mut command = product::bare(home);
    command.args(["transcode", "--job", "job.yaml", "--workers", "2", "--state-dir", "state", "-o", "json"]);
    command
}

/// All that a job left, below the names that it would have if its packages' folders were not named by chance.
fn left(home: &Path) -> BTreeMap<String, Vec<u8>> {
    let (folders, files): (Vec<_>, Vec<_>) = below(home)
        .into_iter()
        .filter(|path| !path.ends_with("state") && !path.ends_with("job.yaml"))
        .partition(|path| path.is_dir());
    let mut left: BTreeMap<_, _> = files.iter().map(|path| (name(path), std::fs::read(path).unwrap())).collect();
    for folder in &folders {
        let chance = name(folder);
        let names_it = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains(&chance);
        let masters: Vec<_> = left.iter().filter(|(_, bytes)| names_it(bytes)).map(|(name, _)| name.clone()).collect();
        let [master] = &masters[..] else { panic!("{chance} is named by {masters:?}") };
        let text = String::from_utf8(left[master].clone()).unwrap().replace(&chance, "FOLDER");
        left.insert(master.clone(), text.into_bytes());
        for file in below(folder) {
            left.insert(format!("{master}'s {}", name(&file)), std::fs::read(file).unwrap());
        }
    }
    left
}

fn below(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_job_of_files_and_streams_may_be_killed_at_any_moment() {
    kill(&FILES_AND_STREAMS, 20_261_127);
}

#[test]
fn a_job_of_fragments_and_copies_may_be_killed_at_any_moment() {
    kill(&FRAGMENTS_AND_COPIES, 20_261_128);
}

/// Outputs appear when all of them are made, so a job that is killed has left none, or is about to end.
fn kill(job: &Job, seed: u64) {
    let home = place::scratch();
    let began = Instant::now();
    Running::start(&mut command(home.path(), job)).end().done().unwrap();
    let (took, due) = (began.elapsed(), left(home.path()));
    assert!(due.len() >= job.files, "{:?}", due.keys());
    let mut chance = Chance::new(seed);
    let mut kills = 0;
    for round in 0..3 {
        for path in below(home.path()) {
            if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
        let mut ran = None;
        // Killed twice on the way, and left alone the third time.
        for _ in 0..2 {
            let moment = took.mul_f64(f64::from(u32::try_from(chance.below(45)).unwrap() + 3) / 100.0);
            let running = Running::start(&mut command(home.path(), job));
            match running.ends_within(moment) {
                Some(over) => ran = Some(over),
                None => {
                    running.kill();
                    kills += 1;
                }
            }
            if ran.is_some() {
                break;
            }
        }
        ran.unwrap_or_else(|| Running::start(&mut command(home.path(), job)).end()).done().unwrap();
        let ours = left(home.path());
        assert_eq!(ours.keys().collect::<Vec<_>>(), due.keys().collect::<Vec<_>>(), "round {round}");
        for (name, bytes) in &due {
            assert!(ours[name] == *bytes, "round {round}: {name} differs");
        }
    }
    assert!(kills > 0, "no kill hit a job at work");
}
