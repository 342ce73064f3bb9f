//! What `framefleet probe` says, held to ffprobe, and what it reads to say it.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::film::run as make;
use framefleet_tests::{clip, place, product};
use serde_json::Value;

const READ_BYTES_MAX: u64 = 2 << 20;

fn probe(film: &Path) -> Value {
    let home = place::scratch();
    let words = ["probe".as_ref(), film.as_os_str(), "-o".as_ref(), "json".as_ref()];
    product::run(home.path(), words).done().unwrap().json()
}

fn ffprobe(film: &Path) -> Value {
    let show = ["-v", "error", "-show_format", "-show_streams", "-show_chapters", "-of", "json"];
    serde_json::from_slice(&make(Command::new("ffprobe").args(show).arg(film)).unwrap()).unwrap()
}

fn from_plain(name: &str, words: &[&str]) -> PathBuf {
    clip::kept(name, |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-i"]).arg(clip::plain("mp4")).args(words).arg(out);
        make(&mut command).map(drop)
    })
}

fn of_kind<'a>(list: &'a Value, (key, kind): (&str, &str)) -> Vec<&'a Value> {
    list.as_array().unwrap().iter().filter(|one| one[key] == kind).collect()
}

/// `25/1` and `25` are one rate.
fn rate(text: &Value) -> (u64, u64) {
    let text = text.as_str().unwrap_or("0");
    let (num, den) = text.split_once('/').unwrap_or((text, "1"));
    (num.parse().unwrap(), den.parse().unwrap())
}

/// Every fact that both tell is the same.
#[track_caller]
fn agree(film: &Path, slack_ms: i64) -> Value {
    let (ours, theirs) = (probe(film), ffprobe(film));
    let seconds: f64 = theirs["format"]["duration"].as_str().unwrap().parse().unwrap();
    let duration = ours["duration_ns"].as_i64().unwrap();
    let apart = (duration / 1000 - (seconds * 1e6) as i64) / 1000;
    assert!(apart.abs() <= slack_ms, "{}: {duration} ns, by ffprobe {seconds} s", film.display());
    assert_eq!(ours["size"].to_string(), theirs["format"]["size"].as_str().unwrap());
    for kind in ["video", "audio"] {
        let mine = of_kind(&ours["tracks"], ("kind", kind));
        let others = of_kind(&theirs["streams"], ("codec_type", kind));
        assert_eq!(mine.len(), others.len(), "{}: {kind}", film.display());
        mine.into_iter().zip(others).for_each(|(mine, other)| same_track(film, mine, other));
    }
    assert!(ours["bytes_read"].as_u64().unwrap() <= READ_BYTES_MAX, "{}: {}", film.display(), ours["bytes_read"]);
    ours
}

fn same_track(film: &Path, mine: &Value, other: &Value) {
    let what = format!("{}: {mine} against {other}", film.display());
    assert_eq!(mine["codec"], other["codec_name"], "{what}");
    if let (Some(one), Some(two)) = (mine["profile"].as_str(), other["profile"].as_str()) {
        let bare = two.to_lowercase().replace("profile", "");
        assert_eq!(one.replace('-', " "), bare.trim(), "{what}");
    }
    if mine["kind"] == "audio" {
        assert_eq!(mine["sample_rate"].to_string(), other["sample_rate"].as_str().unwrap(), "{what}");
        assert_eq!(mine["channels"], other["channels"], "{what}");
        return;
    }
    assert_eq!((&mine["width"], &mine["height"]), (&other["width"], &other["height"]), "{what}");
    let aspect = other["sample_aspect_ratio"].as_str().unwrap_or("1:1");
    assert_eq!(mine["pixel_aspect"], aspect, "{what}");
    let (one, two) = (rate(&mine["rate"]), rate(&other["r_frame_rate"]));
    assert_eq!(one.0 * two.1, two.0 * one.1, "{what}");
    let progressive = other["field_order"].as_str().is_none_or(|order| order == "progressive");
    assert_eq!(mine["scan"] == "progressive", progressive, "{what}");
}

