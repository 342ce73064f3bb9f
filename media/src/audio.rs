//! The audio task: a track heard from its first byte to its last, each rendition encoded from it. Where loudness is asked for
//! it is heard twice: how loud it is must be known before its first sample is made louder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use framefleet_model::fault::Fault;
use framefleet_model::ledger::AudioProof;
use framefleet_model::pipeline::Coding;
use framefleet_model::plan::AudioRendition;
use framefleet_model::sound::Measured;
use framefleet_model::task::AudioWork;
use framefleet_model::time::MediaTime;

use crate::child::Teller;
use crate::copying;
use crate::isobmff::reader::Presented;
use crate::listening::measuring::Measuring;
use crate::listening::{Heard, listen};
use crate::sound::Encoder;

pub(crate) fn run(
    work: &AudioWork,
    film: Arc<Presented>,
    scratch: &Path,
    teller: &Teller,
) -> Result<Vec<AudioProof>, Fault> {
    let is_copy = |rendition: &AudioRendition| rendition.settings.coding == Coding::Copy;
    let (copies, renditions): (Vec<_>, Vec<_>) = work.renditions.iter().cloned().partition(is_copy);
    let mut proofs = Vec::new();
    if !copies.is_empty() {
        proofs = copying::sound::run((work, &copies), &film, scratch, teller)?;
    }
    if !renditions.is_empty() {
        proofs.extend(encode(&AudioWork { renditions, ..work.clone() }, film, scratch, teller)?);
    }
    proofs.sort_by_key(|proof| proof.rendition);
    Ok(proofs)
}

fn encode(work: &AudioWork, film: Arc<Presented>, scratch: &Path, teller: &Teller) -> Result<Vec<AudioProof>, Fault> {
    let (measured, heard) = measure(work, film.clone(), teller)?;
    let step = |more: u64| teller.step(heard + more, MediaTime::ZERO);
    let Heard { listeners, run, first, lost } = listen(
        work,
        film,
        &mut |source| {
            let start = |rendition| Encoder::start(rendition, source, (scratch, &measured));
            work.renditions.iter().map(start).collect()
        },
        &step,
    )?;
    listeners.into_iter().map(|encoder| encoder.finish((first, lost), &run)).collect()
}

/// How loud the renditions are that a loudness is asked of, by their numbers, and how many samples were heard for that.
fn measure(work: &AudioWork, film: Arc<Presented>, teller: &Teller) -> Result<(BTreeMap<u32, Measured>, u64), Fault> {
    let asked: Vec<_> = work.renditions.iter().filter(|r| r.settings.treatment.loudness.is_some()).collect();
    if asked.is_empty() {
        return Ok((BTreeMap::new(), 0));
    }
    let step = |heard: u64| teller.step(heard, MediaTime::ZERO);
    let mut begin = |source: (&gst::CapsRef, _)| asked.iter().map(|asked| Measuring::start(asked, source)).collect();
    let Heard { listeners, run, .. } = listen(work, film, &mut begin, &step)?;
    let measured = listeners.into_iter().map(|measuring| measuring.finish(&run)).collect::<Result<_, _>>()?;
    Ok((measured, run.heard()))
}
