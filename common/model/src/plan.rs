//! How a film is cut and who does what. Made from source and pipeline alone, never from the number of workers;
//! immutable; named by its digest.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, TaskId, TaskKind};
use crate::index::{Block, Unit};
use crate::media::{
    AudioFormat, Chapter, Colour, Container, ContentLight, Geometry, MasteringDisplay, Orientation, Scan, Tags,
    VideoCodec,
};
use crate::picture::{Canvas, Deinterlace, Rect};
use crate::pipeline::{AudioSettings, Damaged, Edges, Manifest, RateControl, VideoSettings};
use crate::several::{self, first, is_first};
use crate::shots::ImagePlan;
use crate::time::{MediaTime, Rational, Span};

pub const PLAN_VERSION: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub version: u32,
    pub source: SourceFacts,
    pub index: IndexRef,
    /// The source's running time that is zero in every output.
    pub origin: MediaTime,
    /// The wanted part of the film, in the source's running time.
    pub span: Span,
    /// Where the film is cut and why: one more than there are segments.
    pub cuts: Vec<Cut>,
    pub segments: Vec<Segment>,
    /// Why the film is one segment, where it could not be cut.
    pub uncut: Option<String>,
    pub video: Vec<VideoRendition>,
    pub audio: Vec<AudioRendition>,
    /// Pictures taken out of the film.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<ImagePlan>,
    pub outputs: Vec<OutputPlan>,
    pub damaged: Damaged,
    /// What the source's container promises and the source does not hold.
    pub missing: Option<String>,
    pub tags: Tags,
    /// On the outputs' time line.
    pub chapters: Vec<Chapter>,
}

/// The source as it was when the job was accepted; a source that changes under a job fails it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFacts {
    pub url: String,
    pub size: u64,
    /// ETag of an object, or the modification time of a file.
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexRef {
    pub key: String,
    pub size: u64,
    pub digest: Digest,
}

/// A boundary in source running time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    pub at: MediaTime,
    pub reason: CutReason,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutReason {
    /// The film's, or the wanted range's, first picture.
    Start,
    /// At a key picture: no picture is decoded twice.
    KeyPicture,
    /// Inside a GOP: this many pictures are decoded again to reach it.
    InsideGop { preroll: u32 },
    /// A package's segment begins there; this many pictures are decoded again to reach it.
    Package { preroll: u32 },
    /// The film's, or the wanted range's, end.
    End,
}

/// The half-open part `[cut k, cut k+1)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    pub number: u32,
    pub span: Span,
    pub decode: Decode,
    /// Pictures of the source that are shown in it, where the index can tell.
    pub pictures: Option<u32>,
    /// Its bits a second where an average is asked for, in ten-thousandths of that average.
    #[serde(default = "even")]
    pub pace: u32,
}

/// As many bits a second as the film on average.
pub const PACE_EVEN: u32 = 10_000;

fn even() -> u32 {
    PACE_EVEN
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The buffer of a player, which an encoder keeps from running empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vbv {
    /// Bits a second that fill it.
    pub rate: u32,
    /// How long they take to fill it.
    pub buffer_ms: u32,
    /// How full it is at the first picture.
    pub start_percent: u32,
}

/// How a segment's pictures are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// Units `from..to` of the index, found in these blocks of it.
    Slice { from: u32, to: u32, blocks: Vec<Block> },
    /// The film from its first byte to its last.
    Whole,
}

/// One encoded variant of the pictures; equal settings are encoded once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoRendition {
    pub number: u32,
    pub settings: VideoSettings,
    pub format: EncodeFormat,
    /// Applied before scaling, so that the output stands upright.
    pub turn: Orientation,
    /// What becomes of the source's fields; `weave` where it has none.
    #[serde(default)]
    pub deinterlace: Deinterlace,
    /// The part of the turned picture that is kept; `None`: all of it.
    #[serde(default)]
    pub crop: Option<Rect>,
    /// Where the scaled picture does not fill the output.
    #[serde(default)]
    pub canvas: Option<Canvas>,
    /// What the source's pictures are taken for, where their colour is converted.
    #[serde(default)]
    pub source_colour: Option<Colour>,
    /// Longest distance between key pictures, in pictures.
    pub keyframes_max: u32,
    /// Pictures that the encoder may send ahead of an earlier one.
    pub reorder_depth: u8,
    /// Copies of a later segment's first picture that its encoder is given before it, and whose coded units are thrown
    /// away: rate control then begins where it would be in the middle of a film.
    #[serde(default)]
    pub warm_up: u8,
    /// `None`: nothing bounds the bits of a moment.
    #[serde(default)]
    pub vbv: Option<Vbv>,
    /// In tenths; `None`: the encoder's choice, which is the same for every segment.
    #[serde(default)]
    pub level: Option<u8>,
    /// How far DTS runs ahead: no segment may need more. `None`: known only when the one segment is encoded.
    pub dts_delay: Option<MediaTime>,
}

