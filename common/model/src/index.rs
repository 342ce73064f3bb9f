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
use crate::time::{MediaTime, Span};

pub const UNITS_PER_BLOCK: usize = 1024;
const MAGIC: &[u8; 4] = b"FFIX";
const VERSION: u32 = 1;
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
    pub audio: Option<AudioTrack>,
    /// Tracks of the source that were not chosen, one line each, for people.
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
    pub id: String,
    pub codec: String,
    /// As people call it, such as `aac` or `pcm_s16le`; empty in older indexes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    pub decoder: String,
    pub format: AudioFormat,
    pub language: Option<String>,
    pub span: Span,
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
    #[error("this is no index of version {VERSION}")]
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
        out.extend_from_slice(&VERSION.to_le_bytes());
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

impl IndexHeader {
    /// Reads the header alone, from at least as many bytes as it has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IndexError> {
        let fixed = bytes.get(..12).ok_or(IndexError::Short(bytes.len(), "preamble"))?;
        let word = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        if &fixed[..4] != MAGIC || word(4) != VERSION {
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

/// units:u32le, then lz4 of the columns.
fn pack_block(units: &[Unit]) -> Vec<u8> {
    let mut columns = Vec::with_capacity(units.len() * 16);
    for unit in units {
        let flags = u8::from(unit.is_key())
            | (unit.shows.min(1) << 1)
            | (u8::from(unit.pts.is_some()) << 2)
            | (u8::from(unit.dts.is_some()) << 3)
            | (u8::from(unit.duration.is_some()) << 4)
            | (u8::from(unit.offset.is_some()) << 5)
            | (u8::from(unit.key == Key::Open) << 6);
        columns.push(flags);
    }
    let optional: [fn(&Unit) -> Option<i64>; 4] = [
        |u| u.pts.map(MediaTime::ns),
        |u| u.dts.map(MediaTime::ns),
        |u| u.duration.map(MediaTime::ns),
        |u| u.offset.and_then(|o| i64::try_from(o).ok()),
    ];
    for column in optional {
        let mut last = 0_i64;
        for value in units.iter().filter_map(column) {
            put_varint(&mut columns, value.wrapping_sub(last));
            last = value;
        }
    }
    for unit in units {
        put_varint(&mut columns, i64::from(unit.size));
    }
    for unit in units {
        columns.extend_from_slice(&unit.hash.to_le_bytes());
    }
    let mut out = u32::try_from(units.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
    out.extend(lz4_flex::compress_prepend_size(&columns));
    out
}

fn unpack_block(packed: &[u8], count: u32) -> Option<Vec<Unit>> {
    let count = count as usize;
    if count > UNITS_PER_BLOCK || packed.get(..4)? != u32::try_from(count).ok()?.to_le_bytes() {
        return None;
    }
    // 40 bytes a unit is more than any of them takes; a larger claim is a lie about the size.
    let claimed = u32::from_le_bytes(packed.get(4..8)?.try_into().ok()?) as usize;
    if claimed > count * 64 {
        return None;
    }
    let columns = lz4_flex::decompress_size_prepended(&packed[4..]).ok()?;
    let mut reader = Columns { rest: &columns };
    let flags = reader.take(count)?.to_vec();
    let pts = reader.optional(&flags, 2)?;
    let dts = reader.optional(&flags, 3)?;
    let duration = reader.optional(&flags, 4)?;
    let offset = reader.optional(&flags, 5)?;
    let mut sizes = Vec::with_capacity(count);
    for _ in 0..count {
        sizes.push(u32::try_from(reader.varint()?).ok()?);
    }
    let mut units = Vec::with_capacity(count);
    for i in 0..count {
        let hash = u64::from_le_bytes(reader.take(8)?.try_into().ok()?);
        units.push(Unit {
            pts: pts[i].map(MediaTime),
            dts: dts[i].map(MediaTime),
            duration: duration[i].map(MediaTime),
            size: sizes[i],
            key: match (flags[i] & 1, flags[i] >> 6 & 1) {
                (0, _) => Key::No,
                (_, 0) => Key::Yes,
                _ => Key::Open,
            },
            shows: flags[i] >> 1 & 1,
            hash,
            offset: offset[i].and_then(|o| u64::try_from(o).ok()),
        });
    }
    Some(units)
}

struct Columns<'a> {
    rest: &'a [u8],
}

impl<'a> Columns<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(head)
    }

    fn varint(&mut self) -> Option<i64> {
        let mut raw = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            raw |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()));
            }
        }
        None
    }

    fn optional(&mut self, flags: &[u8], bit: u8) -> Option<Vec<Option<i64>>> {
        let mut last = 0_i64;
        let mut values = Vec::with_capacity(flags.len());
        for flag in flags {
            if flag >> bit & 1 == 0 {
                values.push(None);
                continue;
            }
            last = last.wrapping_add(self.varint()?);
            values.push(Some(last));
        }
        Some(values)
    }
}

/// LEB128 of the zigzag form.
fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while raw >= 0x80 {
        out.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}
