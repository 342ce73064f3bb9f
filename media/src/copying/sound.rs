//! A track of sound, copied. Units are placed by counting their samples, as a decoder would play them: containers' clocks
//! are too coarse for the sum of their lengths.
//!
//! ```text
//! units:   ┆ before ┆ before │ first │   …   │ last │
//! wanted:                       ├──────────────┤
//! ```
//! Where the container can tell which samples are left out, the first unit is preceded by those that a decoder needs to have
//! seen, and the wanted part is exact. Elsewhere units are whole.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::ledger::AudioProof;
use framefleet_model::media::{AudioCodec, AudioFormat};
use framefleet_model::pipeline::Edges;
use framefleet_model::plan::AudioRendition;
use framefleet_model::task::AudioWork;
use framefleet_model::time::{MediaTime, Span};
use gst::prelude::*;

use crate::audio_files::is_tag;
use crate::child::Teller;
use crate::copying::framing::Framing;
use crate::copying::lengths::{Lengths, units_before};
use crate::decode::pull;
use crate::demux::{self, Demux, FilmClock, track_id};
use crate::isobmff::reader::Presented;
use crate::pipe::internal;
use crate::rendition::fingerprint;
use crate::segment::{Extent, SegmentWriter, Sync};
use crate::tap::is_header;
use crate::unbroken::{Run, samples_in, samples_time};

/// How far copied sound may stand off where a container without times begins: what its reading back is held to.
const OFF_MAX: MediaTime = MediaTime::from_millis(2);

/// All renditions are of one track: what differs is what becomes of their edges.
pub(crate) fn run(
    (work, renditions): (&AudioWork, &[AudioRendition]),
    film: &Arc<Presented>,
    scratch: &Path,
    teller: &Teller,
) -> Result<Vec<AudioProof>, Fault> {
    let sink = gst_app::AppSink::builder().sync(false).max_buffers(32).build();
    sink.set_property("enable-last-sample", false);
    let mut span = work.span;
    span.end = film.end_of(&work.track).map_or(span.end, |end| span.end.min(end));
    let (target, wanted) = (sink.clone(), work.track.clone());
    let demux = Demux::open(film.clone(), move |pipeline, pad| {
        let first = target.static_pad("sink").is_some_and(|sink| !sink.is_linked());
        // A track that cannot be linked shows as one without units.
        let _ = match first && track_id(pad) == wanted {
            true => demux::link(pad, target.upcast_ref()),
            false => demux::sink_into_nothing(pipeline, pad),
        };
    })?;
    demux::place(demux.pipe.element(), sink.upcast_ref())?;
    demux.pipe.play()?;
    let copies = renditions.iter().map(|rendition| Copy::to(rendition, span, (work.origin, scratch)));
    let mut track = Track { wanted: span, stream: None, copies: copies.collect::<Result<_, _>>()? };
    let pipeline = demux.pipe.element();
    let mut clock = None;
    let mut units = 0;
    pull(&demux.pipe, &sink, &mut |sample| {
        let (clock, timed) = clock.get_or_insert_with(|| (FilmClock::of(pipeline), demux::keeps_time(pipeline)));
        let told = clock.place(demux::time_segment(sample).as_ref(), sample.buffer().and_then(gst::BufferRef::pts));
        units += 1;
        teller.step(units, told.unwrap_or_default());
        track.take(sample, (told, *timed))
    })?;
    drop(demux);
    track.finish()
}

/// A unit of the source, and where it lies in samples from the first one's.
#[derive(Clone)]
struct Unit {
    begins: u64,
    samples: u64,
    data: Vec<u8>,
}

struct Track {
    wanted: Span,
    stream: Option<Stream>,
    copies: Vec<Copy>,
}

/// What the first unit told of all.
struct Stream {
    caps: gst::Caps,
    header: gst::Caps,
    framing: Framing,
    lengths: Lengths,
    run: Run,
    /// The film's time of the first unit's first sample.
    begun: MediaTime,
    /// Samples that the source leaves out at its end.
    left_out: u64,
    ended: u64,
}

