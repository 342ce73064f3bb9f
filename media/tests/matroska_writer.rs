//! Our Matroska files as ffmpeg reads them.

#![allow(unreachable_pub, reason = "the module of films is shared between test programs")]
#![allow(clippy::unwrap_used, reason = "a test may")]

#[allow(dead_code, reason = "each test program uses its part")]
mod film;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use film::{Coded, clip, decoded, mux, packets, probe, take_apart};
use framefleet_media::matroska::{DocType, MatroskaWriter};
use framefleet_model::index::Key;
use framefleet_model::media::{Chapter, Colour, ColourRange, ContentLight, MasteringDisplay, VideoCodec};
use framefleet_model::time::{MediaTime, Rational};

const B_FRAMES: [&str; 8] = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "30"];

fn rate(text: &str) -> Rational {
    Rational::parse(text).unwrap()
}

fn bytes_of(coded: &Coded) -> Vec<u8> {
    let writer = MatroskaWriter::begin(Cursor::new(Vec::new()), coded.film.clone(), DocType::Matroska).unwrap();
    mux(Box::new(writer), coded).into_inner()
}

fn written(folder: &Path, coded: &Coded) -> PathBuf {
    let path = folder.join("out.mkv");
    std::fs::write(&path, bytes_of(coded)).unwrap();
    path
}

#[test]
fn pictures_and_sound_stand_at_their_times() {
    for (fps, filter) in [("25", "fps=25"), ("30000/1001", "fps=30000/1001"), ("60000/1001", "fps=60000/1001")] {
        let folder = tempfile::tempdir().unwrap();
        let coded = take_apart(
            &clip(folder.path(), &[&B_FRAMES[..], &["-vf", filter]].concat(), "12"),
            VideoCodec::H264,
            rate(fps),
        );
        let path = written(folder.path(), &coded);
        let video = packets(&path, "v");
        assert_eq!(video.len(), coded.pictures.len());
        for (packet, (data, pts, key)) in video.iter().zip(&coded.pictures) {
            assert!((packet.pts - pts.ns() as f64 / 1e9).abs() < 5.1e-4, "{packet:?} is not at {pts}");
            assert_eq!((packet.size, packet.key), (data.len(), *key == Key::Yes));
        }
        let samples = coded.film.audio[0].samples as usize;
        assert_eq!(decoded(&path), (coded.pictures.len(), samples));
        let first =
            probe(&path, &["-select_streams", "a", "-read_intervals", "%+#2", "-show_entries", "frame=pts_time"]);
        assert_eq!(first[0], "0.000000", "the first sample that is heard");
    }
}

#[test]
fn every_key_can_be_jumped_to() {
    let folder = tempfile::tempdir().unwrap();
    let coded = take_apart(&clip(folder.path(), &B_FRAMES, "12"), VideoCodec::H264, rate("25"));
    let path = written(folder.path(), &coded);
    let keys = coded.pictures.iter().filter(|(_, _, key)| *key == Key::Yes);
    for (_, pts, _) in keys {
        let at = format!("{}.{:09}%+#1", pts.ns() / 1_000_000_000, pts.ns() % 1_000_000_000);
        let args = ["-select_streams", "v", "-read_intervals", &at, "-show_entries", "packet=pts_time"];
        assert_eq!(probe(&path, &args)[0].parse::<f64>().unwrap(), pts.ns() as f64 / 1e9);
    }
}

