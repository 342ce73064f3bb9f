//! Sound that is copied: the source's own packets, every beep at its place, and a clear word where it cannot be.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::beeps;
use framefleet_tests::film::run as make;
use framefleet_tests::packets::{hashes, is_part};
use framefleet_tests::{clip, oracle, place, product};

/// Of Matroska's clock, which ffmpeg takes for that of the first samples, too.
const BEEP_OFF_MAX: f64 = 0.004;
/// Half a picture: they stand on a grid there, and a film may begin between two places of it.
const AVI_OFF_MAX: f64 = 0.02;
/// Of MP3, which this container keeps no count of: 1105 samples, as everywhere where it is not told.
const ENCODER_DELAY: f64 = 0.0255;
/// What primes a decoder may be left out where a container cannot tell of it.
const PRIMING_MAX: usize = 4;

fn clip_with(container: &str, sound: &str) -> PathBuf {
    let name = format!("copied-{}.{container}", sound.replace([' ', ':'], "_"));
    // AVI tells no times, and ffmpeg none of B-pictures in it.
    let ahead = if container == "avi" { 0 } else { 3 };
    let pictures = format!("-c:v libx264 -preset veryfast -threads 1 -bf {ahead} -g 25");
    let sound = format!("-c:a {sound}");
    clip::numbered(&name, &["--seconds", "4", "--fps", "25", "--vargs", &pictures, "--aargs", &sound])
}

/// The sound alone, as an encoder of it makes a file.
fn alone(of: &Path, (extension, codec): (&str, &str)) -> PathBuf {
    clip::kept(&format!("alone-{codec}.{extension}"), |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(of).args(["-vn", "-c:a", codec]);
        make(command.arg(out)).map(drop)
    })
}

fn copied(home: &Path, source: &Path, extension: &str, flags: &[&str]) -> Result<PathBuf, String> {
    let made = home.join("out").with_extension(extension);
    let state = home.join("state").display().to_string();
    let preset: &[&str] = if flags.contains(&"none") || is_sound(extension) { &[] } else { &["--preset", "ultrafast"] };
    let fixed = ["--audio-codec", "copy", "--state-dir", &state];
    let words = [Path::new("transcode"), source, &made];
    let flags = fixed.iter().chain(preset).chain(flags).map(Path::new);
    product::run(home, words.into_iter().chain(flags)).done()?;
    Ok(made)
}

fn is_sound(extension: &str) -> bool {
    ["m4a", "mp3", "ogg", "flac", "wav"].contains(&extension)
}

/// What takes AAC out of a transport stream's framing.
fn unframed(file: &Path, source: &Path) -> &'static str {
    let is_ts = file.extension().is_some_and(|extension| extension == "ts");
    if is_ts && source.to_string_lossy().contains("aac") { "aac_adtstoasc" } else { "" }
}

/// From one file into several containers: packets and beeps.
fn check(source: &Path, targets: &[&str]) {
    let film = oracle::read(source).unwrap();
    for target in targets {
        let home = place::scratch();
        let made = copied(home.path(), source, target, &[]).unwrap_or_else(|why| panic!("{target}: {why}"));
        let of_source = hashes(source, "a", unframed(source, source)).unwrap();
        let of_made = hashes(&made, "a", unframed(&made, source)).unwrap();
        is_part(&of_source, &of_made, PRIMING_MAX).unwrap_or_else(|why| panic!("{target}: {why}"));
        let made_film = oracle::read(&made).unwrap();
        assert!(is_sound(target) || made_film.numbers == film.numbers, "{target}: {:?}", made_film.numbers);
        let stands =
            if is_sound(target) || film.times.is_empty() { beeps::from_beginning } else { beeps::from_first_picture };
        let (was, is) = (stands(source), stands(&made));
        let off_max = match *target {
            _ if source.extension().is_some_and(|extension| extension == "mp3") => ENCODER_DELAY,
            "mp3" => ENCODER_DELAY,
            "avi" => AVI_OFF_MAX,
            _ => BEEP_OFF_MAX,
        };
        let off = was.iter().zip(&is).map(|(was, is)| (was - is).abs()).fold(0.0, f64::max);
        assert!(was.len() == is.len() && off < off_max, "{target}: beeps at {is:?} for {was:?}");
    }
}

#[test]
fn aac_of_mp4_is_copied() {
    check(&clip_with("mp4", "aac"), &["mp4", "mov", "mkv", "ts", "flv", "m4a"]);
}

#[test]
fn aac_of_transport_streams_is_taken_out_of_its_frames() {
    check(&clip_with("ts", "aac"), &["mp4", "mkv", "ts", "flv"]);
}

#[test]
fn aac_of_flv_and_mov_is_copied() {
    check(&clip_with("flv", "aac"), &["mp4", "mkv"]);
    check(&clip_with("mov", "aac"), &["mkv", "ts"]);
}

