use std::io::Cursor;

use framefleet_model::id::Digest;
use framefleet_model::media::{AudioFormat, Colour, Geometry, Orientation, Tags};
use framefleet_model::probe::Shown;
use framefleet_model::time::Rational;

use super::*;
use crate::muxing::{SoundUnits, Video};

const PICTURES: i64 = 100;

fn film() -> Film {
    let rate = Rational::new(25, 1).unwrap();
    let times: Vec<MediaTime> = (2..PICTURES + 2).map(|n| rate.time_of(n)).collect();
    let video = Video {
        codec: VideoCodec::Mpeg4,
        codec_data: Vec::new(),
        geometry: Geometry { width: 64, height: 48 },
        depth: 8,
        pixel_aspect: Rational::ONE,
        turn: Orientation::UPRIGHT,
        colour: Colour::UNSPECIFIED,
        mastering: None,
        light: None,
        rate,
        language: None,
        end: rate.time_of(PICTURES + 2),
        times,
        dts_delay: MediaTime::ZERO,
    };
    let audio = Audio {
        codec: AudioCodec::Pcm,
        codec_data: Vec::new(),
        format: AudioFormat { rate: 48_000, channels: 1 },
        language: None,
        title: None,
        shown: Shown::Default,
        bitrate: 768_000,
        first: MediaTime::ZERO,
        priming: 0,
        samples: 100 * 1024,
        units: SoundUnits::equal(100, 1024),
    };
    let (tags, chapters, plan) = (Tags::default(), Vec::new(), Digest::of(b"plan"));
    Film { video: Some(video), audio: vec![audio], tags, chapters, plan }
}

fn written(part_bytes: u64) -> Vec<u8> {
    let film = film();
    let times = film.video.as_ref().unwrap().times.clone();
    let mut writer = Box::new(AviWriter::in_parts_of(part_bytes, Cursor::new(Vec::new()), film).unwrap());
    let mut times = times.into_iter();
    while let Some(track) = writer.wants() {
        match track {
            Track::Video => {
                let pts = times.next().unwrap();
                writer.push_picture(Picture { data: &[7; 501], pts, key: Key::Yes }).unwrap();
            }
            Track::Audio(_) => writer.push_sound(&[1; 2048]).unwrap(),
        }
    }
    writer.finish().unwrap().into_inner()
}

/// Names and payloads of the chunks of a level.
fn chunks(mut bytes: &[u8]) -> Vec<(String, &[u8])> {
    let mut found = Vec::new();
    while bytes.len() >= 8 {
        let size = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let payload = &bytes[8..8 + size];
        found.push((String::from_utf8_lossy(&bytes[..4]).into_owned(), payload));
        bytes = &bytes[(8 + size + size % 2).min(bytes.len())..];
    }
    assert!(bytes.is_empty(), "{} bytes are in no chunk", bytes.len());
    found
}

#[test]
fn a_full_part_is_followed_by_another_and_every_chunk_is_found_by_an_index() {
    let file = written(64 << 10);
    let parts = chunks(&file);
    assert!(parts.len() > 3 && parts.iter().all(|(name, part)| name == "RIFF" && part.len() <= 80 << 10));
    let forms: Vec<&[u8]> = parts.iter().map(|(_, part)| &part[..4]).collect();
    assert!(forms[0] == b"AVI " && forms[1..].iter().all(|form| form == b"AVIX"));
    let (mut pictures, mut empty, mut sound, mut indexed) = (0, 0, 0, 0);
    for (_, part) in &parts {
        for (name, list) in chunks(&part[4..]) {
            if name != "LIST" || &list[..4] != b"movi" {
                continue;
            }
            for (name, payload) in chunks(&list[4..]) {
                match name.as_str() {
                    "00dc" if payload.is_empty() => empty += 1,
                    "00dc" => pictures += 1,
                    "01wb" => sound += payload.len(),
                    "ix00" | "ix01" => indexed += check_index(&file, &name, payload),
                    other => panic!("{other}"),
                }
            }
        }
    }
    assert_eq!((pictures, empty, sound, indexed), (PICTURES, 2, 100 * 2048, PICTURES + 2 + 100));
    assert_eq!(written(64 << 10), file);
}

/// Every entry points at the payload of a chunk of its track and size.
fn check_index(file: &[u8], name: &str, index: &[u8]) -> i64 {
    let base = u64::from_le_bytes(index[12..20].try_into().unwrap()) as usize;
    let word = |at: usize| u32::from_le_bytes(index[at..at + 4].try_into().unwrap());
    let count = word(4) as usize;
    for entry in 0..count {
        let at = base + word(24 + entry * 8) as usize;
        let size = word(28 + entry * 8) & !NOT_KEY;
        assert_eq!(&file[at - 8..at - 4], if name == "ix00" { b"00dc" } else { b"01wb" });
        assert_eq!(u32::from_le_bytes(file[at - 4..at].try_into().unwrap()), size);
    }
    count as i64
}
