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
//!              Audio ─▶ push_sound(data)
//!          ──▶ finish() ─▶ W, whole
//! ```

mod clock;
pub(crate) mod language;
mod order;

pub(crate) use clock::{Pictures, Sounds, timescale_of};
pub(crate) use order::{InRun, Run, Turns, runs};

use std::io;

use framefleet_model::id::Digest;
use framefleet_model::index::Key;
use framefleet_model::media::{
    AudioFormat, Chapter, Colour, ContentLight, Geometry, MasteringDisplay, Tags, VideoCodec,
};
use framefleet_model::time::{MediaTime, Rational};

/// An output before its first byte; at least one of its tracks is there. All times are on the output's time line.
#[derive(Clone, Debug)]
pub struct Film {
    pub video: Option<Video>,
    pub audio: Option<Audio>,
    pub tags: Tags,
    pub chapters: Vec<Chapter>,
    /// Stands for what other muxers draw at random.
    pub plan: Digest,
}

#[derive(Clone, Debug)]
pub struct Video {
    pub codec: VideoCodec,
    /// The avcC or hvcC record; units are length-prefixed accordingly.
    pub codec_data: Vec<u8>,
    pub geometry: Geometry,
    pub pixel_aspect: Rational,
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

/// AAC.
#[derive(Clone, Debug)]
pub struct Audio {
    /// The AudioSpecificConfig.
    pub codec_data: Vec<u8>,
    pub format: AudioFormat,
    pub language: Option<String>,
    /// Bits per second, as it was asked for.
    pub bitrate: u32,
    /// The place of the first sample of the source, after priming; not before zero.
    pub first: MediaTime,
    /// Samples of one channel that a decoder gives before that one.
    pub priming: u32,
    /// Samples of one channel without priming and without the last unit's padding.
    pub samples: u64,
    pub units: u32,
    /// 1024 for AAC-LC.
    pub unit_samples: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Track {
    Video,
    Audio,
}

/// A coded picture, in decoding order.
#[derive(Clone, Copy, Debug)]
pub struct Picture<'a> {
    pub data: &'a [u8],
    /// One of the film's `times`.
    pub pts: MediaTime,
    pub key: Key,
}

pub trait Muxer<W> {
    /// The track whose next unit is due; `None` when all have been pushed.
    fn wants(&self) -> Option<Track>;
    fn push_picture(&mut self, picture: Picture<'_>) -> Result<(), MuxError>;
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
}
