//! A track as CMAF segments (ISO/IEC 23000-19): each a file of fragments, with the movie box in a file of its own.
//!
//! ```text
//! v0-init.mp4 │ v0-00000.m4s: styp · [moof · mdat: key picture] · [moof · mdat: what follows it] · … │ v0-00001.m4s …
//! a0-init.mp4 │ a0-00000.m4s: styp · [moof · mdat]                                                  │ …
//! ```
//! Each key picture is a fragment by itself, so that a list of key pictures names whole fragments. There are no edit lists,
//! which players heed in different ways: pictures and sound stand on clocks with the same zero, late enough for what is
//! decoded ahead or put out before the first sample.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::time::MediaTime;

use crate::isobmff::writer::Brand;
use crate::isobmff::writer::fragments::{self, FRAGMENT_BYTES_MAX, Head, TrackClock, TrackFragment, Zeros};
use crate::merge::inputs::Inputs;
use crate::merge::mux_fault;
use crate::muxing::{Film, Pictures, timescale_of};
use crate::package::files::{Files, Written};
use crate::package::grid::Grid;
use crate::package::{Packaging, put_file};
use crate::pipe::internal;
use crate::segment::Sync;

/// A track on its way into files.
struct Out {
    files: Files,
    clock: TrackClock,
    part: TrackFragment,
    /// Of the next fragment.
    number: u32,
    pushed: usize,
}

/// Ticks a second of a variant's pictures.
pub(crate) fn timescale(film: &Film) -> u32 {
    film.video.as_ref().map_or(1, |video| timescale_of(video.rate))
}

pub(crate) fn mux_pictures(
    packaging: &Packaging<'_>,
    (inputs, grid): (&mut Inputs, &Grid),
    prefix: &str,
) -> Result<Written, Fault> {
    let film = Film { audio: Vec::new(), chapters: Vec::new(), ..inputs.film(packaging.work)? };
    let video = film.video.as_ref().ok_or_else(|| internal("a variant without pictures"))?;
    let pictures = Pictures::new(video, timescale(&film)).map_err(mux_fault)?;
    let zero = packaging.zero.to_ticks(timescale(&film));
    let mut out = Out::new(packaging, prefix, TrackClock::of_pictures(&pictures, zero));
    let mut starts = grid.starts().iter().copied().peekable();
    while let Some((entry, data)) = inputs.next_picture()? {
        if starts.next_if_eq(&entry.pts).is_some() {
            if entry.sync == Sync::No {
                let text = format!("no segment can begin at {}: its picture is no key picture", entry.pts);
                return Err(Fault::new(FaultKind::LedgerOpen, text));
            }
            out.begin_file()?;
        }
        let decoded = pictures.dts.get(out.pushed).ok_or_else(|| internal("more pictures than were foretold"))?;
        let offset = u32::try_from(pictures.shown(entry.pts) - decoded).map_err(|_| {
            let (pts, number) = (entry.pts, out.pushed);
            Fault::new(FaultKind::LedgerOpen, format!("picture {number} at {pts} would be decoded after it is shown"))
        })?;
        match entry.sync {
            Sync::Yes => {
                out.flush()?;
                out.push(offset, data)?;
                out.flush_key(entry.pts)?;
            }
            Sync::No => out.push(offset, data)?,
        }
        packaging.teller.step(out.pushed as u64, entry.pts);
    }
    if let Some(start) = starts.next() {
        return Err(Fault::new(FaultKind::LedgerOpen, format!("no picture stands at {start}, where a segment begins")));
    }
    out.finish(packaging, (prefix, &film))
}

/// `grid`: of the sound's own units.
pub(crate) fn mux_sound(
    packaging: &Packaging<'_>,
    (inputs, grid): (&mut Inputs, &Grid),
    prefix: &str,
) -> Result<Written, Fault> {
    let film = Film { video: None, chapters: Vec::new(), ..inputs.film(packaging.work)? };
    let audio = film.audio.first().ok_or_else(|| internal("a group of sound without sound"))?;
    let zero = packaging.zero.to_ticks(audio.format.rate);
    let mut out = Out::new(packaging, prefix, TrackClock::of_sound(audio, zero).map_err(mux_fault)?);
    let mut starts = grid.starts().iter().copied().peekable();
    while let Some((entry, data)) = inputs.next_sound(0)? {
        if starts.next_if_eq(&entry.pts).is_some() {
            out.begin_file()?;
        }
        out.push(0, data)?;
        packaging.teller.step(out.pushed as u64, entry.pts);
    }
    out.finish(packaging, (prefix, &film))
}

impl Out {
    fn new(packaging: &Packaging<'_>, prefix: &str, clock: TrackClock) -> Self {
        let files = Files::new(packaging.scratch, (prefix, "m4s"));
        Self { files, clock, part: TrackFragment::new(1), number: 1, pushed: 0 }
    }

    fn begin_file(&mut self) -> Result<(), Fault> {
        self.flush()?;
        self.files.begin_next()?;
        self.files.write(&fragments::segment_type())
    }

    fn push(&mut self, offset: u32, data: &[u8]) -> Result<(), Fault> {
        if self.part.data.len() + data.len() > FRAGMENT_BYTES_MAX {
            self.flush()?;
        }
        self.part.push((&self.clock, self.pushed), offset, data).map_err(mux_fault)?;
        self.pushed += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        if self.part.samples.is_empty() {
            return Ok(());
        }
        let (header, part) = self.take()?;
        self.files.write(&header)?;
        self.files.write(&part.data)
    }

    fn flush_key(&mut self, shown: MediaTime) -> Result<(), Fault> {
        self.part.head = Head::Key;
        let (header, part) = self.take()?;
        self.files.write_key(shown, &[header, part.data].concat())
    }

    fn take(&mut self) -> Result<(Vec<u8>, TrackFragment), Fault> {
        let part = std::mem::replace(&mut self.part, TrackFragment::new(1));
        let header = fragments::header(self.number, std::slice::from_ref(&part)).map_err(mux_fault)?;
        self.number += 1;
        Ok((header, part))
    }

    fn finish(mut self, packaging: &Packaging<'_>, (prefix, film): (&str, &Film)) -> Result<Written, Fault> {
        self.flush()?;
        let init = fragments::init(film, (Brand::Cmaf, &Zeros { shown: 0, heard: vec![0; film.audio.len()] }))
            .map_err(mux_fault)?;
        let file = put_file(packaging.scratch, &format!("{prefix}-init.mp4"), &init)?;
        Ok(Written { init: Some(file.name), ..self.files.finish()? })
    }
}
