//! Seams do not show: the pictures around each are as good as those of an uncut encode.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::corpus::{self, Folder};
use framefleet_tests::film::run as make;
use framefleet_tests::{clip, place, product};

const AROUND: usize = 10;
const LOSS_MAX_DB: f64 = 0.5;
const LOSS_OF_FILM_MAX_DB: f64 = 0.2;

/// Twelve seconds of real pictures where the corpus is here, else of a generated scene with motion and noise.
fn film() -> PathBuf {
    let real = match corpus::folder().unwrap() {
        Folder::Here(folder) => Some(folder.join("bench/bench_1080p25_89s_h264_aac.mov")).filter(|path| path.exists()),
        Folder::NotPartOfThisRun => None,
    };
    let name = if real.is_some() { "seams-real.mov" } else { "seams-made.mov" };
    clip::kept(name, |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error"]);
        match real {
            Some(path) => command.args(["-ss", "20", "-i"]).arg(path).args(["-t", "12", "-vf", "scale=640:360"]),
            None => command.args(["-f", "lavfi", "-i", "mandelbrot=s=640x360:r=25:end_scale=0.01", "-t", "12"]),
        };
        command.args(["-an", "-c:v", "libx264", "-preset", "veryfast", "-crf", "12", "-g", "50"]).arg(out);
        make(&mut command).map(drop)
    })
}

/// The PSNR of each picture against the source.
fn quality(made: &Path, source: &Path) -> Vec<f64> {
    let folder = place::scratch();
    let stats = folder.path().join("psnr");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(made).arg("-i").arg(source);
    let filter = format!("[0:v][1:v]psnr=stats_file={}", stats.display());
    make(command.args(["-lavfi", &filter, "-f", "null", "-"])).unwrap();
    let text = std::fs::read_to_string(stats).unwrap();
    let luma = |line: &str| line.split("psnr_y:").nth(1)?.split_whitespace().next()?.parse().ok();
    text.lines().filter_map(luma).map(|db: f64| db.min(99.0)).collect()
}

/// The film by framefleet, cut so; gives the quality of each picture.
fn encoded(segments: &str) -> Vec<f64> {
    let home = place::scratch();
    let made = home.path().join("film.mp4");
    let state = home.path().join("state").display().to_string();
    let flags = ["--segment-duration", segments, "--preset", "veryfast", "--state-dir", &state];
    let words = [Path::new("transcode"), &film(), &made];
    product::run(home.path(), words.into_iter().chain(flags.iter().map(Path::new))).done().unwrap();
    quality(&made, &film())
}

/// Numbers of the pictures at which the plan cuts, the film's end included.
fn cuts() -> Vec<usize> {
    let home = place::scratch();
    let words = ["--segment-duration", "2s", "-o", "json"].map(Path::new);
    let told = product::run(home.path(), [Path::new("plan"), &film()].into_iter().chain(words)).done().unwrap().json();
    let segments = told["segments"].as_array().unwrap().clone();
    let picture = |ns: &serde_json::Value| usize::try_from((ns.as_i64().unwrap() + 20_000_000) / 40_000_000).unwrap();
    segments.iter().map(|segment| picture(&segment["end_ns"])).collect()
}

/// An encoder that is given a few copies of a segment's first picture beforehand goes on as in the middle of a film.
#[test]
fn pictures_around_a_seam_are_as_good_as_in_an_uncut_encode() {
    let cuts = cuts();
    let (cut, whole) = (encoded("2s"), encoded("none"));
    assert_eq!((cut.len(), whole.len()), (300, 300));
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    println!("the whole film: {:.3} dB cut, {:.3} dB uncut", mean(&cut), mean(&whole));
    let seams: Vec<usize> = cuts.into_iter().filter(|seam| seam + AROUND <= 300).collect();
    assert!(seams.len() >= 4, "{seams:?}");
    for seam in seams {
        let around = |all: &[f64]| mean(&all[seam - AROUND..seam + AROUND]);
        let (ours, uncut) = (around(&cut), around(&whole));
        println!("seam at picture {seam}: {ours:.2} dB, uncut {uncut:.2} dB");
        assert!(uncut - ours <= LOSS_MAX_DB, "the seam at picture {seam} loses {:.2} dB", uncut - ours);
    }
    assert!(mean(&whole) - mean(&cut) <= LOSS_OF_FILM_MAX_DB, "cutting costs more than {LOSS_OF_FILM_MAX_DB} dB");
}
