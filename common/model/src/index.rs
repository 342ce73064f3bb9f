//! The film's only time line: every access unit of the chosen video track, and each track's span.
//!
//! On storage an index is a JSON header followed by blocks of units, each delta-coded and compressed on its own,
//! so that a task reads just the byte range that holds its slice:
//!
//! ```text
//! "FFIX" version:u32le header_len:u32le header(JSON) block block block …
//! ```

use serde::{Deserialize, Serialize};

use crate::media::{AudioFormat, Chapter, Tags, VideoFormat};
use crate::packing::{pack_block, unpack_block};
use crate::probe::Shown;
use crate::several::{self, first, is_first};
use crate::time::{MediaTime, Span};

pub const UNITS_PER_BLOCK: usize = 1024;
const MAGIC: &[u8; 4] = b"FFIX";
/// An index with several sound tracks; any other is written as one of version 1, which knew one at most.
const VERSION: u32 = 2;
/// No header is larger: a film of a hundred hours has 25 000 blocks.
const HEADER_BYTES_MAX: usize = 64 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    pub header: IndexHeader,
    pub units: Vec<Unit>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexHeader {
    /// The container by its media type, such as `video/quicktime`.
    pub container: String,
    pub method: Method,
    pub video: Option<VideoTrack>,
    /// Sound tracks that decode, in the order of their numbers.
    #[serde(with = "several")]
    pub audio: Vec<AudioTrack>,
    /// Sound tracks from which nothing is heard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<SilentTrack>,
    /// Tracks of the source of which nothing is known to be of use, one line each, for people.
    pub ignored: Vec<String>,
    pub tags: Tags,
    pub chapters: Vec<Chapter>,
    /// What the film should hold and does not, or not where it is looked for.
    #[serde(default)]
    pub missing: Vec<Missing>,
    pub blocks: Vec<Block>,
}

/// A part that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    pub of: Part,
    /// Where it begins, if that is known.
    pub from: Option<MediaTime>,
    /// Number of the sound track that lacks it, where the film has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub track: Option<u32>,
    /// For people.
    pub what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Pictures,
    Sound,
    /// Of all that the film has.
    Film,
}

/// How the index was made, and so how a range of the film is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// One demuxing pass over the whole film: a range is found again by its hashes.
    Pass,
    /// From the sample tables of an MP4/MOV: a range is read by offset and size.
    Tables,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoTrack {
    /// The demuxer's name of the track: the part of GStreamer's stream id that does not depend on the address.
    pub id: String,
    /// Codec by its media type, such as `video/x-h264`.
    pub codec: String,
    /// Codec as people call it, such as `h264`; empty in older indexes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The decoder that gave its first picture, by GStreamer's name.
    pub decoder: String,
    /// GStreamer caps of the parsed stream, from each unit on.
    pub caps: Vec<CapsAt>,
    pub format: VideoFormat,
    pub span: Span,
    pub divisible: Divisible,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapsAt {
    pub unit: u32,
    pub caps: String,
    /// Parameter sets that a decoder needs before a unit that does not carry them, in hexadecimal; empty where the
    /// caps have them.
    pub headers: String,
}

/// Whether a film can be cut, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Divisible {
    Yes,
    No(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioTrack {
    /// Among the film's sound tracks, from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub number: u32,
    pub id: String,
    pub codec: String,
    /// As people call it, such as `aac` or `pcm_s16le`; empty in older indexes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub decoder: String,
    pub format: AudioFormat,
    pub language: Option<String>,
    /// What it is called, such as "Commentary".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Whether players play it unasked; an only track they do.
    #[serde(default = "played", skip_serializing_if = "is_played")]
    pub shown: Shown,
    #[serde(default, skip_serializing_if = "Standing::is_beside")]
    pub standing: Standing,
    pub span: Span,
}

/// How a track stands to others of its kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    #[default]
    Beside,
    /// It goes on where another ends: the source changes its tracks midway.
    Behind,
}

/// A sound track that does not decode, or has nothing to decode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentTrack {
    /// Among the film's sound tracks, from 1.
    pub number: u32,
    /// As people call its codec.
    pub name: String,
    pub language: Option<String>,
    pub why: Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Silent {
    Undecodable,
    /// It has no units.
    Empty,
}

fn played() -> Shown {
    Shown::Default
}

fn is_played(shown: &Shown) -> bool {
    *shown == played()
}

/// An access unit: the coded data of one picture (or of none, or of one field).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    pub pts: Option<MediaTime>,
    pub dts: Option<MediaTime>,
    pub duration: Option<MediaTime>,
    pub size: u32,
    /// Decoding may begin here.
    pub key: Key,
    /// Pictures that it puts on the screen: 0 or 1.
    pub shows: u8,
    /// XXH3 of its bytes; 0 in an index made from sample tables.
    pub hash: u64,
    /// Where it lies in the source; known from sample tables only.
    pub offset: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    No,
    /// Decoding may begin here, but the stream goes on counting from before: a decoder that misses references wants
    /// a run-up of units whose pictures are thrown away (H.264 recovery points; any key of an MP4 sample table).
    Open,
    Yes,
}