impl Track {
    fn take(&mut self, sample: &gst::Sample, (told, timed): (Option<MediaTime>, bool)) -> Result<(), Fault> {
        let buffer = sample.buffer().ok_or_else(|| internal("a sample without sound"))?;
        let caps = sample.caps().ok_or_else(|| internal("sound without caps"))?;
        let map = buffer.map_readable().map_err(|_| internal("a unit that cannot be read"))?;
        let (Some(first), codec) = (self.copies.first(), self.codec()) else { return Ok(()) };
        if is_header(buffer) || self.stream.is_none() && is_in_front(codec, &map) {
            return Ok(());
        }
        let format = first.rendition.format;
        let clip = clip_of(buffer);
        if self.stream.is_none() {
            self.stream = Some(Stream::of((codec, format), (caps, &map), (told, clip.0))?);
        }
        let stream = self.stream.as_mut().ok_or_else(|| internal("a stream that is not there"))?;
        if *stream.caps != *caps {
            let at = told.unwrap_or_default();
            return Err(unsupported(format!("the sound's header changes at {at} of the film, so it cannot be copied")));
        }
        let length = buffer.duration().map(|d| samples_in(MediaTime(d.nseconds().cast_signed()), format.rate));
        let length = length.and_then(|length| u64::try_from(length).ok());
        let samples = stream.lengths.samples(&map, length).ok_or_else(|| {
            let (at, name) = (told.unwrap_or_default(), codec.name());
            Fault::new(
                FaultKind::Damaged,
                format!("the sound at {at} of the film is no unit of {name}, so it cannot be copied"),
            )
        })?;
        // What is clipped stands before the time that is told.
        let told = told.filter(|_| timed).map(|told| told - samples_time(clip.0, format.rate));
        let Some(begins) = stream.run.place_unit(told, samples) else { return Ok(()) };
        (stream.left_out, stream.ended) = (clip.1, begins + samples);
        let unit = Unit { begins, samples, data: stream.framing.payload(&map)?.to_vec() };
        self.copies.iter_mut().try_for_each(|copy| copy.take(&unit, stream))
    }

    fn codec(&self) -> AudioCodec {
        self.copies.first().map_or(AudioCodec::Pcm, |copy| copy.rendition.settings.codec)
    }

    fn finish(self) -> Result<Vec<AudioProof>, Fault> {
        let stream = self.stream.ok_or_else(nothing)?;
        let heard = stream.ended - stream.left_out.min(stream.ended);
        let end = self.wanted.end.min(stream.at(heard));
        self.copies.into_iter().map(|copy| copy.finish(&stream, end)).collect()
    }
}

impl Stream {
    fn of(
        (codec, format): (AudioCodec, AudioFormat),
        (caps, unit): (&gst::CapsRef, &[u8]),
        (told, clipped): (Option<MediaTime>, u64),
    ) -> Result<Self, Fault> {
        let framing = Framing::of(codec, caps)?;
        let header = framing.header(codec, caps, unit)?;
        let record = header.structure(0).and_then(|s| s.get::<gst::Buffer>("codec_data").ok());
        let record = record.and_then(|data| data.map_readable().ok().map(|map| map.to_vec())).unwrap_or_default();
        let lengths = Lengths::of(codec, format, &record);
        let lengths = lengths.ok_or_else(|| unsupported(format!("the sound's header is none of {}", codec.name())))?;
        let begun = told.unwrap_or_default() - samples_time(clipped, format.rate);
        let run = Run::new(format, begun, Span::new(begun, MediaTime::MAX));
        Ok(Self { caps: caps.to_owned(), header, framing, lengths, run, begun, left_out: 0, ended: 0 })
    }

    /// The film's time of a sample.
    fn at(&self, sample: u64) -> MediaTime {
        self.begun + samples_time(sample, self.run.format().rate)
    }
}

/// One file of it.
struct Copy {
    rendition: AudioRendition,
    wanted: Span,
    origin: MediaTime,
    writer: SegmentWriter,
    /// Units that may be needed before the first one.
    before: VecDeque<Unit>,
    /// The film's time of the first sample that is to be heard, once a unit is written.
    first: Option<MediaTime>,
    /// Where the last written unit ends.
    end: u64,
    holes: usize,
}

impl Copy {
    fn to(rendition: &AudioRendition, wanted: Span, (origin, scratch): (MediaTime, &Path)) -> Result<Self, Fault> {
        let writer = SegmentWriter::create(scratch, &format!("audio-{}", rendition.number))?;
        let (rendition, before) = (rendition.clone(), VecDeque::new());
        Ok(Self { rendition, wanted, origin, writer, before, first: None, end: 0, holes: 0 })
    }

    fn take(&mut self, unit: &Unit, stream: &Stream) -> Result<(), Fault> {
        let (begins, ends) = (stream.at(unit.begins), stream.at(unit.begins + unit.samples));
        if begins >= self.wanted.end {
            return Ok(());
        }
        if self.first.is_none() && ends <= self.wanted.start {
            self.before.push_back(unit.clone());
            if self.before.len() > units_before(self.rendition.settings.codec) {
                self.before.pop_front();
            }
            return Ok(());
        }
        if self.rendition.settings.codec == AudioCodec::Pcm {
            return self.take_samples(unit, stream);
        }
        if self.first.is_none() {
            self.begin(unit, stream)?;
        }
        if stream.run.silences.len() > self.holes && self.rendition.begins.is_some() {
            let at = begins - self.origin;
            return Err(unsupported(format!(
                "the sound has a hole before {at}, which a copy cannot fill and the container cannot tell"
            )));
        }
        self.push(unit, stream)
    }