/// What the encoder is given; the same for every segment, so that headers are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeFormat {
    pub geometry: Geometry,
    pub layout: String,
    pub pixel_aspect: Rational,
    /// The nominal rate written into caps and headers; times come from the pictures.
    pub rate: Rational,
    /// Pictures are placed on this grid; `None` keeps each at its own time.
    pub grid: Option<Rational>,
    pub scan: Scan,
    pub colour: Colour,
    pub mastering: Option<MasteringDisplay>,
    pub light: Option<ContentLight>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioRendition {
    pub number: u32,
    /// Number of the source's sound track that it is made of, from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub track: u32,
    pub settings: AudioSettings,
    pub format: AudioFormat,
    pub language: Option<String>,
    /// What the track is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where on the output's time line its first sample must stand, after silence if need be; `None`: where the source
    /// begins. Containers without times begin at a place of their own.
    #[serde(default)]
    pub begins: Option<MediaTime>,
    /// Of a copy.
    #[serde(default, skip_serializing_if = "Edges::is_told")]
    pub edges: Edges,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPlan {
    pub number: u32,
    pub to: String,
    pub container: Container,
    /// Number of its video rendition.
    pub video: Option<u32>,
    /// Numbers of its audio renditions, one for each of its sound tracks.
    #[serde(with = "several")]
    pub audio: Vec<u32>,
    /// Which of them players play unasked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub played: u32,
    /// How much later than on the output's time line everything stands in the file, where the container can only so keep
    /// pictures and sound together.
    #[serde(default)]
    pub delay: MediaTime,
    /// What the container makes of the settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Number of the image task that makes it, instead of a film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u32>,
    /// Where it is not one file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackagePlan>,
}

/// What a package is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagePlan {
    /// Numbers of the video renditions of its variants, the best first; the output's own is the first of them.
    pub videos: Vec<u32>,
    /// Numbers of the segments that its own segments begin with: the first is 0.
    pub starts: Vec<u32>,
    #[serde(default, skip_serializing_if = "Manifest::is_usual")]
    pub manifest: Manifest,
}

/// How source time becomes output time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLine {
    /// The source's running time that is zero in the output.
    pub origin: MediaTime,
    pub grid: Option<Rational>,
    /// `bob` shows two pictures for each of the source.
    pub deinterlace: Deinterlace,
}

impl Plan {
    /// The plan as an object; equal plans are equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a plan has only string keys and finite numbers")
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// What the plan makes, whoever made it, of whichever copy of the film, to wherever it goes: two plans with equal
    /// digests of this kind make equal outputs. The index enters by its content.
    pub fn content_digest(&self) -> Digest {
        let mut content = self.clone();
        content.source = SourceFacts { url: String::new(), size: self.source.size, version: String::new() };
        content.index.key.clear();
        content.outputs.iter_mut().for_each(|output| output.to.clear());
        content.digest()
    }
}

impl Plan {
    /// Numbers of the source's sound tracks that are heard, ascending: each is an audio task, numbered by its place here.
    pub fn sounds(&self) -> Vec<u32> {
        let mut tracks: Vec<u32> = self.audio.iter().map(|rendition| rendition.track).collect();
        tracks.sort_unstable();
        tracks.dedup();
        tracks
    }

    /// The audio task that makes a rendition.
    pub fn sound_task(&self, rendition: &AudioRendition) -> TaskId {
        let before = self.sounds().iter().filter(|track| **track < rendition.track).count();
        TaskId::new(TaskKind::Audio, u32::try_from(before).unwrap_or(u32::MAX))
    }

