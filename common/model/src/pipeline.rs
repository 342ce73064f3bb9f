//! What was asked for: one source, outputs and their settings, before anything is known of the film.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::image::Images;
use crate::media::{AudioCodec, Container, Geometry, VideoCodec};
use crate::picture::{Shape, Size};
use crate::sound::Treatment;
use crate::step::Step;
use crate::time::{MediaTime, Rational};
use crate::watermark::Watermark;

/// A job as it was accepted: complete, resolved, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Storage URL of the source, such as `file:///srv/in/film.mov`.
    pub source: String,
    pub outputs: Vec<OutputRequest>,
    pub segments: SegmentDuration,
    pub damaged: Damaged,
    /// The part of the film that is wanted, on the output's own time line (0 = the film's first moment).
    pub range: Range,
    pub on_existing: OnExisting,
    /// What happens once the job has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRequest {
    /// Storage URL of the finished file.
    pub to: String,
    pub container: Container,
    /// `None`: without pictures.
    pub video: Option<VideoSettings>,
    /// `None`: without sound.
    pub audio: Option<AudioSettings>,
    /// Which of the source's sound tracks, all by the same settings.
    #[serde(default, skip_serializing_if = "SoundTracks::is_usual")]
    pub tracks: SoundTracks,
    /// Pictures of the film instead of the film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<Images>,
    /// Not one file but many, for players; `to` is its master playlist, and `container` what its segments are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Package>,
}

/// How an output is cut up for players.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// How long its segments are, to the picture.
    pub time: MediaTime,
    #[serde(default)]
    pub ladder: Ladder,
    #[serde(default, skip_serializing_if = "Manifest::is_usual")]
    pub manifest: Manifest,
}

/// What leads players to a package's segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manifest {
    /// Playlists (RFC 8216).
    #[default]
    Hls,
    /// A media presentation description (ISO/IEC 23009-1).
    Dash,
}

/// The variants of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ladder {
    /// One, by the output's own settings.
    #[default]
    One,
    /// As many usual sizes as the source is large enough for.
    Auto,
    Rungs(Vec<Rung>),
}

/// What of the output's settings is another in a variant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    pub size: Option<Geometry>,
    pub rate: Option<RateControl>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VideoSettings {
    /// Of a copy it is the source's, which a request does not know yet and a plan does.
    pub codec: VideoCodec,
    #[serde(default, skip_serializing_if = "Coding::is_encode")]
    pub coding: Coding,
    pub preset: Preset,
    pub rate: RateControl,
    /// No stretch of the film has more bits than this over its length and two seconds.
    #[serde(default)]
    pub max_bitrate: Option<u32>,
    /// `None`: as the source, upright.
    pub size: Option<Size>,
    /// `None`: every picture of the source at its own time.
    pub fps: Option<Rational>,
    /// Longest distance between two key pictures.
    pub keyframe_interval: Option<MediaTime>,
    #[serde(default)]
    pub shape: Shape,
    #[serde(default)]
    pub watermarks: Vec<Watermark>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioSettings {
    /// Of a copy it is the source's, which a request does not know yet and a plan does.
    pub codec: AudioCodec,
    #[serde(default, skip_serializing_if = "Coding::is_encode")]
    pub coding: Coding,
    /// Bits per second over all channels; 0 for codecs that lose nothing.
    pub bitrate: u32,
    /// `None`: the source's.
    pub sample_rate: Option<u32>,
    pub channels: Option<u16>,
    #[serde(default, skip_serializing_if = "Treatment::is_default")]
    pub treatment: Treatment,
}

/// Where coded units come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Coding {
    #[default]
    Encode,
    /// The source's own, as they are.
    Copy,
}

/// What becomes of the first and the last unit of copied sound, which the wanted part may cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Edges {
    /// The container tells which samples are left out: the part is exact.
    #[default]
    Told,
    /// Units are whole, and stand at their own times.
    Whole,
    /// Units are whole, and the first is where the file begins.
    Bare,
}

/// Speed against size, by x264's names for every codec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    Ultrafast,
    Superfast,
    Veryfast,
    Faster,
    Fast,
    #[default]
    Medium,
    Slow,
    Slower,
    Veryslow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RateControl {
    /// Constant quality, by the codec's own scale.
    Crf(u8),
    /// Bits per second, on average over the film.
    Bitrate(u32),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentDuration {
    #[default]
    Auto,
    /// The whole film is one task.
    None,
    Every(MediaTime),
}

/// What becomes of a film of which fewer pictures decode than the index lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Damaged {
    #[default]
    Fail,
    Keep,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExisting {
    #[default]
    Fail,
    Replace,
}

/// Half-open, on the output's time line; `None` is the film's own end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub from: Option<MediaTime>,
    pub to: Option<MediaTime>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SoundTracks {
    /// All where the container may hold several, the first where it holds one.
    #[default]
    Usual,
    All,
    /// The one that is flagged as default, else the first that decodes.
    First,
    /// In this order.
    These(Vec<SoundTrack>),
}

/// How one of a film's sound tracks is named.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SoundTrack {
    /// Counted from 1.
    Number(u32),
    /// The first of this language (ISO 639, two or three letters).
    Language(String),
}

impl Coding {
    pub fn is_encode(&self) -> bool {
        *self == Self::Encode
    }
}

impl Edges {
    pub fn is_told(&self) -> bool {
        *self == Self::Told
    }
}

impl SoundTracks {
    /// Whether nothing was asked for.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Manifest {
    /// Whether it need not be written down: packages were of no other kind once.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Preset {
    pub const ALL: [Self; 9] = [
        Self::Ultrafast,
        Self::Superfast,
        Self::Veryfast,
        Self::Faster,
        Self::Fast,
        Self::Medium,
        Self::Slow,
        Self::Slower,
        Self::Veryslow,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Superfast => "superfast",
            Self::Veryfast => "veryfast",
            Self::Faster => "faster",
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Slow => "slow",
            Self::Slower => "slower",
            Self::Veryslow => "veryslow",
        }
    }
}

impl VideoCodec {
    /// The quality that looks about the same for every codec when none is asked for.
    pub fn default_crf(self) -> u8 {
        match self {
            Self::H264 => 23,
            Self::Hevc => 28,
            Self::Vp8 | Self::Vp9 => 31,
            Self::Av1 => 32,
            Self::Mpeg4 => 4,
        }
    }

    /// Constant quality by the codec's own scale, the best first.
    pub fn crf_range(self) -> RangeInclusive<u32> {
        match self {
            Self::H264 | Self::Hevc => 0..=51,
            Self::Vp8 | Self::Vp9 | Self::Av1 => 0..=63,
            Self::Mpeg4 => 1..=31,
        }
    }
}

impl AudioCodec {
    /// Bits per second over all channels when none are asked for; 0 where the codec has none of its own.
    pub fn default_bitrate(self, channels: Option<u32>) -> u32 {
        let (all, each) = match self {
            Self::Flac | Self::Pcm => return 0,
            Self::Ac3 => (192_000, 96_000),
            Self::Aac | Self::Mp3 | Self::Opus | Self::Vorbis => (128_000, 64_000),
        };
        channels.map_or(all, |channels| channels * each)
    }
}
