//! Bit rates: an average is met over the film, a cap at every moment, and seams show neither.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::film::run as make;
use framefleet_tests::pictures::likeness;
use framefleet_tests::{clip, place, product};

/// Of what is asked.
const AVERAGE_OFF_MAX: f64 = 0.03;
const AROUND: usize = 10;

fn generated(name: &str, graph: &str, length: &str) -> PathBuf {
    clip::kept(name, |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-f", "lavfi", "-i", graph, "-t", length, "-pix_fmt", "yuv420p"]);
        make(command.args(["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-g", "50"]).arg(out)).map(drop)
    })
}

/// Motion and detail that grow all the time.
fn scene() -> PathBuf {
    generated("rates-scene.mp4", "mandelbrot=s=480x270:r=25:end_scale=0.01", "12")
}

/// Black, then noise, then black, then a scene: as uneven as films get.
fn uneven() -> PathBuf {
    let graph = "color=black:s=320x180:r=25:d=3[a];color=gray:s=320x180:r=25:d=3,noise=alls=60:allf=t[b];\
                 color=black:s=320x180:r=25:d=2[c];testsrc2=s=320x180:r=25:d=4[d];[a][b][c][d]concat=n=4";
    generated("rates-uneven.mp4", graph, "12")
}

struct Coded {
    _home: tempfile::TempDir,
    path: PathBuf,
    /// Seconds and bits of each picture.
    pictures: Vec<(f64, f64)>,
}

impl Coded {
    fn bits_per_second(&self) -> f64 {
        self.pictures.iter().map(|(_, bits)| bits).sum::<f64>() / (self.pictures.len() as f64 / 25.0)
    }
}

fn coded(source: &Path, flags: &[&str]) -> Coded {
    let home = place::scratch();
    let path = home.path().join("film.mp4");
    let state = home.path().join("state").display().to_string();
    let fixed = ["--preset", "veryfast", "--workers", "2", "--state-dir", &state];
    let words = [Path::new("transcode"), source, &path];
    let flags = fixed.iter().chain(flags).map(Path::new);
    // Unequal headers would be given up as one segment, which `done` does not take.
    product::run(home.path(), words.into_iter().chain(flags)).done().unwrap_or_else(|why| panic!("{why}"));
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time,size", "-of", "csv=p=0"]);
    let told = String::from_utf8(make(command.arg(&path)).unwrap()).unwrap();
    let picture = |line: &str| {
        let (time, size) = line.trim_end_matches(',').split_once(',')?;
        Some((time.parse().ok()?, size.parse::<f64>().ok()? * 8.0))
    };
    let mut pictures: Vec<(f64, f64)> = told.lines().filter_map(picture).collect();
    pictures.sort_by(|a, b| a.0.total_cmp(&b.0));
    Coded { _home: home, path, pictures }
}

fn mean(all: &[f64]) -> f64 {
    all.iter().sum::<f64>() / all.len() as f64
}

fn assert_average(source: &Path, (codec, kilobits): (&str, u32)) -> Coded {
    let rate = format!("{kilobits}k");
    let made = coded(source, &["--video-codec", codec, "--video-bitrate", &rate, "--segment-duration", "2s"]);
    let off = made.bits_per_second() / (f64::from(kilobits) * 1000.0) - 1.0;
    println!("{}: {codec} {rate}: {:+.2} %", source.display(), off * 100.0);
    assert!(off.abs() <= AVERAGE_OFF_MAX, "{codec} {rate}: {:.0} bit/s", made.bits_per_second());
    made
}

/// Black has headers and nothing that a quantizer could save.
#[test]
fn a_rate_below_what_headers_take_is_gone_over_where_it_must_be() {
    for codec in ["h264", "hevc"] {
        let made = coded(&uneven(), &["--video-codec", codec, "--video-bitrate", "400k", "--segment-duration", "1s"]);
        let rate = made.bits_per_second();
        println!("{codec}: {rate:.0} bits a second for 400000");
        assert_eq!(made.pictures.len(), 300);
        assert!(rate < 600_000.0);
    }
}

#[test]
fn an_average_is_met_over_the_whole_film() {
    for (codec, kilobits) in [("h264", 400), ("h264", 1500), ("hevc", 400)] {
        assert_average(&scene(), (codec, kilobits));
    }
}

#[test]
fn an_average_is_met_where_bits_are_needed_very_unevenly() {
    for codec in ["h264", "hevc"] {
        let made = assert_average(&uneven(), (codec, 800));
        let black = made.pictures[10..60].iter().map(|(_, bits)| bits).sum::<f64>();
        let noise = made.pictures[85..135].iter().map(|(_, bits)| bits).sum::<f64>();
        assert!(noise > 20.0 * black, "{codec}: two seconds of black have {black} bits, of noise {noise}");
    }
}

