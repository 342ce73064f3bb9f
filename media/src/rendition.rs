//! One rendition of one segment: pictures in, a segment file and its proof out.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::ledger::SegmentProof;
use framefleet_model::media::VideoCodec;
use framefleet_model::picture::Deinterlace;
use framefleet_model::plan::{EncodeFormat, VideoRendition, output_end};
use framefleet_model::time::{MediaTime, Rational, Span};
use gst::prelude::*;

use crate::canvas::stamp::Stamp;
use crate::decode::pull;
use crate::demux::{running_time, time_segment};
use crate::doctor::build;
use crate::encoder::Course;
use crate::pipe::{Pipe, internal};
use crate::segment::{Extent, SegmentWriter, Sync};
use crate::{encoder, formats, hevc_form, shaping};

/// Raw pictures that wait between decoder and encoder.
const PICTURES_AHEAD: u64 = 3;

pub(crate) struct Encoder {
    rendition: VideoRendition,
    source: gst_app::AppSrc,
    warm_up: WarmUp,
    /// Of what is drawn on the pictures, where anything is.
    drawn: Option<Digest>,
    caps: Option<(gst::Caps, gst::Caps)>,
    /// The times that its encoder loses, in order.
    untold: Option<Sender<MediaTime>>,
    pushed: Vec<MediaTime>,
    /// Where the encoder must be given something after its end.
    last: Option<(gst::Buffer, gst::Caps)>,
    writing: Option<JoinHandle<Result<SegmentWriter, Fault>>>,
}

/// Where in its output a segment stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It begins as any film does.
    Opening,
    Within,
}

/// Copies of the first picture that the encoder sees before it. Their units are thrown away, and a key picture is forced
/// after them.
#[derive(Clone)]
struct WarmUp {
    pictures: u8,
    step: MediaTime,
    /// Where the first picture stands on the encoder's own clock, on which all pictures stand later by `lead`.
    begins: Arc<OnceLock<MediaTime>>,
    /// On the same clock, where what comes after the last picture begins.
    ends: Arc<OnceLock<MediaTime>>,
}

impl WarmUp {
    fn of(rendition: &VideoRendition, place: Place) -> Self {
        let pictures = if place == Place::Within { rendition.warm_up } else { 0 };
        Self { pictures, step: rendition.format.rate.time_of(1), begins: Arc::default(), ends: Arc::default() }
    }

    fn lead(&self) -> MediaTime {
        MediaTime(self.step.ns() * i64::from(self.pictures))
    }

    /// The times of the copies, for a first picture at `begins`.
    fn times(&self, begins: MediaTime) -> impl Iterator<Item = MediaTime> {
        (0..i64::from(self.pictures)).map(move |n| begins - self.lead() + MediaTime(self.step.ns() * n))
    }

    /// Orders a key picture as the one after the copies arrives. Not by its time: encoders move their clock by a thousand
    /// hours, some pictures late.
    fn force_key(&self, encoder: &gst::Element) -> Result<(), Fault> {
        let ends = encoder.static_pad("sink").zip(encoder.static_pad("src"));
        let (sink, source) = ends.ok_or_else(|| internal("an encoder without pads"))?;
        if self.pictures == 0 {
            return Ok(());
        }
        let (copies, arrived, source) = (u64::from(self.pictures), AtomicU64::new(0), source.downgrade());
        sink.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            if arrived.fetch_add(1, Ordering::Relaxed) == copies
                && let Some(source) = source.upgrade()
            {
                // An order that is not taken shows as a segment without a key picture in front, which fails.
                source.send_event(gst_video::UpstreamForceKeyUnitEvent::builder().build());
            }
            gst::PadProbeReturn::Ok
        });
        Ok(())
    }

    /// The place of a unit in the output; none for a copy's.
    fn place(&self, at: MediaTime) -> Option<MediaTime> {
        let begins = self.begins.get().copied().unwrap_or_default();
        let is_copy = at < begins || self.ends.get().is_some_and(|ends| at >= *ends);
        (!is_copy).then(|| at - self.lead())
    }
}

/// What the segment as a whole proves, the same for each of its renditions.
pub(crate) struct Settled {
    pub(crate) span: Span,
    pub(crate) origin: MediaTime,
    pub(crate) decoded: u32,
    pub(crate) lost: Vec<MediaTime>,
}

