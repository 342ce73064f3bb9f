//! The fast index is the pass index, wherever a film takes it.

#![allow(unreachable_pub, reason = "the module of films is shared between test programs")]
#![allow(clippy::unwrap_used, reason = "a test may")]

#[allow(dead_code, reason = "each test program uses its part")]
mod film;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use film::{ffmpeg, packets, run};
use framefleet_media::bitstream::Rules;
use framefleet_media::isobmff::reader::{FastTables, Presented, Refusal};
use framefleet_media::read_at::ReadAt;
use framefleet_model::index::Unit;
use framefleet_model::time::MediaTime;
use gst::prelude::*;

const SOURCE: [&str; 8] =
    ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000"];

fn plainly(path: &Path) -> Presented {
    Presented::plainly(Arc::new(File::open(path).expect("the film is there"))).expect("a file can be read")
}

fn fast(path: &Path) -> Result<FastTables, Refusal> {
    plainly(path).tables()
}

/// The units that the demuxer and the parser give in one pass, their bytes unread.
fn passed(path: &Path) -> Vec<Unit> {
    gst::init().expect("GStreamer is installed");
    let make = |factory: &str| gst::ElementFactory::make(factory).build().expect("GStreamer's good plugins are there");
    let pipeline = gst::Pipeline::new();
    let (source, demux) = (make("filesrc"), make("qtdemux"));
    source.set_property("location", path.to_str().expect("names of test films are UTF-8"));
    pipeline.add_many([&source, &demux]).expect("the elements are new");
    source.link(&demux).expect("a source links to a demuxer");
    let units = Arc::new(Mutex::new(Vec::new()));
    let (weak, heard) = (pipeline.downgrade(), units.clone());
    demux.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().expect("the demuxer sets caps first");
        let parser = match caps.structure(0).map(|s| s.name().as_str()) {
            Some("video/x-h264") => make("h264parse"),
            Some("video/x-h265") => make("h265parse"),
            _ => return,
        };
        let sink = make("fakesink");
        sink.set_property("sync", false);
        sink.set_property("async", false);
        let pipeline = weak.upgrade().expect("pads come while the pipeline runs");
        pipeline.add_many([&parser, &sink]).expect("the elements are new");
        parser.link(&sink).expect("a parser links to a sink");
        listen(&parser.static_pad("src").expect("a parser has one"), heard.clone());
        sink.sync_state_with_parent().expect("the pipeline runs");
        parser.sync_state_with_parent().expect("the pipeline runs");
        pad.link(&parser.static_pad("sink").expect("a parser has one")).expect("the parser was chosen for these caps");
    });
    pipeline.set_state(gst::State::Playing).expect("the pipeline starts");
    let bus = pipeline.bus().expect("a pipeline has one");
    let wanted = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &wanted).expect("a minute is enough");
    pipeline.set_state(gst::State::Null).expect("a pipeline stops");
    assert_eq!(end.type_(), gst::MessageType::Eos, "{path:?}: {end:?}");
    let units = units.lock().expect("no listener panicked");
    units.clone()
}

/// Parsers tell a duration from the nominal rate, which is not the film's: it is left out.
fn listen(pad: &gst::Pad, units: Arc<Mutex<Vec<Unit>>>) {
    let rules = Mutex::new(None);
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let segment = pad.sticky_event::<gst::event::Segment>(0).expect("a segment comes before buffers");
        let segment = segment.segment().downcast_ref::<gst::format::Time>().expect("a demuxer tells time").clone();
        let running = |time: Option<gst::ClockTime>| {
            segment.to_running_time_full(time).map(|signed| match signed {
                gst::Signed::Positive(t) => MediaTime(t.nseconds().cast_signed()),
                gst::Signed::Negative(t) => MediaTime(-t.nseconds().cast_signed()),
            })
        };
        if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data {
            let bytes = buffer.map_readable().expect("a buffer can be read");
            let mut rules = rules.lock().expect("no listener panicked");
            let verdict =
                rules.get_or_insert_with(|| rules_of(pad)).judge(&bytes).expect("a plain film has no odd unit");
            units.lock().expect("no listener panicked").push(Unit {
                pts: running(buffer.pts()),
                dts: running(buffer.dts()),
                duration: None,
                size: u32::try_from(buffer.size()).expect("units are small"),
                key: verdict.key,
                shows: verdict.shows,
                hash: 0,
                offset: None,
            });
        }
        gst::PadProbeReturn::Ok
    });
}

