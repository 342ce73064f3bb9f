//! Fragments of a movie (ISO/IEC 14496-12 8.8): the boxes in front of them, and each of them.
//!
//! ```text
//! ftyp · moov(mvex) │ moof(mfhd · traf(tfhd · tfdt · trun), …) · mdat │ moof · mdat │ …
//! ```
//! A fragment tells of its samples in front of their data, so it is held until its last one is there. Offsets count from its
//! own first byte: fragments may be cut apart and put together again.

use super::boxes::Boxes;
use super::movie::{Edit, Movie, TrackKind, TrackPlan};
use super::tables::{Layout, Tables};
use super::{Brand, entries, file_type, movie_timescale};
use crate::muxing::{Audio, Film, MuxError, Pictures, Sounds, timescale_of};
use framefleet_model::time::MediaTime;

/// Data offsets are 32 bits, and readers take a fragment whole.
pub(crate) const FRAGMENT_BYTES_MAX: usize = 16 << 20;
/// Of a picture that needs no other, and of sound.
const INDEPENDENT: u32 = 0x0200_0000;
const DEPENDENT: u32 = 0x0101_0000;
/// Flags of `tfhd`: offsets count from the fragment; a usual duration.
const FROM_FRAGMENT: u32 = 0x02_0000;
const USUAL_DURATION: u32 = 0x08;
/// Flags of `trun`.
const DATA_OFFSET: u32 = 0x001;
const FIRST_FLAGS: u32 = 0x004;
const DURATIONS: u32 = 0x100;
const SIZES: u32 = 0x200;
const OFFSETS: u32 = 0x800;
const BOX_HEADER: usize = 8;

/// What a fragment holds of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TrackFragment {
    /// From 1, in the order of the movie.
    pub(crate) track: u32,
    /// When its first sample is decoded.
    pub(crate) time: u64,
    pub(crate) head: Head,
    pub(crate) samples: Vec<Sample>,
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) duration: u32,
    pub(crate) size: u32,
    /// From decoding to showing.
    pub(crate) offset: u32,
}

/// What the first sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// As all samples of its track.
    Usual,
    /// A picture at which decoding may begin; those after it are none.
    Key,
}

/// When the units of a track are decoded, in its ticks, and how long each lasts.
pub(crate) struct TrackClock {
    begins: Vec<i64>,
    end: i64,
    /// Where the first begins.
    base: i64,
}

impl TrackFragment {
    pub(crate) fn new(track: u32) -> Self {
        Self { track, time: 0, head: Head::Usual, samples: Vec::new(), data: Vec::new() }
    }

    /// Adds the track's unit of this number; `offset`: from decoding to showing.
    pub(crate) fn push(
        &mut self,
        (clock, number): (&TrackClock, usize),
        offset: u32,
        data: &[u8],
    ) -> Result<(), MuxError> {
        let size = u32::try_from(data.len()).map_err(|_| too_large("a unit", data.len()))?;
        if self.samples.is_empty() {
            self.time = clock.time(number)?;
        }
        self.samples.push(Sample { duration: clock.duration(number), size, offset });
        self.data.extend_from_slice(data);
        Ok(())
    }

    /// The duration that all samples have.
    fn usual(&self) -> Option<u32> {
        let first = self.samples.first()?.duration;
        self.samples.iter().all(|sample| sample.duration == first).then_some(first)
    }
}

impl TrackClock {
    /// `zero`: what stands on the clock at the output's time zero.
    pub(crate) fn of_pictures(pictures: &Pictures, zero: i64) -> Self {
        Self { begins: pictures.dts.clone(), end: pictures.end, base: zero - pictures.zero }
    }

    /// The last unit lasts as long as the source: what it holds beyond is padding.
    pub(crate) fn of_sound(audio: &Audio, zero: i64) -> Result<Self, MuxError> {
        let Sounds { rate, units } = Sounds::new(audio)?;
        let whole = (u64::from(audio.priming) + audio.samples).min(units.end);
        let begins: Vec<i64> = units.begins.iter().map(|sample| sample.cast_signed()).collect();
        let end = whole.cast_signed().max(begins.last().copied().unwrap_or(0));
        Ok(Self { begins, end, base: zero + audio.first.to_ticks(rate) - i64::from(audio.priming) })
    }

    pub(crate) fn time(&self, number: usize) -> Result<u64, MuxError> {
        let tick = self.begins.get(number).copied().unwrap_or(self.end) + self.base;
        u64::try_from(tick).map_err(|_| MuxError::Negative(MediaTime(tick)))
    }

    pub(crate) fn duration(&self, number: usize) -> u32 {
        let begin = self.begins.get(number).copied().unwrap_or(self.end);
        let end = self.begins.get(number + 1).copied().unwrap_or(self.end);
        u32::try_from(end - begin).unwrap_or(u32::MAX)
    }
}

