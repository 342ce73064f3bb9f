//! Pictures that are copied: bit for bit the source's, every one once and at its time, cut where nothing is torn.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::film::run as make;
use framefleet_tests::packets::hashes;
use framefleet_tests::{beeps, clip, oracle, place, product};

/// Both clocks round.
const OFF_MAX: f64 = 0.002;
const CLOSED: &str = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 25 -sc_threshold 0";
/// Pictures before a key picture that refer to the one after it.
const OPEN: &str =
    "-c:v libx264 -preset veryfast -threads 1 -x264-params open-gop=1:bframes=3:keyint=25:min-keyint=25:scenecut=0";
/// Parameter sets and delimiters: transport streams have them in the stream, the others beside it.
const WITHOUT_SETS: &str = "filter_units=remove_types=7-9";

fn source(name: &str, coding: &str) -> PathBuf {
    clip::numbered(&format!("copied-{name}"), &["--seconds", "4", "--fps", "25", "--vargs", coding])
}

fn run(home: &Path, source: &Path, made: &Path, flags: &[&str]) -> product::Ran {
    let state = home.join("state").display().to_string();
    let fixed = ["--video-codec", "copy", "--workers", "2", "--state-dir", &state];
    let words = [Path::new("transcode"), source, made];
    product::run(home, words.into_iter().chain(fixed.iter().chain(flags).map(Path::new)))
}

/// The copy, which shows what the source shows.
fn copied(home: &Path, source: &Path, extension: &str, flags: &[&str]) -> PathBuf {
    let made = home.join("out").with_extension(extension);
    run(home, source, &made, flags).done().unwrap_or_else(|why| panic!("{extension}: {why}"));
    made
}

fn check(source: &Path, extension: &str, (of_source, of_made): (&str, &str)) {
    let home = place::scratch();
    let made = copied(home.path(), source, extension, &[]);
    check_shown(source, &made);
    let (was, is) = (hashes(source, "v", of_source).unwrap(), hashes(&made, "v", of_made).unwrap());
    assert!(
        !was.is_empty() && was == is,
        "{}: {} packets, {} of them the source's",
        made.display(),
        is.len(),
        common(&was, &is)
    );
    // In parts it is the same.
    let parts = place::scratch();
    let cut = copied(parts.path(), source, extension, &["--segment-duration", "1s"]);
    check_shown(source, &cut);
    assert!(hashes(&cut, "v", of_made).unwrap() == was, "{} in parts", made.display());
}

fn common(was: &[String], is: &[String]) -> usize {
    is.iter().filter(|hash| was.contains(hash)).count()
}

fn check_shown(source: &Path, made: &Path) {
    let (was, is) = (oracle::read(source).unwrap(), oracle::read(made).unwrap());
    assert_eq!(was.numbers, is.numbers, "{}", made.display());
    let from_first = |times: &[f64]| times.iter().map(|at| at - times[0]).collect::<Vec<_>>();
    let off =
        from_first(&was.times).iter().zip(from_first(&is.times)).map(|(was, is)| (was - is).abs()).fold(0.0, f64::max);
    assert!(off < OFF_MAX, "{}: {off} s", made.display());
    let (was, is) = (beeps::from_first_picture(source), beeps::from_first_picture(made));
    let off = was.iter().zip(&is).map(|(was, is)| (was - is).abs()).fold(0.0, f64::max);
    assert!(was.len() == is.len() && off < 2.0 * OFF_MAX, "{}: beeps at {is:?} for {was:?}", made.display());
}

#[test]
fn h264_goes_between_mp4_mov_and_mkv_byte_for_byte() {
    check(&source("closed.mp4", CLOSED), "mkv", ("", ""));
    check(&source("closed.mkv", CLOSED), "mp4", ("", ""));
    check(&source("closed.mov", CLOSED), "mp4", ("", ""));
}

#[test]
fn h264_goes_into_flv() {
    check(&source("closed.mp4", CLOSED), "flv", ("", ""));
}

