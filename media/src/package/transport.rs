//! A variant as one transport stream over the whole film, cut into files in front of pictures at which decoding may begin.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::language;
use framefleet_model::time::MediaTime;

use crate::merge::inputs::Inputs;
use crate::merge::mux_fault;
use crate::mpegts::payload::{Adts, Avc, IsKey};
use crate::mpegts::{Access, CLOCK, Sound, Stamp, Stream};
use crate::muxing::{Audio, Pictures};
use crate::package::Packaging;
use crate::package::files::{Files, Written};
use crate::package::grid::Grid;
use crate::pipe::internal;
use crate::segment::Sync;

/// Sound units that share a header.
const UNITS_A_PACK: u32 = 8;
const PACK_BYTES_MAX: usize = 32 << 10;

pub(crate) fn mux(
    packaging: &Packaging<'_>,
    (inputs, grid): (&mut Inputs, &Grid),
    prefix: &str,
) -> Result<Written, Fault> {
    let film = inputs.film(packaging.work)?;
    let video = film.video.as_ref().ok_or_else(|| internal("a variant without pictures"))?;
    let pictures = Pictures::new(video, CLOCK).map_err(mux_fault)?;
    let avc = Avc::of(&video.codec_data).map_err(mux_fault)?;
    let mut packs = film.audio.first().map(Packs::of).transpose()?;
    let sound =
        film.audio.first().map_or(Sound::None, |audio| Sound::Aac(language::three_letters(audio.language.as_deref())));
    let zero = packaging.zero.to_ticks(CLOCK);
    let files = Files::new(packaging.scratch, (prefix, "ts"));
    let mut out = Out { stream: Stream::new(sound), files, zero, bytes: Vec::new() };
    let mut starts = grid.starts().iter().copied().peekable();
    let mut number = 0;
    while let Some((entry, data)) = inputs.next_picture()? {
        let is_key = if entry.sync == Sync::Yes { IsKey::Yes } else { IsKey::No };
        let data = avc.byte_stream(data, is_key).map_err(mux_fault)?;
        if starts.next_if_eq(&entry.pts).is_some() {
            if is_key == IsKey::No {
                let text = format!("no segment can begin at {}: its picture is no key picture", entry.pts);
                return Err(Fault::new(FaultKind::LedgerOpen, text));
            }
            if number > 0 {
                // What is heard before it belongs to the file before it.
                weave(packs.as_mut(), inputs, (&mut out, entry.pts))?;
            }
            out.files.begin_next()?;
        }
        let ticks = pictures.dts.get(number).ok_or_else(|| internal("more pictures than were foretold"))?;
        let stamp = Stamp { pts: entry.pts.to_ticks(CLOCK) + zero, dts: ticks - pictures.zero + zero };
        let access = if is_key == IsKey::Yes { Access::Random } else { Access::Later };
        out.put_picture(entry.pts, (stamp, access), &data)?;
        let decoded = pictures.decoded_at(number);
        if let Some(packs) = packs.as_mut() {
            let until = starts.peek().copied().unwrap_or(MediaTime::MAX);
            packs.put_due(inputs, &mut out, (decoded, until))?;
        }
        number += 1;
        packaging.teller.step(number as u64, entry.pts);
    }
    if let Some(start) = starts.next() {
        return Err(Fault::new(FaultKind::LedgerOpen, format!("no picture stands at {start}, where a segment begins")));
    }
    weave(packs.as_mut(), inputs, (&mut out, MediaTime::MAX))?;
    out.files.finish()
}

/// Where packets go.
struct Out {
    stream: Stream,
    files: Files,
    /// The output's time zero on the stream's clock.
    zero: i64,
    bytes: Vec<u8>,
}

impl Out {
    /// A picture at which decoding may begin has the tables in front of it, in the middle of a file as well: it can be shown
    /// by itself.
    fn put_picture(&mut self, shown: MediaTime, place: (Stamp, Access), data: &[u8]) -> Result<(), Fault> {
        if place.1 == Access::Later {
            self.stream.put_picture(&mut self.bytes, place, data);
            return self.flush();
        }
        self.stream.put_tables(&mut self.bytes);
        self.stream.put_picture(&mut self.bytes, place, data);
        self.files.write_key(shown, &self.bytes)?;
        self.bytes.clear();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.files.write(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}

/// All sound before a moment, the last pack however full it is.
fn weave(packs: Option<&mut Packs>, inputs: &mut Inputs, (out, until): (&mut Out, MediaTime)) -> Result<(), Fault> {
    let Some(packs) = packs else { return Ok(()) };
    while packs.gather(inputs, until)? == Gathered::Full {
        packs.put(out)?;
    }
    packs.put(out)
}

/// Sound on its way into the stream, a few units to a header.
struct Packs {
    adts: Adts,
    /// A unit that was read and does not belong to the pack.
    next: Option<(MediaTime, Vec<u8>)>,
    at: MediaTime,
    units: u32,
    frames: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gathered {
    Full,
    /// Nothing more belongs before the moment that was given.
    All,
}

impl Packs {
    fn of(audio: &Audio) -> Result<Self, Fault> {
        let adts = Adts::of(&audio.codec_data).map_err(mux_fault)?;
        Ok(Self { adts, next: None, at: MediaTime::ZERO, units: 0, frames: Vec::new() })
    }

    /// Full packs that begin before a moment, of what lies in this file.
    fn put_due(
        &mut self,
        inputs: &mut Inputs,
        out: &mut Out,
        (moment, file_end): (MediaTime, MediaTime),
    ) -> Result<(), Fault> {
        while self.begins_before(inputs, moment)? {
            if self.gather(inputs, file_end)? == Gathered::All {
                return Ok(());
            }
            self.put(out)?;
        }
        Ok(())
    }

    fn begins_before(&mut self, inputs: &mut Inputs, moment: MediaTime) -> Result<bool, Fault> {
        if self.units > 0 {
            return Ok(self.at < moment);
        }
        self.peek(inputs)?;
        Ok(self.next.as_ref().is_some_and(|(at, _)| *at < moment))
    }

    fn peek(&mut self, inputs: &mut Inputs) -> Result<(), Fault> {
        if self.next.is_none() {
            self.next = inputs.next_sound(0)?.map(|(entry, data)| (entry.pts, data.to_vec()));
        }
        Ok(())
    }

    fn gather(&mut self, inputs: &mut Inputs, until: MediaTime) -> Result<Gathered, Fault> {
        while self.units < UNITS_A_PACK && self.frames.len() < PACK_BYTES_MAX {
            self.peek(inputs)?;
            let Some((at, data)) = self.next.take_if(|(at, _)| *at < until) else { return Ok(Gathered::All) };
            if self.units == 0 {
                self.at = at;
            }
            self.adts.put_frame(&mut self.frames, &data).map_err(mux_fault)?;
            self.units += 1;
        }
        Ok(Gathered::Full)
    }

    fn put(&mut self, out: &mut Out) -> Result<(), Fault> {
        if self.units > 0 {
            let pts = self.at.to_ticks(CLOCK) + out.zero;
            out.stream.put_sound(&mut out.bytes, pts, &self.frames);
            out.flush()?;
        }
        self.units = 0;
        self.frames.clear();
        Ok(())
    }
}
