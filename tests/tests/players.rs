//! Packages in the players that people use, in headless Chromium: the right picture at each time around every seam, and
//! the whole film to its end without a hole, from variant to variant.

#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::{clip, film, place, product};
use serde::Deserialize;

const RATE: f64 = 25.0;
const SECONDS: u32 = 8;
const PICTURES: u64 = 200;
/// Players count in floating point and clocks of 90 kHz.
const NEAR: f64 = 0.0015;
/// hls.js begins a transport stream at its first decoding time, so much before its first picture.
const REORDERING_MAX: f64 = 0.2;

/// What `tests/players/play.mjs` saw.
#[derive(Deserialize)]
struct Seen {
    looks: Vec<Picture>,
    shown: Vec<Picture>,
    errors: Vec<String>,
    sound: u64,
    duration: f64,
    ended: f64,
    levels: usize,
    heights: Vec<u32>,
    buffered: Vec<Track>,
}

#[derive(Debug, Deserialize)]
struct Picture {
    /// What was asked for, when it was.
    #[serde(default)]
    at: f64,
    time: f64,
    number: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Track {
    #[serde(rename = "type")]
    kind: String,
    ranges: Vec<(f64, f64)>,
}

fn source() -> PathBuf {
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 60";
    let seconds = SECONDS.to_string();
    clip::numbered("played.mp4", &["--seconds", &seconds, "--fps", "25", "--vargs", coding])
}

fn play(folder: &Path, master: &str, flags: &[&str]) -> Seen {
    let mut command = Command::new("node");
    command.arg(place::top().join("tests/players/play.mjs")).arg(place::cache("players")).arg(folder).arg(master);
    let told = film::run(command.args(flags)).unwrap_or_else(|why| panic!("{master}: {why}"));
    serde_json::from_slice(&told).unwrap()
}

impl Seen {
    fn is_whole(&self) {
        assert!(self.errors.is_empty(), "{:?}", self.errors);
        let begins = self.looks[0].time - f64::from(self.looks[0].number.unwrap()) / RATE;
        assert!((-NEAR..REORDERING_MAX).contains(&begins), "the film begins at {begins}");
        for picture in self.looks.iter().chain(&self.shown) {
            let due = begins + f64::from(picture.number.unwrap_or_else(|| panic!("no number in {picture:?}"))) / RATE;
            assert!((picture.time - due).abs() < NEAR, "{picture:?} is due at {due}");
        }
        for look in &self.looks {
            assert!((look.time..look.time + 1.0 / RATE).contains(&look.at), "{look:?}");
        }
        let numbers: Vec<u64> = self.shown.iter().map(|picture| u64::from(picture.number.unwrap())).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(numbers.last().is_some_and(|last| *last >= PICTURES - 2), "{numbers:?}");
        let length = f64::from(SECONDS) + begins;
        assert!((self.duration - length).abs() < 0.1, "{} s instead of {length}", self.duration);
        assert!((self.ended - self.duration).abs() < 0.1, "it ended at {} of {}", self.ended, self.duration);
        assert!(self.sound > 0, "no sound was decoded");
        for track in &self.buffered {
            assert_eq!(track.ranges.len(), 1, "a hole in {}: {track:?}", track.kind);
            assert!((track.ranges[0].1 - length).abs() < 0.1, "{} ends early: {track:?}", track.kind);
        }
    }
}

/// Two pictures on either side of each seam, in the middle of their time, later by what a player begins later.
fn around_seams(every: f64, later: f64) -> String {
    let seams = (1..).map(|n| f64::from(n) * every).take_while(|at| *at < f64::from(SECONDS));
    let times = seams.flat_map(|at| [-1.5, -0.5, 0.5, 1.5].map(|pictures| at + later + pictures / RATE));
    times.map(|at| format!("{at:.3}")).collect::<Vec<_>>().join(",")
}

fn package(home: &Path, master: &str, flags: &[&str]) {
    let out = home.join(master);
    product::transcode(home, &source(), &out, flags).done().unwrap();
}

#[test]
fn hls_js_shows_every_picture() {
    for kind in ["ts", "fmp4"] {
        let home = place::scratch();
        let flags = ["--hls-time", "2s", "--hls-segment", kind, "--segment-duration", "1s"];
        package(home.path(), "index.m3u8", &flags);
        let seen = play(home.path(), "index.m3u8", &["--rate", "25", "--at", &around_seams(2.0, 0.0)]);
        seen.is_whole();
        assert_eq!(seen.levels, 1, "{kind}");
    }
}

#[test]
fn dash_js_shows_every_picture() {
    let home = place::scratch();
    package(home.path(), "film.mpd", &["--hls-time", "2s", "--segment-duration", "1s"]);
    let seen = play(home.path(), "film.mpd", &["--rate", "25", "--at", &around_seams(2.0, 0.0)]);
    seen.is_whole();
    assert_eq!(seen.levels, 1);
}

/// From one variant to the next at every seam.
fn changes(master: &str, kind: &str) {
    let home = place::scratch();
    let job = home.path().join("job.yaml");
    let text = "version: 1\nsource: SRC\noutputs:\n  - to: OUT\n    video: { preset: veryfast }\n    KIND\n    \
        ladder: [ { size: 320x180 }, { size: 160x90 } ]\n";
    let text = text.replace("SRC", source().to_str().unwrap()).replace("OUT", master).replace("KIND", kind);
    std::fs::write(&job, text).unwrap();
    product::run(home.path(), ["transcode", "--job", "job.yaml"]).done().unwrap();
    let seen = play(home.path(), master, &["--rate", "25", "--at", &around_seams(1.0, 0.0), "--switch"]);
    seen.is_whole();
    assert_eq!((seen.levels, BTreeSet::from_iter(seen.heights)), (2, BTreeSet::from([90, 180])), "{master}, {kind}");
}

#[test]
fn hls_js_changes_variants_at_every_seam() {
    changes("index.m3u8", "hls: { time: 1s, segment: ts }");
    changes("index.m3u8", "hls: { time: 1s, segment: fmp4 }");
}

#[test]
fn dash_js_changes_variants_at_every_seam() {
    changes("film.mpd", "dash: { time: 1s }");
}
