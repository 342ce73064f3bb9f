//! A Matroska muxer: one pass, equal bytes for equal films, memory for the cues alone.
//!
//! ```text
//! EBML · Segment: SeekHead · Info · Tracks · Chapters · Tags · Cluster … Cluster · Cues
//! ```
//! Ticks are milliseconds, as players expect: no picture is more than half of one from its time. Clusters begin at
//! key pictures, last at most five seconds, and hold blocks in decoding order; a block is never more than 32 s from
//! its cluster's time. Sizes, and the place of the cues, are patched in when they are known.
//!
//! Sound is stamped at its true time, so the units of priming stand before the first sample of the source (the first
//! block of a film is 21 ms before zero), and `DiscardPadding` tells that nothing of them is to be heard; the last
//! block's padding is told likewise. `CodecDelay` would be the other way to tell. Measured with clicks at known samples:
//!
//! | file | ffmpeg 5.1 | GStreamer 1.22 |
//! |---|---|---|
//! | this one | first sample at 0, every click in place, exact length | every stamp right, priming heard at zero |
//! | `CodecDelay`, stamps with it | priming not skipped, heard before zero | ignored for AAC: all sound 21 ms late |
//! | ffmpeg's own | pictures begin at 21 ms | pictures begin at 21 ms |
//! | without the priming unit | the first 1024 samples are damaged | the same |

mod ebml;
mod headers;

use std::io::{Seek, SeekFrom, Write};

use framefleet_model::index::Key;
use framefleet_model::media::AudioCodec;
use framefleet_model::time::MediaTime;

use self::ebml::{Elements, WIDE_SIZE, wide_size};
use self::headers::{AUDIO, Cue, VIDEO};
use crate::muxing::{Audio, Film, MuxError, Muxer, Picture, Pictures, Sounds, Track, Turns, runs};

/// Nanoseconds of a tick.
pub(crate) const SCALE_NS: i64 = 1_000_000;
const TICKS_PER_SECOND: u32 = 1000;
const CLUSTER_TICKS_MAX: i64 = 5000;
/// Keys begin a cluster of their own unless the last is younger than this.
const CLUSTER_TICKS_MIN: i64 = 1000;
/// A block's time is a signed 16-bit distance from its cluster's.
const REACH: i64 = 32_000;
const KEY_FLAG: u8 = 0x80;
/// Which of the family a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocType {
    Matroska,
    Webm,
}

/// Each unit takes its own turn.
const RUN: MediaTime = MediaTime(1);

pub(crate) mod id {
    pub(crate) const EBML: u32 = 0x1a45_dfa3;
    pub(crate) const SEGMENT: u32 = 0x1853_8067;
    pub(crate) const SEEK_HEAD: u32 = 0x114d_9b74;
    pub(crate) const INFO: u32 = 0x1549_a966;
    pub(crate) const TRACKS: u32 = 0x1654_ae6b;
    pub(crate) const TRACK: u32 = 0xae;
    pub(crate) const CHAPTERS: u32 = 0x1043_a770;
    pub(crate) const CLUSTER: u32 = 0x1f43_b675;
    pub(crate) const CUES: u32 = 0x1c53_bb6b;
}

pub struct MatroskaWriter<W> {
    sink: W,
    film: Film,
    pictures: Option<Pictures>,
    sounds: Vec<Sounds>,
    turns: Turns,
    pushed_pictures: usize,
    /// Of each sound track.
    pushed_sounds: Vec<usize>,
    layout: Layout,
    cluster: Option<Cluster>,
    cues: Vec<Cue>,
    /// Where the next byte goes.
    at: u64,
}

/// Where the parts before the clusters lie in the file.
struct Layout {
    segment: u64,
    seek_head: u64,
    /// From the segment's first payload byte; the cues' place is not known yet.
    parts: Vec<(u32, u64)>,
}

#[derive(Clone, Copy)]
struct Cluster {
    ticks: i64,
    /// Where its payload begins in the file.
    payload: u64,
}

/// A unit that is to become a block.
struct Unit<'a> {
    track: u64,
    data: &'a [u8],
    /// When it is shown, and the earliest that any later unit is.
    ticks: i64,
    not_before: i64,
    key: Key,
    /// Nanoseconds of padding at its end, or less than none of what is not to be heard at its beginning.
    discard: i64,
}

impl<W: Write + Seek> MatroskaWriter<W> {
    pub fn begin(mut sink: W, film: Film, doc: DocType) -> Result<Self, MuxError> {
        headers::check(&film)?;
        let pictures = film.video.as_ref().map(|video| Pictures::new(video, TICKS_PER_SECOND)).transpose()?;
        let sounds = film.audio.iter().map(Sounds::new).collect::<Result<Vec<_>, _>>()?;
        let turns = Turns::new(runs(&film, pictures.as_ref(), RUN)?);
        if turns.now().is_none() {
            return Err(MuxError::Empty);
        }
        let start = sink.stream_position()?;
        let (bytes, layout) = head(&film, (doc, start));
        sink.write_all(&bytes)?;
        let at = start + bytes.len() as u64;
        let (cluster, cues, pushed_sounds) = (None, Vec::new(), vec![0; sounds.len()]);
        Ok(Self { sink, film, pictures, sounds, turns, pushed_pictures: 0, pushed_sounds, layout, cluster, cues, at })
    }