fn rules_of(pad: &gst::Pad) -> Rules {
    let caps = pad.current_caps().expect("caps come before buffers");
    let structure = caps.structure(0).expect("caps are fixed");
    let codec_data = structure.get::<gst::Buffer>("codec_data").ok();
    let codec_data = codec_data.as_ref().map(|data| data.map_readable().expect("a buffer can be read"));
    Rules::for_codec(structure.name(), codec_data.as_deref()).expect("these codecs have rules")
}

/// The film as every demuxer in the child reads it.
fn presented(path: &Path, folder: &Path) -> PathBuf {
    let film = plainly(path);
    let size = usize::try_from(film.size()).expect("test films are small");
    let copy = folder.join("presented");
    std::fs::write(&copy, film.read_exact_at(0, size).expect("a file can be read")).expect("the folder can be written");
    copy
}

/// The first difference between both indexes, for people.
fn difference(path: &Path, tables: &FastTables) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder for the film");
    let pass = passed(&presented(path, folder.path()));
    let fast: Vec<Unit> =
        tables.video.units.iter().map(|unit| Unit { offset: None, duration: None, ..*unit }).collect();
    if let Some(at) = fast.iter().zip(&pass).position(|(fast, pass)| fast != pass) {
        return Some(format!("unit {at} of {}:\n  fast {:?}\n  pass {:?}", pass.len(), fast[at], pass[at]));
    }
    (fast.len() != pass.len()).then(|| format!("{} units, not {}", fast.len(), pass.len()))
}

fn made(folder: &Path, name: &str, args: &[&str]) -> PathBuf {
    let sound = ["-c:a", "aac", "-pix_fmt", "yuv420p", "-t", "4"];
    ffmpeg(&[&SOURCE[..], &sound, args].concat(), &folder.join(name))
}

#[test]
fn plain_films_have_the_times_of_the_pass() {
    let x264 = ["-c:v", "libx264", "-preset", "veryfast", "-g", "30"];
    let x265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=30:open-gop=0"];
    let kinds: [(&str, &[&str], &[&str]); 9] = [
        ("plain.mp4", &x264, &[]),
        ("front.mp4", &x264, &["-movflags", "+faststart", "-bf", "3"]),
        ("ntsc.mov", &x264, &["-r", "30000/1001"]),
        ("film.mp4", &x264, &["-r", "24000/1001", "-video_track_timescale", "1000"]),
        ("variable.mp4", &x264, &["-vf", "select='not(eq(mod(n\\,7)\\,3))'", "-vsync", "vfr"]),
        ("negative.mp4", &x264, &["-movflags", "+negative_cts_offsets"]),
        ("unedited.mp4", &x264, &["-use_editlist", "0"]),
        ("later.mp4", &x264, &["-output_ts_offset", "1.7"]),
        ("hevc.mp4", &x265, &["-tag:v", "hvc1"]),
    ];
    let folder = tempfile::tempdir().expect("a folder for films");
    for (name, codec, args) in kinds {
        let path = made(folder.path(), name, &[codec, args].concat());
        let tables = fast(&path).unwrap_or_else(|refusal| panic!("{name} is plain: {refusal}"));
        assert_eq!(difference(&path, &tables), None, "{name}");
    }
}

/// The ways in which ffmpeg writes fragments.
const FRAGMENTS: [(&str, &str); 10] = [
    ("keys", "+frag_keyframe"),
    ("empty", "+frag_keyframe+empty_moov"),
    ("delayed", "+frag_keyframe+delay_moov"),
    ("pictures", "+frag_every_frame+empty_moov+default_base_moof"),
    ("separate", "+frag_keyframe+empty_moov+separate_moof+delay_moov"),
    ("base", "+frag_keyframe+default_base_moof+delay_moov"),
    ("omitted", "+frag_keyframe+omit_tfhd_offset+delay_moov"),
    ("negative", "+frag_keyframe+negative_cts_offsets+delay_moov"),
    ("cmaf", "+frag_keyframe+cmaf+delay_moov"),
    ("dash", "+frag_keyframe+dash+delay_moov"),
];

