//! When an output's pictures are shown, and how far their decoding runs ahead: what a muxer must know before its first
//! byte.
//!
//! ```text
//! the index tells:      units of the film    ─▶ times          no segment is waited for
//! it does not tell:     table of each segment ─▶ times          the last segment is waited for
//! ```

use std::ops::Range;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::Block;
use framefleet_model::plan::{output_end, output_times};
use framefleet_model::task::{MergeSegment, MergeVideo, object};
use framefleet_model::time::MediaTime;

use crate::merge::inputs::{open_object, open_segment};
use crate::reader::Reader;
use crate::segment::{Entry, SegmentReader};
use crate::units;

pub(crate) struct Schedule {
    /// When each picture is shown on the output's time line, ascending.
    pub(crate) times: Vec<MediaTime>,
    /// Which of them each segment holds.
    segments: Vec<Range<usize>>,
    /// Where the last picture ends.
    pub(crate) end: MediaTime,
    /// How far decoding runs ahead of showing.
    pub(crate) dts_delay: MediaTime,
}

impl Schedule {
    pub(crate) fn of(video: &MergeVideo, reader: &Reader) -> Result<Self, Fault> {
        let mut schedule = match video.rendition.dts_delay.zip(video.told.as_deref()) {
            Some(told) => foretold(video, reader, told)?,
            None => looked_up(video, reader)?,
        };
        let times = &schedule.times;
        if let Some(pair) = times.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(open(format!("a picture at {} comes after one at {}", pair[1], pair[0])));
        }
        let last = *times.last().ok_or_else(|| Fault::new(FaultKind::Corrupt, "no picture of the film decodes"))?;
        // A film whose end is not known beforehand ends one nominal picture after its last.
        if schedule.end == MediaTime::MAX || schedule.end <= last {
            schedule.end = last + video.rendition.format.rate.time_of(1);
        }
        Ok(schedule)
    }

    /// When the first picture of these segments is shown; none where they show none.
    pub(crate) fn first_within(&self, segments: Range<usize>) -> Option<MediaTime> {
        let end = segments.end.min(self.segments.len());
        let range = self.segments.get(segments.start..end)?.iter().find(|range| !range.is_empty())?;
        self.times.get(range.start).copied()
    }

    /// Holds a segment to what was told of it.
    pub(crate) fn check(&self, number: usize, entries: &[Entry]) -> Result<(), Fault> {
        let due = self.segments.get(number).and_then(|range| self.times.get(range.clone())).unwrap_or_default();
        let order: Vec<MediaTime> = entries.iter().map(|entry| entry.pts).collect();
        let (shown, need) = sorted(&order);
        if shown.len() != due.len() {
            return Err(open(format!("segment {number} holds {} pictures, {} are due", shown.len(), due.len())));
        }
        if let Some((got, due)) = shown.iter().zip(due).find(|(got, due)| got != due) {
            return Err(open(format!("segment {number} shows a picture at {got} where {due} is due")));
        }
        if need > self.dts_delay {
            let room = self.dts_delay;
            return Err(open(format!(
                "the pictures of segment {number} are reordered by {need}, there is room for {room}"
            )));
        }
        Ok(())
    }

    fn push(&mut self, times: Vec<MediaTime>) {
        let from = self.times.len();
        self.times.extend(times);
        self.segments.push(from..self.times.len());
    }

    fn with(dts_delay: MediaTime, end: MediaTime) -> Self {
        Self { times: Vec::new(), segments: Vec::new(), end, dts_delay }
    }
}

fn foretold(
    video: &MergeVideo,
    reader: &Reader,
    (dts_delay, blocks): (MediaTime, &[Block]),
) -> Result<Schedule, Fault> {
    let line = video.rendition.line(video.origin);
    let end = video.segments.last().map_or(MediaTime::ZERO, |last| output_end(last.span, line));
    let index = open_object(object::INDEX, reader)?;
    let mut shown = Vec::new();
    for block in blocks {
        let units = units::of_blocks(&*index, &[*block])?;
        shown.extend(units.iter().filter(|unit| unit.shows > 0).filter_map(|unit| unit.pts));
    }
    shown.sort_unstable();
    let mut schedule = Schedule::with(dts_delay, end);
    for MergeSegment { span, .. } in &video.segments {
        let within = shown.partition_point(|time| *time < span.start)..shown.partition_point(|time| *time < span.end);
        schedule.push(output_times(&shown[within], *span, line));
    }
    Ok(schedule)
}

fn looked_up(video: &MergeVideo, reader: &Reader) -> Result<Schedule, Fault> {
    let mut schedule = Schedule::with(MediaTime::ZERO, MediaTime::ZERO);
    for segment in &video.segments {
        let SegmentReader { entries, extent, .. } = open_segment(segment.object, reader)?;
        let (shown, need) = sorted(&entries.iter().map(|entry| entry.pts).collect::<Vec<_>>());
        schedule.push(shown);
        schedule.end = extent.end;
        schedule.dts_delay = schedule.dts_delay.max(need);
    }
    schedule.dts_delay = video.rendition.dts_delay.unwrap_or(schedule.dts_delay);
    Ok(schedule)
}

/// Times of showing out of those of decoding order, and how far a picture comes before its turn.
fn sorted(order: &[MediaTime]) -> (Vec<MediaTime>, MediaTime) {
    let mut shown = order.to_vec();
    shown.sort_unstable();
    let need = shown.iter().zip(order).map(|(due, pts)| *due - *pts).max();
    (shown, need.unwrap_or_default().max(MediaTime::ZERO))
}

fn open(what: String) -> Fault {
    Fault::new(FaultKind::LedgerOpen, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::Sync;

    fn ms(values: &[i64]) -> Vec<MediaTime> {
        values.iter().map(|v| MediaTime::from_millis(*v)).collect()
    }

    fn entries(order: &[i64]) -> Vec<Entry> {
        ms(order).into_iter().map(|pts| Entry { pts, size: 1, sync: Sync::No }).collect()
    }

    #[test]
    fn a_segment_is_held_to_what_the_index_told() {
        let mut schedule = Schedule::with(MediaTime::from_millis(40), MediaTime::from_millis(240));
        schedule.push(ms(&[0, 40, 80]));
        schedule.push(ms(&[120, 160, 200]));
        assert!(schedule.check(1, &entries(&[120, 200, 160])).is_ok());
        let refused = |number, order: &[i64]| schedule.check(number, &entries(order)).unwrap_err().message;
        assert!(refused(1, &[120, 160]).contains("holds 2 pictures, 3 are due"));
        assert!(refused(0, &[0, 41, 80]).contains("where"));
        assert!(refused(0, &[80, 40, 0]).contains("room for"));
        assert!(refused(2, &[240]).contains("0 are due"));
    }
}
