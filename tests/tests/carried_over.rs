//! What a film carries beside pictures and sound, read back by ffprobe.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::film::run as make;
use framefleet_tests::{clip, oracle, place, product};
use serde_json::Value;

fn transcode(source: &Path, kind: &str, flags: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let home = place::scratch();
    let made = home.path().join("film").with_extension(kind);
    let state = home.path().join("state").display().to_string();
    let fixed = ["--segment-duration", "1s", "--workers", "2", "--state-dir", &state];
    let flags: Vec<&str> = fixed.into_iter().chain(flags.iter().copied()).collect();
    product::transcode(home.path(), source, &made, &flags).done().unwrap();
    (home, made)
}

fn probe(path: &Path) -> Value {
    let show = ["-v", "error", "-show_format", "-show_streams", "-show_chapters", "-of", "json"];
    serde_json::from_slice(&make(Command::new("ffprobe").args(show).arg(path)).unwrap()).unwrap()
}

fn stream<'a>(told: &'a Value, kind: &str) -> &'a Value {
    told["streams"].as_array().unwrap().iter().find(|stream| stream["codec_type"] == kind).unwrap()
}

/// ffmpeg with the plain clip as its first input.
fn from_plain(name: &str, words: &[&str]) -> PathBuf {
    clip::kept(name, |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(clip::plain("mp4")).args(words).arg(out);
        make(&mut command).map(drop)
    })
}

#[test]
fn title_language_chapters_and_time_of_making_are_kept() {
    let chapters = place::cache("test-clips").join("chapters.txt");
    let text = ";FFMETADATA1\ntitle=Die Fahrt über den Fluß\ncreation_time=2021-03-04T05:06:07Z\n\
                [CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=Erster Teil\n\
                [CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=4000\ntitle=二\n";
    std::fs::write(&chapters, text).unwrap();
    let meta =
        ["-i", chapters.to_str().unwrap(), "-map", "0", "-map_metadata", "1", "-map_chapters", "1", "-c", "copy"];
    let language = ["-metadata:s:a:0", "language=deu", "-metadata:s:v:0", "language=deu"];
    for from in ["mp4", "mkv"] {
        let source = from_plain(&format!("tagged.{from}"), &[&meta[..], &language[..]].concat());
        for to in ["mp4", "mkv"] {
            let (_home, made) = transcode(&source, to, &[]);
            let told = probe(&made);
            let tags = &told["format"]["tags"];
            assert_eq!(tags["title"], "Die Fahrt über den Fluß", "{from} to {to}: {tags}");
            assert_eq!(tags["creation_time"], "2021-03-04T05:06:07.000000Z", "{from} to {to}: {tags}");
            assert!(
                ["deu", "ger"].contains(&stream(&told, "audio")["tags"]["language"].as_str().unwrap()),
                "{from} to {to}"
            );
            let parts: Vec<(&str, &str)> = told["chapters"]
                .as_array()
                .unwrap()
                .iter()
                .map(|part| (part["start_time"].as_str().unwrap(), part["tags"]["title"].as_str().unwrap()))
                .collect();
            assert_eq!(parts, [("0.000000", "Erster Teil"), ("1.500000", "二")], "{from} to {to}");
        }
    }
}

/// A phone held upright writes lying pictures and a matrix; ours stand.
#[test]
fn a_portrait_film_comes_out_upright() {
    let source = from_plain("portrait.mp4", &["-c", "copy", "-metadata:s:v:0", "rotate=90"]);
    let (_home, made) = transcode(&source, "mp4", &[]);
    let told = probe(&made);
    let video = stream(&told, "video");
    assert_eq!((video["width"].as_u64(), video["height"].as_u64()), (Some(180), Some(320)));
    assert_eq!(video.get("side_data_list"), None, "no turn is left to do");
    // ffmpeg turns the source by its matrix: what it then sees must be what we made
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "info", "-i"]).arg(&source).arg("-i").arg(&made);
    let seen = command.args(["-lavfi", "[0:v][1:v]psnr", "-f", "null", "-"]).output().unwrap();
    let said = String::from_utf8_lossy(&seen.stderr).into_owned();
    let average = said.split("average:").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
    assert!(average.parse::<f64>().unwrap() > 20.0, "{said}");
}

#[test]
fn pixel_aspect_and_colour_are_kept() {
    let words =
        ["-vf", "setsar=16/15", "-c:v", "libx264", "-preset", "veryfast", "-colorspace", "bt709", "-color_primaries"];
    let words = [&words[..], &["bt709", "-color_trc", "bt709", "-color_range", "tv", "-c:a", "copy"]].concat();
    let source = from_plain("anamorphic.mp4", &words);
    for to in ["mp4", "mkv"] {
        let (_home, made) = transcode(&source, to, &[]);
        let told = probe(&made);
        let video = stream(&told, "video");
        assert_eq!(video["sample_aspect_ratio"], "16:15", "{to}");
        for key in ["color_space", "color_primaries", "color_transfer"] {
            assert_eq!(video[key], "bt709", "{to}: {key}");
        }
        assert_eq!(video["color_range"], "tv", "{to}");
    }
}

