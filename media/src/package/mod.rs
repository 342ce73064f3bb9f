//! The package task: every variant of a package written as a run of files, then read back and proven.
//!
//! ```text
//! segments of rendition 0 ─┐                      ┌─ v0-00000.ts, v0-00001.ts, … ─┐
//! segments of rendition 1 ─┼▶ one mux a variant ──┼─ v1-00000.ts, …               ├▶ v0.m3u8, v1.m3u8 ─▶ master
//! sound ───────────────────┘                      └─                              ┘
//! ```
//! Transport streams carry the sound in every variant; in CMAF (`.m4s`) each of
//! its tracks has files of its own, `a0-…`, `a1-…`, once for all.
//! A package's segments begin where the plan says, at pictures at which decoding may begin, in every variant at the same
//! moments of the source. The manifest (a master playlist, or one of DASH) names the folder that the attempt has to itself;
//! nothing else in it depends on the attempt.

/// A track in CMAF segments.
mod cmaf;
/// RFC 6381's names of codecs.
mod codecs;
/// What manifests tell of.
mod contents;
/// Files in a row.
mod files;
/// What a package's segments cover, and what they came to.
mod grid;
/// The manifest of DASH.
mod manifest;
/// Playlists (RFC 8216).
mod playlist;
/// Reading a package of transport streams back.
mod proof;
/// Reading CMAF segments back.
mod tracks;
/// A variant as a transport stream in files.
mod transport;

use std::path::Path;

use framefleet_model::fault::Fault;
use framefleet_model::id::Digest;
use framefleet_model::ledger::{AudioReadback, OutputProof, Part, Produced, Stand, VariantReadback};
use framefleet_model::media::Container;
use framefleet_model::pipeline::Manifest;
use framefleet_model::task::{MergePackage, MergeVideo, MergeWork};
use framefleet_model::time::{MediaTime, NS_PER_SECOND};

use crate::child::Teller;
use crate::indexing::scratch_fault;
use crate::merge::inputs::Inputs;
use crate::package::contents::{Contents, Sound, Variant};
use crate::package::files::Written;
use crate::package::grid::{Grid, Rates};
use crate::pipe::internal;
use crate::reader::Reader;

/// Where zero of the output's time line stands on a variant's own clock, before what decoding runs ahead.
const CLOCK_ZERO: MediaTime = MediaTime::from_secs(10);

/// What is written where.
pub(crate) struct Packaging<'a> {
    pub(crate) work: &'a MergeWork,
    pub(crate) manifest: Manifest,
    pub(crate) scratch: &'a Path,
    pub(crate) teller: &'a Teller,
    /// The same for all variants: players change from one to another.
    pub(crate) zero: MediaTime,
}

pub(crate) fn run(
    (work, package): (&MergeWork, &MergePackage),
    reader: &Reader,
    scratch: &Path,
    teller: &Teller,
) -> Result<OutputProof, Fault> {
    let is_apart = work.container != Container::Ts;
    let of_variant = |video: &MergeVideo| {
        let audio = if is_apart { Vec::new() } else { work.audio.clone() };
        Inputs::open(&MergeWork { video: Some(video.clone()), audio, package: None, ..work.clone() }, reader)
    };
    let mut opened = package.variants.iter().map(of_variant).collect::<Result<Vec<_>, _>>()?;
    let delays = opened.iter().filter_map(|inputs| inputs.pictures.as_ref().map(|p| p.schedule.dts_delay));
    let zero = zero(work.container, delays.max().unwrap_or_default());
    let packaging = Packaging { work, manifest: package.manifest, scratch, teller, zero };
    let mut made = Made::default();
    let mut first = None;
    for (inputs, number) in opened.iter_mut().zip(0_u32..) {
        let grid = Grid::of(&package.starts, inputs)?;
        let variant = (format!("v{number}"), inputs);
        match is_apart {
            true => made.add_pictures(&packaging, variant, &grid)?,
            false => made.add_transport(&packaging, variant, &grid)?,
        }
        first.get_or_insert(grid);
    }
    let apart = work.audio.iter().filter(|_| is_apart).zip(0_u32..);
    for ((audio, number), grid) in apart.zip(first.iter().cycle()) {
        let alone = MergeWork { video: None, audio: vec![audio.clone()], package: None, ..work.clone() };
        let mut inputs = Inputs::open(&alone, reader)?;
        made.add_sound(&packaging, (&format!("a{number}"), &mut inputs), grid)?;
    }
    made.finish(&packaging)
}

/// Tracks of CMAF have clocks of their own, on all of which a whole second is a whole number of ticks.
fn zero(container: Container, delay: MediaTime) -> MediaTime {
    match container {
        Container::Ts => CLOCK_ZERO + delay,
        _ => CLOCK_ZERO + MediaTime::from_secs((delay.ns() + NS_PER_SECOND - 1) / NS_PER_SECOND),
    }
}

#[derive(Default)]
struct Made {
    parts: Vec<Part>,
    contents: Contents,
    read: Vec<VariantReadback>,
    /// Of sound with files of its own.
    heard: Vec<AudioReadback>,
}