/// A segment in one rendition.
pub(crate) struct Made {
    pub(crate) proof: SegmentProof,
    /// Of its coded pictures.
    pub(crate) bytes: u64,
}

impl Encoder {
    /// ```text
    /// {appsrc} ! shaping ! encoder ! coded caps ! {appsink} ─▶ file
    /// ```
    pub(crate) fn start(
        (rendition, marks): (&VideoRendition, Vec<Stamp>),
        (place, course): (Place, Course),
        (scratch, name): (&Path, &str),
    ) -> Result<Self, Fault> {
        let pipe = Pipe::new();
        let source = gst_app::AppSrc::builder().format(gst::Format::Time).block(true).build();
        source.set_max_bytes(0);
        source.set_max_buffers(PICTURES_AHEAD);
        let sink = gst_app::AppSink::builder().sync(false).max_buffers(16).build();
        sink.set_property("enable-last-sample", false);
        sink.set_property("async", false);
        let mut row: Vec<gst::Element> = vec![source.clone().upcast()];
        let warm_up = WarmUp::of(rendition, place);
        let drawn = drawn(&marks);
        row.extend(shaping::elements(rendition, (marks, warm_up.lead()))?);
        let coding = encoder::video(rendition, course)?;
        warm_up.force_key(coding.first().ok_or_else(|| internal("a codec without an encoder"))?)?;
        row.extend(coding);
        row.push(sink.clone().upcast());
        pipe.chain(&row.iter().collect::<Vec<_>>())?;
        pipe.play()?;
        let writer = SegmentWriter::create(scratch, name)?;
        let (sender, told) = mpsc::channel();
        let keeps_time = encoder::keeps_time(rendition.settings.codec);
        let clock = if keeps_time { UnitClock::Stamps(warm_up.clone()) } else { UnitClock::Order(told) };
        let untold = (!keeps_time).then_some(sender);
        let units = Units { clock, codec: rendition.settings.codec, head: None };
        let writing = std::thread::spawn(move || write(&pipe, &sink, (writer, units)));
        let (rendition, pushed, writing) = (rendition.clone(), Vec::new(), Some(writing));
        Ok(Self { rendition, source, warm_up, drawn, caps: None, untold, pushed, last: None, writing })
    }

    pub(crate) fn grid(&self) -> Option<Rational> {
        self.rendition.format.grid
    }

    pub(crate) fn deinterlace(&self) -> Deinterlace {
        self.rendition.deinterlace
    }

    /// Hands the picture on, to stand at `time` of the output.
    pub(crate) fn push(&mut self, sample: &gst::Sample, time: MediaTime) -> Result<(), Fault> {
        let buffer = sample.buffer().ok_or_else(|| internal("a sample without a picture"))?;
        let caps = sample.caps().ok_or_else(|| internal("a picture without caps"))?;
        let caps = self.input_caps(caps)?;
        let at = time + self.warm_up.lead();
        if self.pushed.is_empty() && self.warm_up.begins.set(at).is_ok() {
            for copy in self.warm_up.times(at).collect::<Vec<_>>() {
                self.encode((buffer, &caps), copy)?;
            }
        }
        self.pushed.push(time);
        if let Some(untold) = &self.untold {
            // Whoever listens no more has failed, and says so.
            let _ = untold.send(time);
        }
        if encoder::left_behind(&self.rendition) > 0 {
            self.last = Some((buffer.copy(), caps.clone()));
        }
        self.encode((buffer, &caps), at)
    }

    /// Copies of the last picture, so that nothing of it is left behind in the encoder. Their units are thrown away.
    fn push_out(&mut self) -> Result<(), Fault> {
        let (Some((buffer, caps)), Some(last)) = (self.last.take(), self.pushed.last()) else { return Ok(()) };
        let (step, at) = (self.warm_up.step, *last + self.warm_up.lead());
        let _ = self.warm_up.ends.set(at + MediaTime(step.ns() / 2));
        (1..=i64::from(encoder::left_behind(&self.rendition)))
            .try_for_each(|n| self.encode((&buffer, &caps), at + MediaTime(step.ns() * n)))
    }

