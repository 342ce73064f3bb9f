//! Units in, pictures out: an explicit decoder behind an appsrc, each picture with its unit's time.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::{CapsAt, Unit};
use framefleet_model::time::MediaTime;
use gst::prelude::*;
use rustix::time::{ClockId, clock_gettime};

use crate::decoder;
use crate::demux::{self, Demux, FilmClock, pad_caps, track_id};
use crate::parameters::bytes_of_hex;
use crate::pipe::{Pipe, internal};
use crate::read_at::ReadAt;
use crate::slice::{self, Slice};

/// Units have times before zero; a pipeline's clock has not.
const BASE: MediaTime = MediaTime::from_secs(1000 * 3600);
const UNITS_BYTES_AHEAD: u64 = 8 << 20;
const PICTURES_AHEAD: u32 = 4;
/// The parent judges hangs by the child's own signs of life; this only bounds work in vain. So long by the clock, for several
/// encoders at once use much CPU time, and so long of the child's CPU time, for a busy machine gives it none.
const PICTURE_DEADLINE: Duration = Duration::from_secs(120);

/// Takes a picture and its place in the source's running time.
pub(crate) type Picture<'a> = dyn FnMut(&gst::Sample, MediaTime) -> Result<(), Fault> + 'a;

pub(crate) struct Coded<'a> {
    pub(crate) caps: &'a CapsAt,
    pub(crate) decoder: &'a str,
    pub(crate) slice: Slice<'a>,
}

/// Decodes a slice whose units have times of their own.
///
/// ```text
/// slice ─▶ {appsrc} ! {decoder} ! {appsink} ─▶ picture
/// ```
pub(crate) fn slice(film: &Arc<dyn ReadAt>, coded: &Coded<'_>, picture: &mut Picture<'_>) -> Result<(), Fault> {
    let pipe = Pipe::new();
    let source = appsrc(&coded.caps.caps)?;
    let sink = appsink();
    let hidden = hidden(coded.slice.units);
    pipe.chain(&[source.upcast_ref(), &decoder::build(coded.decoder)?, sink.upcast_ref()])?;
    pipe.play()?;
    std::thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(film, coded, &source));
        let pulled = pull(&pipe, &sink, &mut |sample| {
            let time =
                sample.buffer().and_then(gst::BufferRef::pts).map(|t| MediaTime(t.nseconds().cast_signed()) - BASE);
            time.filter(|time| !hidden.contains(time)).map_or(Ok(()), |time| picture(sample, time))
        });
        if pulled.is_err() {
            // The feeder may wait for room in a pipeline that no longer moves.
            let _ = pipe.element().set_state(gst::State::Null);
        }
        let fed = feeder.join().unwrap_or_else(|_| Err(internal("the feeding thread panicked")));
        pulled.and(fed)
    })
}

/// Times at which pictures are decoded and none is shown.
fn hidden(units: &[Unit]) -> HashSet<MediaTime> {
    let times = |shows| units.iter().filter(move |unit| (unit.shows > 0) == shows).filter_map(|unit| unit.pts);
    let mut hidden: HashSet<MediaTime> = times(false).collect();
    if !hidden.is_empty() {
        times(true).for_each(|time| _ = hidden.remove(&time));
    }
    hidden
}

/// Decodes the film from its first byte to its last, with the times that the decoder tells.
///
/// ```text
/// {fleetsrc} ! {parsebin} ─ the track ─▶ {decoder} ! {appsink} ─▶ picture
/// ```
pub(crate) fn whole(
    film: &Arc<dyn ReadAt>,
    (track, name): (&str, &str),
    picture: &mut Picture<'_>,
) -> Result<(), Fault> {
    let sink = appsink();
    let (target, wanted, name) = (sink.clone(), track.to_owned(), name.to_owned());
    let demux = Demux::open(film.clone(), move |pipeline, pad| {
        // A track that cannot be linked shows as a film without pictures.
        let first = target.static_pad("sink").is_some_and(|sink| !sink.is_linked());
        let _ = match first && track_id(pad) == wanted {
            true => link_decoder(pipeline, pad, (&name, target.upcast_ref())),
            false => demux::sink_into_nothing(pipeline, pad),
        };
    })?;
    demux::place(demux.pipe.element(), sink.upcast_ref())?;
    demux.pipe.play()?;
    let mut clock = None;
    pull(&demux.pipe, &sink, &mut |sample| {
        let clock = clock.get_or_insert_with(|| FilmClock::of(demux.pipe.element()));
        let pts = sample.buffer().and_then(gst::BufferRef::pts);
        let time = clock.place(demux::time_segment(sample).as_ref(), pts);
        time.map_or(Ok(()), |time| picture(sample, time))
    })
}

