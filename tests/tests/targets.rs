//! Every container with every codec that it holds: all pictures and beeps of a cut film are there, read by ffmpeg; and equal
//! films are equal bytes, however many work on them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use framefleet_model::holds::{HOLDS, Holds};
use framefleet_model::media::{Container, VideoCodec};
use framefleet_tests::beeps::{beeps_stand, facts_of};
use framefleet_tests::{clip, oracle, place, product};
use libtest_mimic::{Arguments, Failed, Trial};

/// Distances between a 45th and a 22nd of a second, and twice as long from the middle on.
const UNEVEN: &str = "N*1000+mod(N*7\\,5)*60+if(gte(N\\,60)\\,(N-60)*1000\\,0)";

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    for row in &HOLDS {
        let pictures = row.video.iter().map(|codec| vec!["--video-codec", codec.name()]);
        let sounds = row.audio.iter().map(|codec| vec!["--audio-codec", codec.name()]);
        for flags in pictures.chain(sounds) {
            let name = format!("held::{}::{}", row.name, flags[1]);
            trials.push(Trial::test(name, move || held(row, &flags).map_err(Failed::from)));
        }
        let name = format!("same_bytes::{}", row.name);
        trials.push(Trial::test(name, move || same_bytes(row).map_err(Failed::from)));
    }
    trials.push(Trial::test("several_of_one_film", || several().map_err(Failed::from)));
    trials.push(Trial::test("looking_ahead::vp9", || looking_ahead().map_err(Failed::from)));
    for codec in VideoCodec::ALL {
        let name = format!("uneven_times::{}", codec.name());
        trials.push(Trial::test(name, move || uneven_times(codec).map_err(Failed::from)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn held(row: &'static Holds, flags: &[&str]) -> Result<(), String> {
    let (home, source) = (place::scratch(), clip::plain("mp4"));
    let made = transcode(home.path(), &source, (row, "1"), flags)?;
    if row.video.is_empty() {
        return beeps_stand(&source, &made);
    }
    oracle::check(&made, &facts_of(&source)?, &["--counted"])
}

/// The pictures of a film that keeps no rate; where the container knows no times, on a grid.
fn uneven_times(codec: VideoCodec) -> Result<(), String> {
    let row = HOLDS.iter().find(|row| row.video.contains(&codec)).ok_or("no container holds it")?;
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 2 -g 20";
    let source = clip::numbered("uneven.mkv", &["--seconds", "4", "--fps", "30", "--times", UNEVEN, "--vargs", coding]);
    let home = place::scratch();
    let made = transcode(home.path(), &source, (row, "2"), &["--video-codec", codec.name()])?;
    let (was, is) = (oracle::read(&source)?, oracle::read(&made)?);
    if row.container != Container::Avi {
        return oracle::check(&made, &facts_of(&source)?, &[]);
    }
    let mut shown = is.numbers.clone();
    shown.dedup();
    let missed = was.numbers.iter().filter(|number| !shown.contains(number)).count();
    let rising = shown.windows(2).all(|pair| pair[0] < pair[1]);
    // Of two pictures nearest to one place of the grid only the later is shown.
    if rising && missed * 10 <= was.numbers.len() { Ok(()) } else { Err(format!("{missed} missed: {shown:?}")) }
}

/// An encoder that looks ahead has much in hand when a segment ends.
fn looking_ahead() -> Result<(), String> {
    let (home, source) = (place::scratch(), clip::plain("mp4"));
    let made = home.path().join("out.webm");
    let state = home.path().join("state").display().to_string();
    let words = ["--preset", "faster", "--crf", "10", "--segment-duration", "1s", "--state-dir", &state];
    let files = [source.as_os_str(), made.as_os_str()];
    let words = ["transcode"].iter().chain(&words).map(std::ffi::OsStr::new).chain(files);
    product::run(home.path(), words).done()?;
    oracle::check(&made, &facts_of(&source)?, &[])
}

/// What the seed of it all asks for, and its sound: four files of one decode, with pictures encoded twice, since AVI's are of
/// another codec.
fn several() -> Result<(), String> {
    let (home, source) = (place::scratch(), clip::plain("mp4"));
    let made = |kind: &str| home.path().join(format!("film.{kind}"));
    let state = home.path().join("state").display().to_string();
    let words = ["transcode", "--preset", "ultrafast", "--segment-duration", "1s", "--state-dir", &state];
    let kinds = ["mp4", "flv", "avi", "mp3"];
    let outs = kinds.map(|kind| made(kind).into_os_string());
    let words = words.map(std::ffi::OsString::from).into_iter();
    product::run(home.path(), words.chain([source.clone().into_os_string()]).chain(outs)).done()?;
    for kind in ["mp4", "flv", "avi"] {
        oracle::check(&made(kind), &facts_of(&source)?, &["--counted"]).map_err(|why| format!("{kind}: {why}"))?;
    }
    beeps_stand(&source, &made("mp3"))
}

fn same_bytes(row: &'static Holds) -> Result<(), String> {
    let source = clip::plain("mp4");
    let bytes = |workers: &str| {
        let home = place::scratch();
        let made = transcode(home.path(), &source, (row, workers), &[])?;
        std::fs::read(made).map_err(|e| e.to_string())
    };
    let (alone, together) = (bytes("1")?, bytes("3")?);
    if alone == together { Ok(()) } else { Err(format!("{} bytes and {}", alone.len(), together.len())) }
}

fn transcode(home: &Path, source: &Path, (row, workers): (&Holds, &str), flags: &[&str]) -> Result<PathBuf, String> {
    // A container without names of its own is asked for by name.
    let made = home.join("out").with_extension(row.extensions.first().unwrap_or(&"mp4"));
    let state = home.join("state").display().to_string();
    let cut = ["--container", row.name, "--segment-duration", "1s", "--workers", workers, "--state-dir", &state];
    let flags: Vec<&str> = cut.into_iter().chain(flags.iter().copied()).collect();
    product::transcode(home, source, &made, &flags).done()?;
    Ok(made)
}
