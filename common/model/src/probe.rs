//! What a film says of itself, told without reading it through.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::media::{AudioFormat, Chapter, VideoFormat};
use crate::time::{MediaTime, Rational};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// By its short name, such as `mp4`; its media type where it has none.
    pub container: String,
    pub length: Option<Length>,
    /// In the order of their ids.
    pub tracks: Vec<Track>,
    pub tags: BTreeMap<String, String>,
    pub chapters: Vec<Chapter>,
    /// Media types of streams that nothing here reads.
    pub unread: Vec<String>,
    /// How the file is shorter than it says, if it is.
    pub cut_off: Option<String>,
}

/// How long a film is, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    pub time: MediaTime,
    pub by: Said,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    Container,
    /// From the first and last time stamps of a stream that has no header.
    TimeStamps,
    /// From the size and the rate of the first units.
    BitRate,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Track {
    /// The demuxer's name of the track.
    pub id: String,
    /// By its short name, such as `h264`; its media type where it has none.
    pub codec: String,
    pub profile: Option<String>,
    pub level: Option<String>,
    pub language: Option<String>,
    /// What the track is called.
    #[serde(default)]
    pub title: Option<String>,
    pub shown: Shown,
    /// Which decoder takes it, by GStreamer's name; `None`: none does.
    pub decoder: Option<String>,
    pub content: Content,
}

/// Whether players show a track unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shown {
    Default,
    Asked,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    Video(Pictures),
    Audio(Option<AudioFormat>),
    Subtitles,
    Data,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pictures {
    /// `None` where neither headers nor a first picture tell it.
    pub format: Option<VideoFormat>,
    /// Pictures a second over the whole track, where the container has counted them.
    pub mean_rate: Option<Rational>,
}