    fn put(&mut self, unit: &Unit<'_>) -> Result<(), MuxError> {
        let cluster = self.cluster_for(unit)?;
        let wanted = self.cues.last().is_none_or(|cue| unit.ticks - cue.at >= CLUSTER_TICKS_MIN / 2);
        if unit.key == Key::Yes && wanted && unit.track == self.cued_track() {
            let (cluster, block) = (self.in_segment(cluster.payload) - CLUSTER_HEAD, self.at - cluster.payload);
            self.cues.push(Cue { at: unit.ticks, track: unit.track, cluster, block });
        }
        let distance = i16::try_from(unit.ticks - cluster.ticks).map_err(|_| MuxError::TooLarge {
            what: "a block's distance from its cluster",
            value: unit.ticks.abs_diff(cluster.ticks),
            bound: REACH.unsigned_abs(),
        })?;
        let head = block_head(unit, distance);
        self.sink.write_all(&head)?;
        self.sink.write_all(unit.data)?;
        self.at += (head.len() + unit.data.len()) as u64;
        if unit.discard != 0 {
            self.put_discard(unit.discard)?;
        }
        Ok(())
    }

    fn put_discard(&mut self, discard: i64) -> Result<(), MuxError> {
        let tail = discard_tail(discard);
        self.sink.write_all(&tail)?;
        self.at += tail.len() as u64;
        Ok(())
    }

    /// The track by whose keys players jump.
    fn cued_track(&self) -> u64 {
        if self.film.video.is_some() { VIDEO } else { AUDIO }
    }

    fn in_segment(&self, at: u64) -> u64 {
        at - self.layout.segment
    }

    /// The open cluster, or a new one where the unit does not belong to it.
    fn cluster_for(&mut self, unit: &Unit<'_>) -> Result<Cluster, MuxError> {
        if let Some(cluster) = self.cluster {
            let age = unit.not_before - cluster.ticks;
            let aged = age >= CLUSTER_TICKS_MAX || (unit.key == Key::Yes && age >= CLUSTER_TICKS_MIN);
            let leads = unit.track == self.cued_track() || age >= CLUSTER_TICKS_MAX;
            let reached = (unit.ticks - cluster.ticks).abs() <= REACH;
            if reached && !(aged && leads) {
                return Ok(cluster);
            }
            self.close_cluster()?;
        }
        let ticks = unit.not_before.max(unit.ticks - REACH).max(0);
        let mut e = Elements::default();
        e.wide_head(id::CLUSTER, 0);
        self.sink.write_all(&e.into_bytes())?;
        let payload = self.at + CLUSTER_HEAD;
        let mut e = Elements::default();
        e.uint(0xe7, ticks.unsigned_abs());
        let stamp = e.into_bytes();
        self.sink.write_all(&stamp)?;
        self.at = payload + stamp.len() as u64;
        let cluster = Cluster { ticks, payload };
        self.cluster = Some(cluster);
        Ok(cluster)
    }

    fn close_cluster(&mut self) -> Result<(), MuxError> {
        if let Some(cluster) = self.cluster.take() {
            self.patch(cluster.payload - WIDE_SIZE as u64, &wide_size(self.at - cluster.payload))?;
        }
        Ok(())
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) -> Result<(), MuxError> {
        self.sink.seek(SeekFrom::Start(at))?;
        self.sink.write_all(bytes)?;
        self.sink.seek(SeekFrom::Start(self.at))?;
        Ok(())
    }
}

impl<W: Write + Seek> Muxer<W> for MatroskaWriter<W> {
    fn wants(&self) -> Option<Track> {
        self.turns.now()
    }

    fn push_picture(&mut self, picture: Picture<'_>) -> Result<(), MuxError> {
        self.turns.take(Track::Video)?;
        let number = self.pushed_pictures;
        let decoded = self.pictures.as_ref().map_or(MediaTime::ZERO, |pictures| pictures.decoded_at(number));
        self.pushed_pictures += 1;
        self.put(&Unit {
            track: VIDEO,
            data: picture.data,
            ticks: picture.pts.to_ticks(TICKS_PER_SECOND),
            not_before: decoded.to_ticks(TICKS_PER_SECOND),
            key: picture.key,
            discard: 0,
        })
    }