#[test]
fn hdr_and_shape_are_described() {
    let folder = tempfile::tempdir().unwrap();
    let x265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:bframes=3"];
    let mut coded = take_apart(&clip(folder.path(), &x265, "2"), VideoCodec::Hevc, rate("25"));
    let video = coded.film.video.as_mut().unwrap();
    video.colour = Colour { primaries: 9, transfer: 16, matrix: 9, range: ColourRange::Limited };
    video.mastering = Some(MasteringDisplay {
        primaries: [(34_000, 16_000), (13_250, 34_500), (7_500, 3_000)],
        white: (15_635, 16_450),
        luminance_max: 10_000_000,
        luminance_min: 50,
    });
    video.light = Some(ContentLight { max_cll: 1000, max_fall: 400 });
    video.pixel_aspect = Rational::new(16, 11).unwrap();
    let path = written(folder.path(), &coded);
    let shown = film::run("ffprobe", &["-show_streams", "-of", "flat", path.to_str().unwrap()]);
    for line in [
        "sample_aspect_ratio=\"16:11\"",
        "red_x=\"17/25\"",
        "max_luminance=\"1000/1\"",
        "max_content=1000",
        "tags.language=\"deu\"",
    ] {
        assert!(shown.contains(line), "{line} is missing in {shown}");
    }
    assert_eq!(decoded(&path).0, 50);
}

#[test]
fn title_creation_and_chapters_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut coded = take_apart(&clip(folder.path(), &B_FRAMES, "3"), VideoCodec::H264, rate("25"));
    coded.film.tags.title = Some("Größe".into());
    coded.film.tags.created_unix = Some(1_700_000_000);
    let chapter = |from: i64, to: i64, title: &str| Chapter {
        start: MediaTime::from_millis(from),
        end: MediaTime::from_millis(to),
        title: title.into(),
    };
    coded.film.chapters = vec![chapter(0, 1000, "eins"), chapter(1000, 3000, "zwei")];
    let path = written(folder.path(), &coded);
    let tags = probe(&path, &["-show_entries", "format_tags=title,creation_time"]);
    assert_eq!(tags, ["Größe,2023-11-14T22:13:20.000000Z"]);
    let chapters = probe(&path, &["-show_chapters"]);
    let times: Vec<&str> = chapters.iter().map(|line| line.split_once(',').unwrap().1).collect();
    assert_eq!(
        times,
        [
            "1/1000000000,0,0.000000,1000000000,1.000000,eins",
            "1/1000000000,1000000000,1.000000,3000000000,3.000000,zwei"
        ]
    );
}

#[test]
fn one_track_alone_is_a_film() {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(folder.path(), &B_FRAMES, "2");
    let mut silent = take_apart(&clip, VideoCodec::H264, rate("25"));
    (silent.film.audio, silent.sounds) = (vec![], vec![]);
    assert_eq!(decoded(&written(folder.path(), &silent)), (50, 0));
    let mut blind = take_apart(&clip, VideoCodec::H264, rate("25"));
    (blind.film.video, blind.pictures) = (None, vec![]);
    let samples = blind.film.audio[0].samples as usize;
    assert_eq!(decoded(&written(folder.path(), &blind)), (0, samples));
}

#[test]
fn pictures_minutes_apart_stay_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut coded = take_apart(&clip(folder.path(), &B_FRAMES, "1"), VideoCodec::H264, rate("25"));
    (coded.film.audio, coded.sounds) = (vec![], vec![]);
    let stretched = |time: MediaTime| MediaTime(time.ns() * 1000);
    let video = coded.film.video.as_mut().unwrap();
    video.times.iter_mut().for_each(|time| *time = stretched(*time));
    (video.end, video.dts_delay) = (stretched(video.end), stretched(video.dts_delay));
    coded.pictures.iter_mut().for_each(|(_, pts, _)| *pts = stretched(*pts));
    let shown = packets(&written(folder.path(), &coded), "v");
    let times: Vec<i64> = shown.iter().map(|packet| packet.pts.round() as i64).collect();
    let expected: Vec<i64> = coded.pictures.iter().map(|(_, pts, _)| pts.ns() / 1_000_000_000).collect();
    assert_eq!(times, expected);
}

#[test]
fn equal_films_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let coded = take_apart(&clip(folder.path(), &B_FRAMES, "2"), VideoCodec::H264, rate("25"));
    assert_eq!(bytes_of(&coded), bytes_of(&coded));
}
