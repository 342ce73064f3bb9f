//! A segment of the film's own pictures: from a key picture to the last unit that is needed for what is shown before the
//! segment's end, in the order of decoding.

use std::ops::ControlFlow;
use std::path::Path;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::{Method, Unit};
use framefleet_model::ledger::SegmentProof;
use framefleet_model::plan::{Decode, VideoRendition, output_end};
use framefleet_model::task::EncodeWork;
use framefleet_model::time::MediaTime;

use crate::child::Teller;
use crate::copying::records::{Place, Record};
use crate::encode::Sources;
use crate::pipe::internal;
use crate::rendition::fingerprint;
use crate::segment::{Extent, SegmentWriter, Sync, Written};
use crate::slice::{self, Slice};
use crate::units;

pub(crate) fn run(
    (work, rendition): (&EncodeWork, &VideoRendition),
    sources: &Sources,
    scratch: &Path,
    teller: &Teller,
) -> Result<SegmentProof, Fault> {
    let Decode::Slice { from, to, blocks } = &work.segment.decode else {
        return Err(internal("a copy of a film that is not counted"));
    };
    let span = work.segment.span;
    let units = units::of_slice(&*sources.index, *from..*to, blocks)?;
    let key = units.iter().position(|unit| unit.is_key() && unit.pts == Some(span.start));
    let key =
        key.ok_or_else(|| internal(format!("segment {} does not begin with a key picture", work.segment.number)))?;
    let units = &units[key..];
    let name = format!("segment-{:05}-{}", work.segment.number, rendition.number);
    let writer = SegmentWriter::create(scratch, &name)?;
    let from = *from as usize + key;
    let mut copy = Copy { work, rendition, units, from, writer, record: None, open: None };
    let slice = Slice { track: &work.track.id, method: work.method, from, units };
    let mut failed = None;
    slice::fetch(&sources.film, &slice, &mut |number, buffer| {
        let taken = copy.take(number, &buffer);
        teller.step(number as u64, units[number].pts.unwrap_or_default());
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(fault) => {
                failed = Some(fault);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    copy.finish()
}

struct Copy<'a> {
    work: &'a EncodeWork,
    rendition: &'a VideoRendition,
    units: &'a [Unit],
    /// Units that stand before them in the film.
    from: usize,
    writer: SegmentWriter,
    record: Option<Record>,
    /// The picture whose second field may follow.
    open: Option<(MediaTime, Sync, Vec<u8>)>,
}

impl Copy<'_> {
    fn take(&mut self, number: usize, buffer: &gst::Buffer) -> Result<(), Fault> {
        let unit = &self.units[number];
        let data = buffer.map_readable().map_err(|_| internal("a unit that cannot be read"))?;
        let record = match &mut self.record {
            Some(record) => record,
            None => {
                // The same for every segment: where the film begins, or where its stream first has all its headers.
                let caps = &self.work.track.caps;
                let told = caps.iter().find(|caps| !caps.headers.is_empty()).or(caps.first());
                let told = told.ok_or_else(|| internal("the index has no caps"))?;
                self.record.insert(Record::of(self.rendition.settings.codec, told, &data)?)
            }
        };
        let is_first = self.work.method == Method::Pass && self.from + number == 0;
        let data = record.unit(&data, if is_first { Place::Opening } else { Place::Within })?;
        if unit.shows == 0 {
            if let Some((_, _, open)) = &mut self.open {
                open.extend_from_slice(&data);
            }
            return Ok(());
        }
        let (data, sync) = (data.into_owned(), if unit.is_key() { Sync::Yes } else { Sync::No });
        self.close()?;
        // Leading pictures refer to what is not there.
        let wanted = unit.pts.filter(|pts| self.work.segment.span.contains(*pts));
        self.open = wanted.map(|pts| (pts - self.work.origin, sync, data));
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        match (self.open.take(), &self.record) {
            (Some((pts, sync, data)), Some(record)) => self.writer.push(&record.caps, (pts, sync), &data),
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Result<SegmentProof, Fault> {
        self.close()?;
        let span = self.work.segment.span;
        let end = output_end(span, self.rendition.line(self.work.origin));
        let Written { file, header, content, entries } = self.writer.finish(Extent { samples: 0, end })?;
        let mut sorted: Vec<MediaTime> = entries.iter().map(|entry| entry.pts).collect();
        sorted.sort_unstable();
        let due = self.work.segment.pictures.unwrap_or(0) as usize;
        if sorted.len() != due {
            let (number, got) = (self.work.segment.number, sorted.len());
            return Err(Fault::new(
                FaultKind::LedgerOpen,
                format!("{got} of {due} pictures of segment {number} were copied"),
            ));
        }
        let need = sorted.iter().zip(&entries).map(|(due, entry)| *due - entry.pts).max();
        let pictures = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
        Ok(SegmentProof {
            rendition: self.rendition.number,
            decoded: pictures,
            pictures,
            first: sorted.first().copied().unwrap_or_default(),
            last: sorted.last().copied().unwrap_or_default(),
            end,
            header,
            content,
            dts_need: need.unwrap_or_default().max(MediaTime::ZERO),
            lost: Vec::new(),
            build: String::new(),
            fingerprint: fingerprint("parsebin"),
            file,
        })
    }
}