/// Fragments of a film, copied: the units, their places and times are those that ffprobe tells, and those of a pass.
#[test]
fn films_in_fragments_have_the_units_that_ffmpeg_reads() {
    let folder = tempfile::tempdir().expect("a folder for films");
    let x264 = ["-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-bf", "3"];
    let x265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:keyint=30:open-gop=0"];
    for (name, codec) in [("h264.mp4", &x264[..]), ("hevc.mp4", &[&x265[..], &["-tag:v", "hvc1"]].concat())] {
        let whole = made(folder.path(), name, codec);
        let whole = whole.to_str().expect("UTF-8");
        for (kind, flags) in FRAGMENTS {
            let path = folder.path().join(format!("{kind}-{name}"));
            ffmpeg(&["-i", whole, "-c", "copy", "-movflags", flags, "-frag_duration", "900000"], &path);
            let tables = fast(&path).unwrap_or_else(|refusal| panic!("{kind} {name} can be told: {refusal}"));
            assert_eq!(difference(&path, &tables), None, "{kind} {name}");
            let told = packets(&path, "v");
            assert_eq!(tables.video.units.len(), told.len(), "{kind} {name}");
            // Where offsets are negative, ffmpeg moves all pictures until none is.
            let moved = if ["negative", "cmaf"].contains(&kind) { told[0].pts } else { 0.0 };
            for (unit, packet) in tables.video.units.iter().zip(&told) {
                let pts = unit.pts.expect("tables time every unit").ns() as f64 / 1e9;
                assert!((pts + moved - packet.pts).abs() < 2e-6, "{kind} {name}: {unit:?} is {packet:?}");
                let place = (unit.offset, unit.size as usize, unit.is_key());
                assert_eq!(place, (Some(packet.pos as u64), packet.size, packet.key), "{kind} {name}");
            }
            let sounds = packets(&path, "a");
            // The first packet may last longer than its samples do: what comes behind it stands where it should.
            let (begin, last) = (sounds[0].pts, sounds[sounds.len() - 1].pts);
            let span = tables.audio[0].span;
            let (start, end) = (span.start.ns() as f64 / 1e9, span.end.ns() as f64 / 1e9);
            assert!((start - begin).abs() < 2e-6, "{kind} {name}: {span:?}, not from {begin}");
            let unit = 1024.0 / 48_000.0;
            assert!(end > last && end < last + unit + 1e-3, "{kind} {name}: {span:?}, the last unit is at {last}");
        }
    }
}

/// What is decoded after an edit's end may be shown before it: no unit is missing, and the end is told.
#[test]
fn an_edit_ends_by_the_times_of_display() {
    let folder = tempfile::tempdir().expect("a folder for films");
    let whole = made(folder.path(), "whole.mp4", &["-c:v", "libx264", "-g", "30", "-bf", "3"]);
    let cut = folder.path().join("cut.mp4");
    let (from, to) = (whole.to_str().expect("UTF-8"), cut.to_str().expect("UTF-8"));
    run("ffmpeg", &["-ss", "0.72", "-i", from, "-t", "2", "-c", "copy", to]);
    let tables = fast(&cut).expect("it is plain");
    assert_eq!(difference(&cut, &tables), None);
    let film = plainly(&cut);
    let end = film.end_of(&tables.video.id).expect("it has an edit list");
    let shown = tables.video.units.iter().filter_map(|unit| unit.pts);
    let shown = shown.filter(|pts| (MediaTime::ZERO..end).contains(pts)).count();
    let probe = ["-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames"];
    let told = Command::new("ffprobe").args(probe).args(["-of", "csv=p=0"]).arg(&cut).output().expect("ffprobe starts");
    let told = String::from_utf8_lossy(&told.stdout).trim_end_matches([',', '\n']).to_owned();
    assert_eq!(shown.to_string(), told, "the film ends at {end}");
    assert!(shown < tables.video.units.len(), "the edit hides nothing, so this shows nothing");
}

