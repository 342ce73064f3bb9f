//! A segment at rest: caps with codec data, access units with exact nanosecond times, a table at the end.
//!
//! ```text
//! "FFSG" version:u32le │ data of unit 0, data of unit 1, … │ caps(UTF-8) │ table │ trailer
//! table:   per unit  pts:i64le size:u32le flags:u32le          (bit 0: key)
//! trailer: samples:u64le end:i64le caps_len:u32le units:u32le table_offset:u64le "FFSG"
//! ```
//! Decoding times are not stored: only the merge knows all pictures of the film.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::ledger::Produced;
use framefleet_model::time::MediaTime;
use sha2::{Digest as _, Sha256};

use crate::indexing::scratch_fault;
use crate::pipe::internal;
use crate::read_at::ReadAt;

const MAGIC: &[u8; 4] = b"FFSG";
const VERSION: u32 = 1;
const HEAD_BYTES: u64 = 8;
const ENTRY_BYTES: usize = 16;
const TRAILER_BYTES: usize = 36;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) pts: MediaTime,
    pub(crate) size: u32,
    pub(crate) sync: Sync,
}

/// What a segment covers beside its units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Samples of one channel, without priming and padding; 0 for pictures.
    pub(crate) samples: u64,
    /// Where its last picture or sample ends on the output's time line.
    pub(crate) end: MediaTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    No,
    Yes,
}

pub(crate) struct SegmentWriter {
    name: String,
    out: BufWriter<File>,
    whole: Sha256,
    content: Sha256,
    caps: Option<String>,
    entries: Vec<Entry>,
    written: u64,
}

/// A finished segment file and what is proven of it.
pub(crate) struct Written {
    pub(crate) file: Produced,
    pub(crate) header: Digest,
    pub(crate) content: Digest,
    pub(crate) entries: Vec<Entry>,
}

