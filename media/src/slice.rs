//! Finding a task's slice of access units in the film again, and handing them out with the index's times.
//!
//! After a seek GStreamer's times are not the film's, so a place is recognised by what lies there: the hashes of the
//! whole slice, in order, by Knuth, Morris and Pratt's failure function. Still pictures repeat whole GOPs, so less
//! than the whole slice identifies nothing; and a slice equal in every byte decodes to equal pictures.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::{Method, Unit};
use framefleet_model::time::MediaTime;
use gst::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use crate::demux::{Demux, sink_into_nothing, track_id};
use crate::pipe::{STEP_DEADLINE, internal};
use crate::read_at::ReadAt;

/// How far before the slice the search begins; the last rung is the film's start, where places are known by counting.
const LADDER: [MediaTime; 3] = [MediaTime::from_secs(1), MediaTime::from_secs(5), MediaTime::from_secs(15)];
/// A rung is given up after this many units beyond twice the slice: a minute of 60 pictures a second.
const STRAY_UNITS_MAX: usize = 3600;
/// A larger slice is not held in memory to be recognised: it is read from the film's start, by counting.
const HELD_BYTES_MAX: u64 = 512 << 20;
/// Sample-table reads that lie this close together are one read.
const GAP_BYTES_MAX: u64 = 64 << 10;
const RUN_BYTES_MAX: u64 = 4 << 20;
/// Units that wait between the demuxer and the search.
const UNITS_AHEAD: usize = 16;

/// Where a slice lies and how it may be reached.
pub(crate) struct Slice<'a> {
    pub(crate) track: &'a str,
    pub(crate) method: Method,
    /// Units that stand before the slice in the index.
    pub(crate) from: usize,
    pub(crate) units: &'a [Unit],
}

/// Takes the next unit of the slice: its number within the slice, and its bytes.
pub(crate) type Take<'a> = dyn FnMut(usize, gst::Buffer) -> ControlFlow<()> + 'a;

pub(crate) fn fetch(film: &Arc<dyn ReadAt>, slice: &Slice<'_>, take: &mut Take<'_>) -> Result<(), Fault> {
    if slice.method == Method::Tables {
        return by_tables(&**film, slice.units, take);
    }
    let bytes: u64 = slice.units.iter().map(|u| u64::from(u.size)).sum();
    let first = slice.units.iter().filter_map(|u| u.pts).min().unwrap_or_default();
    if slice.from > 0 && bytes <= HELD_BYTES_MAX {
        for margin in LADDER.into_iter().filter(|m| *m < first) {
            let found = by_hashes(film, slice, first - margin)?;
            if let Some(buffers) = found {
                for (number, buffer) in buffers.into_iter().enumerate() {
                    if take(number, buffer).is_break() {
                        break;
                    }
                }
                return Ok(());
            }
        }
    }
    by_counting(film, slice, take)
}

/// Exactly the bytes of the units, neighbours in one read.
fn by_tables(film: &dyn ReadAt, units: &[Unit], take: &mut Take<'_>) -> Result<(), Fault> {
    let mut done = 0;
    while done < units.len() {
        let (start, count, end) = run_of(&units[done..])?;
        let len = usize::try_from(end - start).map_err(|_| internal("a run of units is too long"))?;
        let run = film.read_exact_at(start, len).map_err(|e| unreadable(&e))?;
        for unit in &units[done..done + count] {
            let at = usize::try_from(unit.offset.unwrap_or(start) - start).unwrap_or(usize::MAX);
            let data = run.get(at..at + unit.size as usize).ok_or_else(|| internal("a unit outside its run"))?;
            if take(done, gst::Buffer::from_mut_slice(data.to_vec())).is_break() {
                return Ok(());
            }
            done += 1;
        }
    }
    Ok(())
}

/// The first byte, the number of units and the end of the next run that is read at once.
fn run_of(units: &[Unit]) -> Result<(u64, usize, u64), Fault> {
    let place = |u: &Unit| u.offset.ok_or_else(|| internal("an index from sample tables lacks an offset"));
    let start = place(&units[0])?;
    let mut end = start + u64::from(units[0].size);
    let mut count = 1;
    for unit in &units[1..] {
        let at = place(unit)?;
        if at < end || at - end > GAP_BYTES_MAX || at + u64::from(unit.size) - start > RUN_BYTES_MAX {
            break;
        }
        end = at + u64::from(unit.size);
        count += 1;
    }
    Ok((start, count, end))
}

/// Seeks, then reads until the whole slice has been recognised; `None` where it does not come.
fn by_hashes(film: &Arc<dyn ReadAt>, slice: &Slice<'_>, to: MediaTime) -> Result<Option<Vec<gst::Buffer>>, Fault> {
    let stream = Stream::open(film, slice.track)?;
    stream.seek(to)?;
    let mut search = Search::new(slice.units.iter().map(|u| u.hash).collect());
    let mut strayed = 0;
    while let Some(buffer) = stream.next()? {
        if search.push(hash_of(&buffer)?, buffer) {
            return Ok(Some(search.held.into()));
        }
        strayed += 1;
        if strayed > 2 * slice.units.len() + STRAY_UNITS_MAX {
            break;
        }
    }
    Ok(None)
}

