//! Packages of fragmented MP4, by HLS and by DASH, as ffmpeg and GStreamer play them, and the lists of key pictures of all.

#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_tests::clip::{numbered, plain};
use framefleet_tests::playlist::{Playlist, attributes, seconds};
use framefleet_tests::{film, oracle, place, product};

/// Key pictures of the packages made here stand a second apart.
const FLAGS: [&str; 4] = ["--hls-time", "1s", "--segment-duration", "500ms"];

fn package(home: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let out = home.join(name);
    product::transcode(home, &plain("mp4"), &out, &[&FLAGS, flags].concat()).done().unwrap();
    out
}

/// Plays to its end: like the film it was made of.
fn plays_like(out: &Path, source: &Path) {
    let facts = oracle::read(source).unwrap();
    let kept = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kept.path(), facts.json()).unwrap();
    oracle::check(out, kept.path(), &["--want-audio"]).unwrap();
}

/// The number of the first picture that ffmpeg shows from `at` seconds on.
fn first_from(out: &Path, at: f64) -> u64 {
    let folder = place::scratch();
    let cut = folder.path().join("from.nut");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-ss", &format!("{at:.6}"), "-i"]).arg(out);
    command.args(["-map", "0:v", "-an", "-frames:v", "1", "-c:v", "rawvideo"]).arg(&cut);
    film::run(&mut command).unwrap();
    oracle::read(&cut).unwrap().numbers[0].unwrap()
}

/// What GStreamer's demuxers give of it, every picture and beep at its time: noted down without loss.
fn plays_in_gstreamer(out: &Path) {
    let folder = place::scratch();
    let noted = folder.path().join("noted.mkv");
    let (uri, location) = (format!("uri=file://{}", out.display()), format!("location={}", noted.display()));
    let mut command = Command::new("timeout");
    command.args(["120", "gst-launch-1.0", "-q", "matroskamux", "name=noted", "!", "filesink", &location]);
    command.args(["uridecodebin", &uri, "name=film", "film.", "!", "queue", "!", "videoconvert", "!", "avenc_ffv1"]);
    command.args(["!", "noted.", "film.", "!", "queue", "!", "audioconvert", "!", "audio/x-raw,format=S16LE"]);
    film::run(command.args(["!", "noted."])).unwrap();
    plays_like(&noted, &plain("mp4"));
}

#[test]
fn hls_of_fragments_plays_to_its_end_and_from_every_seam() {
    let home = place::scratch();
    let out = package(home.path(), "index.m3u8", &["--hls-segment", "fmp4"]);
    plays_like(&out, &plain("mp4"));
    plays_in_gstreamer(&out);
    let master = Playlist::read(&out);
    assert_eq!(master.tag("#EXT-X-VERSION"), Some("7"));
    let group = attributes(master.tag("#EXT-X-MEDIA").unwrap());
    assert_eq!((group["TYPE"].as_str(), group["DEFAULT"].as_str(), group["CHANNELS"].as_str()), ("AUDIO", "YES", "1"));
    let [(told, list)] = &master.entries("#EXT-X-STREAM-INF")[..] else { panic!("{:?}", master.lines) };
    assert_eq!(attributes(told)["AUDIO"], group["GROUP-ID"]);
    let (pictures, sound) = (Playlist::read(list), Playlist::read(&master.folder.join(&group["URI"])));
    for list in [&pictures, &sound] {
        let segments = list.entries("#EXTINF");
        assert_eq!((segments.len(), list.tag("#EXT-X-VERSION")), (4, Some("7")));
        let map = attributes(list.tag("#EXT-X-MAP").unwrap());
        // Each segment opens behind the movie box alone.
        for (_, segment) in &segments {
            let file = joined(home.path(), &[list.folder.join(&map["URI"]), segment.clone()]);
            let show = ["-v", "error", "-show_entries", "packet=flags", "-of", "csv=p=0"];
            let told = film::run(Command::new("ffprobe").args(show).arg(file)).unwrap();
            assert!(String::from_utf8(told).unwrap().starts_with('K'), "{}", segment.display());
        }
    }
    // ffmpeg 5.1 reads garbage after a seek in any HLS of fragments, its own as well: it is let begin at each seam instead.
    for number in 1..4 {
        assert_eq!(first_of(&pictures, number), number as u64 * 25, "from segment {number} on");
    }
    let length = |list: &Playlist| list.tags("#EXTINF").map(seconds).sum::<f64>();
    assert!((length(&pictures) - 4.0).abs() < 1e-6, "{}", length(&pictures));
    // Sound is cut at the unit that begins nearest: half a unit off at most.
    let cuts = sound.tags("#EXTINF").scan(-1024.0 / 48_000.0, |at, extinf| {
        *at += seconds(extinf);
        Some(*at)
    });
    for (at, due) in cuts.zip([1.0, 2.0, 3.0]) {
        assert!((at - due).abs() <= 512.0 / 48_000.0 + 1e-5, "sound is cut at {at} for {due}");
    }
}