    fn encode(&mut self, (buffer, caps): (&gst::BufferRef, &gst::Caps), at: MediaTime) -> Result<(), Fault> {
        let mut copy = buffer.copy();
        if let Some(buffer) = copy.get_mut() {
            buffer.set_pts(clock(at)?);
            buffer.set_dts(gst::ClockTime::NONE);
            buffer.set_duration(gst::ClockTime::NONE);
        }
        let sample = gst::Sample::builder().buffer(&copy).caps(caps).build();
        match self.source.push_sample(&sample) {
            Ok(_) => Ok(()),
            Err(_) => self.written().and(Err(internal("the encoder takes no more pictures"))),
        }
    }

    pub(crate) fn finish(mut self, settled: &Settled) -> Result<Made, Fault> {
        self.push_out()?;
        // A pipeline that has failed says so through the writing thread.
        let _ = self.source.end_of_stream();
        let line = self.rendition.line(settled.origin);
        let end = output_end(settled.span, line);
        let written = self.written()?.finish(Extent { samples: 0, end })?;
        let order: Vec<MediaTime> = written.entries.iter().map(|e| e.pts).collect();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted != self.pushed {
            let message = format!("{} pictures went into the encoder and {} came out", self.pushed.len(), sorted.len());
            return Err(Fault::new(FaultKind::LedgerOpen, message));
        }
        if written.entries.first().is_some_and(|first| first.sync == Sync::No || first.pts != sorted[0]) {
            return Err(Fault::new(FaultKind::LedgerOpen, "the segment does not begin with a key picture"));
        }
        let need =
            sorted.iter().zip(&order).map(|(due, pts)| *due - *pts).max().unwrap_or_default().max(MediaTime::ZERO);
        if self.rendition.dts_delay.is_some_and(|delay| need > delay) {
            let message =
                format!("the encoder reorders by {need}, the plan has room for {:?}", self.rendition.dts_delay);
            return Err(Fault::new(FaultKind::LedgerOpen, message));
        }
        let bytes = written.entries.iter().map(|entry| u64::from(entry.size)).sum();
        let proof = SegmentProof {
            rendition: self.rendition.number,
            decoded: settled.decoded,
            pictures: u32::try_from(sorted.len()).unwrap_or(u32::MAX),
            first: sorted.first().copied().unwrap_or_default(),
            last: sorted.last().copied().unwrap_or_default(),
            end,
            header: self
                .drawn
                .map_or(written.header.clone(), |drawn| Digest::of(format!("{} {drawn}", written.header).as_bytes())),
            content: written.content,
            dts_need: need,
            lost: settled.lost.clone(),
            build: String::new(),
            fingerprint: fingerprint(encoder::factory(self.rendition.settings.codec)),
            file: written.file,
        };
        Ok(Made { proof, bytes })
    }

    /// The decoder's caps with the plan's nominal rate, colour and HDR, the same for every segment.
    fn input_caps(&mut self, decoded: &gst::CapsRef) -> Result<gst::Caps, Fault> {
        if let Some((known, ours)) = &self.caps
            && **known == *decoded
        {
            return Ok(ours.clone());
        }
        let mut ours = decoded.to_owned();
        let is_rgb = gst_video::VideoInfo::from_caps(decoded).is_ok_and(|info| info.is_rgb());
        let structure = ours.make_mut().structure_mut(0).ok_or_else(|| internal("empty caps"))?;
        structure.set("framerate", formats::fraction(self.rendition.format.rate));
        // The plan's colour is that of the output, which RGB is yet to become.
        if !is_rgb {
            let colour = self.rendition.source_colour.unwrap_or(self.rendition.format.colour);
            shaping::set_colour(structure, colour);
        }
        for (field, text) in hdr_fields(&self.rendition.format) {
            match text {
                Some(text) => structure.set(field, text),
                None => structure.remove_field(field),
            }
        }
        self.caps = Some((decoded.to_owned(), ours.clone()));
        Ok(ours)
    }

    /// Waits until all units are written, or for what went wrong.
    fn written(&mut self) -> Result<SegmentWriter, Fault> {
        let writing = self.writing.take().ok_or_else(|| internal("the segment file was asked for twice"))?;
        writing.join().unwrap_or_else(|_| Err(internal("the writing thread panicked")))
    }
}

/// Fonts and decoders may differ from worker to worker: segments that were drawn on otherwise must not be joined, any
/// more than those of another header.
fn drawn(marks: &[Stamp]) -> Option<Digest> {
    let bytes: Vec<u8> = marks.iter().flat_map(|mark| mark.rgba.iter().copied()).collect();
    (!marks.is_empty()).then(|| Digest::of(&bytes))
}