/// From the film's start: the n-th unit of the pass is the n-th unit of the index.
fn by_counting(film: &Arc<dyn ReadAt>, slice: &Slice<'_>, take: &mut Take<'_>) -> Result<(), Fault> {
    let stream = Stream::open(film, slice.track)?;
    stream.release();
    let mut number = 0;
    while let Some(buffer) = stream.next()? {
        if number >= slice.from {
            let expected = &slice.units[number - slice.from];
            if hash_of(&buffer)? != expected.hash {
                let message = format!("unit {number} of the source is not the one that was indexed");
                return Err(Fault::new(FaultKind::SourceChanged, message));
            }
            if take(number - slice.from, buffer).is_break() {
                return Ok(());
            }
        }
        number += 1;
        if number == slice.from + slice.units.len() {
            return Ok(());
        }
    }
    let message = format!("the source ends after unit {number}, the index lists {}", slice.from + slice.units.len());
    Err(Fault::new(FaultKind::SourceChanged, message))
}

fn hash_of(buffer: &gst::Buffer) -> Result<u64, Fault> {
    Ok(xxh3_64(&buffer.map_readable().map_err(|_| internal("a buffer that cannot be read"))?))
}

fn unreadable(error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::SourceUnreadable, format!("the source cannot be read: {error}"))
}

/// The pattern that is looked for, and the units that match its beginning so far.
struct Search {
    pattern: Vec<u64>,
    /// For each length of a match, the longest shorter one that ends at the same place.
    fallback: Vec<usize>,
    held: VecDeque<gst::Buffer>,
}

impl Search {
    fn new(pattern: Vec<u64>) -> Self {
        let mut fallback = vec![0; pattern.len() + 1];
        let mut k = 0;
        for i in 1..pattern.len() {
            while k > 0 && pattern[i] != pattern[k] {
                k = fallback[k];
            }
            if pattern[i] == pattern[k] {
                k += 1;
            }
            fallback[i + 1] = k;
        }
        Self { pattern, fallback, held: VecDeque::new() }
    }

    /// `true` once the whole pattern is held.
    fn push(&mut self, hash: u64, buffer: gst::Buffer) -> bool {
        self.held.push_back(buffer);
        let mut matched = self.held.len() - 1;
        while matched > 0 && self.pattern[matched] != hash {
            matched = self.fallback[matched];
        }
        matched = if self.pattern[matched] == hash { matched + 1 } else { 0 };
        self.held.drain(..self.held.len() - matched);
        matched == self.pattern.len()
    }
}

/// One track's units, in order, in a pipeline of its own.
struct Stream {
    demux: Demux,
    units: Receiver<gst::Buffer>,
    gate: Arc<Gate>,
}

/// Holds the track back until the reader has decided where to begin.
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

enum GateState {
    /// No data has come yet.
    Closed,
    /// The first unit waits.
    Waiting(gst::Pad),
    /// Units from before the seek are dropped until its segment comes.
    Seeking(gst::Seqnum),
    Open,
}

impl Stream {
    /// ```text
    /// {fleetsrc} ! {parsebin} ─ the track ─▶ gate ─▶ channel
    ///                         ─ others ─▶ {fakesink}
    /// ```
    fn open(film: &Arc<dyn ReadAt>, track: &str) -> Result<Self, Fault> {
        let gate = Arc::new(Gate { state: Mutex::new(GateState::Closed), changed: Condvar::new() });
        let (sender, units) = sync_channel(UNITS_AHEAD);
        let (listener, wanted) = (gate.clone(), track.to_owned());
        let demux = Demux::open(film.clone(), move |pipeline, pad| {
            if track_id(pad) == wanted {
                listen(pad, &listener, &sender);
            }
            // FLV's demuxer stops at a stream that nobody takes. A pad without a sink shows as one that does not come.
            let _ = sink_into_nothing(pipeline, pad);
        })?;
        demux.pipe.play()?;
        let stream = Self { demux, units, gate };
        stream.await_first()?;
        Ok(stream)
    }

    fn await_first(&self) -> Result<(), Fault> {
        let begun = Instant::now();
        let mut state = self.gate.lock();
        while matches!(*state, GateState::Closed) {
            let waited = self.gate.changed.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            if let Some(fault) = self.demux.pipe.error() {
                return Err(fault);
            }
            if begun.elapsed() > STEP_DEADLINE {
                return Err(Fault::new(FaultKind::Hung, "the track does not come within 60 s of opening the film"));
            }
        }
        Ok(())
    }

    fn release(&self) {
        self.gate.set(GateState::Open);
    }