/// What stands on the clocks of a film's tracks at the output's time zero.
pub(crate) struct Zeros {
    pub(crate) shown: i64,
    /// Of each sound track.
    pub(crate) heard: Vec<i64>,
}

/// What stands in front of all fragments.
pub(crate) fn init(film: &Film, (brand, zeros): (Brand, &Zeros)) -> Result<Vec<u8>, MuxError> {
    entries::check(film, brand)?;
    let mut tracks = Vec::new();
    let empty = || Layout { durations: Vec::new(), chunk_samples: Vec::new(), sample_bytes: None };
    if let Some(video) = &film.video {
        let edit = Edit { hole: MediaTime::ZERO, from: zeros.shown, duration: video.end };
        let (kind, timescale) = (TrackKind::Video, timescale_of(video.rate));
        tracks.push(TrackPlan { kind, timescale, media_duration: 0, edit, layout: empty() });
    }
    for ((number, audio), heard) in film.audio.iter().enumerate().zip(&zeros.heard) {
        let edit = Edit { hole: MediaTime::ZERO, from: *heard, duration: audio.end() };
        let (kind, timescale) = (TrackKind::Audio(number), audio.format.rate.max(1));
        tracks.push(TrackPlan { kind, timescale, media_duration: 0, edit, layout: empty() });
    }
    let movie = Movie { film, timescale: movie_timescale(&tracks), tracks: &tracks, brand };
    let tables: Vec<Tables> = tracks.iter().map(|_| Tables::default()).collect();
    Ok([file_type(film, brand), movie.to_bytes(&tables)].concat())
}

/// What a segment that is a file of its own begins with.
pub(crate) fn segment_type() -> Vec<u8> {
    let mut b = Boxes::default();
    b.nest(b"styp", |b| {
        b.raw(b"msdh");
        b.u32(0);
        b.raw(b"msdhcmfs");
    });
    b.into_bytes()
}

/// A fragment but for its data, which follow in the order of the tracks.
pub(crate) fn header(number: u32, parts: &[TrackFragment]) -> Result<Vec<u8>, MuxError> {
    let data: usize = parts.iter().map(|part| part.data.len()).sum();
    let size = u32::try_from(data + BOX_HEADER).map_err(|_| too_large("a fragment", data))?;
    let begin = fragment((number, 0), parts).len() + BOX_HEADER;
    u32::try_from(begin + data).map_err(|_| too_large("a fragment", data))?;
    let mut bytes = fragment((number, begin), parts);
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.extend_from_slice(b"mdat");
    Ok(bytes)
}

fn fragment((number, begin): (u32, usize), parts: &[TrackFragment]) -> Vec<u8> {
    let mut b = Boxes::default();
    b.nest(b"moof", |b| {
        b.full(b"mfhd", 0, |b| b.u32(number));
        let mut at = begin;
        for part in parts {
            b.nest(b"traf", |b| put_part(b, at, part));
            at += part.data.len();
        }
    });
    b.into_bytes()
}

fn put_part(b: &mut Boxes, at: usize, part: &TrackFragment) {
    let usual = part.usual();
    b.flagged(b"tfhd", FROM_FRAGMENT | usual.map_or(0, |_| USUAL_DURATION), |b| {
        b.u32(part.track);
        usual.into_iter().for_each(|duration| b.u32(duration));
    });
    b.full(b"tfdt", 1, |b| b.u64(part.time));
    let reordered = part.samples.iter().any(|sample| sample.offset > 0);
    let said = |flag, is: bool| if is { flag } else { 0 };
    let flags = DATA_OFFSET
        | SIZES
        | said(FIRST_FLAGS, part.head == Head::Key)
        | said(DURATIONS, usual.is_none())
        | said(OFFSETS, reordered);
    b.flagged(b"trun", flags, |b| {
        b.count(part.samples.len());
        b.count(at);
        if part.head == Head::Key {
            b.u32(INDEPENDENT);
        }
        for sample in &part.samples {
            if usual.is_none() {
                b.u32(sample.duration);
            }
            b.u32(sample.size);
            if reordered {
                b.u32(sample.offset);
            }
        }
    });
}

/// Says that fragments follow, how long they last together, and what most of their samples are.
pub(crate) fn put_extends(b: &mut Boxes, duration: u64, kinds: impl Iterator<Item = TrackKind>) {
    b.nest(b"mvex", |b| {
        b.full(b"mehd", 1, |b| b.u64(duration));
        for (kind, number) in kinds.zip(1..) {
            b.full(b"trex", 0, |b| {
                b.u32(number);
                b.u32(1);
                b.zeros(8);
                b.u32(if kind == TrackKind::Video { DEPENDENT } else { INDEPENDENT });
            });
        }
    });
}

fn too_large(what: &'static str, value: usize) -> MuxError {
    MuxError::TooLarge { what, value: value as u64, bound: u64::from(u32::MAX) }
}
