//! The image task: pictures taken out of the film, each reached from its key unit, and made into files.
//!
//! ```text
//!                                                                  ┌▶ stills
//! reaches ─▶ slices, decoded ─▶ each shot's picture ─▶ scaled, RGB ┼▶ sheets, and cues that tell their places
//!                                                                  └▶ one GIF
//! ```
//! All that is made is read back by decoding it. Nothing here depends on a clock or on chance: the same plan gives the
//! same bytes.

mod gif;
mod palette;
mod raster;
mod sheets;
mod shots;
mod still;

use std::path::Path;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::ledger::{ImageProof, Produced};
use framefleet_model::shots::Make;
use framefleet_model::task::ImageWork;
use framefleet_model::time::MediaTime;

use crate::child::Teller;
use crate::encode::Sources;
use crate::image::raster::{Raster, Shaper};
use crate::indexing::scratch_fault;

/// Makes files of pictures that come one after the other.
trait Maker {
    fn push(&mut self, picture: Raster) -> Result<(), Fault>;
    fn finish(self: Box<Self>) -> Result<Made, Fault>;
}

/// What was made, and read back.
struct Made {
    files: Vec<Produced>,
    pictures: u32,
    duration: Option<MediaTime>,
    /// The encoder element, or what stands for one.
    encoder: &'static str,
}

/// Where files go, and what the names of this task's begin with.
struct Folder<'a> {
    scratch: &'a Path,
    image: u32,
}

pub(crate) fn run(work: &ImageWork, sources: &Sources, scratch: &Path, teller: &Teller) -> Result<ImageProof, Fault> {
    let plan = &work.plan;
    let folder = Folder { scratch, image: plan.number };
    let mut maker: Box<dyn Maker + '_> = match &plan.make {
        Make::Stills(stills) => Box::new(still::StillMaker::begin(folder, stills)),
        Make::Sheets(sheets) => Box::new(sheets::SheetMaker::begin(folder, (work, sheets))?),
        Make::Gif(gif) => Box::new(gif::GifMaker::begin(folder, (plan.size, gif))?),
    };
    let mut shaper = Shaper::new(plan.size, plan.turn)?;
    let mut done = 0;
    let taken = shots::take(work, sources, &mut |sample, time| {
        maker.push(shaper.picture(sample)?)?;
        done += 1;
        teller.step(done, time - work.origin);
        Ok(())
    })?;
    let made = maker.finish()?;
    Ok(ImageProof {
        image: plan.number,
        taken: taken.times.into_iter().map(|time| time - work.origin).collect(),
        lost: taken.lost,
        pictures: made.pictures,
        duration: made.duration,
        fingerprint: crate::rendition::fingerprint(made.encoder),
        files: made.files,
    })
}

impl Folder<'_> {
    /// Writes a file whole.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<Produced, Fault> {
        let name = format!("image-{}-{name}", self.image);
        std::fs::write(self.scratch.join(&name), bytes).map_err(|e| scratch_fault(&e))?;
        Ok(Produced { name, size: bytes.len() as u64, digest: Digest::of(bytes) })
    }

    fn read(&self, file: &Produced) -> Result<Vec<u8>, Fault> {
        std::fs::read(self.scratch.join(&file.name)).map_err(|e| scratch_fault(&e))
    }
}

fn open(text: String) -> Fault {
    Fault::new(FaultKind::LedgerOpen, text)
}
