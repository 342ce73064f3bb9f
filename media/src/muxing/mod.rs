//! What every muxer of ours is told: the film before its first byte, then its units one by one.
//!
//! All times of pictures and the number of sound units are known from the plan, so a muxer knows its whole layout
//! before any coded data: it says which track it wants next, holds one unit at a time, and equal films give equal
//! bytes. Names that other muxers draw at random come from the plan's digest.
//!
//! ```text
//! film ──▶ Mp4Writer::begin | MatroskaWriter::begin
//!            while let Some(track) = writer.wants()
//!              Video ─▶ push_picture(data, pts, key)      in decoding order
//!              Audio ─▶ push_sound(data)         of the sound track that is wanted
//!          ──▶ finish() ─▶ W, whole
//! ```

mod clock;
mod order;
pub(crate) mod vp9;

pub(crate) use clock::{Pictures, Sounds, timescale_of};
pub(crate) use order::{InRun, Run, Turns, runs};

use std::io;

use framefleet_model::id::Digest;
use framefleet_model::index::Key;
use framefleet_model::media::{
    AudioCodec, AudioFormat, Chapter, Colour, ContentLight, Geometry, MasteringDisplay, Orientation, Tags, VideoCodec,
};
use framefleet_model::probe::Shown;
use framefleet_model::time::{MediaTime, Rational};

/// An output before its first byte; at least one of its tracks is there. All times are on the output's time line.
#[derive(Clone, Debug)]
pub struct Film {
    pub video: Option<Video>,
    pub audio: Vec<Audio>,
    pub tags: Tags,
    pub chapters: Vec<Chapter>,
    /// Stands for what other muxers draw at random.
    pub plan: Digest,
}

#[derive(Clone, Debug)]
pub struct Video {
    pub codec: VideoCodec,
    /// The avcC or hvcC record, and units are length-prefixed accordingly; the av1C record; empty for the others.
    pub codec_data: Vec<u8>,
    pub geometry: Geometry,
    /// Bits of a sample.
    pub depth: u8,
    pub pixel_aspect: Rational,
    /// How they must be turned to stand upright; only MP4 and MOV can tell.
    pub turn: Orientation,
    pub colour: Colour,
    pub mastering: Option<MasteringDisplay>,
    pub light: Option<ContentLight>,
    /// The nominal rate; sets the clock on which constant-rate times are exact.
    pub rate: Rational,
    pub language: Option<String>,
    /// When each picture is shown, ascending, none before zero.
    pub times: Vec<MediaTime>,
    /// Where the last picture ends.
    pub end: MediaTime,
    /// How far decoding runs ahead of showing.
    pub dts_delay: MediaTime,
}

#[derive(Clone, Debug)]
pub struct Audio {
    pub codec: AudioCodec,
    /// AAC's AudioSpecificConfig, the payload of AC-3's `dac3`, Opus' identification header, FLAC's STREAMINFO, Vorbis'
    /// three headers laced as in Matroska; empty for MP3 and PCM.
    pub codec_data: Vec<u8>,
    pub format: AudioFormat,
    pub language: Option<String>,
    /// What it is called.
    pub title: Option<String>,
    /// Whether players play it unasked.
    pub shown: Shown,
    /// Bits per second, as it was asked for.
    pub bitrate: u32,
    /// The place of the first sample that was encoded, after priming; before zero only in containers without times.
    pub first: MediaTime,
    /// Samples of one channel that a decoder gives before that one.
    pub priming: u32,
    /// Samples of one channel without priming and without the last unit's padding.
    pub samples: u64,
    pub units: SoundUnits,
}

/// Where the units of a sound track lie, in samples from the beginning of the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SoundUnits {
    pub begins: Vec<u64>,
    /// Where the last one ends, with its padding.
    pub end: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    Video,
    /// By its place among the film's sound tracks.
    Audio(usize),
}

/// A coded picture, in decoding order.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    pub data: &'a [u8],
    /// One of the film's `times`.
    pub pts: MediaTime,
    pub key: Key,
}

impl Film {
    /// Everything as much later, pictures' times as they are pushed too.
    pub(crate) fn later(mut self, by: MediaTime) -> Self {
        if let Some(video) = &mut self.video {
            video.times.iter_mut().for_each(|time| *time = *time + by);
            video.end = video.end + by;
        }
        self.audio.iter_mut().for_each(|audio| audio.first = audio.first + by);
        self
    }

    pub(crate) fn check_sounds(&self, bound: u64) -> Result<(), MuxError> {
        let value = self.audio.len() as u64;
        if value <= bound { Ok(()) } else { Err(MuxError::TooLarge { what: "a count of sound tracks", value, bound }) }
    }

    /// Where the last of its tracks ends.
    pub(crate) fn end(&self) -> MediaTime {
        let sound = self.audio.iter().map(Audio::end).max();
        self.video.as_ref().map(|video| video.end).max(sound).unwrap_or(MediaTime::ZERO)
    }
}

impl Audio {
    /// Where the last sample that is to be heard ends.
    pub(crate) fn end(&self) -> MediaTime {
        let samples = i64::try_from(self.samples).unwrap_or(i64::MAX);
        self.first + MediaTime::from_ticks(samples, self.format.rate.max(1))
    }
}

impl SoundUnits {
    /// Units of one length each.
    pub fn equal(units: u64, samples: u32) -> Self {
        let begins = (0..units).map(|unit| unit * u64::from(samples)).collect();
        Self { begins, end: units * u64::from(samples) }
    }

    /// The length that all have, if they have one; the last may be cut short.
    pub(crate) fn length(&self) -> Option<u64> {
        let mut lengths = self.begins.windows(2).map(|pair| pair[1] - pair[0]);
        let first = lengths.next().unwrap_or(self.end);
        lengths.all(|length| length == first).then_some(first)
    }
}

pub trait Muxer<W> {
    /// The track whose next unit is due; `None` when all have been pushed.
    fn wants(&self) -> Option<Track>;
    fn push_picture(&mut self, picture: Picture<'_>) -> Result<(), MuxError>;
    /// A unit of the sound track whose turn it is.
    fn push_sound(&mut self, data: &[u8]) -> Result<(), MuxError>;
    /// Writes what is known only at the end, and gives the sink back, flushed.
    fn finish(self: Box<Self>) -> Result<W, MuxError>;
}

#[derive(Debug, thiserror::Error)]
pub enum MuxError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("a film has neither pictures nor sound")]
    Empty,
    #[error("picture {0} stands at {1}, not after the one before")]
    Times(usize, MediaTime),
    #[error("a time of {0} is before zero")]
    Negative(MediaTime),
    #[error("picture {number} at {pts} would be decoded at {dts}, after it is shown")]
    LateDecode { number: usize, pts: MediaTime, dts: MediaTime },
    #[error("a unit of the {0:?} track came out of turn")]
    Turn(Track),
    #[error("the film ends with {0:?} still due")]
    Unfinished(Track),
    #[error("{what} of {value} is over the bound of {bound}")]
    TooLarge { what: &'static str, value: u64, bound: u64 },
    #[error("{0} is no codec data of this codec")]
    CodecData(&'static str),
    #[error("{container} holds no {codec}")]
    Codec { container: &'static str, codec: &'static str },
}
