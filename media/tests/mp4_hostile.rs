//! Our reader of sample tables, on our own files and on damaged ones.

use std::io::Cursor;
use std::sync::atomic::{AtomicUsize, Ordering};

use framefleet_media::isobmff::reader::{FastTables, Refusal, fast_index};
use framefleet_media::isobmff::writer::{Brand, Mp4Writer};
use framefleet_media::muxing::{Audio, Film, Muxer, Picture, SoundUnits, Track, Video};
use framefleet_media::read_at::ReadAt;
use framefleet_model::id::Digest;
use framefleet_model::index::Key;
use framefleet_model::media::{AudioCodec, AudioFormat, Chapter, Colour, Geometry, Orientation, Tags, VideoCodec};
use framefleet_model::probe::Shown;
use framefleet_model::time::{MediaTime, Rational};
use proptest::prelude::*;

const PICTURES: i64 = 60;
/// Baseline, frames only, and its picture parameter set.
const AVCC: [u8; 22] =
    [1, 66, 0, 30, 0xff, 0xe1, 0, 8, 0x67, 66, 0, 30, 0xda, 0x05, 0x06, 0x64, 1, 0, 3, 0x68, 0xce, 0x80];

fn rate() -> Rational {
    Rational::new(30_000, 1001).expect("a rate")
}

/// Pictures in the order I P b b P b b …, and two seconds of sound.
fn film(lead: MediaTime) -> Film {
    let times: Vec<MediaTime> = (0..PICTURES).map(|n| rate().time_of(n) + lead).collect();
    let chapter = |from, to, title: &str| Chapter {
        start: MediaTime::from_millis(from),
        end: MediaTime::from_millis(to),
        title: title.into(),
    };
    Film {
        video: Some(Video {
            codec: VideoCodec::H264,
            codec_data: AVCC.to_vec(),
            geometry: Geometry { width: 320, height: 180 },
            depth: 8,
            pixel_aspect: Rational::ONE,
            turn: Orientation::UPRIGHT,
            colour: Colour::UNSPECIFIED,
            mastering: None,
            light: None,
            rate: rate(),
            language: Some("en-GB".into()),
            end: rate().time_of(PICTURES) + lead,
            times,
            dts_delay: rate().time_of(2),
        }),
        audio: vec![Audio {
            codec: AudioCodec::Aac,
            codec_data: vec![0x11, 0x90],
            format: AudioFormat { rate: 48_000, channels: 2 },
            language: Some("fr".into()),
            title: None,
            shown: Shown::Default,
            bitrate: 128_000,
            first: MediaTime::ZERO,
            priming: 1024,
            samples: 96_000,
            units: SoundUnits::equal(95, 1024),
        }],
        tags: Tags { title: Some("a title".into()), created_unix: Some(1_000_000_000) },
        chapters: vec![chapter(0, 1000, "one"), chapter(1000, 2002, "two")],
        plan: Digest::of(b"plan"),
    }
}

/// The n-th decoded picture's number in presentation order: 0 3 1 2 6 4 5 …
fn shown(n: i64) -> i64 {
    match n {
        0 => 0,
        n if n % 3 == 1 => (n + 2).min(PICTURES - 1),
        n => n - 1,
    }
}

fn bytes(film: Film) -> Vec<u8> {
    let lead = film.video.as_ref().map_or(MediaTime::ZERO, |video| video.times[0]);
    let mut writer = Box::new(Mp4Writer::begin(Cursor::new(Vec::new()), film, Brand::Mp4).expect("the film is sound"));
    let (mut picture, mut sound) = (0, 0_u8);
    while let Some(track) = writer.wants() {
        match track {
            Track::Video => {
                let key = if picture % 30 == 0 { Key::Yes } else { Key::No };
                let slice = if key == Key::Yes { 0x65 } else { 0x41 };
                let data = [&[0, 0, 0, 40, slice][..], &[picture as u8; 39]].concat();
                let pts = rate().time_of(shown(picture)) + lead;
                writer.push_picture(Picture { data: &data, pts, key }).expect("the film is sound");
                picture += 1;
            }
            Track::Audio(_) => {
                writer.push_sound(&[sound; 7]).expect("the film is sound");
                sound = sound.wrapping_add(1);
            }
        }
    }
    writer.finish().expect("the film is whole").into_inner()
}