impl SegmentWriter {
    pub(crate) fn create(scratch: &Path, name: &str) -> Result<Self, Fault> {
        let file = File::create(scratch.join(name)).map_err(|e| scratch_fault(&e))?;
        let mut writer = Self {
            name: name.to_owned(),
            out: BufWriter::with_capacity(1 << 20, file),
            whole: Sha256::new(),
            content: Sha256::new(),
            caps: None,
            entries: Vec::new(),
            written: 0,
        };
        writer.put(MAGIC)?;
        writer.put(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    pub(crate) fn push(
        &mut self,
        caps: &gst::CapsRef,
        (pts, sync): (MediaTime, Sync),
        data: &[u8],
    ) -> Result<(), Fault> {
        match &self.caps {
            None => self.caps = Some(caps.to_string()),
            Some(first) if *first == caps.to_string() => {}
            Some(first) => return Err(internal(format!("the encoder changed its header from {first} to {caps}"))),
        }
        let size = u32::try_from(data.len()).map_err(|_| internal("an access unit of more than 4 GiB"))?;
        self.content.update(data);
        self.put(data)?;
        self.entries.push(Entry { pts, size, sync });
        Ok(())
    }

    /// Moves every unit by `by`: sound is placed when its first sample's place is known.
    pub(crate) fn shift(&mut self, by: MediaTime) {
        for entry in &mut self.entries {
            entry.pts = entry.pts + by;
        }
    }

    /// Leaves out the units that begin at this place or later, before anything is shifted.
    pub(crate) fn truncate_at(&mut self, end: MediaTime) {
        let kept = self.entries.partition_point(|entry| entry.pts < end);
        self.entries.truncate(kept);
    }

    pub(crate) fn finish(mut self, extent: Extent) -> Result<Written, Fault> {
        let caps = self.caps.take().unwrap_or_default();
        let table_offset = self.written + caps.len() as u64;
        self.put(caps.as_bytes())?;
        let entries = std::mem::take(&mut self.entries);
        for entry in &entries {
            self.put(&entry.pts.ns().to_le_bytes())?;
            self.put(&entry.size.to_le_bytes())?;
            self.put(&u32::from(entry.sync == Sync::Yes).to_le_bytes())?;
        }
        self.put(&extent.samples.to_le_bytes())?;
        self.put(&extent.end.ns().to_le_bytes())?;
        self.put(&u32::try_from(caps.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        self.put(&u32::try_from(entries.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        self.put(&table_offset.to_le_bytes())?;
        self.put(MAGIC)?;
        self.out.flush().map_err(|e| scratch_fault(&e))?;
        let digest = |hasher: Sha256| Digest::from_bytes(hasher.finalize().into());
        Ok(Written {
            file: Produced { name: self.name, size: self.written, digest: digest(self.whole) },
            header: Digest::of(caps.as_bytes()),
            content: digest(self.content),
            entries,
        })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.whole.update(bytes);
        self.written += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|e| scratch_fault(&e))
    }
}

/// A segment as the merge reads it: the table first, then unit after unit in constant memory.
pub(crate) struct SegmentReader {
    object: Arc<dyn ReadAt>,
    pub(crate) caps: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) extent: Extent,
    next: usize,
    offset: u64,
    ahead: Vec<u8>,
    ahead_at: u64,
}

/// Units are read from the parent in runs of this size.
const AHEAD_BYTES: usize = 1 << 20;

impl SegmentReader {
    pub(crate) fn open(object: Arc<dyn ReadAt>) -> Result<Self, Fault> {
        let size = object.size();
        let damaged = |what: &str| Fault::new(FaultKind::LedgerOpen, format!("a segment of {size} bytes has {what}"));
        let trailer_at = size.checked_sub(TRAILER_BYTES as u64).ok_or_else(|| damaged("no trailer"))?;
        let trailer = object.read_exact_at(trailer_at, TRAILER_BYTES).map_err(|e| read_fault(&e))?;
        if &trailer[32..] != MAGIC {
            return Err(damaged("no trailer"));
        }
        let extent = Extent { samples: long_at(&trailer, 0), end: MediaTime(long_at(&trailer, 8).cast_signed()) };
        let (caps_len, units) = (u64::from(word_at(&trailer, 16)), word_at(&trailer, 20) as usize);
        let table_at = long_at(&trailer, 24);
        let table_len = units.checked_mul(ENTRY_BYTES).ok_or_else(|| damaged("too long a table"))?;
        if table_at.checked_add(table_len as u64) != Some(trailer_at) || caps_len > table_at {
            return Err(damaged("a trailer that contradicts its size"));
        }
        let caps_at = table_at - caps_len;
        let text = object
            .read_exact_at(caps_at, usize::try_from(trailer_at - caps_at).unwrap_or(0))
            .map_err(|e| read_fault(&e))?;
        let (caps, table) = text.split_at(usize::try_from(caps_len).unwrap_or(0));
        let entries = table.chunks_exact(ENTRY_BYTES).map(entry_of).collect();
        let caps = String::from_utf8(caps.to_vec()).map_err(|_| damaged("caps that are no text"))?;
        Ok(Self { object, caps, entries, extent, next: 0, offset: HEAD_BYTES, ahead: Vec::new(), ahead_at: 0 })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.next == self.entries.len()
    }

    /// The first unit's data, whatever has been read.
    pub(crate) fn first(&self) -> Result<Option<Vec<u8>>, Fault> {
        let read = |entry: &Entry| self.object.read_exact_at(HEAD_BYTES, entry.size as usize);
        self.entries.first().map(read).transpose().map_err(|e| read_fault(&e))
    }

    /// The next unit and its data.
    pub(crate) fn next(&mut self) -> Result<Option<(Entry, &[u8])>, Fault> {
        let Some(entry) = self.entries.get(self.next).copied() else { return Ok(None) };
        let (from, len) = (self.offset, entry.size as usize);
        let held = from >= self.ahead_at && from + len as u64 <= self.ahead_at + self.ahead.len() as u64;
        if !held {
            let mut run = vec![0; AHEAD_BYTES.max(len)];
            let got = self.object.read_at(from, &mut run).map_err(|e| read_fault(&e))?;
            run.truncate(got);
            (self.ahead, self.ahead_at) = (run, from);
        }
        let at = usize::try_from(from - self.ahead_at).unwrap_or(usize::MAX);
        let data = self.ahead.get(at..at + len);
        let data = data.ok_or_else(|| Fault::new(FaultKind::LedgerOpen, "a segment ends in the middle of a unit"))?;
        self.next += 1;
        self.offset += len as u64;
        Ok(Some((entry, data)))
    }
}

fn entry_of(bytes: &[u8]) -> Entry {
    Entry {
        pts: MediaTime(long_at(bytes, 0).cast_signed()),
        size: word_at(bytes, 8),
        sync: if word_at(bytes, 12) & 1 == 1 { Sync::Yes } else { Sync::No },
    }
}

fn word_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn long_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(word_at(bytes, at)) | u64::from(word_at(bytes, at + 4)) << 32
}

fn read_fault(error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::StorageAway, format!("a segment cannot be read: {error}"))
}