fn link_decoder(pipeline: &gst::Pipeline, pad: &gst::Pad, (name, sink): (&str, &gst::Element)) -> Result<(), Fault> {
    if name == "identity" || pad_caps(pad).structure(0).is_some_and(|s| s.name().ends_with("/x-raw")) {
        return demux::link(pad, sink);
    }
    let decoder = decoder::build(name)?;
    demux::place(pipeline, &decoder)?;
    decoder.link(sink).map_err(|e| internal(e.to_string()))?;
    demux::link(pad, &decoder)
}

pub(crate) fn appsrc(caps: &str) -> Result<gst_app::AppSrc, Fault> {
    let caps: gst::Caps = caps.parse().map_err(|_| internal(format!("caps that do not parse: {caps}")))?;
    let source = gst_app::AppSrc::builder().caps(&caps).format(gst::Format::Time).block(true).build();
    source.set_max_bytes(UNITS_BYTES_AHEAD);
    Ok(source)
}

fn appsink() -> gst_app::AppSink {
    let sink = gst_app::AppSink::builder().sync(false).max_buffers(PICTURES_AHEAD).build();
    sink.set_property("enable-last-sample", false);
    sink.set_property("qos", false);
    sink.set_property("async", false);
    sink
}

fn feed(film: &Arc<dyn ReadAt>, coded: &Coded<'_>, source: &gst_app::AppSrc) -> Result<(), Fault> {
    let units = coded.slice.units;
    let mut headers = bytes_of_hex(&coded.caps.headers);
    let fetched = slice::fetch(film, &coded.slice, &mut |number, mut buffer| {
        if !headers.is_empty() {
            let headers = gst::Buffer::from_mut_slice(std::mem::take(&mut headers));
            buffer = joined(headers, buffer);
        }
        match source.push_buffer(stamped(&buffer, &units[number])) {
            Ok(_) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    });
    // A pipeline that has failed tells it on its bus.
    let _ = source.end_of_stream();
    fetched
}

fn joined(mut head: gst::Buffer, tail: gst::Buffer) -> gst::Buffer {
    head.append(tail);
    head
}

/// The unit's bytes with the index's times, whatever the demuxer said after a seek.
fn stamped(buffer: &gst::Buffer, unit: &Unit) -> gst::Buffer {
    let clock = |time: MediaTime| gst::ClockTime::from_nseconds(u64::try_from((time + BASE).ns()).unwrap_or(0));
    let mut copy = buffer.copy();
    if let Some(buffer) = copy.get_mut() {
        buffer.set_pts(unit.pts.map(clock));
        buffer.set_dts(unit.dts.map(clock));
        buffer.set_duration(unit.duration.and_then(|d| u64::try_from(d.ns()).ok()).map(gst::ClockTime::from_nseconds));
        buffer.unset_flags(gst::BufferFlags::DISCONT);
        if unit.is_key() {
            buffer.unset_flags(gst::BufferFlags::DELTA_UNIT);
        } else {
            buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
        }
    }
    copy
}

fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or(0))
}

pub(crate) fn pull(
    pipe: &Pipe,
    sink: &gst_app::AppSink,
    each: &mut dyn FnMut(&gst::Sample) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut last = (Instant::now(), cpu_time());
    loop {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(100)) {
            each(&sample)?;
            last = (Instant::now(), cpu_time());
            continue;
        }
        if let Some(fault) = pipe.error() {
            return Err(fault);
        }
        if sink.is_eos() {
            return Ok(());
        }
        let (at, used) = last;
        if at.elapsed() > PICTURE_DEADLINE && cpu_time().saturating_sub(used) > PICTURE_DEADLINE {
            let message = format!("nothing came in {} s of work", PICTURE_DEADLINE.as_secs());
            return Err(Fault::new(FaultKind::Hung, message));
        }
    }
}