/// The number of the first picture of a list without its first segments.
fn first_of(list: &Playlist, segments: usize) -> u64 {
    let map = attributes(list.tag("#EXT-X-MAP").unwrap());
    let mut text = format!("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI=\"{}\"\n", map["URI"]);
    for (extinf, file) in &list.entries("#EXTINF")[segments..] {
        text.push_str(&format!("#EXTINF:{extinf}\n{}\n", file.display()));
    }
    let out = list.folder.join("from.m3u8");
    std::fs::write(&out, text + "#EXT-X-ENDLIST\n").unwrap();
    oracle::read(&out).unwrap().numbers[0].unwrap()
}

/// Files one behind the other.
fn joined(folder: &Path, files: &[PathBuf]) -> PathBuf {
    let bytes: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    let out = folder.join("joined.mp4");
    std::fs::write(&out, bytes).unwrap();
    out
}

#[test]
fn variants_are_told_with_the_sound_that_goes_with_them() {
    let (home, source) = (place::scratch(), plain("mkv"));
    let text = "version: 1\nsource: SRC\noutputs:\n  - to: out.m3u8\n    video: { codec: hevc, preset: ultrafast }\n    \
        hls: { time: 2s, segment: fmp4 }\n    ladder: [ { size: 320x180 }, { size: 160x90, crf: 33 } ]\n  \
        - to: out.mpd\n    video: { codec: hevc, preset: ultrafast }\n    dash: { time: 2s }\n";
    std::fs::write(home.path().join("job.yaml"), text.replace("SRC", source.to_str().unwrap())).unwrap();
    product::run(home.path(), ["transcode", "--job", "job.yaml"]).done().unwrap();
    let master = Playlist::read(&home.path().join("out.m3u8"));
    let size = |path: &Path| std::fs::metadata(path).unwrap().len() as f64 * 8.0;
    let rates = |list: &Playlist| {
        let files: Vec<(f64, f64)> =
            list.entries("#EXTINF").iter().map(|(extinf, file)| (seconds(extinf), size(file))).collect();
        let (length, bits) = files.iter().fold((0.0, 0.0), |sum, file| (sum.0 + file.0, sum.1 + file.1));
        (files.iter().map(|(length, bits)| bits / length).fold(0.0, f64::max), bits / length)
    };
    let group = attributes(master.tag("#EXT-X-MEDIA").unwrap());
    let heard = rates(&Playlist::read(&master.folder.join(&group["URI"])));
    let variants = master.entries("#EXT-X-STREAM-INF");
    let sizes: Vec<String> = variants.iter().map(|(told, _)| attributes(told)["RESOLUTION"].clone()).collect();
    assert_eq!(sizes, ["320x180", "160x90"]);
    for (told, list) in &variants {
        let told = attributes(told);
        assert!(told["CODECS"].starts_with("hvc1.1.6.L") && told["CODECS"].ends_with(",mp4a.40.2"), "{told:?}");
        assert_eq!(told["FRAME-RATE"], "25.000");
        let (peak, average) = rates(&Playlist::read(list));
        let said = |key: &str| told[key].parse::<f64>().unwrap();
        assert!((said("BANDWIDTH") - peak - heard.0).abs() <= 3.0, "{told:?}: {peak} and {}", heard.0);
        assert!((said("AVERAGE-BANDWIDTH") - average - heard.1).abs() <= 3.0, "{told:?}: {average} and {}", heard.1);
        plays_like(&list_with_sound(home.path(), list, &master.folder.join(&group["URI"])), &source);
    }
    plays_like(&home.path().join("out.mpd"), &source);
}

/// One variant as a master of its own.
fn list_with_sound(folder: &Path, list: &Path, sound: &Path) -> PathBuf {
    let text = format!(
        "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"a\",DEFAULT=YES,URI=\"{}\"\n\
         #EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\n{}\n",
        sound.display(),
        list.display()
    );
    let out = folder.join("one.m3u8");
    std::fs::write(&out, text).unwrap();
    out
}