    /// One audio task for each track that is heard.
    pub fn sound_tasks(&self) -> impl Iterator<Item = TaskId> + use<> {
        (0..).zip(self.sounds()).map(|(number, _)| TaskId::new(TaskKind::Audio, number))
    }
}

/// How often a segment is gone through to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passes {
    One,
    /// Once to see what each picture needs, once to encode.
    Two,
}

impl VideoRendition {
    /// An average is met by who knows what is to come.
    pub fn passes(&self) -> Passes {
        let knows_two = matches!(self.settings.codec, VideoCodec::H264 | VideoCodec::Hevc);
        match self.settings.rate {
            RateControl::Bitrate(_) if knows_two && self.settings.coding.is_encode() => Passes::Two,
            RateControl::Bitrate(_) | RateControl::Crf(_) => Passes::One,
        }
    }

    /// How its pictures' times come from the source's.
    pub fn line(&self, origin: MediaTime) -> OutputLine {
        OutputLine { origin, grid: self.format.grid, deinterlace: self.deinterlace }
    }
}

/// The times of the pictures that `units` show within `span`, ascending, in source running time.
pub fn shown_times(units: &[Unit], span: Span) -> Vec<MediaTime> {
    let shown = units.iter().filter(|u| u.shows > 0).filter_map(|u| u.pts);
    let mut times: Vec<MediaTime> = shown.filter(|pts| span.contains(*pts)).collect();
    times.sort_unstable();
    times
}

/// The slot of a grid of constant rate that is nearest to `time`, which is relative to the origin.
pub fn grid_slot(time: MediaTime, grid: Rational) -> i64 {
    grid.nearest(time)
}

/// The slots that a source picture at `from` fills when the next one stands at `to`, all relative to the origin.
///
/// Empty where a later picture takes the same slot: a slot shows the last picture whose nearest slot is not later.
pub fn grid_slots(from: MediaTime, to: MediaTime, grid: Rational) -> Range<i64> {
    let first = grid_slot(from, grid);
    first..grid_slot(to, grid).max(first)
}

/// The moments of the whole pictures that become of a source picture at `from` when the next one stands at `to`.
pub fn moments(from: MediaTime, to: MediaTime, deinterlace: Deinterlace) -> impl Iterator<Item = MediaTime> + Clone {
    let second = match deinterlace {
        Deinterlace::Weave | Deinterlace::Frame => None,
        Deinterlace::Bob => Some(MediaTime(from.ns() + (to - from).ns() / 2)),
    };
    [from].into_iter().chain(second)
}

/// The times, on the output's time line, of the pictures that a segment encodes; ascending.
///
/// `shown` are the source pictures of the segment (`shown_times`). Slots belong to the segment that holds the source
/// picture, and its last picture lasts until `span.end`, where the next segment's first picture stands: no segment
/// needs to know its neighbour. Without a grid each picture keeps its own time.
pub fn output_times(shown: &[MediaTime], span: Span, line: OutputLine) -> Vec<MediaTime> {
    let ends = shown.iter().skip(1).copied().chain([span.end]);
    let moments = shown.iter().zip(ends).flat_map(|(from, to)| moments(*from, to, line.deinterlace));
    let Some(grid) = line.grid else {
        return moments.map(|time| time - line.origin).collect();
    };
    let ends = moments.clone().skip(1).chain([span.end]);
    let slots = moments.zip(ends).flat_map(|(from, to)| grid_slots(from - line.origin, to - line.origin, grid));
    slots.map(|slot| grid.time_of(slot)).collect()
}

/// Where a segment's last picture ends on the output's time line: the next segment's first picture stands here.
pub fn output_end(span: Span, line: OutputLine) -> MediaTime {
    let end = span.end - line.origin;
    line.grid.map_or(end, |grid| grid.time_of(grid_slot(end, grid)))
}

/// How far DTS must run ahead when `sorted` are the output times and the encoder reorders by `depth` pictures.
pub fn dts_delay(sorted: &[MediaTime], depth: u8) -> MediaTime {
    let ahead = sorted.iter().skip(usize::from(depth));
    let delay = sorted.iter().zip(ahead).map(|(early, late)| *late - *early).max();
    delay.unwrap_or(MediaTime::ZERO)
}
