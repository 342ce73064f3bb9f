//! Films in fragments, by each way in which ffmpeg writes them: cut at every second and not at all, against what ffmpeg
//! shows of the same units in a plain film. (Of fragments with negative offsets it shows all pictures later.)
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::film::run as make;
use framefleet_tests::{clip, oracle, place, product};

/// A plain film's units in fragments.
fn in_fragments(plain: &Path, name: &str, flags: &str) -> PathBuf {
    clip::kept(&format!("{name}.mp4"), |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(plain).args(["-c", "copy", "-strict", "-2", "-movflags", flags]);
        make(command.arg(out)).map(drop)
    })
}

fn numbered(name: &str, coding: &str, sound: &str) -> PathBuf {
    clip::numbered(name, &["--seconds", "4", "--fps", "25", "--vargs", coding, "--aargs", sound])
}

/// Every picture once, in order, at its time, and every beep in step, cut or not.
fn assert_exact(plain: &Path, (name, flags): (&str, &str), judged: &[&str]) {
    let source = &in_fragments(plain, name, flags);
    let home = place::scratch();
    let facts = home.path().join("facts.json");
    std::fs::write(&facts, oracle::read(plain).unwrap().json()).unwrap();
    for cut in ["1s", "none"] {
        let made = home.path().join(format!("{cut}.mp4"));
        let state = home.path().join("state").display().to_string();
        let flags = ["--segment-duration", cut, "--workers", "2", "--state-dir", &state];
        product::transcode(home.path(), source, &made, &flags).done().unwrap();
        oracle::check(&made, &facts, judged).unwrap_or_else(|why| panic!("{} cut at {cut}: {why}", source.display()));
    }
}

#[test]
fn every_way_of_fragments_is_exact() {
    let plain = clip::plain("mp4");
    let ways = [
        ("keys", "+frag_keyframe"),
        ("empty", "+frag_keyframe+empty_moov"),
        ("pictures", "+frag_every_frame+delay_moov"),
        ("separate", "+frag_keyframe+separate_moof+delay_moov"),
        ("base", "+frag_keyframe+default_base_moof+delay_moov"),
        ("omitted", "+frag_keyframe+omit_tfhd_offset+delay_moov"),
        ("cmaf", "+frag_keyframe+cmaf+delay_moov"),
        ("dash", "+frag_keyframe+dash+delay_moov"),
    ];
    for (way, flags) in ways {
        let judged: &[&str] = match way {
            // Where each unit is a fragment, ffmpeg tells every other packet of sound too late.
            "pictures" => &["--no-audio"],
            // Without edit lists the film itself says that its sound begins with AAC's 1024 samples of priming.
            "cmaf" => &["--onset-tolerance", "0.032"],
            _ => &[],
        };
        assert_exact(&plain, (&format!("fragments-{way}"), flags), judged);
    }
}

#[test]
fn hevc_with_reordered_pictures_in_fragments_is_exact() {
    let coding = "-c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params log-level=error:keyint=25:bframes=3";
    let plain = numbered("plain-hevc.mp4", coding, "-c:a aac -b:a 128k");
    assert_exact(&plain, ("fragments-hevc", "+frag_keyframe+delay_moov"), &[]);
}

#[test]
fn vp9_with_opus_in_fragments_is_exact() {
    let coding = "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -g 25";
    let plain = numbered("plain-vp9.mp4", coding, "-c:a libopus -b:a 96k");
    assert_exact(&plain, ("fragments-vp9", "+frag_keyframe+delay_moov"), &[]);
}

#[test]
fn av1_in_fragments_is_exact() {
    let coding = "-c:v libsvtav1 -preset 12 -g 25";
    let plain = numbered("plain-av1.mp4", coding, "-c:a aac -b:a 128k");
    assert_exact(&plain, ("fragments-av1", "+frag_keyframe+delay_moov"), &[]);
}

/// A recording whose end never came: what is whole is kept, and what is not is told.
#[test]
fn a_recording_that_was_cut_off_keeps_what_is_whole() {
    let whole = in_fragments(&clip::plain("mp4"), "fragments-empty", "+frag_keyframe+empty_moov");
    let home = place::scratch();
    let cut = home.path().join("cut.mp4");
    let bytes = std::fs::read(&whole).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() * 7 / 10]).unwrap();
    let state = home.path().join("state").display().to_string();
    let transcode = |damaged| {
        let made = home.path().join(format!("{damaged}.mp4"));
        let flags = ["--segment-duration", "1s", "--state-dir", &state, "--damaged", damaged];
        (product::transcode(home.path(), &cut, &made, &flags), made)
    };
    let (failed, _) = transcode("fail");
    assert_eq!(failed.code, Some(65), "{}", failed.err);
    assert!(failed.err.contains("its last sample ends at byte"), "{}", failed.err);
    let (kept, made) = transcode("keep");
    kept.done().unwrap();
    // ffmpeg decodes what is left of a unit that is cut off, too.
    let (due, ours) = (oracle::read(&cut).unwrap(), oracle::read(&made).unwrap());
    let (due, ours) = (due.numbers, ours.numbers);
    assert!(due.len() - ours.len() <= 1 && ours.len() > 50, "{} and {} pictures", due.len(), ours.len());
    assert_eq!(ours[..], due[..ours.len()]);
}