fn read(bytes: &[u8]) -> Result<FastTables, Refusal> {
    fast_index(&bytes.to_vec())
}

#[test]
fn what_we_write_we_read() {
    for lead in [MediaTime::ZERO, rate().time_of(7)] {
        let bytes = bytes(film(lead));
        let tables = read(&bytes).expect("our own files are plain");
        assert_eq!(tables.video.units.len(), PICTURES as usize);
        for (n, unit) in (0..).zip(&tables.video.units) {
            let due = rate().time_of(shown(n)) + lead;
            let pts = unit.pts.expect("tables time every unit");
            assert!((pts - due).ns().abs() <= 1, "unit {n} at {pts}, not {due}");
            let at = usize::try_from(unit.offset.expect("tables place every unit")).expect("the file is small");
            assert_eq!(bytes[at + 5], n as u8, "unit {n} is found");
            assert_eq!(unit.key, if n % 30 == 0 { Key::Yes } else { Key::No });
        }
        assert_eq!(tables.video.rate, Some(rate()));
        assert_eq!(tables.tags, film(lead).tags);
        assert_eq!(tables.chapters, film(lead).chapters);
        let audio = &tables.audio[0];
        assert_eq!(audio.language.as_deref(), Some("fr"));
        assert_eq!(audio.span.end, MediaTime::from_secs(2));
    }
}

/// Counts what is read of a film that is otherwise huge.
struct Counted {
    film: Vec<u8>,
    read: AtomicUsize,
}

impl ReadAt for Counted {
    fn size(&self) -> u64 {
        self.film.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        self.read.fetch_add(buf.len(), Ordering::Relaxed);
        self.film.read_at(offset, buf)
    }
}

#[test]
fn little_more_than_the_movie_box_is_read() {
    let film = bytes(film(MediaTime::ZERO));
    let bound = movie(&film).len() + (64 << 10) + 512;
    let counted = Counted { film, read: AtomicUsize::new(0) };
    fast_index(&counted).expect("our own files are plain");
    let read = counted.read.load(Ordering::Relaxed);
    assert!(read <= bound, "{read} bytes, bound {bound}");
}

/// Finds the movie box, whose bytes are the ones worth damaging.
fn movie(bytes: &[u8]) -> std::ops::Range<usize> {
    let at = bytes.windows(4).position(|window| window == b"moov").expect("there is one");
    let size = u32::from_be_bytes(bytes[at - 4..at].try_into().expect("four bytes"));
    at - 4..at - 4 + size as usize
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn damaged_movie_boxes_are_refused_or_read(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = bytes(film(MediaTime::ZERO));
        let movie = movie(&bytes);
        for (place, value) in damage {
            let at = movie.start + place.index(movie.len());
            bytes[at] = value;
        }
        if let Ok(tables) = read(&bytes) {
            for unit in &tables.video.units {
                let end = unit.offset.expect("tables place every unit") + u64::from(unit.size);
                prop_assert!(end <= bytes.len() as u64);
            }
        }
    }

    #[test]
    fn wide_lies_are_refused_or_read(place in any::<prop::sample::Index>(), lie in prop::sample::select(vec![0, 1, 7, 0x7fff_ffff, 0x8000_0000, u32::MAX])) {
        let mut bytes = bytes(film(MediaTime::ZERO));
        let movie = movie(&bytes);
        let at = movie.start + place.index(movie.len() - 4);
        bytes[at..at + 4].copy_from_slice(&lie.to_be_bytes());
        let _ = read(&bytes);
    }

    #[test]
    fn truncated_films_are_refused(place in any::<prop::sample::Index>()) {
        let whole = bytes(film(MediaTime::ZERO));
        // The last run of sound stands behind all pictures.
        let pictures = read(&whole).expect("the film is whole").video.units;
        let end = pictures.iter().filter_map(|unit| Some(unit.offset? + u64::from(unit.size))).max().unwrap_or(0);
        prop_assert!(read(&whole[..place.index(end as usize)]).is_err());
    }

    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&noise).is_err());
    }
}