#[test]
fn h264_goes_into_transport_streams_and_out_of_them() {
    let framed = &format!("h264_mp4toannexb,{WITHOUT_SETS}");
    check(&source("closed.mp4", CLOSED), "ts", (framed, WITHOUT_SETS));
    check(&source("closed.ts", CLOSED), "mp4", (WITHOUT_SETS, framed));
    check(&source("closed.ts", CLOSED), "ts", (WITHOUT_SETS, WITHOUT_SETS));
}

/// What ffmpeg makes of the same stream has the same units.
#[test]
fn units_out_of_a_transport_stream_are_those_that_ffmpeg_makes() {
    let (home, stream) = (place::scratch(), source("closed.ts", CLOSED));
    let theirs = home.path().join("theirs.mp4");
    make(
        Command::new("ffmpeg")
            .args(["-v", "error", "-i"])
            .arg(&stream)
            .args(["-map", "0:v", "-c", "copy"])
            .arg(&theirs),
    )
    .unwrap();
    let ours = copied(home.path(), &stream, "mp4", &[]);
    let (ours, theirs) = (hashes(&ours, "v", "").unwrap(), hashes(&theirs, "v", "").unwrap());
    // The first one's parameter sets are in the header, and need not be said again.
    assert_eq!((ours.len(), &ours[1..]), (theirs.len(), &theirs[1..]));
}

#[test]
fn open_groups_are_copied_whole() {
    check(&source("open.mp4", OPEN), "mkv", ("", ""));
    check(&source("open.mkv", OPEN), "mp4", ("", ""));
}

#[test]
fn hevc_is_copied() {
    let coding = "-c:v libx265 -preset ultrafast -x265-params log-level=none:bframes=3:keyint=25";
    // What the header says of the encoder may stand in front of the first unit, too.
    let told = "hevc_mp4toannexb,filter_units=remove_types=32-34|39";
    check(&source("hevc.mkv", coding), "mp4", (told, told));
    check(&source("hevc.mp4", &format!("{coding} -tag:v hvc1")), "mkv", ("", ""));
    let sets = "filter_units=remove_types=32-35";
    check(&source("hevc.ts", coding), "mp4", (sets, &format!("hevc_mp4toannexb,{sets}")));
}

