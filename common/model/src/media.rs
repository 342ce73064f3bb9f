//! What pictures and sound are. Colour and HDR values are the code points of ITU-T H.273.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::{MediaTime, Rational};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    H264,
    Hevc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioCodec {
    Aac,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    Mp4,
    Mkv,
    Ts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Geometry {
    pub width: u32,
    pub height: u32,
}

/// How the decoded picture must be turned to stand upright: first the quarter turns clockwise, then the mirror.
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

impl Container {
    pub const ALL: [Self; 3] = [Self::Mp4, Self::Mkv, Self::Ts];

    pub fn name(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mkv => "mkv",
            Self::Ts => "ts",
        }
    }

    /// The container that a file name's extension means.
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "mp4" | "m4v" => Some(Self::Mp4),
            "mkv" => Some(Self::Mkv),
            "ts" | "m2ts" | "mts" => Some(Self::Ts),
            _ => None,
        }
    }
}

impl VideoCodec {
    pub const ALL: [Self; 2] = [Self::H264, Self::Hevc];

    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "h264",
            Self::Hevc => "hevc",
        }
    }
}

impl AudioCodec {
    pub const ALL: [Self; 1] = [Self::Aac];

    pub fn name(self) -> &'static str {
        match self {
            Self::Aac => "aac",
        }
    }

    /// Samples that a decoder puts out before the first one of the source (measured, see docs/adr).
    pub fn priming_samples(self) -> u32 {
        match self {
            Self::Aac => 1024,
        }
    }
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}
