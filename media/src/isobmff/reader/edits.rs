//! Edit lists, and the running time that GStreamer's demuxer gives samples in a pass without seeking.

use framefleet_model::time::MediaTime;

use super::bytes::Bytes;
use super::samples::Sample;
use super::{Refusal, odd};

const NS: u128 = 1_000_000_000;
const UNITY: u32 = 0x0001_0000;
/// An edit from here on is a hole.
const HOLE: u64 = u64::MAX;

/// How a track's ticks become running time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) timescale: u32,
    /// Added to composition times so that none is before its decoding time.
    pub(crate) shift: u64,
    /// Nanoseconds of media time that are running time `base`.
    start: i64,
    base: i64,
}

struct Entry {
    duration: u64,
    media_time: u64,
}

/// `ticks` at a rate in nanoseconds, rounded down as the demuxer does.
pub(crate) fn to_ns(ticks: u64, timescale: u32) -> i64 {
    i64::try_from(u128::from(ticks) * NS / u128::from(timescale.max(1))).unwrap_or(i64::MAX)
}

impl Clock {
    /// Reads a track's edit list; only a hole and one run of media, or one of them, are understood.
    pub(crate) fn read(track: Bytes<'_>, rates: Rates, samples: &[Sample]) -> Result<Self, Refusal> {
        let shift =
            samples.iter().map(|s| (s.decoded.cast_signed() - s.shown).max(0)).max().unwrap_or(0).unsigned_abs();
        let mut clock = Self { timescale: rates.track, shift, start: 0, base: 0 };
        let Some(list) = track.path(&[b"edts", b"elst"]) else { return Ok(clock) };
        let entries = read_list(list).ok_or_else(|| odd("the edit list is damaged"))?;
        let entries = joined(entries, rates);
        let (hole, media) = match &entries[..] {
            [] => return Ok(clock),
            entries => one_shift(entries)
                .ok_or_else(|| odd(format!("the edit list has {} entries, not one shift", entries.len())))?,
        };
        clock.base = to_ns(hole, rates.movie);
        clock.start = to_ns(media.media_time + shift, rates.track);
        Ok(clock)
    }

    pub(crate) fn running(&self, media_ns: i64) -> MediaTime {
        MediaTime(media_ns - self.start + self.base)
    }

    pub(crate) fn decoded_ns(&self, sample: &Sample) -> i64 {
        to_ns(sample.decoded, self.timescale)
    }

    /// `None` where composition leads before the clock's zero.
    pub(crate) fn shown_ns(&self, sample: &Sample) -> Option<i64> {
        let ticks = sample.shown.checked_add_unsigned(self.shift)?;
        Some(to_ns(u64::try_from(ticks).ok()?, self.timescale))
    }

    /// Whether the demuxer, looking for the key before the edit's start, would not begin at the first sample.
    pub(crate) fn begins_late(&self, samples: &[Sample]) -> bool {
        samples.iter().skip(1).take_while(|s| self.decoded_ns(s) <= self.start).any(|sample| sample.sync)
    }

    /// Where a track of so many ticks stands.
    pub(crate) fn span_of(&self, ticks: u64) -> (MediaTime, MediaTime) {
        (self.running(0), self.running(to_ns(ticks, self.timescale)))
    }
}

/// Where the media of a track in fragments stand in the movie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shift {
    /// Before the media.
    pub(crate) hole: MediaTime,
    /// The tick of the media that is shown first.
    pub(crate) media: u64,
    /// How much of the media is shown, to a tick of the movie more; `None`: all that comes.
    pub(crate) length: Option<MediaTime>,
}