    fn seek(&self, to: MediaTime) -> Result<(), Fault> {
        let position = gst::ClockTime::from_nseconds(u64::try_from(to.ns()).unwrap_or(0));
        let flags = gst::SeekFlags::FLUSH | gst::SeekFlags::KEY_UNIT | gst::SeekFlags::SNAP_BEFORE;
        let event =
            gst::event::Seek::new(1.0, flags, gst::SeekType::Set, position, gst::SeekType::None, gst::ClockTime::NONE);
        let pad = match &*self.gate.lock() {
            GateState::Waiting(pad) => pad.clone(),
            GateState::Closed | GateState::Seeking(_) | GateState::Open => {
                return Err(internal("a seek before any data"));
            }
        };
        self.gate.set(GateState::Seeking(event.seqnum()));
        // A demuxer that cannot seek goes on from the start, and the search finds the slice there.
        if !pad.send_event(event) {
            self.release();
        }
        Ok(())
    }

    /// The next unit; `None` at the end of the stream.
    fn next(&self) -> Result<Option<gst::Buffer>, Fault> {
        let begun = Instant::now();
        loop {
            match self.units.recv_timeout(Duration::from_millis(100)) {
                Ok(buffer) if buffer.flags().contains(END_MARK) && buffer.size() == 0 => return Ok(None),
                Ok(buffer) => return Ok(Some(buffer)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(fault) = self.demux.pipe.error() {
                return Err(fault);
            }
            if begun.elapsed() > STEP_DEADLINE {
                return Err(Fault::new(FaultKind::Hung, "no unit came for 60 s"));
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A probe that waits at the gate or at the full channel must not outlive the reader's interest.
        self.gate.set(GateState::Open);
        while self.units.try_recv().is_ok() {}
        let (_, closed) = sync_channel(0);
        self.units = closed;
    }
}

impl Gate {
    fn lock(&self) -> std::sync::MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, state: GateState) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    /// Whether a unit on `pad` may pass; waits while nobody has decided.
    fn admits(&self, pad: &gst::Pad) -> bool {
        let mut state = self.lock();
        if matches!(*state, GateState::Closed) {
            *state = GateState::Waiting(pad.clone());
            self.changed.notify_all();
        }
        while matches!(*state, GateState::Closed | GateState::Waiting(_)) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        matches!(*state, GateState::Open)
    }

    fn segment_came(&self, seqnum: gst::Seqnum) {
        let mut state = self.lock();
        if matches!(&*state, GateState::Seeking(wanted) if *wanted == seqnum) {
            *state = GateState::Open;
        }
    }
}

/// Marks the empty buffer that stands for the end of the stream.
const END_MARK: gst::BufferFlags = gst::BufferFlags::MARKER;

fn listen(pad: &gst::Pad, gate: &Arc<Gate>, sender: &SyncSender<gst::Buffer>) {
    let (gate, sender) = (gate.clone(), sender.clone());
    pad.add_probe(gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM, move |pad, info| {
        match &info.data {
            Some(gst::PadProbeData::Buffer(buffer)) if gate.admits(pad) => {
                // Nobody listens any more: the pipeline is about to be stopped.
                let _ = sender.send(buffer.clone());
            }
            Some(gst::PadProbeData::Event(event)) => match event.view() {
                gst::EventView::Segment(_) => gate.segment_came(event.seqnum()),
                gst::EventView::Eos(_) if gate.admits(pad) => {
                    let mut end = gst::Buffer::new();
                    if let Some(end) = end.get_mut() {
                        end.set_flags(END_MARK);
                    }
                    let _ = sender.send(end);
                }
                _ => {}
            },
            _ => {}
        }
        gst::PadProbeReturn::Ok
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_after(pattern: &[u64], stream: &[u64]) -> Option<usize> {
        gst::init().unwrap();
        let mut search = Search::new(pattern.to_vec());
        stream.iter().position(|hash| search.push(*hash, gst::Buffer::new()))
    }

    #[test]
    fn a_slice_is_found_though_its_beginning_repeats() {
        assert_eq!(found_after(&[1, 1, 2], &[1, 1, 1, 1, 2]), Some(4));
        assert_eq!(found_after(&[1, 2, 1, 3], &[1, 2, 1, 2, 1, 3]), Some(5));
        assert_eq!(found_after(&[1, 2], &[1, 1, 1]), None);
    }

    #[test]
    fn units_that_lie_together_are_read_together() {
        let unit = |offset, size| Unit {
            pts: None,
            dts: None,
            duration: None,
            size,
            key: framefleet_model::index::Key::No,
            shows: 1,
            hash: 0,
            offset: Some(offset),
        };
        let units = [unit(0, 100), unit(100, 50), unit(1_000_000, 10)];
        assert_eq!(run_of(&units).unwrap(), (0, 2, 150));
        assert_eq!(run_of(&units[2..]).unwrap(), (1_000_000, 1, 1_000_010));
    }
}