/// A compressed run of units: where it lies in the index object, counted from the object's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    pub first_unit: u32,
    pub units: u32,
    pub offset: u64,
    pub bytes: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    #[error("this is no index of a version up to {VERSION}")]
    Magic,
    #[error("the index ends after {0} bytes, in the middle of its {1}")]
    Short(usize, &'static str),
    #[error("the index header does not parse: {0}")]
    Header(String),
    #[error("block {0} of the index is damaged")]
    Block(usize),
}

impl Unit {
    pub fn is_key(&self) -> bool {
        self.key != Key::No
    }
}

impl VideoTrack {
    /// Caps and parameter sets in force at `unit`.
    pub fn caps_at(&self, unit: u32) -> Option<&CapsAt> {
        let last = self.caps.iter().take_while(|c| c.unit <= unit).last();
        last.or(self.caps.first())
    }
}

impl Index {
    /// The index as an object; fills in the header's block table.
    pub fn to_bytes(&self) -> Vec<u8> {
        let packed: Vec<Vec<u8>> = self.units.chunks(UNITS_PER_BLOCK).map(pack_block).collect();
        let mut header = self.header.clone();
        // The block table is part of the header whose length shifts the blocks: offsets are fixed up once the
        // header's length is known, and padded with spaces to the length found with the widest offsets.
        header.blocks = block_table(&packed, u64::from(u32::MAX));
        let json_max = serde_json::to_vec(&header).map_or(0, |json| json.len());
        header.blocks = block_table(&packed, (12 + json_max) as u64);
        let mut json = serde_json::to_vec(&header).unwrap_or_default();
        json.resize(json_max, b' ');
        let mut out = Vec::with_capacity(12 + json_max + packed.iter().map(Vec::len).sum::<usize>());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&header.version().to_le_bytes());
        out.extend_from_slice(&u32::try_from(json_max).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&json);
        for block in &packed {
            out.extend_from_slice(block);
        }
        out
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        let header = IndexHeader::from_bytes(bytes)?;
        let mut units = Vec::new();
        for (number, block) in header.blocks.iter().enumerate() {
            let from = usize::try_from(block.offset).map_err(|_| IndexError::Block(number))?;
            let packed = bytes.get(from..from + block.bytes as usize);
            let packed = packed.ok_or(IndexError::Short(bytes.len(), "blocks"))?;
            units.extend(unpack_block(packed, block.units).ok_or(IndexError::Block(number))?);
        }
        Ok(Self { header, units })
    }
}

impl Standing {
    pub fn is_beside(&self) -> bool {
        *self == Self::Beside
    }
}

impl IndexHeader {
    fn version(&self) -> u32 {
        if self.audio.len() > 1 { VERSION } else { 1 }
    }

    /// Reads the header alone, from at least as many bytes as it has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        let fixed = bytes.get(..12).ok_or(IndexError::Short(bytes.len(), "preamble"))?;
        let word = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        if &fixed[..4] != MAGIC || !(1..=VERSION).contains(&word(4)) {
            return Err(IndexError::Magic);
        }
        let len = (word(8) as usize).min(HEADER_BYTES_MAX);
        let json = bytes.get(12..12 + len).ok_or(IndexError::Short(bytes.len(), "header"))?;
        serde_json::from_slice(json).map_err(|e| IndexError::Header(e.to_string()))
    }

    /// The smallest run of blocks that holds units `from..to`: byte range in the object, and its first unit.
    pub fn blocks_of(&self, from: u32, to: u32) -> Vec<Block> {
        let overlaps = |b: &&Block| b.first_unit < to && from < b.first_unit + b.units;
        self.blocks.iter().filter(overlaps).copied().collect()
    }
}

/// Reads units out of a run of blocks as `blocks_of` names them; `bytes` begins at the first block.
pub fn units_of_blocks(blocks: &[Block], bytes: &[u8]) -> Result<Vec<Unit>, IndexError> {
    let base = blocks.first().map_or(0, |b| b.offset);
    let mut units = Vec::new();
    for (number, block) in blocks.iter().enumerate() {
        let from = usize::try_from(block.offset - base).map_err(|_| IndexError::Block(number))?;
        let packed = bytes.get(from..from + block.bytes as usize);
        let packed = packed.ok_or(IndexError::Short(bytes.len(), "blocks"))?;
        units.extend(unpack_block(packed, block.units).ok_or(IndexError::Block(number))?);
    }
    Ok(units)
}

fn block_table(packed: &[Vec<u8>], base: u64) -> Vec<Block> {
    let mut offset = base;
    let mut first_unit = 0;
    let mut table = Vec::with_capacity(packed.len());
    for block in packed {
        let units = u32::from_le_bytes([block[0], block[1], block[2], block[3]]);
        table.push(Block { first_unit, units, offset, bytes: u32::try_from(block.len()).unwrap_or(u32::MAX) });
        offset += block.len() as u64;
        first_unit += units;
    }
    table
}
