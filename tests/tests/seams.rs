//! Seams add nothing: the pictures around each are as good as the encoder itself makes them at that place.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::corpus::{self, Folder};
use framefleet_tests::film::run as make;
use framefleet_tests::{clip, place, product};

const AROUND: usize = 10;
const LOSS_MAX_DB: f64 = 0.1;
/// Segments of two seconds are the shortest that anybody should use; at five seconds it is a third of it.
const LOSS_OF_FILM_MAX_DB: f64 = 1.0;

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

/// The same encoder, driven by ffmpeg, on the same parts.
fn parts_by_ffmpeg(cuts: &[usize]) -> Vec<f64> {
    let home = place::scratch();
    let mut list = String::new();
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    for (number, (from, to)) in starts.zip(cuts).enumerate() {
        let part = home.path().join(format!("{number}.mp4"));
        let trim = format!("trim=start_frame={from}:end_frame={to},setpts=PTS-STARTPTS");
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(film()).args(["-vf", &trim, "-an", "-c:v", "libx264"]);
        make(command.args(["-preset", "veryfast", "-crf", "23", "-threads", "1"]).arg(&part)).unwrap();
        list.push_str(&format!("file {number}.mp4\n"));
    }
    let (names, joined) = (home.path().join("list"), home.path().join("joined.mp4"));
    std::fs::write(&names, list).unwrap();
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "concat", "-i"]).arg(&names).args(["-c", "copy"]).arg(&joined);
    make(&mut command).unwrap();
    quality(&joined, &film())
}

/// What a cut costs is what the encoder's own rate control loses on a film that begins and ends there: x264 in constant
/// quality gives the first seconds of any film a little less. Nothing of ours comes on top of it.
#[test]
fn a_seam_costs_what_the_encoder_loses_at_any_films_end_and_nothing_more() {
    let cuts = cuts();
    let (cut, whole, parts) = (encoded("2s"), encoded("none"), parts_by_ffmpeg(&cuts));
    assert_eq!((cut.len(), whole.len(), parts.len()), (300, 300, 300));
    let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
    println!(
        "the whole film: {:.3} dB cut, {:.3} dB by ffmpeg cut so, {:.3} dB uncut",
        mean(&cut),
        mean(&parts),
        mean(&whole)
    );
    for &seam in cuts.iter().filter(|&&seam| seam + AROUND <= 300) {
        let around = |all: &[f64]| mean(&all[seam - AROUND..seam + AROUND]);
        let (ours, theirs) = (around(&cut), around(&parts));
        println!("seam at picture {seam}: {ours:.2} dB, by ffmpeg {theirs:.2} dB, uncut {:.2} dB", around(&whole));
        assert!(theirs - ours <= LOSS_MAX_DB, "the seam at picture {seam} loses {:.2} dB of its own", theirs - ours);
    }
    assert!(mean(&whole) - mean(&cut) <= LOSS_OF_FILM_MAX_DB, "cutting costs more than {LOSS_OF_FILM_MAX_DB} dB");
}