#[test]
fn vp8_vp9_and_av1_are_copied() {
    let sound = ["--aargs", "-c:a libopus"];
    for (codec, coding, targets) in [
        ("vp8", "-c:v libvpx -deadline realtime -cpu-used 8 -auto-alt-ref 0 -g 25 -b:v 500k", &["webm", "mkv"][..]),
        ("vp9", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25 -b:v 500k", &["webm", "mp4"]),
        ("av1", "-c:v libaom-av1 -usage realtime -cpu-used 8 -g 25 -b:v 500k", &["webm", "mp4"]),
    ] {
        let settings = ["--seconds", "4", "--fps", "25", "--vargs", coding];
        let film = clip::numbered(&format!("copied-{codec}.mkv"), &[&settings[..], &sound].concat());
        for target in targets {
            check(&film, target, ("", ""));
        }
    }
}

#[test]
fn a_range_begins_at_a_key_picture_and_ends_where_nothing_is_torn() {
    let (home, film) = (place::scratch(), source("closed.mp4", CLOSED));
    for (target, to) in [("mp4", "2.5s"), ("mkv", "2.54s"), ("ts", "2.58s")] {
        let made = copied(home.path(), &film, target, &["--from", "1s", "--to", to, "--overwrite"]);
        let shown: Vec<u64> = oracle::read(&made).unwrap().numbers.into_iter().map(Option::unwrap).collect();
        let whole: Vec<u64> = (25..25 + shown.len() as u64).collect();
        assert_eq!(shown, whole, "{target}");
        // A group of reordered pictures may be finished: four at most.
        let due = (to.trim_end_matches('s').parse::<f64>().unwrap() * 25.0).ceil() as u64;
        assert!((due..due + 4).contains(&(shown.len() as u64 + 25)), "{target}: {shown:?}");
    }
    let refused = run(home.path(), &film, &home.path().join("other.mp4"), &["--from", "1.5s"]);
    assert_eq!(refused.code, Some(64), "{refused:?}");
    let said =
        "copied pictures begin with a key picture, and the one at 1.520 s is none: the nearest are at 1 s and 2 s";
    assert!(
        refused.err.contains(said) || refused.err.contains("the nearest are at 1.000 s and 2.000 s"),
        "{refused:?}"
    );
}

#[test]
fn a_copy_and_an_encode_of_one_film_share_their_cuts() {
    let (home, film) = (place::scratch(), source("closed.mp4", CLOSED));
    let job = home.path().join("job.yaml");
    let (a, b) = (home.path().join("a.mkv"), home.path().join("b.mp4"));
    let text = format!(
        "version: 1\nsource: {}\nsegment: {{ duration: 1s }}\noutputs:\n  - {{ to: {}, video: copy, audio: copy }}\n  - {{ to: {}, video: {{ preset: ultrafast }} }}\n",
        film.display(),
        a.display(),
        b.display()
    );
    std::fs::write(&job, text).unwrap();
    let state = home.path().join("state");
    let words = [Path::new("transcode"), Path::new("--job"), &job, Path::new("--state-dir"), &state];
    product::run(home.path(), words).done().unwrap();
    check_shown(&film, &a);
    check_shown(&film, &b);
    assert_eq!(hashes(&a, "v", "").unwrap(), hashes(&film, "v", "").unwrap());
}

/// A film whose pictures lie on their side: the output says so, too.
#[test]
fn a_turn_is_told_where_it_can_be() {
    let upright = source("closed.mp4", CLOSED);
    let film = clip::kept("copied-turned.mp4", |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-display_rotation", "-90", "-i"]).arg(&upright).args(["-c", "copy"]);
        if make(command.arg(out)).is_ok() {
            return Ok(());
        }
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-y", "-i"]).arg(&upright).args(["-c", "copy", "-metadata:s:v", "rotate=90"]);
        make(command.arg(out)).map(drop)
    });
    let matrix = |file: &Path| {
        let show =
            ["-v", "error", "-select_streams", "v", "-show_entries", "stream_side_data=rotation", "-of", "csv=p=0"];
        String::from_utf8(make(Command::new("ffprobe").args(show).arg(file)).unwrap()).unwrap()
    };
    let home = place::scratch();
    let made = copied(home.path(), &film, "mov", &[]);
    assert!(matrix(&film).contains("90"), "{}", matrix(&film));
    assert_eq!(matrix(&made), matrix(&film));
    let refused = run(home.path(), &film, &home.path().join("out.mkv"), &[]);
    assert_eq!(refused.code, Some(65), "{refused:?}");
    assert!(refused.err.contains("they lie on their side, and mkv cannot tell: mp4, mov can"), "{refused:?}");
}

#[test]
fn what_cannot_be_copied_is_refused_by_name() {
    let film = source("closed.mp4", CLOSED);
    let refused = |target: &str, flags: &[&str]| {
        let home = place::scratch();
        let ran = run(home.path(), &film, &home.path().join("out").with_extension(target), flags);
        (ran.code.unwrap_or(0), ran.err)
    };
    let sound = ["--audio-codec", "none"];
    for (target, flags, code, said) in [
        ("webm", &sound[..], 65, "the pictures cannot be copied: webm holds no h264 but vp9, vp8, av1; h264 goes into"),
        ("avi", &sound, 65, "(a B-picture), which avi does not keep"),
        ("mp4", &["--size", "64x64"], 64, "size 64x64 contradicts video codec copy"),
        ("mp4", &["--crf", "20"], 64, "crf 20 contradicts video codec copy"),
        ("mp4", &["--watermark-text", "x"], 64, "contradicts video codec copy"),
        ("m3u8", &[], 64, "video codec copy contradicts output"),
    ] {
        let (got, err) = refused(target, flags);
        assert!(got == code && err.contains(said), "{target} {flags:?}: {got} {err}");
    }
}
