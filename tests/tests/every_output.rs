//! A job of many outputs of all kinds, killed at any moment, leaves what an undisturbed one leaves.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use framefleet_tests::product;
use framefleet_tests::running::{Chance, Running};
use framefleet_tests::{clip, place};

const JOB: &str = "version: 1
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
";
const FILES_MIN: usize = 6 + 1 + 2 * 4 + 6 + 3 + 1;

fn command(home: &Path) -> Command {
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 30";
    let film = clip::numbered("every-output.mov", &["--seconds", "6", "--fps", "25", "--vargs", coding]);
    std::fs::write(home.join("job.yaml"), JOB.replace("SRC", film.to_str().unwrap())).unwrap();
    let mut command = product::bare(home);
    command.args(["transcode", "--job", "job.yaml", "--workers", "2", "--state-dir", "state", "-o", "json"]);
    command
}

/// All that a job left, below the names that it would have if its package's folder were not named by chance.
fn left(home: &Path) -> BTreeMap<String, Vec<u8>> {
    let list = home.join("list.m3u8");
    let folders: Vec<PathBuf> =
        below(home).into_iter().filter(|path| path.is_dir() && !path.ends_with("state")).collect();
    let [folder] = &folders[..] else { panic!("{folders:?}") };
    let name = folder.file_name().unwrap().to_str().unwrap();
    let files =
        below(home).into_iter().chain(below(folder)).filter(|path| path.is_file() && !path.ends_with("job.yaml"));
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        let bytes = match path == list {
            true => String::from_utf8(bytes).unwrap().replace(name, "FOLDER").into_bytes(),
            false => bytes,
        };
        (path.strip_prefix(home).unwrap().to_str().unwrap().replace(name, "FOLDER"), bytes)
    };
    files.map(read).collect()
}

fn below(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Outputs appear when all of them are made, so a job that is killed has left none, or is about to end.
#[test]
fn a_job_of_all_kinds_of_outputs_may_be_killed_at_any_moment() {
    let home = place::scratch();
    let began = Instant::now();
    Running::start(&mut command(home.path())).end().done().unwrap();
    let (took, due) = (began.elapsed(), left(home.path()));
    assert!(due.len() >= FILES_MIN, "{:?}", due.keys());
    let mut chance = Chance::new(20_261_127);
    let mut kills = 0;
    for round in 0..3 {
        for path in below(home.path()) {
            if path.is_dir() { std::fs::remove_dir_all(path).unwrap() } else { std::fs::remove_file(path).unwrap() }
        }
        let mut ran = None;
        // Killed twice on the way, and left alone the third time.
        for _ in 0..2 {
            let moment = took.mul_f64(f64::from(u32::try_from(chance.below(45)).unwrap() + 3) / 100.0);
            let running = Running::start(&mut command(home.path()));
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
        ran.unwrap_or_else(|| Running::start(&mut command(home.path())).end()).done().unwrap();
        let ours = left(home.path());
        assert_eq!(ours.keys().collect::<Vec<_>>(), due.keys().collect::<Vec<_>>(), "round {round}");
        for (name, bytes) in &due {
            assert!(ours[name] == *bytes, "round {round}: {name} differs");
        }
    }
    assert!(kills > 0, "no kill hit a job at work");
}