/// Phones write full-range pictures without saying more of their colour; screens are recorded in RGB.
#[test]
fn levels_stay_where_they_are() {
    let full = ["-vf", "scale=out_range=full", "-pix_fmt", "yuvj420p", "-c:v", "libx264", "-color_range", "pc", "-an"];
    for from in ["mp4", "mkv"] {
        let source = from_plain(&format!("full-range.{from}"), &full);
        let (_home, made) = transcode(&source, "mp4", &[]);
        assert_eq!(stream(&probe(&made), "video")["color_range"], "pc", "{from}");
    }
    let source = from_plain("rgb.mov", &["-c:v", "png", "-an"]);
    let (_home, made) = transcode(&source, "mp4", &[]);
    let (ours, theirs) = (brightness(&made), brightness(&from_plain("rgb.mp4", &["-pix_fmt", "yuv420p", "-an"])));
    assert!((ours - theirs).abs() < 2.0, "mean luma {ours}, by ffmpeg {theirs}");
}

/// The mean luma of the first picture.
fn brightness(film: &Path) -> f64 {
    let filter = ["-vf", "signalstats,metadata=print:file=-", "-frames:v", "1", "-f", "null", "-"];
    let told = make(Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(film).args(filter)).unwrap();
    let told = String::from_utf8(told).unwrap();
    told.split("YAVG=").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap().parse().unwrap()
}

#[test]
fn resampled_sound_keeps_its_last_samples() {
    let source = clip::kept("three-seconds.wav", |out| {
        let tone = "sine=frequency=440:sample_rate=48000:duration=3";
        make(Command::new("ffmpeg").args(["-v", "error", "-f", "lavfi", "-i", tone]).arg(out)).map(drop)
    });
    for rate in ["8000", "44100", "96000"] {
        let (_home, made) = transcode(&source, "mkv", &["--sample-rate", rate]);
        let decode = ["-f", "s16le", "-ac", "1", "-"];
        let samples =
            make(Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(&made).args(decode)).unwrap().len() / 2;
        assert_eq!(samples, 3 * rate.parse::<usize>().unwrap(), "{rate} Hz");
    }
}

#[test]
fn high_dynamic_range_is_kept() {
    let hdr = "hdr10=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:log-level=error:\
               master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400";
    let words =
        ["-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-tag:v", "hvc1", "-x265-params", hdr];
    let source = from_plain("hdr.mp4", &[&words[..], &["-c:a", "copy"]].concat());
    let hevc = ["--video-codec", "hevc"];
    let (_home, made) = transcode(&source, "mp4", &hevc);
    let told = probe(&made);
    let video = stream(&told, "video");
    assert_eq!(video["pix_fmt"], "yuv420p10le");
    assert_eq!(video["color_transfer"], "smpte2084");
    assert_eq!(video["color_primaries"], "bt2020");
    let show = ["-v", "error", "-select_streams", "v", "-read_intervals", "%+#1", "-show_frames", "-of", "json"];
    let frame = String::from_utf8(make(Command::new("ffprobe").args(show).arg(&made)).unwrap()).unwrap();
    assert!(frame.contains("Mastering display metadata") && frame.contains("\"max_content\": 1000"), "{frame}");
    let bytes = std::fs::read(&made).unwrap();
    for _ in 0..3 {
        let (_home, again) = transcode(&source, "mp4", &hevc);
        assert!(std::fs::read(&again).unwrap() == bytes, "the same film is the same bytes");
    }
}

/// The first track is there for those who ask for it.
#[test]
fn of_several_sound_tracks_the_default_one_is_taken() {
    let tone = "sine=frequency=200:sample_rate=48000:duration=4";
    let words = ["-f", "lavfi", "-i", tone, "-map", "0:v", "-map", "1:a", "-map", "0:a", "-c:v", "copy", "-c:a", "aac"];
    let marks = ["-disposition:a:0", "0", "-disposition:a:1", "default"];
    for kind in ["mp4", "mkv"] {
        let source = from_plain(&format!("second-default.{kind}"), &[&words[..], &marks[..]].concat());
        let (_home, made) = transcode(&source, "mp4", &["--audio-tracks", "first"]);
        assert_eq!(oracle::read(&made).unwrap().beeps.unwrap().len(), 4, "{kind}: the tone without beeps was taken");
    }
}

/// Two sound tracks: the second is marked by language; beeps are in both, a tone's height tells them apart.
#[test]
fn the_wanted_sound_track_is_taken() {
    let tone = "sine=frequency=200:sample_rate=48000:duration=4";
    let words = ["-f", "lavfi", "-i", tone, "-map", "0:v", "-map", "0:a", "-map", "1:a", "-c:v", "copy", "-c:a", "aac"];
    let marks = ["-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra"];
    let source = from_plain("tracks.mkv", &[&words[..], &marks[..]].concat());
    for (choice, language, beeping) in [("first", "eng", true), ("2", "fra", false), ("fra", "fra", false)] {
        let (_home, made) = transcode(&source, "mp4", &["--audio-tracks", choice]);
        let told = probe(&made);
        let streams = told["streams"].as_array().unwrap().iter().filter(|one| one["codec_type"] == "audio").count();
        assert_eq!(streams, 1, "{choice:?}");
        assert_eq!(stream(&told, "audio")["tags"]["language"], language, "{choice:?}");
        let beeps = oracle::read(&made).unwrap().beeps.unwrap().len();
        assert_eq!(beeps == 4, beeping, "{choice:?}: {beeps} beeps");
    }
}
