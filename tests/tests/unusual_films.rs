//! Films in which segments cannot be told apart by their content, and films with less or more than usual.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::film::run as make;
use framefleet_tests::{clip, oracle, place, product};

const CODING: &str = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 25";

/// Transcodes in segments of a second, and gives the output's path; the folder goes with the guard.
fn transcode(source: &Path, kind: &str, flags: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let home = place::scratch();
    let made = home.path().join("film").with_extension(kind);
    let state = home.path().join("state").display().to_string();
    let fixed = ["--segment-duration", "1s", "--workers", "2", "--state-dir", &state];
    let flags: Vec<&str> = fixed.into_iter().chain(flags.iter().copied()).collect();
    product::transcode(home.path(), source, &made, &flags).done().unwrap();
    (home, made)
}

/// Pictures and sound are where they were in the source.
fn assert_like(made: &Path, source: &Path) {
    let facts = made.with_extension("json");
    std::fs::write(&facts, oracle::read(source).unwrap().json()).unwrap();
    oracle::check(made, &facts, &[]).unwrap();
}

fn transcoded_like(source: &Path) {
    let (_home, made) = transcode(source, "mp4", &[]);
    assert_like(&made, source);
}

#[test]
fn numbered_still_pictures_stay_in_place() {
    transcoded_like(&clip::numbered(
        "still.mp4",
        &["--seconds", "6", "--fps", "25", "--scene", "still", "--vargs", CODING],
    ));
}

#[test]
fn numbered_black_pictures_stay_in_place() {
    transcoded_like(&clip::numbered(
        "black.mkv",
        &["--seconds", "6", "--fps", "25", "--scene", "black", "--vargs", CODING],
    ));
}

/// Whole GOPs are byte for byte the same: neither content nor hash tells where in the film a slice belongs.
#[test]
fn a_screen_recording_that_stands_still_keeps_every_picture() {
    for container in ["mp4", "mkv", "ts"] {
        let name = format!("screen.{container}");
        let same = ["--seconds", "8", "--fps", "25", "--scene", "still", "--plain"];
        let flat = "-c:v libx264 -preset veryfast -threads 1 -bf 2 -g 25 -keyint_min 25 -qp 20 -x264-params scenecut=0";
        let source = clip::numbered(&name, &[&same[..], &["--vargs", flat]].concat());
        let (_home, made) = transcode(&source, "mp4", &[]);
        let (due, ours) = (oracle::read(&source).unwrap(), oracle::read(&made).unwrap());
        assert_eq!(ours.times.len(), 200, "{name}");
        let first = [due.times[0], ours.times[0]];
        let off = due.times.iter().zip(&ours.times).map(|(d, o)| (d - first[0] - (o - first[1])).abs());
        assert!(off.fold(0.0, f64::max) < 0.001, "{name}");
        assert_eq!(ours.errors, Vec::<String>::new());
    }
}

#[test]
fn a_film_without_sound_works() {
    let (_home, made) = {
        let source = clip::numbered("mute.mp4", &["--seconds", "4", "--fps", "25", "--no-audio", "--vargs", CODING]);
        let kept = transcode(&source, "mkv", &[]);
        assert_like(&kept.1, &source);
        kept
    };
    assert_eq!(oracle::read(&made).unwrap().beeps, None);
}

#[test]
fn sound_without_a_film_works() {
    let source = clip::kept("sound.m4a", |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(clip::plain("mp4")).args(["-vn", "-c", "copy"]).arg(out);
        make(&mut command).map(drop)
    });
    let (_home, made) = transcode(&source, "mp4", &[]);
    let (due, ours) = (oracle::read(&source).unwrap(), oracle::read(&made).unwrap());
    assert_eq!(ours.numbers.len(), 0);
    assert!(ours.samples.abs_diff(due.samples) <= 1024, "{} and {} samples", ours.samples, due.samples);
    let off = due.beeps.unwrap().into_iter().zip(ours.beeps.unwrap()).map(|(d, o)| (d - o).abs());
    assert!(off.fold(0.0, f64::max) < 0.010);
}

#[test]
fn an_attached_picture_is_no_film() {
    let source = clip::kept("cover.m4a", |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(clip::plain("mp4"));
        command.args([
            "-f",
            "lavfi",
            "-i",
            "color=red:s=200x200:d=1:r=1",
            "-map",
            "0:a",
            "-map",
            "1:v",
            "-c:a",
            "copy",
        ]);
        command.args(["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-frames:v", "1", "-disposition:v", "attached_pic"]);
        make(command.arg(out)).map(drop)
    });
    let (_home, made) = transcode(&source, "mp4", &[]);
    assert_eq!(oracle::read(&made).unwrap().times.len(), 0);
}

/// The part is cut to the picture: the first at or after `--from`, none at or after `--to`.
#[test]
fn a_part_of_a_film_is_exact_to_the_picture() {
    let source = clip::plain("mp4");
    for (from, to, first, count) in [("1s", "3s", 25, 50), ("0.5s", "2.2s", 13, 42), ("1.3s", "1.5s", 33, 5)] {
        let (_home, made) = transcode(&source, "mp4", &["--from", from, "--to", to]);
        let told = oracle::read(&made).unwrap();
        let due: Vec<Option<u64>> = (first..first + count).map(Some).collect();
        assert_eq!(told.numbers, due, "{from} to {to}");
        // beeps stand at whole seconds of the film, each beside the picture that it was beside
        for place in told.beeps.unwrap() {
            let in_film = place - told.times[0] + first as f64 / 25.0;
            assert!((in_film - in_film.round()).abs() < 0.010, "{from} to {to}: a beep at {in_film}");
        }
        assert_eq!(told.errors, Vec::<String>::new());
    }
}

#[test]
fn another_picture_rate_lies_on_one_grid() {
    let (_home, made) = transcode(&clip::plain("mp4"), "mp4", &["--fps", "30"]);
    let told = oracle::read(&made).unwrap();
    assert_eq!(told.times.len(), 120);
    for (number, time) in told.times.iter().enumerate() {
        assert!((time - told.times[0] - number as f64 / 30.0).abs() < 0.0005, "picture {number} at {time}");
    }
    let numbers: Vec<u64> = told.numbers.into_iter().flatten().collect();
    assert!(numbers.is_sorted() && numbers.len() == 120 && numbers[119] == 99);
}
