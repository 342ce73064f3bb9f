//! What a task needs of a worker, and what a media child is told on standard input, and what it answers on standard output: one JSON value a line.
//!
//! The child reads everything through one inherited socket that answers ranged reads of numbered objects
//! (`object`), and writes only into its scratch folder.

use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::id::Digest;
use crate::index::{Block, Method, VideoTrack};
use crate::ledger::{AudioProof, ImageProof, OutputProof, Produced, SegmentProof};
use crate::media::{Chapter, Container, Tags};
use crate::pipeline::{Damaged, Manifest};
use crate::plan::{AudioRendition, Segment, VideoRendition};
use crate::probe::{Probed, Shown};
use crate::shots::ImagePlan;
use crate::terms::Tenant;
use crate::time::{MediaTime, Span};

pub const CHILD_PROTOCOL: u32 = 2;

/// Numbers of the objects that a child may read.
pub mod object {
    /// The film.
    pub const SOURCE: u32 = 0;
    /// The index object.
    pub const INDEX: u32 = 1;
    /// The film once more, for a glance at it: nothing is read ahead.
    pub const GLANCE: u32 = 2;
    /// The first of the images that pictures are marked with (`watermark::images`).
    pub const IMAGES: u32 = 3;
    /// The first of a merge's inputs; a read of one that is not yet there waits for it.
    pub const INPUTS: u32 = 16;
}

/// Where a task waits for its turn, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub class: String,
    pub tenant: Tenant,
    pub order: i64,
    pub need: Need,
}

/// What an attempt is estimated to take of its worker, in MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Need {
    pub memory_mib: u32,
    pub scratch_mib: u32,
}

/// What went wrong so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    pub failed: u8,
    pub lost: u8,
    pub lost_alone: u8,
    pub handed_back: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildSpec {
    pub protocol: u32,
    /// Absolute path of the only folder that the child writes into.
    pub scratch: String,
    pub limits: ChildLimits,
    pub sandbox: Sandbox,
    pub work: Work,
}

/// Whether a media child puts itself into its jail before it opens anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sandbox {
    /// As much of it as the kernel has.
    BestEffort,
    /// All of it, or no work.
    Enforce,
    Off,
}

impl Sandbox {
    pub const NAMED: [(&str, Self); 3] =
        [("best-effort", Self::BestEffort), ("enforce", Self::Enforce), ("off", Self::Off)];
}

/// Resource limits that a child puts on itself before it opens anything (RLIMIT_DATA, _FSIZE, _NOFILE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildLimits {
    pub data_bytes_max: u64,
    pub file_bytes_max: u64,
    pub open_files_max: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    Index(IndexWork),
    Encode(EncodeWork),
    Audio(AudioWork),
    Image(ImageWork),
    Merge(MergeWork),
    Probe(ProbeWork),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexWork {
    pub limits: SourceLimits,
    /// `false` forces the pass where the sample tables would do: tests compare both.
    pub tables: bool,
}

/// What a source may claim; beyond, it is refused before any work is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLimits {
    pub pixels_max: u64,
    pub side_max: u32,
    pub duration_max: MediaTime,
    pub tracks_max: u32,
}

impl SourceLimits {
    pub const DEFAULT: Self = Self {
        pixels_max: 8192 * 8192,
        side_max: 16_384,
        duration_max: MediaTime::from_secs(48 * 3600),
        tracks_max: 64,
    };
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeWork {
    pub limits: SourceLimits,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeWork {
    pub method: Method,
    pub track: VideoTrack,
    pub origin: MediaTime,
    pub segment: Segment,
    pub renditions: Vec<VideoRendition>,
    pub damaged: Damaged,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioWork {
    /// The track's id in the index.
    pub track: String,
    /// The decoder that gave its first sound, by GStreamer's name.
    pub decoder: String,
    pub origin: MediaTime,
    /// The wanted part, in source running time.
    pub span: Span,
    pub damaged: Damaged,
    pub renditions: Vec<AudioRendition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageWork {
    pub method: Method,
    pub track: VideoTrack,
    pub origin: MediaTime,
    pub plan: ImagePlan,
    pub damaged: Damaged,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeWork {
    pub output: u32,
    pub container: Container,
    pub video: Option<MergeVideo>,
    /// Its sound tracks, in their order.
    pub audio: Vec<MergeAudio>,
    /// Where the output is not one file: `video` is then none.
    #[serde(default)]
    pub package: Option<MergePackage>,
    /// As in the plan.
    #[serde(default)]
    pub delay: MediaTime,
    pub tags: Tags,
    pub chapters: Vec<Chapter>,
    /// Name of the folder, as it stands in a URL, in which this attempt's files but the output's own come to lie, if it
    /// makes such files.
    #[serde(default)]
    pub folder: String,
    /// Names that muxers would draw at random come from here: the plan's content digest.
    pub plan: Digest,
}

/// The pictures of an output. Where the index tells what each segment will show, nothing waits for more than the
/// segment that is written next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeVideo {
    pub rendition: Box<VideoRendition>,
    /// The source's running time that is zero in the output.
    pub origin: MediaTime,
    /// Where the index has the film's units, if it tells what all segments will show.
    pub told: Option<Vec<Block>>,
    /// In order.
    pub segments: Vec<MergeSegment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeSegment {
    pub object: u32,
    pub span: Span,
}

/// The variants of a package, all of the same segments of the film.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergePackage {
    pub variants: Vec<MergeVideo>,
    /// Numbers of the segments that its own segments begin with.
    pub starts: Vec<u32>,
    #[serde(default)]
    pub manifest: Manifest,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeAudio {
    pub rendition: AudioRendition,
    /// Whether players are to play it unasked.
    pub shown: Shown,
    pub object: u32,
}

/// A line of a child's standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    Progress(Progress),
    Done(Outcome),
    Fault(Fault),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Pictures decoded or encoded, or units read, since the start: anything that shows life.
    pub steps: u64,
    /// The position reached, in nanoseconds of media.
    pub position: MediaTime,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Index(IndexDone),
    Encode(Vec<SegmentProof>),
    Audio(Vec<AudioProof>),
    Image(ImageProof),
    Merge(OutputProof),
    Probe(Probed),
}

/// An attempt's own account, kept beside what it made: enough to settle it in an empty store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub version: u32,
    /// The plan that it worked by.
    pub plan: Option<Digest>,
    pub outcome: Outcome,
    /// CPU time of its child.
    #[serde(default)]
    pub cpu_ms: u64,
}

impl Account {
    pub const VERSION: u32 = 1;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDone {
    pub file: Produced,
    pub units: u32,
}

impl Outcome {
    /// The files that it left in the scratch folder.
    pub fn files(&self) -> Vec<&Produced> {
        match self {
            Self::Index(done) => vec![&done.file],
            Self::Encode(proofs) => proofs.iter().map(|p| &p.file).collect(),
            Self::Audio(proofs) => proofs.iter().map(|p| &p.file).collect(),
            Self::Image(proof) => proof.files.iter().collect(),
            Self::Merge(proof) => proof.files().map(|(file, _)| file).collect(),
            Self::Probe(_) => Vec::new(),
        }
    }
}
