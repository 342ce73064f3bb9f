//! Opening a film: one source, one parsebin, its pads in the hands of the caller.
//!
//! ```text
//! {fleetsrc} ! {parsebin} ─ pad ─▶ probe ! {fakesink}
//!                         ─ pad ─▶ (left unlinked)
//! ```
//! Sinks are locked in PLAYING before they are linked, so that no pad waits for another one to preroll.

use std::sync::Arc;

use framefleet_model::fault::Fault;
use framefleet_model::time::MediaTime;
use gst::prelude::*;

use crate::fleetsrc::FleetSrc;
use crate::pipe::{Pipe, internal, make};
use crate::read_at::ReadAt;

pub(crate) struct Demux {
    pub(crate) pipe: Pipe,
    pub(crate) source: FleetSrc,
}

impl Demux {
    /// `on_pad` is called from a streaming thread for each elementary stream; it links what it wants.
    pub(crate) fn open(
        object: Arc<dyn ReadAt>,
        on_pad: impl Fn(&gst::Pipeline, &gst::Pad) + Send + Sync + 'static,
    ) -> Result<Self, Fault> {
        let pipe = Pipe::new();
        let source = FleetSrc::over(object);
        let parsebin = make("parsebin")?;
        pipe.chain(&[source.upcast_ref(), &parsebin])?;
        parsebin.connect("autoplug-continue", false, |told| {
            let caps = told.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
            Some(caps.is_none_or(|caps| !is_headless_aac(&caps)).to_value())
        });
        let pipeline = pipe.element().downgrade();
        parsebin.connect_pad_added(move |_, pad| {
            if let Some(pipeline) = pipeline.upgrade()
                && pad.direction() == gst::PadDirection::Src
            {
                on_pad(&pipeline, pad);
            }
        });
        Ok(Self { pipe, source })
    }
}

/// Sound in AAC without its header, as FLV may have it: the parser refuses it, and with it the demuxer ends all streams.
/// Unparsed, it is a track that does not decode.
fn is_headless_aac(caps: &gst::Caps) -> bool {
    let Some(told) = caps.structure(0).filter(|told| told.name() == "audio/mpeg") else { return false };
    let raw = told.get::<&str>("stream-format").is_ok_and(|format| format == "raw");
    let header = told.get::<gst::Buffer>("codec_data").map_or(0, |data| data.size());
    raw && told.get::<i32>("mpegversion").is_ok_and(|version| version == 4) && header < 2
}

