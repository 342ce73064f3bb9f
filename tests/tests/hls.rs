//! Packages for players, as ffmpeg plays them: every picture and beep, over every seam, from any of them on.

#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use framefleet_tests::clip::plain;
use framefleet_tests::playlist::{Playlist, attributes, seconds};
use framefleet_tests::{film, oracle, place, product};

/// Plays a playlist to its end: like the film it was made of.
fn plays_like(playlist: &Path, source: &Path) {
    let facts = oracle::read(source).unwrap();
    let kept = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(kept.path(), facts.json()).unwrap();
    oracle::check(playlist, kept.path(), &["--want-audio"]).unwrap();
}

/// The number of the first picture that ffmpeg shows from `at` seconds on.
fn first_from(playlist: &Path, at: f64) -> u64 {
    let folder = place::scratch();
    let cut = folder.path().join("from.nut");
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-ss", &format!("{at:.6}"), "-i"]).arg(playlist);
    command.args(["-map", "0:v", "-an", "-frames:v", "1", "-c:v", "rawvideo"]).arg(&cut);
    film::run(&mut command).unwrap();
    oracle::read(&cut).unwrap().numbers[0].unwrap()
}

#[test]
fn a_package_plays_to_its_end_and_from_every_seam() {
    let (home, source) = (place::scratch(), plain("mp4"));
    let out = home.path().join("index.m3u8");
    let flags = ["--hls-time", "1s", "--segment-duration", "500ms"];
    product::transcode(home.path(), &source, &out, &flags).done().unwrap();
    plays_like(&out, &source);
    let master = Playlist::read(&out);
    let [(_, list)] = &master.entries("#EXT-X-STREAM-INF")[..] else { panic!("{:?}", master.lines) };
    let list_of = Playlist::read(list);
    let segments = list_of.entries("#EXTINF");
    assert_eq!(segments.len(), 4);
    assert_eq!((list_of.tag("#EXT-X-TARGETDURATION"), list_of.tag("#EXT-X-PLAYLIST-TYPE")), (Some("1"), Some("VOD")));
    assert_eq!(list_of.lines.last().map(String::as_str), Some("#EXT-X-ENDLIST"));
    // Not from the very beginning: ffmpeg 5.1 then skips to a later key picture, in playlists of its own as well.
    let mut at = 0.0;
    for ((extinf, _), number) in segments.iter().zip(1..4) {
        at += seconds(extinf);
        assert_eq!(first_from(&out, at), number * 25, "from {at} s");
    }
}

#[test]
fn a_ladder_is_aligned_and_its_master_tells_the_truth() {
    let (home, source) = (place::scratch(), plain("mkv"));
    let job = home.path().join("job.yaml");
    let text = "version: 1\nsource: SRC\noutputs:\n  - to: out.m3u8\n    video: { preset: ultrafast, crf: 30 }\n    \
        hls: { time: 1.5s, segment: ts }\n    ladder: [ { size: 320x180 }, { size: 160x90, crf: 33 }, { size: 640x360 } ]\n";
    std::fs::write(&job, text.replace("SRC", source.to_str().unwrap())).unwrap();
    let ran = product::run(home.path(), ["transcode", "--job", "job.yaml", "-o", "json"]).done().unwrap();
    assert_eq!(ran.json()["outputs"][0]["pictures"], 100);
    let out = home.path().join("out.m3u8");
    let variants = Playlist::read(&out).entries("#EXT-X-STREAM-INF");
    let sizes: Vec<String> = variants.iter().map(|(list, _)| attributes(list)["RESOLUTION"].clone()).collect();
    assert_eq!(sizes, ["320x180", "160x90"], "a rung above the source is left out");
    let mut starts = Vec::new();
    for (list, path) in &variants {
        let told = attributes(list);
        assert!(told["CODECS"].starts_with("avc1.42c0") && told["CODECS"].ends_with(",mp4a.40.2"), "{told:?}");
        assert_eq!(told["FRAME-RATE"], "25.000");
        let segments = Playlist::read(path).entries("#EXTINF");
        let bits = |path: &Path| std::fs::metadata(path).unwrap().len() as f64 * 8.0;
        let total: f64 = segments.iter().map(|(_, file)| bits(file)).sum();
        let length: f64 = segments.iter().map(|(extinf, _)| seconds(extinf)).sum();
        let average: f64 = told["AVERAGE-BANDWIDTH"].parse().unwrap();
        assert!((average - total / length).abs() <= 1.0, "{average} is not {}", total / length);
        // The last segment is a second long, and counts alone: no less than half the target of 2 s.
        let rates = segments.iter().map(|(extinf, file)| bits(file) / seconds(extinf));
        let peak = rates.fold(0.0, f64::max);
        assert!(told["BANDWIDTH"].parse::<f64>().unwrap() >= peak - 1.0);
        starts.push(segments.iter().map(|(_, file)| first_pts(file)).collect::<Vec<_>>());
        plays_like(path, &source);
    }
    assert_eq!(starts[0], starts[1], "segments of all variants begin at the same times");
}

/// The earliest picture of a segment on its own clock; every segment opens by itself.
fn first_pts(segment: &Path) -> String {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts,flags", "-of", "csv=p=0"]);
    let told = String::from_utf8(film::run(command.arg(segment)).unwrap()).unwrap();
    let first = told.lines().next().unwrap();
    assert!(first.contains('K'), "{first}");
    first.split(',').next().unwrap().to_owned()
}

#[test]
fn any_number_of_workers_makes_the_same_package_but_for_its_folders_name() {
    let source = plain("mp4");
    let make = |workers: &str| {
        let home = place::scratch();
        let out = home.path().join("index.m3u8");
        let flags = ["--hls-time", "1s", "--ladder", "auto", "--workers", workers];
        product::transcode(home.path(), &source, &out, &flags).done().unwrap();
        let mut files = BTreeMap::new();
        let folders = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path());
        let folder = folders.filter(|path| path.to_string_lossy().contains("index-")).collect::<Vec<_>>();
        assert_eq!(folder.len(), 1, "{folder:?}");
        for file in std::fs::read_dir(&folder[0]).unwrap().map(|entry| entry.unwrap()) {
            files.insert(file.file_name(), std::fs::read(file.path()).unwrap());
        }
        let name = folder[0].file_name().unwrap().to_str().unwrap().to_owned();
        (files, std::fs::read_to_string(&out).unwrap().replace(&name, "FOLDER"))
    };
    assert_eq!(make("1"), make("3"));
}
