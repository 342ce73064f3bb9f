//! What pictures and sound are. Colour and HDR values are the code points of ITU-T H.273.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{MediaTime, Rational};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    H264,
    Hevc,
    Vp8,
    Vp9,
    Av1,
    /// MPEG-4 part 2, simple profile.
    Mpeg4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioCodec {
    /// AAC-LC.
    Aac,
    /// MPEG-1 or MPEG-2 layer III.
    Mp3,
    Opus,
    Vorbis,
    Flac,
    /// Signed samples of 16 bits, little-endian.
    Pcm,
    Ac3,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    Mp4,
    /// MP4 in fragments.
    Fmp4,
    Mov,
    Mkv,
    Webm,
    Ts,
    Flv,
    Avi,
    M4a,
    Mp3,
    Ogg,
    Flac,
    Wav,
    /// None: pictures of a film, each a file of its own.
    Images,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Geometry {
    pub width: u32,
    pub height: u32,
}

/// How the decoded picture must be turned to stand upright: first the mirror, then the quarter turns clockwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Orientation {
    pub quarter_turns: u8,
    pub mirror: Mirror,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mirror {
    #[default]
    No,
    Horizontal,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scan {
    #[default]
    Progressive,
    TopFirst,
    BottomFirst,
}

/// Code points of ITU-T H.273; 2 is "unspecified".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Colour {
    pub primaries: u8,
    pub transfer: u8,
    pub matrix: u8,
    pub range: ColourRange,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColourRange {
    #[default]
    Limited,
    Full,
}

/// SMPTE ST 2086 mastering display: chromaticities in 1/50 000, luminances in 1/10 000 cd/m².
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MasteringDisplay {
    /// Red, green, blue as (x, y).
    pub primaries: [(u16, u16); 3],
    pub white: (u16, u16),
    pub luminance_max: u32,
    pub luminance_min: u32,
}

/// CTA-861.3 content light level, in cd/m².
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ContentLight {
    pub max_cll: u16,
    pub max_fall: u16,
}

/// What a decoder puts out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoFormat {
    pub geometry: Geometry,
    /// The raw layout by GStreamer's name, such as `I420` or `I420_10LE`.
    pub layout: String,
    pub pixel_aspect: Rational,
    /// Constant rate, where the source states a plausible one.
    pub rate: Option<Rational>,
    pub scan: Scan,
    pub colour: Colour,
    pub mastering: Option<MasteringDisplay>,
    pub light: Option<ContentLight>,
    pub orientation: Orientation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AudioFormat {
    /// Samples per second of one channel.
    pub rate: u32,
    pub channels: u16,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    pub title: Option<String>,
    /// When the film was made, in seconds since 1970 UTC.
    pub created_unix: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chapter {
    pub start: MediaTime,
    pub end: MediaTime,
    pub title: String,
}

impl Colour {
    pub const UNSPECIFIED: Self = Self { primaries: 2, transfer: 2, matrix: 2, range: ColourRange::Limited };
}

impl Orientation {
    pub const UPRIGHT: Self = Self { quarter_turns: 0, mirror: Mirror::No };

    pub fn swaps_axes(self) -> bool {
        self.quarter_turns % 2 == 1
    }
}

impl Geometry {
    pub fn swapped(self) -> Self {
        Self { width: self.height, height: self.width }
    }
}

impl VideoCodec {
    pub const ALL: [Self; 6] = [Self::H264, Self::Hevc, Self::Vp8, Self::Vp9, Self::Av1, Self::Mpeg4];

    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Av1 => "av1",
            Self::Mpeg4 => "mpeg4",
        }
    }
}

impl VideoCodec {
    /// Which of ours a track's codec is, by the name that its index has of it.
    pub fn of_track(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

impl AudioCodec {
    /// Which of ours a track's codec is, by the name that its index has of it.
    pub fn of_track(name: &str) -> Option<Self> {
        let name = if name == "pcm_s16le" { Self::Pcm.name() } else { name };
        Self::ALL.into_iter().find(|codec| codec.name() == name)
    }

    pub const ALL: [Self; 7] = [Self::Aac, Self::Mp3, Self::Opus, Self::Vorbis, Self::Flac, Self::Pcm, Self::Ac3];

    pub fn name(self) -> &'static str {
        match self {
            Self::Aac => "aac",
            Self::Mp3 => "mp3",
            Self::Opus => "opus",
            Self::Vorbis => "vorbis",
            Self::Flac => "flac",
            Self::Pcm => "pcm",
            Self::Ac3 => "ac3",
        }
    }

    /// Whether what is heard is what went in: such codecs have no bit rate of their own.
    pub fn is_lossless(self) -> bool {
        matches!(self, Self::Flac | Self::Pcm)
    }

    /// Samples that a decoder puts out before the first one of the source (measured, see docs/adr).
    pub fn priming_samples(self) -> u32 {
        match self {
            Self::Aac => 1024,
            // 576 of LAME's, 529 of every decoder's.
            Self::Mp3 => 1105,
            Self::Opus => 312,
            Self::Ac3 => 256,
            Self::Vorbis | Self::Flac | Self::Pcm => 0,
        }
    }

    /// Samples of one channel in a unit at this rate; `None` where a unit says for itself.
    pub fn unit_samples(self, rate: u32) -> Option<u32> {
        match self {
            Self::Aac => Some(1024),
            Self::Mp3 => Some(if rate < 32_000 { 576 } else { 1152 }),
            Self::Opus => Some(960),
            Self::Ac3 => Some(1536),
            Self::Flac => Some(4096),
            Self::Pcm => Some(1024),
            Self::Vorbis => None,
        }
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}
