//! What the rules say a stream shows is what ffmpeg shows of it.

#![allow(clippy::unwrap_used, reason = "a test may")]
#![allow(unreachable_pub, reason = "the module of films is shared between test programs")]

#[allow(dead_code, reason = "each test program uses its part")]
mod film;

use std::path::Path;
use std::process::Command;

use film::{packets, run};
use framefleet_media::bitstream::{Odd, Rules};
use framefleet_model::index::Key;

struct Judged {
    shown: u32,
    keys: u32,
}

/// Judges the packets that ffprobe finds, hidden ones included.
fn judged(path: &Path, media_type: &str) -> Result<Judged, Odd> {
    let units = units(path);
    let codec_data = codec_data(path, media_type);
    let mut rules = Rules::for_codec(media_type, codec_data.as_deref()).expect("the codec has rules");
    let mut sum = Judged { shown: 0, keys: 0 };
    for unit in &units {
        let verdict = rules.judge(unit)?;
        sum.shown += u32::from(verdict.shows);
        sum.keys += u32::from(verdict.key != Key::No);
    }
    Ok(sum)
}

/// The packets' bytes, from ffprobe's own dump: positions would not do for streams without packets.
fn units(path: &Path) -> Vec<Vec<u8>> {
    let text = run("ffprobe", &["-select_streams", "v", "-show_packets", "-show_data", path.to_str().unwrap()]);
    let mut units: Vec<Vec<u8>> = Vec::new();
    for line in text.lines() {
        if line == "data=" {
            units.push(Vec::new());
        } else if let (Some(unit), Some((_, dump))) = (units.last_mut(), line.split_once(": "))
            && line.as_bytes().get(8) == Some(&b':')
        {
            unit.extend(hex_of(dump));
        }
    }
    assert_eq!(units.len(), packets(path, "v").len());
    units
}

/// The hexadecimal columns of a line of a dump: eight groups of four digits, then text.
fn hex_of(dump: &str) -> Vec<u8> {
    let digits: String = dump.chars().take(40).filter(|c| !c.is_whitespace()).collect();
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// H.264 and HEVC in MP4 are length-prefixed; all else here holds its own headers.
fn codec_data(path: &Path, media_type: &str) -> Option<Vec<u8>> {
    let record = match (path.extension()?.to_str()?, media_type) {
        ("mp4", "video/x-h264") => b"avcC",
        ("mp4", "video/x-h265") => b"hvcC",
        _ => return None,
    };
    let bytes = std::fs::read(path).unwrap();
    let at = bytes.windows(4).position(|window| window == record)?;
    let size = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap()) as usize;
    Some(bytes[at + 4..at - 4 + size].to_vec())
}

/// Pictures that ffmpeg shows when it hides broken ones, of which it may well complain.
fn shown_by_ffmpeg(path: &Path) -> u32 {
    let args = ["-v", "quiet", "-flags", "-output_corrupt", "-select_streams", "v", "-count_frames"];
    let shown = ["-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", path.to_str().unwrap()];
    let done = Command::new("ffprobe").args(args).args(shown).output().expect("ffprobe must be installed");
    let text = String::from_utf8_lossy(&done.stdout);
    text.lines().next().and_then(|line| line.trim_end_matches(',').parse().ok()).expect("ffprobe counts pictures")
}

fn made(folder: &Path, name: &str, codec: &[&str]) -> std::path::PathBuf {
    let source = ["-f", "lavfi", "-i", "testsrc2=size=160x96:rate=25", "-t", "2", "-pix_fmt", "yuv420p"];
    film::ffmpeg(&[&source[..], codec].concat(), &folder.join(name))
}

const X264: [&str; 6] = ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3"];

const X265: [&str; 4] = ["-c:v", "libx265", "-preset", "ultrafast"];
const OPEN_264: [&str; 2] = ["-x264opts", "open-gop=1:keyint=10:scenecut=0"];
const OPEN_265: [&str; 2] = ["-x265-params", "log-level=error:keyint=10:open-gop=1:bframes=3:scenecut=0"];
const CLOSED_265: [&str; 2] = ["-x265-params", "log-level=error:keyint=10:open-gop=0:scenecut=0"];

/// (file, media type, how it is made, keys)
type Kind<'a> = (&'a str, &'a str, &'a [&'a [&'a str]], u32);