#[test]
fn dash_plays_to_its_end_and_its_timeline_is_exact() {
    let home = place::scratch();
    let out = package(home.path(), "film.mpd", &["--ladder", "auto"]);
    plays_like(&out, &plain("mp4"));
    plays_in_gstreamer(&out);
    for number in 1..4 {
        assert_eq!(first_from(&out, number as f64), number * 25, "from {number} s");
    }
    let text = std::fs::read_to_string(&out).unwrap();
    let of =
        |name: &str| text.split(&format!(" {name}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let all = |name: &str| -> Vec<&str> { of(name) };
    assert_eq!((all("type"), all("mediaPresentationDuration")), (vec!["static"], vec!["PT4.000000S"]));
    assert_eq!((all("frameRate"), all("sar"), all("audioSamplingRate")), (vec!["25"], vec!["1:1"], vec!["48000"]));
    // Pictures: four seconds of 10 000 ticks each, from ten seconds on.
    assert_eq!((all("timescale")[0], all("presentationTimeOffset")[0]), ("10000", "100000"));
    assert!(text.contains("<S t=\"100000\" d=\"10000\" r=\"3\"/>"), "{text}");
    // Sound: in units of 1024, the first of which is priming.
    assert!(text.contains(&format!("<S t=\"{}\"", 480_000 - 1024)), "{text}");
}

#[test]
fn ac3_goes_into_fragments() {
    let home = place::scratch();
    let out = package(home.path(), "a.mpd", &["--audio-codec", "ac3"]);
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(text.contains("codecs=\"ac-3\""), "{text}");
    plays_like(&out, &plain("mp4"));
}

#[test]
fn transport_streams_play_in_gstreamer() {
    let home = place::scratch();
    plays_in_gstreamer(&package(home.path(), "index.m3u8", &[]));
}

/// Each range of a list of key pictures is one picture, the one that the source shows at that time.
fn key_pictures_stand_alone(kind: &str) {
    // Two key pictures a segment.
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 25";
    let source = numbered("keys.mp4", &["--seconds", "6", "--fps", "25", "--vargs", coding]);
    let home = place::scratch();
    let out = home.path().join("index.m3u8");
    let flags = ["--hls-time", "2s", "--hls-segment", kind, "--keyframe-interval", "1s"];
    product::transcode(home.path(), &source, &out, &flags).done().unwrap();
    let master = Playlist::read(&out);
    let told = attributes(master.tag("#EXT-X-I-FRAME-STREAM-INF").unwrap());
    let list = Playlist::read(&master.folder.join(&told["URI"]));
    assert!(list.lines.iter().any(|line| line == "#EXT-X-I-FRAMES-ONLY"));
    let init = list.tag("#EXT-X-MAP").map(|map| std::fs::read(list.folder.join(&attributes(map)["URI"])).unwrap());
    let ranges = list.entries("#EXT-X-BYTERANGE");
    let lengths: Vec<f64> = list.tags("#EXTINF").map(seconds).collect();
    assert_eq!((ranges.len(), lengths.len(), lengths.iter().sum::<f64>()), (6, 6, 6.0));
    let (mut at, mut bits, mut peak) = (0.0, 0.0, 0.0_f64);
    for ((range, file), length) in ranges.iter().zip(&lengths) {
        let (size, offset) = range.split_once('@').unwrap();
        let (size, offset) = (size.parse::<usize>().unwrap(), offset.parse::<usize>().unwrap());
        let part = std::fs::read(file).unwrap()[offset..offset + size].to_vec();
        let alone = home.path().join("alone.bin");
        std::fs::write(&alone, [init.clone().unwrap_or_default(), part].concat()).unwrap();
        let shown = oracle::read(&alone).unwrap();
        assert_eq!(shown.numbers, [Some((at * 25.0_f64).round() as u64)], "{range} of {}", file.display());
        assert!(shown.errors.is_empty(), "{:?}", shown.errors);
        (at, bits) = (at + length, bits + size as f64 * 8.0);
        peak = peak.max(size as f64 * 8.0 / length);
    }
    let said = |key: &str| told[key].parse::<f64>().unwrap();
    assert!(
        (said("AVERAGE-BANDWIDTH") - bits / 6.0).abs() <= 1.0 && (said("BANDWIDTH") - peak).abs() <= 1.0,
        "{told:?}"
    );
    assert!(told["CODECS"].starts_with("avc1.") && !told["CODECS"].contains(','), "{told:?}");
}

#[test]
fn key_pictures_of_fragments_stand_alone() {
    key_pictures_stand_alone("fmp4");
}

#[test]
fn key_pictures_of_transport_streams_stand_alone() {
    key_pictures_stand_alone("ts");
}

#[test]
fn any_number_of_workers_makes_the_same_package_but_for_its_folders_name() {
    let make = |workers: &str| {
        let home = place::scratch();
        let out = package(home.path(), "film.mpd", &["--workers", workers]);
        let folders = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path());
        let folder = folders.filter(|path| path.to_string_lossy().contains("film-")).collect::<Vec<_>>();
        assert_eq!(folder.len(), 1, "{folder:?}");
        let files = std::fs::read_dir(&folder[0]).unwrap().map(|entry| entry.unwrap());
        let files: BTreeMap<_, _> = files.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect();
        let name = folder[0].file_name().unwrap().to_str().unwrap().to_owned();
        (files, std::fs::read_to_string(&out).unwrap().replace(&name, "FOLDER"))
    };
    assert_eq!(make("1"), make("3"));
}
