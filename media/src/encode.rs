//! The encode task: a segment's pictures decoded once, each rendition encoded from them, everything counted.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::Unit;
use framefleet_model::ledger::SegmentProof;
use framefleet_model::picture::Deinterlace;
use framefleet_model::pipeline::{Coding, Damaged};
use framefleet_model::plan::{Decode, VideoRendition, grid_slots, moments, shown_times};
use framefleet_model::task::EncodeWork;
use framefleet_model::time::{MediaTime, Rational};

use crate::canvas::drawing::{self, Images};
use crate::child::Teller;
use crate::decode::{self, Coded};
use crate::encoder::Pass;
use crate::fields::{self, Around, Field};
use crate::indexing::scratch_fault;
use crate::passes::{Asked, PASSES_MAX};
use crate::pipe::internal;
use crate::read_at::ReadAt;
use crate::rendition::{Encoder, Made, Place, Settled};
use crate::slice::Slice;
use crate::{copying, encoder, units};

pub(crate) struct Sources {
    pub(crate) film: Arc<dyn ReadAt>,
    pub(crate) index: Arc<dyn ReadAt>,
    /// In the order of `watermark::images`.
    pub(crate) images: Vec<Arc<dyn ReadAt>>,
}

pub(crate) fn run(
    work: &EncodeWork,
    sources: &Sources,
    scratch: &Path,
    teller: &Teller,
) -> Result<Vec<SegmentProof>, Fault> {
    let is_copy = |rendition: &VideoRendition| rendition.settings.coding == Coding::Copy;
    let (copies, renditions): (Vec<_>, Vec<_>) = work.renditions.iter().cloned().partition(is_copy);
    let copy = |rendition: &VideoRendition| copying::pictures::run((work, rendition), sources, scratch, teller);
    let mut proofs = copies.iter().map(copy).collect::<Result<Vec<_>, _>>()?;
    if !renditions.is_empty() {
        proofs.extend(encode(&EncodeWork { renditions, ..work.clone() }, sources, scratch, teller)?);
    }
    proofs.sort_by_key(|proof| proof.rendition);
    Ok(proofs)
}

fn encode(work: &EncodeWork, sources: &Sources, scratch: &Path, teller: &Teller) -> Result<Vec<SegmentProof>, Fault> {
    let images = drawing::images(work, &sources.images)?;
    let mut desk = Desk { work, sources, images, scratch, teller, steps: 0 };
    let mut asked: Vec<Asked<'_>> = work.renditions.iter().map(|r| Asked::of(r, work.segment.pace)).collect();
    let first: Vec<Asked<'_>> = asked.iter().filter_map(Asked::first_pass).collect();
    if !first.is_empty() {
        // Encoders leave what they have seen in the folder that they work in.
        std::env::set_current_dir(scratch).map_err(|e| scratch_fault(&e))?;
        for made in desk.pass(&first)? {
            std::fs::remove_file(scratch.join(&made.proof.file.name)).map_err(|e| scratch_fault(&e))?;
        }
        for asked in asked.iter_mut().filter(|asked| asked.first_pass().is_some()) {
            let seen = std::fs::read_to_string(scratch.join(encoder::seen(asked.rendition)));
            *asked = asked.with_seen(&seen.map_err(|e| scratch_fault(&e))?);
        }
    }
    let mut proofs = Vec::new();
    for more in (0..PASSES_MAX).rev() {
        let made = desk.pass(&asked)?;
        let mut again = Vec::new();
        for (asked, made) in asked.iter().zip(made) {
            match asked.nearer(&made).filter(|_| more > 0) {
                Some(next) => again.push(next),
                None => proofs.push(made.proof),
            }
        }
        asked = again;
        if asked.is_empty() {
            break;
        }
    }
    Ok(proofs)
}

struct Desk<'a> {
    work: &'a EncodeWork,
    sources: &'a Sources,
    images: Images,
    scratch: &'a Path,
    teller: &'a Teller,
    /// Pictures taken so far, in all passes.
    steps: u64,
}

