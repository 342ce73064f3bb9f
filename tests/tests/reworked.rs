//! Films that are changed on the way into every container and codec: the right picture in every slot of the new rate, every
//! beep in step, however the film is cut, scaled and marked. A list that covers every pair of the five axes.

use std::path::Path;
use std::process::ExitCode;

use framefleet_model::holds::{HOLDS, Holds};
use framefleet_model::media::VideoCodec;
use framefleet_tests::oracle::Facts;
use framefleet_tests::pairs::covering;
use framefleet_tests::{clip, film, oracle, place, product};
use libtest_mimic::{Arguments, Failed, Trial};

const PICTURES: u64 = 100;
const SOURCE_RATE: Rate = (25, 1);
/// FLV and Matroska keep milliseconds.
const TIME_OFF_MAX: f64 = 0.0015;
const BEEP_OFF_MAX: f64 = 0.011;

/// Pictures in so many seconds.
type Rate = (u64, u64);

const RATES: [Option<(&str, Rate)>; 4] =
    [None, Some(("12", (12, 1))), Some(("50", (50, 1))), Some(("30000/1001", (30_000, 1001)))];
const MARKS: [&str; 3] = ["unmarked", "image", "text"];
const SEGMENTS: [&str; 3] = ["500ms", "1370ms", "60s"];
const SHAPES: [&[&str]; 3] = [&[], &["--size", "256x144", "--size-mode", "fit"], &["--crop", "320x160+0+0"]];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let targets: Vec<(&Holds, VideoCodec)> =
        HOLDS.iter().flat_map(|row| row.video.iter().map(move |codec| (row, *codec))).collect();
    let list = covering([targets.len(), RATES.len(), MARKS.len(), SEGMENTS.len(), SHAPES.len()]);
    let trials = list.into_iter().map(|[target, rate, mark, segments, shape]| {
        let (row, codec) = targets[target];
        let (rate, mark, segments) = (RATES[rate], MARKS[mark], SEGMENTS[segments]);
        let called = rate.map_or("as-is", |(name, _)| name).replace('/', ":");
        let name = format!("{}::{}::{called}::{mark}::{segments}::shape-{shape}", row.name, codec.name());
        let flags = move || {
            let mut flags = vec!["--video-codec", codec.name(), "--segment-duration", segments];
            flags.extend(SHAPES[shape]);
            flags.extend(rate.iter().flat_map(|(name, _)| ["--fps", name]));
            flags
        };
        Trial::test(name, move || {
            let shown = made(row, (mark, &flags())).map_err(Failed::from)?;
            judge(&shown, rate.map_or(SOURCE_RATE, |(_, rate)| rate)).map_err(Failed::from)
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn made(row: &Holds, (mark, flags): (&str, &[&str])) -> Result<Facts, String> {
    let (home, source) = (place::scratch(), clip::plain("mp4"));
    let made = home.path().join("out").with_extension(row.extensions.first().unwrap_or(&"mp4"));
    let state = home.path().join("state").display().to_string();
    let logo = logo();
    let mark: &[&str] = match mark {
        "image" => &["--watermark", &logo, "--watermark-anchor", "bottom-right", "--watermark-from", "1s"],
        // What a person writes is data, whatever a pipeline would make of it.
        "text" => {
            &["--watermark-text", "it's ! \"%n\" \\ <b>;", "--watermark-anchor", "bottom", "--watermark-size", "20"]
        }
        _ => &[],
    };
    let place = ["--container", row.name, "--workers", "2", "--state-dir", &state];
    let flags: Vec<&str> = place.iter().chain(flags).chain(mark).copied().collect();
    product::transcode(home.path(), &source, &made, &flags).done()?;
    oracle::read(&made)
}

fn logo() -> String {
    let path = clip::kept("reworked-logo.png", |out: &Path| {
        let mut command = std::process::Command::new("ffmpeg");
        command.args(["-v", "error", "-f", "lavfi", "-i", "color=red:s=40x20", "-frames:v", "1"]).arg(out);
        film::run(&mut command).map(drop)
    });
    path.display().to_string()
}

/// A slot shows the last picture whose nearest slot is not later; the film is as long as it was.
fn due((rate, per): Rate) -> Vec<u64> {
    let (source, _) = SOURCE_RATE;
    let slot = |number: u64| (2 * number * rate + source * per) / (2 * source * per);
    let mut slots = Vec::new();
    for number in 0..PICTURES {
        slots.extend((slot(number)..slot(number + 1)).map(|_| number));
    }
    slots
}

fn judge(shown: &Facts, rate: Rate) -> Result<(), String> {
    let due = due(rate);
    let numbers: Vec<u64> = shown.numbers.iter().map(|number| number.unwrap_or(u64::MAX)).collect();
    if numbers != due {
        let first = numbers.iter().zip(&due).position(|(is, due)| is != due);
        return Err(format!(
            "{} pictures for {}, the first other one is {first:?}: {numbers:?}",
            numbers.len(),
            due.len()
        ));
    }
    let begins = shown.times.first().copied().unwrap_or_default();
    let step = rate.1 as f64 / rate.0 as f64;
    let off = shown.times.iter().enumerate().map(|(n, at)| (at - begins - n as f64 * step).abs()).fold(0.0, f64::max);
    if off > TIME_OFF_MAX {
        return Err(format!("a picture stands {off} s off its slot"));
    }
    let beeps = shown.beeps.clone().unwrap_or_default();
    let off = beeps.iter().enumerate().map(|(n, at)| (at - begins - n as f64).abs()).fold(0.0, f64::max);
    match beeps.len() == 4 && off <= BEEP_OFF_MAX && shown.errors.is_empty() {
        true => Ok(()),
        false => Err(format!("beeps at {beeps:?}, {:?}", shown.errors)),
    }
}