/// Lets a pad's data flow into nothing.
pub(crate) fn sink_into_nothing(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), Fault> {
    let sink = make("fakesink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    sink.set_property("enable-last-sample", false);
    attach(pipeline, pad, &sink)
}

/// Adds an element that plays from the start, whatever state the pipeline is in.
pub(crate) fn place(pipeline: &gst::Pipeline, element: &gst::Element) -> Result<(), Fault> {
    pipeline.add(element).map_err(|e| internal(e.to_string()))?;
    element.set_locked_state(true);
    element.set_state(gst::State::Playing).map(drop).map_err(|_| internal(format!("{} does not start", element.name())))
}

pub(crate) fn link(pad: &gst::Pad, element: &gst::Element) -> Result<(), Fault> {
    let target = element.static_pad("sink").ok_or_else(|| internal("an element without a sink pad"))?;
    // A pad's caps may still be wider than the stream's: what does not fit fails when the stream comes.
    pad.link_full(&target, gst::PadLinkCheck::HIERARCHY)
        .map(drop)
        .map_err(|e| internal(format!("cannot link {}: {e:?}", pad.name())))
}

/// Adds a sink and links the pad to it.
pub(crate) fn attach(pipeline: &gst::Pipeline, pad: &gst::Pad, sink: &gst::Element) -> Result<(), Fault> {
    place(pipeline, sink)?;
    link(pad, sink)
}

/// The part of a stream id that does not depend on the address: what stands behind the last slash.
pub(crate) fn track_id(pad: &gst::Pad) -> String {
    let id = pad.stream_id().map_or_else(String::new, |id| id.to_string());
    id.rsplit_once('/').map_or_else(|| "0".to_owned(), |(_, suffix)| suffix.to_owned())
}

pub(crate) fn pad_caps(pad: &gst::Pad) -> gst::Caps {
    pad.current_caps().unwrap_or_else(|| pad.query_caps(None))
}

/// Whether an element of this factory is at work.
pub(crate) fn has(pipeline: &gst::Pipeline, factory: &str) -> bool {
    let elements = pipeline.iterate_recurse().into_iter().flatten();
    elements.filter_map(|e| e.factory()).any(|f| f.name() == factory)
}

/// Whether the film's container keeps times; those of plain sound files are told from bytes and bit rates.
pub(crate) fn keeps_time(pipeline: &gst::Pipeline) -> bool {
    const UNTIMED: [&str; 5] = ["wavparse", "aiffparse", "auparse", "id3demux", "apedemux"];
    let elements = pipeline.iterate_recurse().into_iter().flatten();
    let demuxes = |f: &gst::ElementFactory| f.has_type(gst::ElementFactoryType::DEMUXER);
    let mut demuxers = elements.filter_map(|e| e.factory()).filter(demuxes);
    demuxers.any(|f| !UNTIMED.contains(&f.name().as_str()))
}

/// How a buffer's time stamp tells its place in the film.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilmClock {
    stamps: Stamps,
    /// Where the last buffer stands.
    last: MediaTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamps {
    /// By running time: segments carry edit lists and start offsets.
    Running,
    /// The same, and the demuxer may take a time from just before a wrap of its 33-bit clock for one after it.
    Wrapping,
    /// As they stand: Matroska's demuxer begins a segment at whatever it meets first, and corrects itself later.
    Absolute,
}

/// 33 bits at 90 kHz (ISO/IEC 13818-1 2.4.3.7).
const WRAP: MediaTime = MediaTime(95_443_717_688_889);

impl FilmClock {
    pub(crate) fn of(pipeline: &gst::Pipeline) -> Self {
        let stamps = if has(pipeline, "matroskademux") {
            Stamps::Absolute
        } else if has(pipeline, "tsdemux") || has(pipeline, "mpegpsdemux") {
            Stamps::Wrapping
        } else {
            Stamps::Running
        };
        Self { stamps, last: MediaTime::ZERO }
    }

    /// Signed, in the film's time.
    pub(crate) fn place(
        &mut self,
        segment: Option<&gst::FormattedSegment<gst::format::Time>>,
        time: Option<gst::ClockTime>,
    ) -> Option<MediaTime> {
        match self.stamps {
            Stamps::Running => running_time(segment?, time),
            Stamps::Wrapping => {
                self.last = unwrapped(running_time(segment?, time)?, self.last);
                Some(self.last)
            }
            Stamps::Absolute => Some(MediaTime(i64::try_from(time?.nseconds()).ok()?)),
        }
    }
}

/// The time nearest to `last` of those that the clock would tell as `told`.
fn unwrapped(told: MediaTime, last: MediaTime) -> MediaTime {
    let wraps = ((told - last).ns() + WRAP.ns() / 2).div_euclid(WRAP.ns());
    MediaTime(told.ns() - wraps * WRAP.ns())
}

/// Signed running time.
pub(crate) fn running_time(
    segment: &gst::FormattedSegment<gst::format::Time>,
    time: Option<gst::ClockTime>,
) -> Option<MediaTime> {
    match segment.to_running_time_full(time?)? {
        gst::Signed::Positive(t) => i64::try_from(t.nseconds()).ok().map(MediaTime),
        gst::Signed::Negative(t) => i64::try_from(t.nseconds()).ok().map(|ns| -MediaTime(ns)),
    }
}

/// The time segment that a sample lies in.
pub(crate) fn time_segment(sample: &gst::Sample) -> Option<gst::FormattedSegment<gst::format::Time>> {
    sample.segment().and_then(|s| s.downcast_ref::<gst::format::Time>().cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_from_before_a_wrap_stands_beside_its_neighbours() {
        let (near, ms) = (|told, last| unwrapped(MediaTime(told), MediaTime(last)).ns(), 1_000_000);
        assert_eq!(near(WRAP.ns() + 41 * ms, 15 * ms), 41 * ms);
        assert_eq!(near(WRAP.ns() - 20 * ms, 0), -20 * ms);
        assert_eq!(near(67 * ms, 41 * ms), 67 * ms);
        assert_eq!(near(5 * ms, WRAP.ns() - ms), WRAP.ns() + 5 * ms);
    }
}