#[test]
fn seams_of_an_average_do_not_show() {
    let flags = |segments| ["--video-bitrate", "600k", "--segment-duration", segments];
    let (cut, whole) = (coded(&scene(), &flags("2s")), coded(&scene(), &flags("none")));
    let quality = |made: &Coded| likeness("psnr", &made.path, (&scene(), "null"));
    let (ours, uncut) = (quality(&cut), quality(&whole));
    println!("the whole film: {:.2} dB cut, {:.2} dB uncut", mean(&ours), mean(&uncut));
    for seam in (50..300).step_by(50) {
        let around = |all: &[f64], from: usize, to: usize| mean(&all[from..to.min(all.len())]);
        let (before, after) = (around(&ours, seam - AROUND, seam), around(&ours, seam, seam + AROUND));
        let (uncut_before, uncut_after) = (around(&uncut, seam - AROUND, seam), around(&uncut, seam, seam + AROUND));
        println!("seam at {seam}: {before:.2} | {after:.2} dB, uncut {uncut_before:.2} | {uncut_after:.2} dB");
        let (jump, own) = (after - before, uncut_after - uncut_before);
        assert!((jump - own).abs() < 2.0, "the seam at {seam} jumps by {jump:.2} dB, uncut by {own:.2} dB");
    }
    assert!(mean(&uncut) - mean(&ours) < 0.5, "cutting costs {:.2} dB", mean(&uncut) - mean(&ours));
}

/// The most bits that any stretch has beyond what the cap gives it.
fn over(bits: &[f64], cap: f64) -> f64 {
    let mut most = f64::MIN;
    for from in 0..bits.len() {
        let mut sum = 0.0;
        for (n, bits) in bits[from..].iter().enumerate() {
            sum += bits;
            most = most.max(sum - cap * (n + 1) as f64 / 25.0);
        }
    }
    most
}

/// Both at once: what a segment has above the cap goes to the others.
#[test]
fn an_average_is_met_under_a_cap() {
    const CAP: f64 = 450_000.0;
    for codec in ["h264", "hevc"] {
        let flags = ["--video-codec", codec, "--video-bitrate", "400k", "--segment-duration", "2s"];
        let most = |made: &Coded| over(&made.pictures.iter().map(|(_, bits)| *bits).collect::<Vec<_>>(), CAP);
        let capped = coded(&scene(), &[&flags[..], &["--max-bitrate", "450k"]].concat());
        let off = capped.bits_per_second() / 400_000.0 - 1.0;
        println!("{codec}: {:+.2} %, at most {:.2} s of the cap over it", off * 100.0, most(&capped) / CAP);
        assert!(off.abs() <= AVERAGE_OFF_MAX, "{codec}: {:.0} bit/s", capped.bits_per_second());
        assert!(most(&capped) <= 2.0 * CAP, "{codec}: {} bits over the cap", most(&capped));
        let loose = coded(&scene(), &flags);
        assert!(most(&loose) > 1.5 * most(&capped), "{codec}: the cap did nothing");
        // Black cannot spend what noise may not: the cap holds, and the average is missed from below.
        let uneven = ["--video-codec", codec, "--video-bitrate", "800k", "--segment-duration", "2s"];
        let uneven = coded(&self::uneven(), &[&uneven[..], &["--max-bitrate", "2000k"]].concat());
        let bits: Vec<f64> = uneven.pictures.iter().map(|(_, bits)| *bits).collect();
        assert!(over(&bits, 2_000_000.0) <= 4_000_000.0, "{codec}: {} bits over the cap", over(&bits, 2_000_000.0));
        assert!(
            uneven.bits_per_second() <= 800_000.0 * (1.0 + AVERAGE_OFF_MAX),
            "{codec}: {:.0}",
            uneven.bits_per_second()
        );
    }
}

/// No stretch has more bits than the cap over its length and two seconds.
#[test]
fn a_cap_holds_at_every_moment_across_seams() {
    const CAP: f64 = 500_000.0;
    for codec in ["h264", "hevc"] {
        let flags = ["--video-codec", codec, "--crf", "18", "--max-bitrate", "500k", "--segment-duration", "2s"];
        let made = coded(&uneven(), &flags);
        let bits: Vec<f64> = made.pictures.iter().map(|(_, bits)| *bits).collect();
        let most = over(&bits, CAP);
        println!("{codec}: at most {:.2} s of the cap over it, {:.0} bit/s", most / CAP, made.bits_per_second());
        assert!(most <= 2.0 * CAP, "{codec}: {most} bits over the cap");
        let loose = coded(&uneven(), &["--video-codec", codec, "--crf", "18", "--segment-duration", "2s"]);
        assert!(loose.bits_per_second() > made.bits_per_second() * 1.2, "{codec}: the cap did nothing");
    }
}
