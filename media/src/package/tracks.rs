//! Reading the segments of one track back: each file by its boxes, fragment by fragment, and all in a row by a demuxer.

use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::index::Key;
use framefleet_model::ledger::{AudioReadback, Produced, VariantReadback};
use framefleet_model::time::MediaTime;

use crate::indexing::scratch_fault;
use crate::isobmff::reader::segments::{self, Fragment, Sample, Usual};
use crate::isobmff::writer::fragments::TrackClock;
use crate::merge::inputs::Inputs;
use crate::merge::{mux_fault, proof};
use crate::package::files::Written;
use crate::package::grid::Grid;
use crate::package::proof::Chain;
use crate::package::{Packaging, cmaf};
use crate::pipe::internal;

/// Files of a track, as they were found.
pub(crate) struct Found {
    pub(crate) init: Produced,
    pub(crate) files: Vec<Produced>,
    /// Samples of each.
    counts: Vec<u32>,
    pub(crate) timeline: Timeline,
}

/// When each file begins and the last one ends, in ticks of the track's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timeline {
    pub(crate) timescale: u32,
    /// What stands there at the output's time zero.
    pub(crate) zero: u64,
    pub(crate) begins: Vec<u64>,
    pub(crate) end: u64,
}

/// What a track must be, in its ticks.
struct Due<'a> {
    timescale: u32,
    zero: u64,
    /// When each unit is shown, ascending.
    shown: &'a [u64],
    /// When the first unit of each file is shown.
    starts: &'a [u64],
    /// Where the last unit shown ends.
    end: u64,
}

pub(crate) fn of_pictures(
    packaging: &Packaging<'_>,
    (inputs, grid): (&Inputs, &Grid),
    written: &Written,
) -> Result<(Found, VariantReadback), Fault> {
    let pictures = inputs.pictures.as_ref().ok_or_else(|| internal("a variant without pictures"))?;
    let timescale = cmaf::timescale(&inputs.film(packaging.work)?);
    let zero = packaging.zero.to_ticks(timescale);
    let tick = |time: &MediaTime| (time.to_ticks(timescale) + zero).cast_unsigned();
    let shown: Vec<u64> = pictures.schedule.times.iter().map(tick).collect();
    let starts: Vec<u64> = grid.starts().iter().map(tick).collect();
    let due = Due { timescale, zero: zero.cast_unsigned(), shown: &shown, starts: &starts, end: tick(&grid.end()) };
    let found = read(packaging, written, &due)?;
    let (video, _) = proof::readback((inputs, packaging.work.container), chain(packaging, &found))?;
    let video = video.ok_or_else(|| internal("a variant without pictures"))?;
    let (rendition, segments) = (pictures.rendition.number, found.counts.clone());
    Ok((found, VariantReadback { rendition, video, audio: Vec::new(), segments }))
}

pub(crate) fn of_sound(
    packaging: &Packaging<'_>,
    (inputs, grid): (&Inputs, &Grid),
    written: &Written,
) -> Result<(Found, AudioReadback), Fault> {
    let (film, sound) = (inputs.film(packaging.work)?, inputs.sounds.first());
    let (Some(audio), Some(sound)) = (film.audio.first(), sound) else {
        return Err(internal("a group of sound without sound"));
    };
    let timescale = audio.format.rate;
    let zero = packaging.zero.to_ticks(timescale);
    let clock = TrackClock::of_sound(audio, zero).map_err(mux_fault)?;
    let units = &sound.track.entries;
    let shown = (0..units.len()).map(|number| clock.time(number)).collect::<Result<Vec<_>, _>>().map_err(mux_fault)?;
    let number = |start: &MediaTime| units.partition_point(|unit| unit.pts < *start);
    let starts: Vec<u64> = grid.starts().iter().filter_map(|start| shown.get(number(start)).copied()).collect();
    let end = clock.time(units.len()).map_err(mux_fault)?;
    let due = Due { timescale, zero: zero.cast_unsigned(), shown: &shown, starts: &starts, end };
    let found = read(packaging, written, &due)?;
    let (_, mut heard) = proof::readback((inputs, packaging.work.container), chain(packaging, &found))?;
    Ok((found, heard.pop().ok_or_else(|| internal("a group of sound without sound"))?))
}