/// framefleet, GStreamer and encoder versions: what decides the bytes beside the plan.
pub(crate) fn fingerprint(factory: &str) -> String {
    let plugin = gst::ElementFactory::find(factory).and_then(|f| f.plugin());
    let plugin = plugin.map_or_else(|| "absent".to_owned(), |p| p.version().to_string());
    format!("framefleet {} · {factory} {plugin}", build())
}

fn clock(time: MediaTime) -> Result<gst::ClockTime, Fault> {
    let ns = u64::try_from(time.ns()).map_err(|_| internal(format!("a picture at {time}, before the origin")))?;
    Ok(gst::ClockTime::from_nseconds(ns))
}

/// How a unit's place in the output is known.
enum UnitClock {
    Stamps(WarmUp),
    /// By the order in which pictures went in, where each comes out before the next goes in.
    Order(Receiver<MediaTime>),
}

impl UnitClock {
    fn place(&self, sample: &gst::Sample) -> Result<Option<MediaTime>, Fault> {
        match self {
            Self::Stamps(warm_up) => {
                let pts = sample.buffer().and_then(gst::BufferRef::pts);
                let pts = time_segment(sample).and_then(|segment| running_time(&segment, pts));
                let pts =
                    pts.ok_or_else(|| internal(format!("the encoder gave a unit without a time: {}", begins(sample))))?;
                Ok(warm_up.place(pts))
            }
            Self::Order(told) => {
                told.try_recv().map(Some).map_err(|_| internal("the encoder gave more units than pictures went in"))
            }
        }
    }
}

/// What evidence there is of a unit.
fn begins(sample: &gst::Sample) -> String {
    let bytes = sample.buffer().and_then(|buffer| buffer.map_readable().ok());
    bytes.map_or_else(String::new, |bytes| format!("{} bytes, {:02x?}", bytes.len(), &bytes[..bytes.len().min(16)]))
}

/// Coded units on their way into the segment's file.
struct Units {
    clock: UnitClock,
    codec: VideoCodec,
    /// Where the encoder's own caps do not have it: the record of the codec's parameters, and the caps with it.
    head: Option<(Vec<u8>, gst::Caps)>,
}

impl Units {
    fn take(&mut self, sample: &gst::Sample, writer: &mut SegmentWriter) -> Result<(), Fault> {
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else { return Ok(()) };
        let place = self.clock.place(sample)?;
        let sync = if buffer.flags().contains(gst::BufferFlags::DELTA_UNIT) { Sync::No } else { Sync::Yes };
        let data = buffer.map_readable().map_err(|_| internal("a unit that cannot be read"))?;
        if self.codec != VideoCodec::Hevc {
            return place.map_or(Ok(()), |pts| writer.push(caps, (pts, sync), &data));
        }
        let unit = hevc_form::take(&data).ok_or_else(|| internal("the encoder gave a unit that does not parse"))?;
        if let Some(record) = unit.record
            && self.head.as_ref().is_none_or(|(known, _)| *known != record)
        {
            let caps = hevc_caps(caps, record.clone())?;
            self.head = Some((record, caps));
        }
        let (_, caps) = self.head.as_ref().ok_or_else(|| internal("a unit before the encoder's parameters"))?;
        place.map_or(Ok(()), |pts| writer.push(caps, (pts, sync), &unit.data))
    }
}

fn hevc_caps(encoder: &gst::CapsRef, record: Vec<u8>) -> Result<gst::Caps, Fault> {
    let mut ours = encoder.to_owned();
    let structure = ours.make_mut().structure_mut(0).ok_or_else(|| internal("empty caps"))?;
    structure.set("stream-format", "hvc1");
    structure.set("codec_data", gst::Buffer::from_slice(record));
    Ok(ours)
}

fn write(
    pipe: &Pipe,
    sink: &gst_app::AppSink,
    (mut writer, mut units): (SegmentWriter, Units),
) -> Result<SegmentWriter, Fault> {
    pull(pipe, sink, &mut |sample| units.take(sample, &mut writer))?;
    Ok(writer)
}

fn hdr_fields(format: &EncodeFormat) -> [(&'static str, Option<String>); 2] {
    [
        ("mastering-display-info", format.mastering.map(formats::mastering_text)),
        ("content-light-level", format.light.map(formats::light_text)),
    ]
}
