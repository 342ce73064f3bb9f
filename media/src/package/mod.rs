//! The package task: every variant of a package written as a run of files, then read back and proven.
//!
//! ```text
//! segments of rendition 0 ─┐                      ┌─ v0-00000.ts, v0-00001.ts, … ─┐
//! segments of rendition 1 ─┼▶ one mux a variant ──┼─ v1-00000.ts, …               ├▶ v0.m3u8, v1.m3u8 ─▶ master
//! sound ───────────────────┘                      └─                              ┘
//! ```
//! A package's segments begin where the plan says, at pictures at which decoding may begin, in every variant at the same
//! moments of the source. The master names the folder that the attempt has to itself; nothing else in it depends on the
//! attempt.

/// RFC 6381's names of codecs.
mod codecs;
/// What a package's segments cover, and what they came to.
mod grid;
/// Playlists (RFC 8216).
mod playlist;
/// Reading a package back.
mod proof;
/// A variant as a transport stream in files.
mod transport;

use std::path::Path;

use framefleet_model::fault::Fault;
use framefleet_model::ledger::{OutputProof, Part, Stand};
use framefleet_model::task::{MergePackage, MergeVideo, MergeWork};
use framefleet_model::time::MediaTime;

use crate::child::Teller;
use crate::indexing::scratch_fault;
use crate::merge::inputs::Inputs;
use crate::package::grid::{Files, Grid};
use crate::package::playlist::Variant;
use crate::pipe::internal;
use crate::reader::Reader;

/// Where zero of the output's time line stands on a variant's own clock, before what decoding runs ahead.
const CLOCK_ZERO: MediaTime = MediaTime::from_secs(10);

/// What is written where.
pub(crate) struct Packaging<'a> {
    pub(crate) work: &'a MergeWork,
    pub(crate) scratch: &'a Path,
    /// The same for all variants: players change from one to another.
    pub(crate) zero: MediaTime,
}

pub(crate) fn run(
    (work, package): (&MergeWork, &MergePackage),
    reader: &Reader,
    scratch: &Path,
    teller: &Teller,
) -> Result<OutputProof, Fault> {
    let of_variant = |video: &MergeVideo| {
        let work = MergeWork { video: Some(video.clone()), package: None, ..work.clone() };
        Inputs::open(&work, reader)
    };
    let mut opened = package.variants.iter().map(of_variant).collect::<Result<Vec<_>, _>>()?;
    let delays = opened.iter().filter_map(|inputs| inputs.pictures.as_ref().map(|p| p.schedule.dts_delay));
    let zero = CLOCK_ZERO + delays.max().unwrap_or_default();
    let packaging = Packaging { work, scratch, zero };
    let mut made = Made::default();
    for (inputs, number) in opened.iter_mut().zip(0_u32..) {
        let grid = Grid::of(&package.starts, inputs)?;
        let mut files = Files::new(scratch, (number, "ts"));
        transport::mux(&packaging, (inputs, &grid), &mut files, teller)?;
        let names = files.names().to_vec();
        let read = proof::of_transport(&packaging, (inputs, &grid), &names)?;
        made.add(&packaging, (number, inputs, &grid), read)?;
    }
    made.finish(&packaging)
}

#[derive(Default)]
struct Made {
    parts: Vec<Part>,
    variants: Vec<Variant>,
    read: Vec<framefleet_model::ledger::VariantReadback>,
    duration: MediaTime,
}

impl Made {
    /// Writes a variant's playlist.
    fn add(
        &mut self,
        packaging: &Packaging<'_>,
        (number, inputs, grid): (u32, &Inputs, &Grid),
        read: proof::Read,
    ) -> Result<(), Fault> {
        let film = inputs.film(packaging.work)?;
        let sizes = read.files.iter().map(|file| file.size);
        let variant = Variant::of(format!("v{number}.m3u8"), &film, grid.rates(sizes))?;
        let text = playlist::media(grid, read.files.iter().map(|file| file.name.as_str()));
        let list = write(packaging.scratch, &variant.name, &text)?;
        self.parts.extend(read.files.into_iter().chain([list]).map(|file| Part { file, stands: Stand::Within }));
        self.variants.push(variant);
        self.duration = self.duration.max(grid.end() - grid.begin());
        self.read.push(read.readback);
        Ok(())
    }

    fn finish(self, packaging: &Packaging<'_>) -> Result<OutputProof, Fault> {
        let name = format!("output-{}.m3u8", packaging.work.output);
        let file = write(packaging.scratch, &name, &playlist::master(&packaging.work.folder, &self.variants))?;
        Ok(OutputProof {
            output: packaging.work.output,
            file,
            stands: Stand::Named,
            beside: self.parts,
            duration: self.duration,
            video: None,
            audio: None,
            variants: self.read,
        })
    }
}

fn write(scratch: &Path, name: &str, text: &str) -> Result<framefleet_model::ledger::Produced, Fault> {
    let path = scratch.join(name);
    std::fs::write(&path, text).map_err(|e| scratch_fault(&e))?;
    let read = std::fs::read(&path).map_err(|e| scratch_fault(&e))?;
    if read != text.as_bytes() {
        return Err(internal(format!("{name} does not read back as it was written")));
    }
    let digest = framefleet_model::id::Digest::of(&read);
    Ok(framefleet_model::ledger::Produced { name: name.to_owned(), size: read.len() as u64, digest })
}
