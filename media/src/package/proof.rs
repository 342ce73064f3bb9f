//! Reading a variant back: each file by itself, packet by packet, and all of them in a row by a demuxer.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::ledger::{Produced, VariantReadback};

use crate::indexing::scratch_fault;
use crate::merge::inputs::{Inputs, PictureInput};
use crate::merge::proof;
use crate::mpegts::reading::{Packets, Unit};
use crate::mpegts::{AUDIO_PID, Access, CLOCK, PAT_PID, PMT_PID, VIDEO_PID};
use crate::package::Packaging;
use crate::package::files::{KeyPlace, Written};
use crate::package::grid::Grid;
use crate::pipe::internal;
use crate::read_at::ReadAt;

/// A variant's files, and what was found in them.
pub(crate) struct Read {
    pub(crate) files: Vec<Produced>,
    pub(crate) readback: VariantReadback,
}

pub(crate) fn of_transport(
    packaging: &Packaging<'_>,
    (inputs, grid): (&Inputs, &Grid),
    written: &Written,
) -> Result<Read, Fault> {
    let names = &written.names;
    let pictures = inputs.pictures.as_ref().ok_or_else(|| internal("a variant without pictures"))?;
    if names.len() != grid.starts().len() {
        return Err(open(format!("{} files were written, {} are due", names.len(), grid.starts().len())));
    }
    let (mut files, mut segments) = (Vec::new(), Vec::new());
    let mut stream = Counted::of(packaging, pictures);
    for ((name, start), number) in names.iter().zip(grid.starts()).zip(0..) {
        let bytes = std::fs::read(packaging.scratch.join(name)).map_err(|e| scratch_fault(&e))?;
        let start = start.to_ticks(CLOCK) + stream.zero;
        segments.push(stream.take(&bytes, start).map_err(|why| open(format!("{name}: {why}")))?);
        let mut keys = written.keys.iter().filter(|key| key.file == number);
        keys.try_for_each(|key| stands_alone(&bytes, key, stream.zero))
            .map_err(|why| open(format!("{name}: {why}")))?;
        files.push(Produced { name: name.clone(), size: bytes.len() as u64, digest: Digest::of(&bytes) });
    }
    stream.finish(inputs)?;
    let chain = Chain::of(packaging.scratch, &files);
    let (video, audio) = proof::readback((inputs, packaging.work.container), Arc::new(chain))?;
    let video = video.ok_or_else(|| internal("a variant without pictures"))?;
    Ok(Read { files, readback: VariantReadback { rendition: pictures.rendition.number, video, audio, segments } })
}

/// A key picture's own bytes: tables, and the picture alone.
fn stands_alone(file: &[u8], key: &KeyPlace, zero: i64) -> Result<(), String> {
    let (from, to) = (usize::try_from(key.at), usize::try_from(key.at + key.size));
    let bytes = from.ok().zip(to.ok()).and_then(|(from, to)| file.get(from..to));
    let units = Packets::default().read(bytes.ok_or("a key picture ends behind its file")?)?;
    let due = key.shown.to_ticks(CLOCK) + zero;
    match units.as_slice() {
        [tables, map, picture]
            if (tables.pid, map.pid, picture.pid) == (PAT_PID, PMT_PID, VIDEO_PID)
                && picture.access == Access::Random
                && picture.pts == due =>
        {
            Ok(())
        }
        _ => Err(format!("no key picture alone stands at byte {} for {}", key.at, key.shown)),
    }
}

/// What has been found in a variant's files so far.
struct Counted<'a> {
    packets: Packets,
    zero: i64,
    pictures: &'a PictureInput,
    /// Times of pictures, as they came.
    times: Vec<i64>,
    /// Whether the packs of sound follow one another.
    heard: Option<i64>,
}

impl<'a> Counted<'a> {
    fn of(packaging: &Packaging<'_>, pictures: &'a PictureInput) -> Self {
        let zero = packaging.zero.to_ticks(CLOCK);
        Self { packets: Packets::default(), zero, pictures, times: Vec::new(), heard: None }
    }

    /// One file: tables, then a picture at which decoding may begin, and no picture that is shown before it. Returns how
    /// many pictures it holds.
    fn take(&mut self, bytes: &[u8], start: i64) -> Result<u32, String> {
        let units = self.packets.read(bytes)?;
        match units.as_slice() {
            [tables, map, first, ..]
                if (tables.pid, map.pid, first.pid) == (PAT_PID, PMT_PID, VIDEO_PID)
                    && first.access == Access::Random
                    && first.pts == start => {}
            _ => return Err("it does not begin with tables and a picture at which decoding may begin".to_owned()),
        }
        let shown: Vec<i64> = of(&units, VIDEO_PID).collect();
        if let Some(early) = shown.iter().find(|pts| **pts < start) {
            return Err(format!("a picture at {early} is shown before its first at {start}"));
        }
        for pts in of(&units, AUDIO_PID) {
            if self.heard.is_some_and(|before| before >= pts) {
                return Err(format!("sound at {pts} comes after later sound"));
            }
            self.heard = Some(pts);
        }
        self.times.extend(&shown);
        u32::try_from(shown.len()).map_err(|e| e.to_string())
    }

    /// Every picture is there, at its tick.
    fn finish(mut self, inputs: &Inputs) -> Result<(), Fault> {
        self.times.sort_unstable();
        let due = &self.pictures.schedule.times;
        if self.times.len() != due.len() {
            return Err(open(format!(
                "{} pictures read back from the package, {} went in",
                self.times.len(),
                due.len()
            )));
        }
        let due = due.iter().map(|time| time.to_ticks(CLOCK) + self.zero);
        if let Some((got, due)) = self.times.iter().zip(due).find(|(got, due)| **got != *due) {
            return Err(open(format!("a picture of the package stands at tick {got} where {due} is due")));
        }
        if inputs.sounds.is_empty() == self.heard.is_some() {
            return Err(open("the package differs from the plan in having sound".to_owned()));
        }
        Ok(())
    }
}

fn of(units: &[Unit], pid: u16) -> impl Iterator<Item = i64> {
    units.iter().filter(move |unit| unit.pid == pid).map(|unit| unit.pts)
}

fn open(what: String) -> Fault {
    Fault::new(FaultKind::LedgerOpen, what)
}

/// Files in a row as one, of which one at a time is open.
pub(crate) struct Chain {
    folder: PathBuf,
    /// Where each begins.
    files: Vec<(u64, String)>,
    size: u64,
    now: Mutex<Option<(usize, File)>>,
}

impl Chain {
    pub(crate) fn of(folder: &Path, files: &[Produced]) -> Self {
        let mut size = 0;
        let begin = |file: &Produced| {
            let at = size;
            size += file.size;
            (at, file.name.clone())
        };
        let files = files.iter().map(begin).collect();
        Self { folder: folder.to_owned(), files, size, now: Mutex::default() }
    }

    /// Reads within one file.
    fn read_some(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let Some(at) = self.files.partition_point(|(begin, _)| *begin <= offset).checked_sub(1) else { return Ok(0) };
        let (begin, name) = &self.files[at];
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.as_ref().is_none_or(|(open, _)| *open != at) {
            *now = Some((at, File::open(self.folder.join(name))?));
        }
        now.as_ref().map_or(Ok(0), |(_, file)| file.read_at(offset - begin, buf))
    }
}

impl ReadAt for Chain {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            let got = self.read_some(offset + done as u64, &mut buf[done..])?;
            if got == 0 {
                break;
            }
            done += got;
        }
        Ok(done)
    }
}
