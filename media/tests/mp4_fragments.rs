//! Our MP4 files in fragments as ffmpeg reads them.

#![allow(unreachable_pub, reason = "the module of films is shared between test programs")]
#![allow(clippy::unwrap_used, reason = "a test may")]

#[allow(dead_code, reason = "each test program uses its part")]
mod film;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use film::{Coded, clip, decoded, mux, packets, probe, take_apart};
use framefleet_media::isobmff::writer::FragmentedWriter;
use framefleet_model::index::Key;
use framefleet_model::media::VideoCodec;
use framefleet_model::time::{MediaTime, Rational};

const B_FRAMES: [&str; 8] = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "30"];

fn coded(folder: &Path, seconds: &str) -> Coded {
    take_apart(&clip(folder, &B_FRAMES, seconds), VideoCodec::H264, Rational::new(25, 1).unwrap())
}

fn bytes_of(coded: &Coded) -> Vec<u8> {
    let writer = FragmentedWriter::begin(Cursor::new(Vec::new()), &coded.film).unwrap();
    mux(Box::new(writer), coded).into_inner()
}

fn written(folder: &Path, coded: &Coded) -> PathBuf {
    let path = folder.join("out.mp4");
    std::fs::write(&path, bytes_of(coded)).unwrap();
    path
}

/// Boxes of the file itself: where each begins, and its kind.
fn outer(bytes: &[u8]) -> Vec<(usize, String)> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        found.push((at, String::from_utf8_lossy(&bytes[at + 4..at + 8]).into_owned()));
        at += u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    }
    found
}

#[test]
fn units_stand_at_their_times_in_a_fragment_for_each_key_picture() {
    let folder = tempfile::tempdir().unwrap();
    let coded = coded(folder.path(), "4");
    let path = written(folder.path(), &coded);
    let video = packets(&path, "v");
    assert_eq!(video.len(), coded.pictures.len());
    for (packet, (data, pts, key)) in video.iter().zip(&coded.pictures) {
        assert!((packet.pts - pts.ns() as f64 / 1e9).abs() < 1e-6, "{packet:?} is not at {pts}");
        assert_eq!((packet.size, packet.key), (data.len(), *key == Key::Yes));
    }
    // The first unit is priming, before zero.
    let sound = packets(&path, "a");
    let begins = |n: usize| n as f64 * 1024.0 / 48_000.0 - 1024.0 / 48_000.0;
    assert!(sound.iter().enumerate().all(|(n, packet)| (packet.pts - begins(n)).abs() < 1e-4), "{sound:?}");
    let bytes = std::fs::read(&path).unwrap();
    let boxes = outer(&bytes);
    let keys = coded.pictures.iter().filter(|(_, _, key)| *key == Key::Yes).count();
    assert_eq!(boxes.iter().filter(|(_, kind)| kind == "moof").count(), keys);
    assert_eq!(boxes.last().unwrap().1, "mfra");
    let size = u32::from_be_bytes(bytes[bytes.len() - 4..].try_into().unwrap()) as usize;
    assert_eq!(bytes.len() - size, boxes.last().unwrap().0, "the last four bytes tell where mfra begins");
    // Each entry leads to a fragment.
    let table = &bytes[boxes.last().unwrap().0 + 8 + 24..bytes.len() - 16];
    let places: Vec<usize> =
        table.chunks(19).map(|entry| u64::from_be_bytes(entry[8..16].try_into().unwrap()) as usize).collect();
    let fragments: Vec<usize> = boxes.iter().filter(|(_, kind)| kind == "moof").map(|(at, _)| *at).collect();
    assert_eq!(places, fragments);
    assert_eq!(decoded(&path).0, coded.pictures.len());
}

#[test]
fn tracks_that_begin_later_keep_their_distance() {
    let folder = tempfile::tempdir().unwrap();
    let mut coded = coded(folder.path(), "2");
    let later = |time: MediaTime| time + MediaTime::from_millis(400);
    let video = coded.film.video.as_mut().unwrap();
    video.times.iter_mut().for_each(|time| *time = later(*time));
    video.end = later(video.end);
    coded.pictures.iter_mut().for_each(|(_, pts, _)| *pts = later(*pts));
    coded.film.audio[0].first = MediaTime::from_millis(1250);
    let path = written(folder.path(), &coded);
    let first = |stream| packets(&path, stream).iter().map(|packet| packet.pts).fold(f64::MAX, f64::min);
    assert!((first("v") - 0.4).abs() < 1e-6, "{}", first("v"));
    assert!((first("a") - (1.25 - 1024.0 / 48_000.0)).abs() < 1e-4, "{}", first("a"));
}

#[test]
fn one_track_alone_is_a_film() {
    let folder = tempfile::tempdir().unwrap();
    let mut silent = coded(folder.path(), "2");
    (silent.film.audio, silent.sounds) = (vec![], vec![]);
    assert_eq!(decoded(&written(folder.path(), &silent)), (50, 0));
    let mut blind = coded(folder.path(), "5");
    (blind.film.video, blind.pictures) = (None, vec![]);
    let path = written(folder.path(), &blind);
    assert_eq!(packets(&path, "a").len(), blind.sounds.len());
    let told = probe(&path, &["-show_entries", "format=duration"]);
    let samples = blind.film.audio[0].samples as f64;
    assert!((told[0].parse::<f64>().unwrap() - samples / 48_000.0).abs() < 0.025, "{told:?}");
}

#[test]
fn equal_films_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let coded = coded(folder.path(), "2");
    assert_eq!(bytes_of(&coded), bytes_of(&coded));
}
