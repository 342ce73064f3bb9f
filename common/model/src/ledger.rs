//! The proof that an output is whole: what each segment held, that seams meet, and what was read back.

use serde::{Deserialize, Serialize};

use crate::id::Digest;
use crate::several;
use crate::sound::{Level, Measured};
use crate::time::MediaTime;

/// A file that a child left in its scratch folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Produced {
    /// File name within the scratch folder.
    pub name: String,
    pub size: u64,
    pub digest: Digest,
}

/// What one encode attempt proves of one rendition of its segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentProof {
    pub rendition: u32,
    /// Pictures decoded within the span, of the source.
    pub decoded: u32,
    /// Pictures encoded (on a grid this differs from `decoded`).
    pub pictures: u32,
    /// Presentation times of the first and last encoded picture, on the output's time line.
    pub first: MediaTime,
    pub last: MediaTime,
    /// Where the last picture ends: the next segment's first picture stands here.
    pub end: MediaTime,
    /// Of the caps with their codec data: equal for all segments of a rendition.
    pub header: Digest,
    /// Of the coded data.
    pub content: Digest,
    /// The largest DTS advance that its own order of pictures needs.
    pub dts_need: MediaTime,
    /// Times of pictures that the index lists and the decoder did not give; empty unless `damaged` is `keep`.
    pub lost: Vec<MediaTime>,
    /// Stamped by the worker that made it, as it names itself. One build gives one header.
    #[serde(default)]
    pub build: String,
    /// framefleet, GStreamer, encoder versions.
    pub fingerprint: String,
    pub file: Produced,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioProof {
    pub rendition: u32,
    /// Samples of one channel that were encoded, without priming.
    pub samples: u64,
    /// The first sample's place on the output's time line.
    pub first: MediaTime,
    /// Access units.
    pub units: u32,
    /// Units of the source that do not decode, with `damaged: keep`.
    #[serde(default)]
    pub lost: u32,
    /// Holes of the source that were filled with silence.
    pub silences: Vec<Silence>,
    /// Samples of the source that overlapped earlier ones and were dropped.
    pub overlapped_samples: u64,
    /// Where a loudness was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loudness: Option<LoudnessProof>,
    pub header: Digest,
    pub content: Digest,
    pub fingerprint: String,
    pub file: Produced,
}

/// How loud a track was, and was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoudnessProof {
    /// Mixed and freed of noise, before the gain.
    pub measured: Measured,
    /// The same for the whole track; 0 for silence.
    pub gain: Level,
    /// Samples of one channel that were given less, so that no peak stands above the limit.
    pub limited_samples: u64,
    /// Of what the encoder was given.
    pub made: Measured,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    pub at: MediaTime,
    pub length: MediaTime,
}

/// What one image attempt proves of the pictures that it took out of the film.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageProof {
    pub image: u32,
    /// Where the picture stands that was taken for each shot of the plan, on the outputs' time line.
    pub taken: Vec<MediaTime>,
    /// Shots whose own picture does not decode, with `damaged: keep`: another stands in for it.
    pub lost: u32,
    /// Pictures read back from the files by decoding them, all of the size that is planned.
    pub pictures: u32,
    /// How long they last together, where they move.
    pub duration: Option<MediaTime>,
    /// framefleet, GStreamer, encoder versions.
    pub fingerprint: String,
    /// In the order of their numbers; what names the others comes last.
    pub files: Vec<Produced>,
}

/// What was read back from a finished output by demuxing it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputProof {
    pub output: u32,
    /// The file that is published last: it leads to all others.
    pub file: Produced,
    #[serde(default)]
    pub stands: Stand,
    /// Its other files, in the order in which they are published.
    #[serde(default)]
    pub beside: Vec<Part>,
    pub duration: MediaTime,
    pub video: Option<VideoReadback>,
    /// Of each of its sound tracks, in their order.
    #[serde(with = "several")]
    pub audio: Vec<AudioReadback>,
    /// Of a package, in the order of its plan, instead of `video` and `audio`.
    #[serde(default)]
    pub variants: Vec<VariantReadback>,
}

/// What was read back of one variant of a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariantReadback {
    pub rendition: u32,
    pub video: VideoReadback,
    /// Of each of its sound tracks, in their order.
    #[serde(with = "several")]
    pub audio: Vec<AudioReadback>,
    /// Pictures in each of its segments.
    pub segments: Vec<u32>,
}

/// One more file of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub file: Produced,
    pub stands: Stand,
}

/// Where a file of an output comes to stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stand {
    /// At the output's own final name.
    #[default]
    Named,
    /// Beside it: the same name with this number after it, and the extension that the file was made with.
    Numbered(u32),
    /// In the folder that the attempt has to itself there, by the name that the file was made with.
    Within,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoReadback {
    pub pictures: u32,
    pub first: MediaTime,
    pub last: MediaTime,
    /// Largest distance of a picture from its planned time: what the container's clock rounds off.
    pub off_max: MediaTime,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioReadback {
    pub units: u32,
    /// Units at the head that a demuxer leaves out: priming, or what comes before the first clock reference.
    pub left_out: u32,
    pub first: MediaTime,
    pub off_max: MediaTime,
}

/// One seam: the end of segment k meets the start of segment k+1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seam {
    pub between: (u32, u32),
    pub at: MediaTime,
}

impl OutputProof {
    /// All files, the one that leads to the others last.
    pub fn files(&self) -> impl Iterator<Item = (&Produced, Stand)> {
        let beside = self.beside.iter().map(|part| (&part.file, part.stands));
        beside.chain([(&self.file, self.stands)])
    }
}

/// The whole proof of a job; stored as an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    pub plan: Digest,
    pub segments: Vec<SegmentProof>,
    pub seams: Vec<Seam>,
    pub audio: Vec<AudioProof>,
    #[serde(default)]
    pub images: Vec<ImageProof>,
    pub outputs: Vec<OutputProof>,
}