impl Desk<'_> {
    /// The whole segment once, for these.
    fn pass(&mut self, asked: &[Asked<'_>]) -> Result<Vec<Made>, Fault> {
        let Self { work, sources, scratch, .. } = *self;
        let mut encoders = Vec::new();
        for Asked { rendition, course, .. } in asked {
            let kind = if course.pass == Pass::First { "first-pass" } else { "segment" };
            let name = format!("{kind}-{:05}-{}", work.segment.number, rendition.number);
            let place = if work.segment.number == 0 { Place::Opening } else { Place::Within };
            let marks = drawing::marks(rendition, &self.images)?;
            encoders.push(Encoder::start((rendition, marks), (place, *course), (scratch, &name))?);
        }
        let mut pictures = Pictures::of(work, encoders, (self.teller, self.steps));
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
        self.steps += pictures.decoded.len() as u64;
        pictures.finish()
    }
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
    /// The held picture's neighbours, where filters look at them: of the film, not of the segment.
    before: Option<gst::Sample>,
    after: Option<gst::Sample>,
    decoded: Vec<MediaTime>,
    lost: Vec<MediaTime>,
    teller: &'a Teller,
    /// Taken in an earlier pass.
    steps: u64,
}

impl<'a> Pictures<'a> {
    fn of(work: &'a EncodeWork, encoders: Vec<Encoder>, (teller, steps): (&'a Teller, u64)) -> Self {
        let (decoded, lost) = (Vec::new(), Vec::new());
        Self { work, encoders, held: None, before: None, after: None, decoded, lost, teller, steps }
    }

    fn take(&mut self, sample: &gst::Sample, time: MediaTime) -> Result<(), Fault> {
        if !self.wants(time) {
            self.teller.step(self.steps + self.decoded.len() as u64, MediaTime::ZERO);
            self.neighbour(sample, time);
            return Ok(());
        }
        if let Some((_, earlier)) = &self.held
            && *earlier >= time
        {
            let message = format!("the decoder gave the picture at {time} after the one at {earlier}");
            return Err(Fault::new(FaultKind::LedgerOpen, message));
        }
        self.decoded.push(time);
        self.after = Some(sample.clone());
        self.emit(time)?;
        self.after = None;
        self.held = Some((sample.clone(), time));
        self.teller.step(self.steps + self.decoded.len() as u64, time - self.work.origin);
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
        let mut made: [Option<gst::Sample>; 2] = [None, None];
        for encoder in &mut self.encoders {
            let deinterlace = encoder.deinterlace();
            let begin = moments(time, next, deinterlace);
            let end = begin.clone().skip(1).chain([next]);
            for (n, (from, to)) in begin.zip(end).enumerate() {
                let picture = match deinterlace {
                    Deinterlace::Weave => &sample,
                    Deinterlace::Frame | Deinterlace::Bob => {
                        let field = [Field::First, Field::Second][n];
                        let around =
                            Around { before: self.before.as_ref(), picture: &sample, after: self.after.as_ref() };
                        match &mut made[n] {
                            Some(made) => made,
                            none => none.insert(fields::whole(around, field)?),
                        }
                    }
                };
                match encoder.grid() {
                    None => encoder.push(picture, from - origin)?,
                    Some(grid) => {
                        for slot in grid_slots(from - origin, to - origin, grid) {
                            encoder.push(picture, grid.time_of(slot))?;
                        }
                    }
                }
            }
        }
        self.before = self.looks_around().then_some(sample);
        Ok(())
    }

    /// Whether a filter looks at the pictures before and after.
    fn looks_around(&self) -> bool {
        self.encoders.iter().any(|encoder| encoder.deinterlace() != Deinterlace::Weave)
    }

    /// A picture outside the segment: the last one before it and the first one after it are its neighbours.
    fn neighbour(&mut self, sample: &gst::Sample, time: MediaTime) {
        if !self.looks_around() {
            return;
        }
        if time < self.work.segment.span.start {
            self.before = Some(sample.clone());
        } else if self.after.is_none() {
            self.after = Some(sample.clone());
        }
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

    fn finish(mut self) -> Result<Vec<Made>, Fault> {
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
pub(crate) struct WholeClock {
    step: MediaTime,
    last: Option<MediaTime>,
}

impl WholeClock {
    fn new(work: &EncodeWork) -> Self {
        Self::at(work.track.format.rate.or(work.renditions.first().map(|r| r.format.rate)))
    }

    pub(crate) fn at(rate: Option<Rational>) -> Self {
        Self { step: rate.map_or(MediaTime::from_millis(40), |rate| rate.time_of(1)), last: None }
    }

    /// The decoder's time, unless it does not lie well after the last picture's.
    pub(crate) fn place(&mut self, told: MediaTime) -> MediaTime {
        let apart = MediaTime(self.step.ns() / 4);
        let placed = match self.last {
            Some(last) if told < last + apart => last + self.step,
            _ => told,
        };
        self.last = Some(placed);
        placed
    }
}