impl Shift {
    /// An edit without a length lasts as long as fragments come (ISO/IEC 14496-12 8.6.6).
    pub(crate) fn of_fragments(track: Bytes<'_>, rates: Rates) -> Result<Self, Refusal> {
        let none = Self { hole: MediaTime::ZERO, media: 0, length: None };
        let Some(list) = track.path(&[b"edts", b"elst"]) else { return Ok(none) };
        let entries = joined(read_list(list).ok_or_else(|| odd("the edit list is damaged"))?, rates);
        let understood = match &entries[..] {
            [] => return Ok(none),
            entries => one_shift(entries),
        };
        let (hole, media) = understood
            .ok_or_else(|| odd(format!("the edit list of fragments has {} entries, not one shift", entries.len())))?;
        let length = Some(media.duration).filter(|duration| *duration > 0);
        let length = length.map(|duration| MediaTime(to_ns(duration.saturating_add(1), rates.movie)));
        Ok(Self { hole: MediaTime(to_ns(hole, rates.movie)), media: media.media_time, length })
    }
}

/// Ticks a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) movie: u32,
    pub(crate) track: u32,
}

/// The length of the leading hole, if there is one, and the one run of media.
fn one_shift(entries: &[Entry]) -> Option<(u64, &Entry)> {
    match entries {
        [media] if media.media_time != HOLE => Some((0, media)),
        [hole, media] if hole.media_time == HOLE && media.media_time != HOLE => Some((hole.duration, media)),
        _ => None,
    }
}

/// Where a track's one run of media ends, and what must be written over so that it lasts for ever.
pub(crate) struct End<'a> {
    /// In ticks of the movie.
    pub(crate) at: u64,
    pub(crate) count: &'a [u8],
    /// Entries that are left once those that go on where the one before ends are joined to it.
    pub(crate) entries: u32,
    /// The length of the last of them.
    pub(crate) length: &'a [u8],
}

pub(crate) fn end(track: Bytes<'_>, rates: Rates) -> Option<End<'_>> {
    let list = track.path(&[b"edts", b"elst"])?;
    let entries = joined(read_list(list)?, rates);
    let (hole, media) = one_shift(&entries)?;
    let at = hole.checked_add(media.duration).filter(|_| media.duration > 0)?;
    let mut bytes = list;
    let (length, entry) = if bytes.version()? == 1 { (8, 20) } else { (4, 12) };
    let count = bytes.take(4)?;
    bytes.take(entry * (entries.len() - 1))?;
    Some(End { at, count, entries: u32::try_from(entries.len()).ok()?, length: bytes.take(length)? })
}

/// Runs of media that follow each other in the media as they do in the movie are one run.
fn joined(entries: Vec<Entry>, rates: Rates) -> Vec<Entry> {
    let mut joined: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries {
        match joined.last_mut() {
            Some(last) if last.goes_on_in(&entry, rates) => {
                last.duration = last.duration.saturating_add(entry.duration)
            }
            Some(_) | None => joined.push(entry),
        }
    }
    joined
}

impl Entry {
    /// Within a tick of the movie, to which lengths are rounded.
    fn goes_on_in(&self, next: &Self, rates: Rates) -> bool {
        let (movie, track) = (u128::from(rates.movie.max(1)), u128::from(rates.track.max(1)));
        if self.media_time == HOLE || next.media_time == HOLE {
            return false;
        }
        let end = u128::from(self.media_time) * movie + u128::from(self.duration) * track;
        (u128::from(next.media_time) * movie).abs_diff(end) <= track
    }
}

fn read_list(mut list: Bytes<'_>) -> Option<Vec<Entry>> {
    let version = list.version()?;
    let count = list.count(if version == 1 { 20 } else { 12 })?;
    let mut entries = Vec::with_capacity(count.min(16));
    for _ in 0..count {
        let duration = list.wide(version)?;
        let media_time = if version == 1 { list.i64()? } else { i64::from(list.i32()?) };
        let media_time = if media_time == -1 { HOLE } else { u64::try_from(media_time).ok()? };
        if list.u32()? != UNITY && media_time != HOLE {
            return None;
        }
        entries.push(Entry { duration, media_time });
    }
    Some(entries)
}