fn read(packaging: &Packaging<'_>, written: &Written, due: &Due<'_>) -> Result<Found, Fault> {
    let name = written.init.as_ref().ok_or_else(|| internal("a track without a movie box"))?;
    let (init, bytes) = produced(packaging, name)?;
    let usual = segments::usual(&bytes).ok_or_else(|| open(format!("{name} does not say what samples are")))?;
    if written.names.len() != due.starts.len() {
        return Err(open(format!("{} files were written, {} are due", written.names.len(), due.starts.len())));
    }
    let mut track = Track { usual, fragments: 0, decoded: None, shown: Vec::new() };
    let (mut files, mut counts) = (Vec::new(), Vec::new());
    for ((name, start), number) in written.names.iter().zip(due.starts).zip(0..) {
        let (file, bytes) = produced(packaging, name)?;
        let found = track.take(&bytes, *start).map_err(|why| open(format!("{name}: {why}")))?;
        keys_stand(&found, (written, number), due).map_err(|why| open(format!("{name}: {why}")))?;
        let count = found.iter().map(|fragment| fragment.samples.len()).sum::<usize>();
        counts.push(u32::try_from(count).unwrap_or(u32::MAX));
        files.push(file);
    }
    track.shown.sort_unstable();
    if track.shown != due.shown {
        return Err(differs(&track.shown, due.shown));
    }
    let timeline = Timeline { timescale: due.timescale, zero: due.zero, begins: due.starts.to_vec(), end: due.end };
    Ok(Found { init, files, counts, timeline })
}

/// All files of a track in a row.
fn chain(packaging: &Packaging<'_>, found: &Found) -> Arc<Chain> {
    let files: Vec<Produced> = std::iter::once(&found.init).chain(&found.files).cloned().collect();
    Arc::new(Chain::of(packaging.scratch, &files))
}

struct Track {
    usual: Usual,
    /// How many have been read.
    fragments: u32,
    /// Where the next sample must be decoded.
    decoded: Option<u64>,
    shown: Vec<u64>,
}

impl Track {
    /// One file: what comes first can be decoded without what was before, nothing is shown before it, and decoding goes on
    /// where the file before it ended.
    fn take(&mut self, bytes: &[u8], start: u64) -> Result<Vec<Fragment>, String> {
        let found = segments::fragments(bytes, self.usual)?;
        let samples = || found.iter().flat_map(|fragment| &fragment.samples);
        match samples().next() {
            Some(Sample { shown, key: Key::Yes, .. }) if *shown == start => {}
            Some(first) => return Err(format!("it begins with {first:?}, a key at {start} is due")),
            None => return Err("it is empty".to_owned()),
        }
        if let Some(early) = samples().find(|sample| sample.shown < start) {
            return Err(format!("a unit at {} is shown before its first at {start}", early.shown));
        }
        for fragment in &found {
            self.fragments += 1;
            if fragment.number != self.fragments {
                return Err(format!("fragment {} has the number {}", self.fragments, fragment.number));
            }
        }
        for sample in samples() {
            if self.decoded.is_some_and(|due| due != sample.decoded) {
                return Err(format!("a unit is decoded at {}, due is {:?}", sample.decoded, self.decoded));
            }
            self.decoded = Some(sample.decoded + u64::from(sample.duration));
            self.shown.push(sample.shown);
        }
        Ok(found)
    }
}

/// Every place that is told of a key picture is a fragment with that picture alone.
fn keys_stand(found: &[Fragment], (written, file): (&Written, usize), due: &Due<'_>) -> Result<(), String> {
    for key in written.keys.iter().filter(|key| key.file == file) {
        let shown = key.shown.to_ticks(due.timescale).cast_unsigned() + due.zero;
        let is_it = |fragment: &&Fragment| {
            let (at, size) = (fragment.place.start as u64, fragment.place.len() as u64);
            (at, size) == (key.at, key.size)
        };
        match found.iter().find(is_it).map(|fragment| fragment.samples.as_slice()) {
            Some([Sample { shown: at, key: Key::Yes, .. }]) if *at == shown => {}
            Some(_) | None => return Err(format!("no key picture alone stands at byte {} for {}", key.at, key.shown)),
        }
    }
    Ok(())
}

fn differs(found: &[u64], due: &[u64]) -> Fault {
    match found.iter().zip(due).find(|(found, due)| found != due) {
        Some((found, due)) => open(format!("a unit of the package stands at tick {found} where {due} is due")),
        None => open(format!("{} units read back from the package, {} went in", found.len(), due.len())),
    }
}

fn produced(packaging: &Packaging<'_>, name: &str) -> Result<(Produced, Vec<u8>), Fault> {
    let bytes = std::fs::read(packaging.scratch.join(name)).map_err(|e| scratch_fault(&e))?;
    Ok((Produced { name: name.to_owned(), size: bytes.len() as u64, digest: Digest::of(&bytes) }, bytes))
}

fn open(what: String) -> Fault {
    Fault::new(FaultKind::LedgerOpen, what)
}