    /// Writes what comes before the first unit, and settles where the wanted part begins.
    fn begin(&mut self, unit: &Unit, stream: &Stream) -> Result<(), Fault> {
        self.holes = stream.run.silences.len();
        let begins = stream.at(unit.begins);
        let before = std::mem::take(&mut self.before);
        if self.rendition.edges == Edges::Told {
            before.iter().try_for_each(|unit| self.push(unit, stream))?;
        }
        if self.rendition.edges == Edges::Whole
            && let Some(place) = self.rendition.begins
        {
            let off = begins - self.origin - place;
            if MediaTime(off.ns().abs()) > OFF_MAX {
                return Err(unsupported(format!(
                    "the copied sound would begin {off} off its pictures, and the container cannot place it: mp4, mov, mkv and flv can"
                )));
            }
        }
        let wanted = match self.rendition.edges {
            Edges::Told => begins.max(self.wanted.start),
            // What stands before zero has no place of its own there.
            Edges::Whole => begins.max(self.origin),
            Edges::Bare => begins,
        };
        self.first = Some(wanted);
        Ok(())
    }

    /// PCM is cut at any sample.
    fn take_samples(&mut self, unit: &Unit, stream: &Stream) -> Result<(), Fault> {
        let rate = self.rendition.format.rate;
        let frame = unit.data.len() / usize::try_from(unit.samples.max(1)).unwrap_or(1);
        let place = |time: MediaTime| u64::try_from(samples_in(time - stream.begun, rate)).unwrap_or(0);
        let ends = unit.begins + unit.samples;
        let (from, to) =
            (place(self.wanted.start).clamp(unit.begins, ends), place(self.wanted.end).clamp(unit.begins, ends));
        if from >= to {
            return Ok(());
        }
        let byte = |sample: u64| usize::try_from(sample - unit.begins).unwrap_or(0) * frame;
        let kept = Unit { begins: from, samples: to - from, data: unit.data[byte(from)..byte(to)].to_vec() };
        if self.first.is_none() {
            self.begin(&kept, stream)?;
        }
        self.push(&kept, stream)
    }

    fn push(&mut self, unit: &Unit, stream: &Stream) -> Result<(), Fault> {
        self.end = unit.begins + unit.samples;
        self.writer.push(&stream.header, (stream.at(unit.begins) - self.origin, Sync::Yes), &unit.data)
    }

    fn finish(self, stream: &Stream, end: MediaTime) -> Result<AudioProof, Fault> {
        let first = self.first.ok_or_else(nothing)?;
        let rate = self.rendition.format.rate;
        let last = stream.at(self.end);
        let end = if self.rendition.edges == Edges::Told { end.min(last) } else { last };
        let samples = u64::try_from(samples_in(end - first, rate)).unwrap_or(0);
        let first = first - self.origin;
        let written = self.writer.finish(Extent { samples, end: first + samples_time(samples, rate) })?;
        Ok(AudioProof {
            rendition: self.rendition.number,
            samples,
            first,
            units: u32::try_from(written.entries.len()).unwrap_or(u32::MAX),
            lost: 0,
            silences: Vec::new(),
            overlapped_samples: stream.run.overlapped,
            loudness: None,
            header: written.header,
            content: written.content,
            fingerprint: fingerprint("parsebin"),
            file: written.file,
        })
    }
}

/// Whether it is no unit of sound, though parsers do not say so: MP3's tag, FLAC's blocks of metadata.
fn is_in_front(codec: AudioCodec, unit: &[u8]) -> bool {
    match codec {
        AudioCodec::Mp3 => is_tag(unit),
        AudioCodec::Flac => !unit.first_chunk::<2>().is_some_and(|head| head[0] == 0xff && head[1] & 0xfe == 0xf8),
        AudioCodec::Aac | AudioCodec::Opus | AudioCodec::Vorbis | AudioCodec::Pcm | AudioCodec::Ac3 => false,
    }
}

/// Samples that a decoder leaves out at the unit's beginning and end.
fn clip_of(buffer: &gst::BufferRef) -> (u64, u64) {
    let Some(meta) = buffer.meta::<gst_audio::AudioClippingMeta>() else { return (0, 0) };
    let samples = |clipped: gst::GenericFormattedValue| match clipped {
        gst::GenericFormattedValue::Default(Some(samples)) => *samples,
        _ => 0,
    };
    (samples(meta.start()), samples(meta.end()))
}

fn nothing() -> Fault {
    Fault::new(FaultKind::Corrupt, "the audio track has no sound in the wanted part")
}

fn unsupported(text: String) -> Fault {
    Fault::new(FaultKind::Unsupported, text)
}