    fn push_sound(&mut self, data: &[u8]) -> Result<(), MuxError> {
        let (track, _) = self.turns.take_sound()?;
        let (audio, sounds) = (&self.film.audio[track], &self.sounds[track]);
        let number = self.pushed_sounds[track];
        let discard = discard_ns(audio, number);
        // A codec delay is told for Opus, and taken off every stamp by those who read it.
        let told = if audio.codec == AudioCodec::Opus { 0 } else { audio.priming };
        let at = audio.first - samples_time(audio, u64::from(told)) + sounds.begins(number);
        let ticks = at.to_ticks(TICKS_PER_SECOND);
        self.pushed_sounds[track] += 1;
        self.put(&Unit { track: AUDIO + track as u64, data, ticks, not_before: ticks, key: Key::Yes, discard })
    }

    fn finish(mut self: Box<Self>) -> Result<W, MuxError> {
        if let Some(track) = self.wants() {
            return Err(MuxError::Unfinished(track));
        }
        self.close_cluster()?;
        let cues_at = self.in_segment(self.at);
        let cues = headers::cues(&self.cues);
        self.sink.write_all(&cues)?;
        self.at += cues.len() as u64;
        let mut parts = std::mem::take(&mut self.layout.parts);
        parts.retain(|(part, _)| *part != id::CUES);
        parts.push((id::CUES, cues_at));
        self.patch(self.layout.seek_head, &headers::seek_head(&parts))?;
        let size = self.in_segment(self.at);
        self.patch(self.layout.segment - WIDE_SIZE as u64, &wide_size(size))?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}

/// A cluster's id and size.
const CLUSTER_HEAD: u64 = 4 + WIDE_SIZE as u64;

/// Everything before the first cluster.
fn head(film: &Film, (doc, start): (DocType, u64)) -> (Vec<u8>, Layout) {
    let mut e = Elements::default();
    e.raw(&headers::ebml_header(doc));
    e.wide_head(id::SEGMENT, 0);
    let segment = e.len();
    let sections =
        [(id::INFO, headers::info(film)), (id::TRACKS, headers::tracks(film)), (id::CHAPTERS, headers::chapters(film))];
    let mut parts: Vec<(u32, u64)> = sections.iter().filter(|(_, b)| !b.is_empty()).map(|(id, _)| (*id, 0)).collect();
    parts.push((id::CUES, 0));
    let seek_head = e.len();
    e.raw(&headers::seek_head(&parts));
    for (part, bytes) in sections {
        if let Some(entry) = parts.iter_mut().find(|(id, _)| *id == part) {
            entry.1 = (e.len() - segment) as u64;
        }
        e.raw(&bytes);
    }
    let layout = Layout { segment: start + segment as u64, seek_head: start + seek_head as u64, parts };
    (e.into_bytes(), layout)
}

/// What comes before a block's data: a simple block, or a group where padding is to be told.
fn block_head(unit: &Unit<'_>, distance: i16) -> Vec<u8> {
    let payload = 4 + unit.data.len() as u64;
    let mut e = Elements::default();
    let flags = match unit.key {
        Key::Yes | Key::Open => KEY_FLAG,
        Key::No => 0,
    };
    if unit.discard != 0 {
        let mut block = Elements::default();
        block.head(0xa1, payload);
        let whole = block.len() as u64 + payload + discard_tail(unit.discard).len() as u64;
        e.head(0xa0, whole);
        e.raw(&block.into_bytes());
    } else {
        e.head(0xa3, payload);
    }
    e.raw(&[0x80 | unit.track as u8]);
    e.raw(&distance.to_be_bytes());
    e.raw(&[if unit.discard != 0 { 0 } else { flags }]);
    e.into_bytes()
}

fn discard_tail(discard: i64) -> Vec<u8> {
    let mut e = Elements::default();
    e.int(0x75a2, discard);
    e.into_bytes()
}

/// What is not to be heard of a unit: all of one that is priming, the end of the last.
fn discard_ns(audio: &Audio, number: usize) -> i64 {
    let (units, priming) = (&audio.units, u64::from(audio.priming));
    let begins = units.begins.get(number).copied().unwrap_or(units.end);
    let ends = units.begins.get(number + 1).copied().unwrap_or(units.end);
    if begins > 0 && (begins + 1..ends).contains(&priming) && audio.codec != AudioCodec::Opus {
        // What is left out at a block's beginning is told as less than nothing.
        return -samples_time(audio, priming - begins).ns();
    }
    let samples = if ends <= priming {
        ends - begins
    } else if number + 1 == units.begins.len() {
        units.end.saturating_sub(priming + audio.samples).min(ends - begins)
    } else {
        0
    };
    samples_time(audio, samples).ns()
}

fn samples_time(audio: &Audio, samples: u64) -> MediaTime {
    MediaTime::from_ticks(i64::try_from(samples).unwrap_or(i64::MAX), audio.format.rate.max(1))
}