#[test]
fn every_container_is_told_of_as_ffprobe_tells() {
    for (name, words, container, slack_ms) in [
        ("probed.mp4", "-c copy", "mp4", 1),
        ("probed.mov", "-c:v libx264 -preset veryfast -profile:v baseline -c:a pcm_s16le", "mov", 1),
        ("probed-fragments.mp4", "-c copy -movflags frag_keyframe+empty_moov", "mp4", 100),
        ("probed.mkv", "-c:v libx265 -preset ultrafast -x265-params log-level=error -c:a flac", "mkv", 1),
        ("probed.webm", "-c:v libvpx-vp9 -cpu-used 8 -deadline realtime -c:a libopus", "webm", 20),
        ("probed.ts", "-c copy", "ts", 40),
        ("probed.mpg", "-c:v mpeg2video -c:a mp2 -f vob", "ps", 60),
        ("probed.avi", "-c:v mpeg4 -c:a libmp3lame", "avi", 30),
        ("probed.flv", "-c:v copy -c:a copy", "flv", 60),
        ("probed.ogg", "-c:v libtheora -c:a libvorbis", "ogg", 60),
        ("probed.wav", "-vn", "wav", 1),
        ("probed.mp3", "-vn -c:a libmp3lame", "mp3", 60),
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let told = agree(&from_plain(name, &words), slack_ms);
        assert_eq!(told["container"], container, "{name}");
        let by = match container {
            "ts" | "ps" => "time-stamps",
            "mp3" => "bit-rate",
            _ => "container",
        };
        assert_eq!(told["duration_by"], by, "{name}");
    }
}

#[test]
fn pictures_are_told_of_to_the_last_detail() {
    let interlaced =
        ["-vf", "setsar=16/15,setfield=tff", "-c:v", "libx264", "-flags", "+ildct", "-x264-params", "tff=1"];
    agree(&from_plain("probed-interlaced.ts", &interlaced), 60);
    let turned = from_plain("portrait.mp4", &["-c", "copy", "-metadata:s:v:0", "rotate=90"]);
    let turn = ffprobe(&turned)["streams"][0]["side_data_list"][0]["rotation"].as_i64().unwrap();
    // ffprobe counts the other way round
    assert_eq!(agree(&turned, 1)["tracks"][0]["rotation"], (-turn).rem_euclid(360));
    let hdr = "hdr10=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:log-level=error:\
               master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400";
    let words = ["-an", "-c:v", "libx265", "-preset", "ultrafast", "-pix_fmt", "yuv420p10le", "-x265-params", hdr];
    for kind in ["mp4", "mkv"] {
        let told = agree(&from_plain(&format!("probed-hdr.{kind}"), &words), 1);
        let video = &told["tracks"][0];
        let colour = serde_json::json!({ "primaries": 9, "transfer": 16, "matrix": 9, "range": "limited" });
        assert_eq!(video["colour"], colour, "{kind}");
        assert_eq!(video["light"], serde_json::json!({ "max_cll": 1000, "max_fall": 400 }), "{kind}");
        assert_eq!(video["mastering"]["primaries"][0], serde_json::json!([34000, 16000]), "{kind}");
        assert_eq!(video["mastering"]["luminance_max"], 10_000_000, "{kind}");
        assert_eq!(video["layout"], "I420_10LE", "{kind}");
    }
}

#[test]
fn tracks_tags_and_chapters_are_told() {
    let home = place::scratch();
    let chapters = home.path().join("chapters.txt");
    let text = ";FFMETADATA1\ntitle=Über\nartist=Wir\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=Eins\n\
                [CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=4000\ntitle=二\n";
    std::fs::write(&chapters, text).unwrap();
    let words = "-map 0:v -map 0:a -map 0:a -map_metadata 1 -map_chapters 1 -c copy -metadata:s:a:0 language=deu \
                 -metadata:s:a:1 language=fra -disposition:a:0 0 -disposition:a:1 default";
    let words: Vec<&str> = ["-i", chapters.to_str().unwrap()].into_iter().chain(words.split(' ')).collect();
    for kind in ["mp4", "mkv"] {
        let told = probe(&from_plain(&format!("probed-tagged.{kind}"), &words));
        assert_eq!((&told["tags"]["title"], &told["tags"]["artist"]), (&"Über".into(), &"Wir".into()), "{kind}");
        let sounds = of_kind(&told["tracks"], ("kind", "audio"));
        let language = |track: &Value| described(track["language"].as_str().unwrap());
        let marks: Vec<(String, bool)> =
            sounds.iter().map(|track| (language(track), track["default"].as_bool().unwrap())).collect();
        assert_eq!(marks, [("de".to_owned(), false), ("fr".to_owned(), true)], "{kind}");
        let parts = told["chapters"].as_array().unwrap().iter();
        let parts: Vec<(i64, i64, &str)> = parts
            .map(|part| {
                let ms = |key: &str| part[key].as_i64().unwrap() / 1_000_000;
                (ms("start_ns"), ms("end_ns"), part["title"].as_str().unwrap())
            })
            .collect();
        assert_eq!(parts, [(0, 1500, "Eins"), (1500, 4000, "二")], "{kind}");
    }
}