impl Made {
    fn add_transport(
        &mut self,
        packaging: &Packaging<'_>,
        (name, inputs): (String, &mut Inputs),
        grid: &Grid,
    ) -> Result<(), Fault> {
        let written = transport::mux(packaging, (inputs, grid), &name)?;
        let read = proof::of_transport(packaging, (inputs, grid), &written)?;
        let rates = self.list(packaging, (&name, grid), (&written, read.files))?;
        self.contents.variants.push(Variant::of((&name, &inputs.film(packaging.work)?), rates, None)?);
        self.read.push(read.readback);
        Ok(())
    }

    fn add_pictures(
        &mut self,
        packaging: &Packaging<'_>,
        (name, inputs): (String, &mut Inputs),
        grid: &Grid,
    ) -> Result<(), Fault> {
        let written = cmaf::mux_pictures(packaging, (inputs, grid), &name)?;
        let (found, readback) = tracks::of_pictures(packaging, (inputs, grid), &written)?;
        let files = std::iter::once(found.init).chain(found.files).collect();
        let rates = self.list(packaging, (&name, grid), (&written, files))?;
        let film = inputs.film(packaging.work)?;
        self.contents.variants.push(Variant::of((&name, &film), rates, Some(found.timeline))?);
        self.read.push(readback);
        Ok(())
    }

    fn add_sound(
        &mut self,
        packaging: &Packaging<'_>,
        (name, inputs): (&str, &mut Inputs),
        pictures: &Grid,
    ) -> Result<(), Fault> {
        let sound = inputs.sounds.first().ok_or_else(|| internal("a group of sound without sound"))?;
        let grid = Grid::of_sound(sound, pictures)?;
        let written = cmaf::mux_sound(packaging, (inputs, &grid), name)?;
        let (found, heard) = tracks::of_sound(packaging, (inputs, &grid), &written)?;
        let files = std::iter::once(found.init).chain(found.files).collect();
        let (rates, _) = self.list(packaging, (name, &grid), (&written, files))?;
        let film = inputs.film(packaging.work)?;
        self.contents.sounds.push(Sound::of((name, &film), rates, found.timeline)?);
        self.heard.push(heard);
        Ok(())
    }

    /// Writes the lists of what was written, and tells at which rates it plays: all of it, and its key pictures alone.
    fn list(
        &mut self,
        packaging: &Packaging<'_>,
        (name, grid): (&str, &Grid),
        (written, files): (&Written, Vec<Produced>),
    ) -> Result<(Rates, Rates), Fault> {
        let init = written.init.as_deref();
        let segments = files.iter().filter(|file| Some(file.name.as_str()) != init);
        let rates = grid.rates(segments.map(|file| file.size));
        let key_grid = Grid::of_keys(&written.keys, grid);
        let key_rates = key_grid.rates(written.keys.iter().map(|key| key.size));
        let mut files = files;
        if packaging.manifest == Manifest::Hls {
            let text = playlist::media((grid, init), written.names.iter().map(String::as_str));
            files.push(put_file(packaging.scratch, &playlist::name(name), text.as_bytes())?);
            if !written.keys.is_empty() {
                let text = playlist::keys((&key_grid, init), &written.keys, &written.names);
                files.push(put_file(packaging.scratch, &playlist::keys_name(name), text.as_bytes())?);
            }
        }
        self.parts.extend(files.into_iter().map(|file| Part { file, stands: Stand::Within }));
        let contents = &mut self.contents;
        contents.duration = contents.duration.max(grid.end());
        contents.target = contents.target.max(grid.target());
        Ok((rates, key_rates))
    }

    fn finish(self, packaging: &Packaging<'_>) -> Result<OutputProof, Fault> {
        let folder = &packaging.work.folder;
        let (extension, text) = match packaging.manifest {
            Manifest::Hls => ("m3u8", playlist::master(folder, &self.contents)),
            Manifest::Dash => ("mpd", manifest::text(folder, &self.contents)),
        };
        let name = format!("output-{}.{extension}", packaging.work.output);
        let of = |read: VariantReadback| VariantReadback {
            audio: if read.audio.is_empty() { self.heard.clone() } else { read.audio },
            ..read
        };
        Ok(OutputProof {
            output: packaging.work.output,
            file: put_file(packaging.scratch, &name, text.as_bytes())?,
            stands: Stand::Named,
            beside: self.parts,
            duration: self.contents.duration,
            video: None,
            audio: Vec::new(),
            variants: self.read.into_iter().map(of).collect(),
        })
    }
}

fn put_file(scratch: &Path, name: &str, bytes: &[u8]) -> Result<Produced, Fault> {
    let path = scratch.join(name);
    std::fs::write(&path, bytes).map_err(|e| scratch_fault(&e))?;
    let read = std::fs::read(&path).map_err(|e| scratch_fault(&e))?;
    if read != bytes {
        return Err(internal(format!("{name} does not read back as it was written")));
    }
    Ok(Produced { name: name.to_owned(), size: read.len() as u64, digest: Digest::of(&read) })
}