#[test]
fn mp3_is_copied() {
    check(&clip_with("mkv", "libmp3lame -ar 44100"), &["mp4", "mkv", "avi", "flv", "ts", "mp3"]);
    check(&clip_with("avi", "libmp3lame"), &["mp4"]);
    check(&alone(&clip_with("mp4", "aac"), ("mp3", "libmp3lame")), &["mp3", "mkv"]);
}

#[test]
fn ac3_is_copied() {
    check(&clip_with("ts", "ac3"), &["mp4", "mkv", "ts"]);
    check(&clip_with("mkv", "ac3"), &["avi"]);
}

#[test]
fn opus_is_copied() {
    let source = clip_with("mkv", "libopus");
    check(&source, &["mkv", "ogg"]);
    check(&alone(&clip_with("mp4", "aac"), ("ogg", "libopus")), &["ogg", "mkv"]);
}

#[test]
fn vorbis_is_copied() {
    let source = clip_with("mkv", "libvorbis");
    check(&source, &["mkv", "ogg"]);
    check(&alone(&clip_with("mp4", "aac"), ("ogg", "libvorbis")), &["ogg"]);
}

#[test]
fn flac_is_copied() {
    let source = clip_with("mkv", "flac");
    check(&source, &["mkv", "flac", "ogg"]);
    check(&alone(&clip_with("mp4", "aac"), ("flac", "flac")), &["flac", "ogg"]);
}

/// Samples have no packets of their own: they are compared as they are heard.
#[test]
fn samples_of_pcm_are_copied() {
    let source = clip_with("mov", "pcm_s16le");
    let samples = |file: &Path| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(file).args(["-vn", "-f", "md5", "-"]);
        make(&mut command).unwrap()
    };
    for target in ["wav", "mkv", "avi"] {
        let home = place::scratch();
        let made = copied(home.path(), &source, target, &[]).unwrap_or_else(|why| panic!("{target}: {why}"));
        assert_eq!(samples(&made), samples(&source), "{target}");
    }
}

/// A range is exact to the sample where the container tells of what is left out.
#[test]
fn a_range_of_copied_sound_is_exact() {
    for (sound, target) in
        [("aac", "mp4"), ("aac", "mkv"), ("libmp3lame -ar 44100", "mp4"), ("libopus", "mkv"), ("libopus", "ogg")]
    {
        let source = clip_with("mkv", sound);
        let home = place::scratch();
        let flags = ["--video-codec", "none", "--from", "1.3s", "--to", "3.6s"];
        let flags = if target == "ogg" { &flags[2..] } else { &flags[..] };
        let made = copied(home.path(), &source, target, flags).unwrap_or_else(|why| panic!("{sound} {target}: {why}"));
        let (was, is) = (oracle::read(&source).unwrap(), oracle::read(&made).unwrap());
        let due: Vec<f64> =
            was.beeps.unwrap().into_iter().filter(|at| (1.3..3.6).contains(at)).map(|at| at - 1.3).collect();
        let beeps = is.beeps.unwrap();
        assert_eq!(beeps.len(), due.len(), "{sound} {target}: {beeps:?} for {due:?}");
        let off = beeps.iter().zip(&due).map(|(at, due)| (at - due).abs()).fold(0.0, f64::max);
        assert!(off < 0.003, "{sound} {target}: {beeps:?} for {due:?}");
        let rate = if sound.contains("44100") { 44_100 } else { 48_000 };
        let wanted = 23 * rate / 10;
        // Of MP3 ffmpeg gives what comes before, too, at times before zero.
        let most = if sound.contains("mp3") { u64::MAX } else { wanted + 1152 };
        assert!((wanted - 1152..=most).contains(&is.samples), "{sound} {target}: {} samples for {wanted}", is.samples);
    }
}

#[test]
fn what_cannot_be_copied_is_refused_by_name() {
    let source = clip_with("mp4", "aac");
    let refused = |target: &str, flags: &[&str]| {
        let home = place::scratch();
        let flags: Vec<&str> = ["--audio-codec", "copy"].iter().chain(flags).copied().collect();
        let ran = product::transcode(home.path(), &source, &home.path().join("out").with_extension(target), &flags);
        (ran.code, ran.err)
    };
    let (code, said) = refused("avi", &[]);
    assert_eq!(code, Some(65), "{said}");
    assert!(
        said.contains("the sound cannot be copied: avi holds no aac but mp3, pcm, ac3; aac goes into mp4"),
        "{said}"
    );
    let (code, said) = refused("mp4", &["--channels", "1"]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("channels 1 contradicts audio codec copy"), "{said}");
    let (code, said) = refused("m3u8", &[]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("audio codec copy contradicts output"), "{said}");
}
