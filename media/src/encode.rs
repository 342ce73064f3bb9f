//! The encode task: a segment's pictures decoded once, each rendition encoded from them, everything counted.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::Unit;
use framefleet_model::ledger::SegmentProof;
use framefleet_model::pipeline::Damaged;
use framefleet_model::plan::{Decode, grid_slots, shown_times};
use framefleet_model::task::EncodeWork;
use framefleet_model::time::MediaTime;

use crate::child::Teller;
use crate::decode::{self, Coded};
use crate::pipe::internal;
use crate::read_at::ReadAt;
use crate::rendition::{Encoder, Place, Settled};
use crate::slice::Slice;
use crate::units;

pub(crate) struct Sources {
    pub(crate) film: Arc<dyn ReadAt>,
    pub(crate) index: Arc<dyn ReadAt>,
}

pub(crate) fn run(
    work: &EncodeWork,
    sources: &Sources,
    scratch: &Path,
    teller: &Teller,
) -> Result<Vec<SegmentProof>, Fault> {
    let number = work.segment.number;
    let mut encoders = Vec::new();
    for rendition in &work.renditions {
        let name = format!("segment-{number:05}-{}", rendition.number);
        let place = if number == 0 { Place::Opening } else { Place::Within };
        encoders.push(Encoder::start(rendition, place, (scratch, &name))?);
    }
    let mut pictures = Pictures { work, encoders, held: None, decoded: Vec::new(), lost: Vec::new(), teller };
    match &work.segment.decode {
        Decode::Slice { from, to, blocks } => {
            let units = units::of_slice(&*sources.index, *from..*to, blocks)?;
            decode_slice(&mut pictures, (*from, &units), &sources.film)?;
        }
        Decode::Whole => {
            let mut clock = WholeClock::new(work);
            let track = (work.track.id.as_str(), work.track.decoder.as_str());
            decode::whole(&sources.film, track, &mut |sample, time| pictures.take(sample, clock.place(time)))?;
        }
    }
    pictures.finish()
}

fn decode_slice(
    pictures: &mut Pictures<'_>,
    (from, units): (u32, &[Unit]),
    film: &Arc<dyn ReadAt>,
) -> Result<(), Fault> {
    let work = pictures.work;
    let slice = Slice { track: &work.track.id, method: work.method, from: from as usize, units };
    let caps = work.track.caps_at(from).ok_or_else(|| internal("the index has no caps"))?;
    let coded = Coded { caps, decoder: &work.track.decoder, slice };
    if work.segment.pictures.is_none() {
        // The film's bits do not tell its pictures: what decodes is what there is.
        let mut clock = WholeClock::new(work);
        return decode::slice(film, &coded, &mut |sample, time| pictures.take(sample, clock.place(time)));
    }
    // An empty packet of Theora shows the picture before it once more, which the index does not count.
    let repeats: HashSet<MediaTime> = units.iter().filter(|u| u.size == 0).filter_map(|u| u.pts).collect();
    decode::slice(film, &coded, &mut |sample, time| match repeats.contains(&time) {
        true => Ok(()),
        false => pictures.take(sample, time),
    })?;
    let due = shown_times(units, work.segment.span);
    pictures.settle_against(&due)
}

/// The pictures of the segment as they come out of the decoder.
struct Pictures<'a> {
    work: &'a EncodeWork,
    encoders: Vec<Encoder>,
    /// The latest picture: how long it lasts is known when the next one comes.
    held: Option<(gst::Sample, MediaTime)>,
    decoded: Vec<MediaTime>,
    lost: Vec<MediaTime>,
    teller: &'a Teller,
}

impl Pictures<'_> {
    fn take(&mut self, sample: &gst::Sample, time: MediaTime) -> Result<(), Fault> {
        if !self.wants(time) {
            self.teller.step(self.decoded.len() as u64, MediaTime::ZERO);
            return Ok(());
        }
        if let Some((_, earlier)) = &self.held
            && *earlier >= time
        {
            let message = format!("the decoder gave the picture at {time} after the one at {earlier}");
            return Err(Fault::new(FaultKind::LedgerOpen, message));
        }
        self.decoded.push(time);
        self.emit(time)?;
        self.held = Some((sample.clone(), time));
        self.teller.step(self.decoded.len() as u64, time - self.work.origin);
        Ok(())
    }

    /// Where the film's bits do not tell its pictures, its end is where they end, unless an earlier one was asked for.
    fn wants(&self, time: MediaTime) -> bool {
        let span = self.work.segment.span;
        let open_end = self.work.segment.pictures.is_none() && span.end >= self.work.track.span.end;
        time >= span.start && (open_end || time < span.end)
    }

    /// Encodes the held picture, which lasts until `next`.
    fn emit(&mut self, next: MediaTime) -> Result<(), Fault> {
        let Some((sample, time)) = self.held.take() else { return Ok(()) };
        let origin = self.work.origin;
        for encoder in &mut self.encoders {
            match encoder.grid() {
                None => encoder.push(&sample, time - origin)?,
                Some(grid) => {
                    for slot in grid_slots(time - origin, next - origin, grid) {
                        encoder.push(&sample, grid.time_of(slot))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Every picture that the index lists was decoded, and no other.
    fn settle_against(&mut self, due: &[MediaTime]) -> Result<(), Fault> {
        if self.decoded == due {
            return Ok(());
        }
        let strange = self.decoded.iter().find(|time| due.binary_search(time).is_err());
        if let Some(time) = strange {
            let message = format!("the decoder gave a picture at {time} that the index does not list");
            return Err(Fault::new(FaultKind::LedgerOpen, message));
        }
        self.lost = due.iter().filter(|time| self.decoded.binary_search(time).is_err()).copied().collect();
        if self.work.damaged == Damaged::Fail {
            let first = self.lost.first().copied().unwrap_or_default();
            let (got, all) = (self.decoded.len(), due.len());
            let message = format!(
                "the film is damaged: {got} of {all} pictures decode in segment {}, the first lost one stands at {} \
                 (--damaged keep goes on without them)",
                self.work.segment.number,
                first - self.work.origin
            );
            return Err(Fault::new(FaultKind::Damaged, message));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<SegmentProof>, Fault> {
        let span = self.work.segment.span;
        let last = self.held.as_ref().map_or(span.end, |(_, time)| *time);
        self.emit(span.end.max(last + MediaTime(1)))?;
        let settled = Settled {
            span,
            origin: self.work.origin,
            decoded: u32::try_from(self.decoded.len()).unwrap_or(u32::MAX),
            lost: self.lost,
        };
        self.encoders.into_iter().map(|encoder| encoder.finish(&settled)).collect()
    }
}

/// Places pictures of a film whose units lack times: at the nominal rate where the container keeps none.
struct WholeClock {
    step: MediaTime,
    last: Option<MediaTime>,
}

impl WholeClock {
    fn new(work: &EncodeWork) -> Self {
        let rate = work.renditions.first().map(|r| r.format.rate);
        Self { step: rate.map_or(MediaTime::from_millis(40), |rate| rate.time_of(1)), last: None }
    }

    /// The decoder's time, unless it does not lie well after the last picture's.
    fn place(&mut self, told: MediaTime) -> MediaTime {
        let apart = MediaTime(self.step.ns() / 4);
        let placed = match self.last {
            Some(last) if told < last + apart => last + self.step,
            _ => told,
        };
        self.last = Some(placed);
        placed
    }
}