fn described(language: &str) -> String {
    match language {
        "de" | "deu" | "ger" => "de".to_owned(),
        "fr" | "fra" | "fre" => "fr".to_owned(),
        other => other.to_owned(),
    }
}

/// Two hours in 4 GiB: tables of megabytes, before or behind the samples.
#[test]
fn a_huge_film_costs_two_mebibytes() {
    let second = clip::kept("tiny-second.mp4", |out| {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=64x36:rate=25:duration=4"]);
        command.args(["-f", "lavfi", "-i", "sine=sample_rate=48000:duration=4", "-c:v", "libx264", "-bf", "3"]);
        make(command.args(["-preset", "veryfast", "-crf", "40", "-c:a", "aac", "-b:a", "16k"]).arg(out)).map(drop)
    });
    for (name, tables) in [("tables-last.mp4", &[][..]), ("tables-first.mp4", &["-movflags", "faststart"])] {
        let film = clip::kept(name, |out| {
            let mut command = Command::new("ffmpeg");
            command.args(["-v", "error", "-stream_loop", "1799", "-i"]).arg(&second).args(["-c", "copy"]);
            make(command.args(tables).arg(out)).map(drop)
        });
        let home = place::scratch();
        let huge = home.path().join(name);
        stretch(&film, &huge);
        let told = agree(&huge, 1);
        assert!(told["size"].as_u64().unwrap() > 4 << 30, "{name}");
        assert_eq!((&told["tracks"][0]["rate"], &told["cut_off"]), (&"25".into(), &Value::Null), "{name}");
    }
}

/// The same film with a hole of 4 GiB at the end of its samples' box.
fn stretch(film: &Path, huge: &Path) {
    let bytes = std::fs::read(film).unwrap();
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 0;
    // ffmpeg leaves an empty box before it, for a longer size
    while &bytes[at + 12..at + 16] != b"mdat" || number(at) != 8 {
        at += number(at);
    }
    let end = at + 8 + number(at + 8);
    let hole_end = end as u64 + (4 << 30);
    let file = File::create(huge).unwrap();
    file.write_all_at(&bytes[..end], 0).unwrap();
    file.write_all_at(&[0, 0, 0, 1, b'm', b'd', b'a', b't'], at as u64).unwrap();
    file.write_all_at(&(hole_end - at as u64).to_be_bytes(), at as u64 + 8).unwrap();
    file.set_len(hole_end).unwrap();
    file.write_all_at(&bytes[end..], hole_end).unwrap();
}

#[test]
fn what_is_no_film_is_refused_with_the_code_of_its_reason() {
    let home = place::scratch();
    let run = |name: &str| {
        let ran = product::run(home.path(), ["probe", name]);
        (ran.code, ran.err)
    };
    std::fs::write(home.path().join("rubbish.mp4"), vec![7_u8; 300_000]).unwrap();
    std::fs::write(home.path().join("list.mp4"), "#EXTM3U\n#EXTINF:1,\n/etc/hostname\n").unwrap();
    for (name, code, words) in [
        ("gone.mov", 66, "does not exist"),
        (".", 66, "is a folder"),
        ("rubbish.mp4", 65, "F101"),
        ("list.mp4", 65, "F101"),
    ] {
        let (found, said) = run(name);
        assert_eq!(found, Some(code), "{name}: {said}");
        assert!(said.contains(words) && said.lines().count() == 1, "{name}: {said}");
    }
}