fn check(kinds: &[Kind<'_>]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, media_type, codec, keys) in kinds {
        let path = made(folder.path(), name, &codec.concat());
        let sum = judged(&path, media_type).unwrap_or_else(|odd| panic!("{name} ({media_type}): {odd}"));
        assert_eq!(sum.shown, shown_by_ffmpeg(&path), "{name} ({media_type}): pictures");
        assert_eq!(sum.keys, *keys, "{name} ({media_type}): keys");
    }
}

#[test]
fn h264_and_hevc_are_counted_as_ffmpeg_shows_them() {
    check(&[
        ("closed.mp4", "video/x-h264", &[&X264, &["-g", "10"]], 5),
        ("open.mp4", "video/x-h264", &[&X264, &OPEN_264], 5),
        ("open.ts", "video/x-h264", &[&X264, &OPEN_264], 5),
        ("refresh.ts", "video/x-h264", &[&X264, &["-x264opts", "intra-refresh=1:keyint=10"]], 1),
        ("woven.ts", "video/x-h264", &[&X264, &["-flags", "+ilme+ildct", "-g", "10"]], 5),
        ("closed.ts", "video/x-h265", &[&X265, &CLOSED_265], 5),
        ("rasl.ts", "video/x-h265", &[&X265, &OPEN_265], 5),
        ("rasl.mp4", "video/x-h265", &[&X265, &OPEN_265], 5),
    ]);
}

#[test]
fn films_with_hidden_pictures_are_counted_as_ffmpeg_shows_them() {
    let hidden = ["-auto-alt-ref", "1", "-lag-in-frames", "16", "-g", "25", "-cpu-used", "8"];
    check(&[
        ("film8.ivf", "video/x-vp8", &[&["-c:v", "libvpx"], &hidden], 2),
        ("film9.webm", "video/x-vp9", &[&["-c:v", "libvpx-vp9"], &hidden], 2),
        ("film1.ivf", "video/x-av1", &[&["-c:v", "libaom-av1"], &hidden[2..]], 2),
    ]);
}

#[test]
fn older_codecs_are_counted_as_ffmpeg_shows_them() {
    check(&[
        ("open.mpg", "video/mpeg", &[&["-c:v", "mpeg2video", "-bf", "2", "-g", "12"]], 5),
        ("first.m1v", "video/mpeg", &[&["-c:v", "mpeg1video", "-bf", "2", "-g", "12"]], 5),
        ("film.avi", "video/mpeg", &[&["-c:v", "mpeg4", "-bf", "2", "-g", "25"]], 2),
        ("film.flv", "video/x-flash-video", &[&["-c:v", "flv1", "-g", "25"]], 2),
        ("film.ogv", "video/x-theora", &[&["-c:v", "libtheora", "-g", "25"]], 2),
    ]);
}

/// What stands before the second key is cut off: its leading pictures have lost their references.
#[test]
fn leading_pictures_of_a_films_first_key_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mpeg2: &[&str] = &["-c:v", "mpeg2video", "-bf", "2", "-g", "12"];
    let kinds: [(&str, &str, &str, &[&[&str]]); 3] = [
        ("open.ts", "cut.h264", "video/x-h264", &[&X264, &OPEN_264]),
        ("rasl.ts", "cut.hevc", "video/x-h265", &[&X265, &OPEN_265]),
        ("open.mpg", "cut.m2v", "video/mpeg", &[mpeg2]),
    ];
    for (name, cut, media_type, codec) in kinds {
        let units = units(&made(folder.path(), name, &codec.concat()));
        let mut rules = Rules::for_codec(media_type, None).unwrap();
        let keyed = |unit: &Vec<u8>| rules.judge(unit).unwrap().key != Key::No;
        let keys: Vec<usize> = units.iter().map(keyed).enumerate().filter_map(|(at, key)| key.then_some(at)).collect();
        let rest = &units[keys[1]..];
        let path = folder.path().join(cut);
        std::fs::write(&path, rest.concat()).unwrap();
        let mut rules = Rules::for_codec(media_type, None).unwrap();
        let shown: u32 = rest.iter().map(|unit| u32::from(rules.judge(unit).unwrap().shows)).sum();
        assert!(shown < u32::try_from(rest.len()).unwrap(), "{name}: the cut leaves leading pictures");
        assert_eq!(shown, shown_by_ffmpeg(&path), "{name}");
    }
}