#[test]
fn odd_films_take_the_pass() {
    let x264 = ["-c:v", "libx264", "-preset", "veryfast", "-g", "30"];
    let kinds: [(&str, &[&str], &str); 3] = [
        ("fields.mp4", &["-x264opts", "tff=1", "-flags", "+ilme+ildct"], "fields"),
        ("mpeg4.mp4", &["-c:v", "mpeg4"], "mp4v"),
        (
            "encrypted.mp4",
            &[
                "-encryption_scheme",
                "cenc-aes-ctr",
                "-encryption_key",
                "76a6c65c5ea762046bd749a2e632ccbb",
                "-encryption_kid",
                "a7e61c373e219033c21091fa607bf3b8",
            ],
            "encrypted",
        ),
    ];
    let folder = tempfile::tempdir().expect("a folder for films");
    for (name, args, reason) in kinds {
        let path = made(folder.path(), name, &[&x264[..], args].concat());
        let refusal = fast(&path).map(|_| ()).expect_err(name).to_string();
        assert!(refusal.contains(reason), "{name}: {refusal}");
    }
}

#[test]
fn tags_and_chapters_are_read() {
    let folder = tempfile::tempdir().expect("a folder for films");
    let notes = folder.path().join("notes");
    let text = ";FFMETADATA1\ntitle=Größe\ncreation_time=2023-11-14T22:13:20Z\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\n\
        END=1500\ntitle=eins\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=4000\ntitle=zwei\n";
    std::fs::write(&notes, text).expect("the folder can be written");
    let plain = made(folder.path(), "plain.mp4", &["-c:v", "libx264", "-metadata:s:a:0", "language=spa"]);
    for name in ["tagged.mp4", "tagged.mov"] {
        let path = folder.path().join(name);
        let (from, notes) = (plain.to_str().expect("UTF-8"), notes.to_str().expect("UTF-8"));
        run("ffmpeg", &["-i", from, "-i", notes, "-map_metadata", "1", "-c", "copy", path.to_str().expect("UTF-8")]);
        let tables = fast(&path).expect("it is plain");
        assert_eq!(tables.tags.title.as_deref(), Some("Größe"), "{name}");
        assert_eq!(tables.tags.created_unix, Some(1_700_000_000), "{name}");
        let told: Vec<(i64, i64, &str)> = tables
            .chapters
            .iter()
            .map(|c| (c.start.ns() / 1_000_000, c.end.ns() / 1_000_000, c.title.as_str()))
            .collect();
        assert_eq!(told, [(0, 1500, "eins"), (1500, 4000, "zwei")], "{name}");
        let audio = &tables.audio[0];
        assert_eq!((audio.language.as_deref(), audio.sound.format.rate), (Some("spa"), 48_000), "{name}");
    }
}

/// Films whose own bits deny what their tables say, which only a decoder finds out, or the demuxer does.
const APART: [(&str, &str); 3] = [
    ("firefox-esr__bipbop-no-edts.mp4", "its last unit lasts no time, and the demuxer leaves it out"),
    ("decord__corrupted.mp4", "unit 30 holds no slice"),
    ("firefox-esr__1859384.mp4", "a fuzzer's HEVC, of which nothing decodes"),
];

/// The films of `FRAMEFLEET_CORPUS`, where it is set; which qualify, and which do not and why, is printed.
#[test]
fn films_of_the_corpus_have_the_times_of_the_pass() {
    let Some(corpus) = std::env::var_os("FRAMEFLEET_CORPUS").map(PathBuf::from) else {
        println!("FRAMEFLEET_CORPUS is not set: no corpus is part of this run");
        return;
    };
    let entries = std::fs::read_dir(corpus.join("media")).expect("FRAMEFLEET_CORPUS has a folder media");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| ["mp4", "mov", "m4v", "MOV", "MP4"].iter().any(|m| e == *m)));
    paths.sort();
    let mut wrong = Vec::new();
    for path in paths {
        let name = path.file_name().expect("a file has one").to_string_lossy().into_owned();
        match fast(&path) {
            Ok(tables) => {
                println!("fast  {name}: {} units", tables.video.units.len());
                match (difference(&path, &tables), APART.iter().find(|(apart, _)| *apart == name)) {
                    (Some(difference), None) => wrong.push(format!("{name}: {difference}")),
                    (None, Some((_, reason))) => wrong.push(format!("{name} is the same, although {reason}")),
                    (Some(_), Some(_)) | (None, None) => {}
                }
            }
            Err(refusal) => println!("pass  {name}: {refusal}"),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
