//! Our MP4 files as ffmpeg reads them.

#![allow(unreachable_pub, reason = "the module of films is shared between test programs")]
#![allow(clippy::unwrap_used, reason = "a test may")]

#[allow(dead_code, reason = "each test program uses its part")]
mod film;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use film::{Coded, clip, decoded, mux, packets, probe, take_apart};
use framefleet_media::isobmff::writer::{Brand, Mp4Writer};
use framefleet_model::media::{Chapter, Colour, ColourRange, ContentLight, MasteringDisplay, VideoCodec};
use framefleet_model::time::{MediaTime, Rational};

const B_FRAMES: [&str; 8] = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "30"];

fn rate(text: &str) -> Rational {
    Rational::parse(text).unwrap()
}

fn bytes_of(coded: &Coded) -> Vec<u8> {
    let writer = Mp4Writer::begin(Cursor::new(Vec::new()), coded.film.clone(), Brand::Mp4).unwrap();
    mux(Box::new(writer), coded).into_inner()
}

fn written(folder: &Path, coded: &Coded) -> PathBuf {
    let path = folder.join("out.mp4");
    std::fs::write(&path, bytes_of(coded)).unwrap();
    path
}

fn start_times(path: &Path) -> Vec<String> {
    probe(path, &["-show_entries", "stream=start_time"])
}

#[test]
fn pictures_and_sound_stand_at_their_times() {
    for (fps, filter) in [("25", "fps=25"), ("30000/1001", "fps=30000/1001"), ("24000/1001", "fps=24000/1001")] {
        let folder = tempfile::tempdir().unwrap();
        let coded = take_apart(
            &clip(folder.path(), &[&B_FRAMES[..], &["-vf", filter]].concat(), "4"),
            VideoCodec::H264,
            rate(fps),
        );
        let path = written(folder.path(), &coded);
        assert_eq!(start_times(&path), ["0.000000", "0.000000"]);
        let video = packets(&path, "v");
        assert!(video.windows(2).all(|pair| pair[0].dts < pair[1].dts), "decoding times rise");
        for (packet, (data, pts, key)) in video.iter().zip(&coded.pictures) {
            assert!((packet.pts - pts.ns() as f64 / 1e9).abs() < 1e-6, "{packet:?} is not at {pts}");
            assert_eq!((packet.size, packet.key), (data.len(), *key == framefleet_model::index::Key::Yes));
        }
        // ffmpeg leaves out the priming, but not the last unit's padding; the duration tells it.
        assert_eq!(decoded(&path), (coded.pictures.len(), (coded.sounds.len() - 1) * 1024));
        let samples = coded.film.audio[0].samples;
        let duration = probe(&path, &["-select_streams", "a", "-show_entries", "stream=duration_ts"]);
        assert_eq!(duration, [samples.to_string()]);
    }
}

#[test]
fn hevc_with_hdr_is_described() {
    let folder = tempfile::tempdir().unwrap();
    let x265 =
        ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error:bframes=3", "-tag:v", "hvc1"];
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
    video.pixel_aspect = Rational::new(4, 3).unwrap();
    let path = written(folder.path(), &coded);
    let shown = film::run("ffprobe", &["-show_streams", "-of", "flat", path.to_str().unwrap()]);
    let box_of_colour = b"\0\0\0\x13colrnclx\0\x09\0\x10\0\x09\0";
    let bytes = std::fs::read(&path).unwrap();
    assert!(
        bytes.windows(box_of_colour.len()).any(|window| window == box_of_colour),
        "ffprobe prefers the bitstream's"
    );
    for line in [
        "codec_tag_string=\"hvc1\"",
        "sample_aspect_ratio=\"4:3\"",
        "red_x=\"34000/50000\"",
        "max_luminance=\"10000000/10000\"",
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
    coded.film.chapters = vec![chapter(0, 1000, "eins"), chapter(1000, 2500, "zwei"), chapter(2500, 3000, "drei")];
    let path = written(folder.path(), &coded);
    let tags = probe(&path, &["-show_entries", "format_tags=title,creation_time"]);
    assert_eq!(tags, ["2023-11-14T22:13:20.000000Z,Größe"]);
    let chapters = probe(&path, &["-show_chapters"]);
    let expected = [
        "0,1/1000,0,0.000000,1000,1.000000,eins",
        "1,1/1000,1000,1.000000,2500,2.500000,zwei",
        "2,1/1000,2500,2.500000,3000,3.000000,drei",
    ];
    assert_eq!(chapters, expected);
    assert_eq!(decoded(&path).0, 75);
}

#[test]
fn tracks_that_begin_later_keep_their_distance() {
    let folder = tempfile::tempdir().unwrap();
    let mut coded = take_apart(&clip(folder.path(), &B_FRAMES, "2"), VideoCodec::H264, rate("25"));
    let later = |time: MediaTime| time + MediaTime::from_millis(400);
    let video = coded.film.video.as_mut().unwrap();
    video.times.iter_mut().for_each(|time| *time = later(*time));
    video.end = later(video.end);
    coded.pictures.iter_mut().for_each(|(_, pts, _)| *pts = later(*pts));
    let path = written(folder.path(), &coded);
    assert_eq!(start_times(&path), ["0.400000", "0.000000"]);
    assert_eq!(decoded(&path).0, 50);

    coded.film.audio[0].first = MediaTime::from_millis(1250);
    let path = written(folder.path(), &coded);
    assert_eq!(start_times(&path), ["0.400000", "1.250000"]);
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
    assert_eq!(decoded(&written(folder.path(), &blind)), (0, (blind.sounds.len() - 1) * 1024));
}

#[test]
fn equal_films_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let coded = take_apart(&clip(folder.path(), &B_FRAMES, "2"), VideoCodec::H264, rate("25"));
    assert_eq!(bytes_of(&coded), bytes_of(&coded));
}

#[test]
fn a_picture_decoded_too_late_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut coded = take_apart(&clip(folder.path(), &B_FRAMES, "1"), VideoCodec::H264, rate("25"));
    coded.film.video.as_mut().unwrap().dts_delay = MediaTime::ZERO;
    let mut writer = Mp4Writer::begin(Cursor::new(Vec::new()), coded.film.clone(), Brand::Mp4).unwrap();
    let push = |(data, pts, key): &(Vec<u8>, MediaTime, framefleet_model::index::Key)| {
        use framefleet_media::muxing::{Muxer, Picture};
        writer.push_picture(Picture { data, pts: *pts, key: *key })
    };
    let refused = coded.pictures.iter().map(push).find_map(Result::err).unwrap().to_string();
    assert!(refused.contains("after it is shown"), "{refused}");
}
