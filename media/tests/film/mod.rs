//! Coded films for muxers and readers, made by ffmpeg and read by ffprobe, which must be installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use framefleet_media::muxing::{Audio, Film, Muxer, Picture, SoundUnits, Track, Video};
use framefleet_model::id::Digest;
use framefleet_model::index::Key;
use framefleet_model::media::{AudioCodec, AudioFormat, Colour, Geometry, Orientation, Tags, VideoCodec};
use framefleet_model::probe::Shown;
use framefleet_model::time::{MediaTime, Rational};

/// One unit as ffprobe lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Packet {
    pub pts: f64,
    pub dts: f64,
    pub size: usize,
    pub pos: usize,
    pub key: bool,
}

/// A film's coded units, with what a muxer must be told of them.
pub struct Coded {
    pub film: Film,
    pub pictures: Vec<(Vec<u8>, MediaTime, Key)>,
    pub sounds: Vec<Vec<u8>>,
}

/// Runs a command of ffmpeg's that must succeed and say nothing; gives what it prints.
pub fn run(program: &str, args: &[&str]) -> String {
    let done = Command::new(program).args(["-v", "error"]).args(args).output();
    let done = done.unwrap_or_else(|e| panic!("{program} must be installed: {e}"));
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && complaint.is_empty(), "{program} {args:?}: {complaint}");
    String::from_utf8_lossy(&done.stdout).into_owned()
}

pub fn ffmpeg(args: &[&str], out: &Path) -> PathBuf {
    run("ffmpeg", &[args, &["-y", out.to_str().unwrap()]].concat());
    out.to_owned()
}

/// Lines of `key=value` values that ffprobe gives for the wanted entries.
pub fn probe(path: &Path, args: &[&str]) -> Vec<String> {
    let text = run("ffprobe", &[args, &["-of", "csv=p=0", path.to_str().unwrap()]].concat());
    text.lines().map(|line| line.trim_end_matches(',').to_owned()).filter(|line| !line.is_empty()).collect()
}

pub fn packets(path: &Path, stream: &str) -> Vec<Packet> {
    let entries = "packet=pts_time,dts_time,size,pos,flags";
    let lines = probe(path, &["-select_streams", stream, "-show_entries", entries]);
    let parse = |line: &String| {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |at: usize| cells[at].parse::<f64>().unwrap_or(f64::NAN);
        let whole = |at: usize| cells[at].parse::<usize>().unwrap_or(usize::MAX);
        Packet { pts: number(0), dts: number(1), size: whole(2), pos: whole(3), key: cells[4].starts_with('K') }
    };
    lines.iter().map(parse).collect()
}

/// A clip of 320×180 with a tone, 25 pictures a second unless `video` says otherwise; AAC at 48 kHz.
pub fn clip(folder: &Path, video: &[&str], seconds: &str) -> PathBuf {
    let source = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x180:rate=25",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=48000",
    ];
    let rest = ["-t", seconds, "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2", "-flags", "+bitexact"];
    ffmpeg(&[&source[..], &rest, video].concat(), &folder.join("clip.mp4"))
}

/// Takes a clip of constant rate apart; its sound begins at zero, after ffmpeg's 1024 samples of priming.
pub fn take_apart(path: &Path, codec: VideoCodec, rate: Rational) -> Coded {
    let bytes = std::fs::read(path).unwrap();
    let unit = |packet: &Packet| bytes[packet.pos..packet.pos + packet.size].to_vec();
    let video = packets(path, "v");
    let nearest = |pts: f64| rate.time_of((pts * f64::from(rate.num()) / f64::from(rate.den())).round() as i64);
    let key = |packet: &Packet| if packet.key { Key::Yes } else { Key::No };
    let pictures: Vec<_> = video.iter().map(|packet| (unit(packet), nearest(packet.pts), key(packet))).collect();
    let sounds: Vec<_> = packets(path, "a").iter().map(unit).collect();
    let mut times: Vec<MediaTime> = pictures.iter().map(|(_, pts, _)| *pts).collect();
    times.sort_unstable();
    let delay = pictures.iter().zip(&times).map(|((_, pts, _), sorted)| *sorted - *pts).max().unwrap();
    let record = match codec {
        VideoCodec::H264 => b"avcC",
        VideoCodec::Hevc => b"hvcC",
        other => panic!("no clip of {} is taken apart", other.name()),
    };
    let video = Video {
        codec,
        codec_data: box_payload(&bytes, record),
        geometry: Geometry { width: 320, height: 180 },
        depth: 8,
        pixel_aspect: Rational::ONE,
        turn: Orientation::UPRIGHT,
        colour: Colour::UNSPECIFIED,
        mastering: None,
        light: None,
        rate,
        language: None,
        end: rate.time_of(times.len() as i64),
        times,
        dts_delay: delay,
    };
    let audio = Audio {
        codec: AudioCodec::Aac,
        codec_data: audio_config(&bytes),
        format: AudioFormat { rate: 48_000, channels: 2 },
        language: Some("de".into()),
        title: None,
        shown: Shown::Default,
        bitrate: 128_000,
        first: MediaTime::ZERO,
        priming: 1024,
        samples: sounds.len() as u64 * 1024 - 1024 - 300,
        units: SoundUnits::equal(sounds.len() as u64, 1024),
    };
    let film = Film {
        video: Some(video),
        audio: vec![audio],
        tags: Tags::default(),
        chapters: vec![],
        plan: Digest::of(b"a plan"),
    };
    Coded { film, pictures, sounds }
}

fn box_payload(bytes: &[u8], kind: &[u8; 4]) -> Vec<u8> {
    let at = bytes.windows(4).position(|w| w == kind).expect("the clip has this box");
    let size = u32::from_be_bytes(bytes[at - 4..at].try_into().unwrap()) as usize;
    bytes[at + 4..at - 4 + size].to_vec()
}

fn audio_config(bytes: &[u8]) -> Vec<u8> {
    let esds = box_payload(bytes, b"esds");
    let at = esds.windows(4).position(|w| w == [5, 0x80, 0x80, 0x80]).expect("the clip has AAC");
    esds[at + 5..at + 5 + usize::from(esds[at + 4])].to_vec()
}

/// Pushes a film's units in the order that the muxer asks for.
pub fn mux<W>(mut muxer: Box<dyn Muxer<W> + '_>, coded: &Coded) -> W {
    let (mut pictures, mut sounds) = (coded.pictures.iter(), coded.sounds.iter());
    while let Some(track) = muxer.wants() {
        match track {
            Track::Video => {
                let (data, pts, key) = pictures.next().unwrap();
                muxer.push_picture(Picture { data, pts: *pts, key: *key }).unwrap();
            }
            Track::Audio(_) => muxer.push_sound(sounds.next().unwrap()).unwrap(),
        }
    }
    assert!(pictures.next().is_none() && sounds.next().is_none(), "every unit was asked for");
    muxer.finish().unwrap()
}

/// ffmpeg decodes the whole file without a word, and gives so many pictures and samples.
pub fn decoded(path: &Path) -> (usize, usize) {
    let name = path.to_str().unwrap();
    let null = ["-xerror", "-i", name, "-f", "null", "-"];
    run("ffmpeg", &null);
    let frames = probe(path, &["-select_streams", "v", "-count_frames", "-show_entries", "stream=nb_read_frames"]);
    let samples = probe(path, &["-select_streams", "a", "-show_entries", "frame=nb_samples"]);
    let sum = samples.iter().map(|n| n.parse::<usize>().unwrap()).sum();
    (frames.first().map_or(0, |n| n.parse().unwrap()), sum)
}
