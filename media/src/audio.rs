//! The audio task: a track's sound decoded once from its first byte to its last, each rendition encoded from it.
//!
//! ```text
//! {fleetsrc} ! {parsebin} ─ the track ─▶ {decoder} ! {audioconvert} ! {appsink}
//!   ─▶ one unbroken run of samples ─▶ {appsrc} ! {audioconvert} ! {audioresample} ! encoder ! {appsink} ─▶ file
//! ```

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::ledger::AudioProof;
use framefleet_model::media::AudioFormat;
use framefleet_model::pipeline::Damaged;
use framefleet_model::task::AudioWork;
use framefleet_model::time::{MediaTime, Span};
use gst::prelude::*;

use crate::child::Teller;
use crate::decode::pull;
use crate::demux::{self, Demux, FilmClock, pad_caps, track_id};
use crate::isobmff::reader::Presented;
use crate::pipe::{internal, make};
use crate::sound::Encoder;
use crate::unbroken::{Run, SAMPLE_BYTES, samples_time};
use crate::unheard::{Block, Given, Unheard};
use crate::{decoder, formats};

pub(crate) fn run(
    work: &AudioWork,
    film: Arc<Presented>,
    scratch: &Path,
    teller: &Teller,
) -> Result<Vec<AudioProof>, Fault> {
    let sink = gst_app::AppSink::builder().sync(false).max_buffers(32).build();
    sink.set_property("enable-last-sample", false);
    let trouble = Arc::new(Mutex::new(None));
    let ends = film.end_of(&work.track);
    let given = Given::default();
    let (target, wanted, told) = (sink.clone(), (work.track.clone(), work.decoder.clone()), trouble.clone());
    let watched = given.clone();
    let demux = Demux::open(film, move |pipeline, pad| {
        let first = target.static_pad("sink").is_some_and(|sink| !sink.is_linked());
        let linked = match first && track_id(pad) == wanted.0 {
            true => link(pipeline, pad, (&wanted.1, target.upcast_ref(), &watched)),
            false => demux::sink_into_nothing(pipeline, pad),
        };
        if let Err(fault) = linked {
            *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
        }
    })?;
    demux::place(demux.pipe.element(), sink.upcast_ref())?;
    demux.pipe.play()?;
    let mut span = work.span;
    span.end = ends.map_or(span.end, |end| span.end.min(end));
    let unheard = Unheard::of(given, span);
    let mut sound = Sound { work, span, scratch, run: None, encoders: Vec::new(), unheard };
    let pipeline = demux.pipe.element();
    let mut clock = None;
    let mut refused = None;
    let pulled = pull(&demux.pipe, &sink, &mut |sample| {
        let clock = clock.get_or_insert_with(|| (FilmClock::of(pipeline), demux::keeps_time(pipeline)));
        let heard = sound.take(sample, clock).inspect_err(|fault| refused = Some(fault.clone()))?;
        teller.step(heard, MediaTime::ZERO);
        Ok(())
    });
    if let Some(fault) = refused {
        return Err(fault);
    }
    if let Some(fault) = trouble.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(fault);
    }
    // What was heard before a demuxer stumbled is what a player would hear too.
    match pulled {
        Err(fault) if sound.run.is_none() || fault.kind == FaultKind::SourceUnreadable => return Err(fault),
        // What was on its way to the sink has been decoded, for all that is known.
        Err(_) => sound.unheard.forget(),
        Ok(()) => {}
    }
    drop(demux);
    sound.finish()
}

/// ```text
/// pad ─▶ {decoder} ! {audioconvert} ! F32LE interleaved ! {appsink}
/// ```
fn link(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    (name, sink, given): (&str, &gst::Element, &Given),
) -> Result<(), Fault> {
    let caps = pad_caps(pad);
    let convert = make("audioconvert")?;
    let filter = make("capsfilter")?;
    filter.set_property(
        "caps",
        gst::Caps::builder("audio/x-raw").field("format", "F32LE").field("layout", "interleaved").build(),
    );
    let mut row = vec![convert, filter];
    if caps.structure(0).is_none_or(|s| s.name() != "audio/x-raw") {
        let decoder = decoder::build(name)?;
        given.watch(&decoder);
        row.insert(0, decoder);
    }
    for element in &row {
        demux::place(pipeline, element)?;
    }
    let ends: Vec<&gst::Element> = row.iter().chain([sink]).collect();
    gst::Element::link_many(&ends).map_err(|e| internal(e.to_string()))?;
    demux::link(pad, &row[0])
}

/// The track's samples on their way from the decoder to the encoders.
struct Sound<'a> {
    work: &'a AudioWork,
    /// The wanted part, up to the track's own end.
    span: Span,
    scratch: &'a Path,
    run: Option<Run>,
    encoders: Vec<Encoder>,
    unheard: Unheard,
}

impl Sound<'_> {
    /// Hands on what is new in a block; returns the samples heard so far.
    fn take(&mut self, sample: &gst::Sample, (clock, timed): &mut (FilmClock, bool)) -> Result<u64, Fault> {
        let caps = sample.caps().ok_or_else(|| internal("sound without caps"))?;
        let format = formats::audio_format(caps).ok_or_else(|| internal(format!("sound of unknown caps {caps}")))?;
        let buffer = sample.buffer().ok_or_else(|| internal("a sample without sound"))?;
        let told = clock.place(demux::time_segment(sample).as_ref(), buffer.pts());
        let at = told.filter(|_| *timed || self.run.is_none());
        if let Some((pts, in_film)) = buffer.pts().zip(told) {
            let frame = u64::from(format.channels) * SAMPLE_BYTES;
            let length = samples_time(buffer.size() as u64 / frame.max(1), format.rate);
            self.unheard.heard(Block { at: MediaTime(pts.nseconds().cast_signed()), in_film, length });
        }
        let map = buffer.map_readable().map_err(|_| internal("a block that cannot be read"))?;
        let run = match &mut self.run {
            Some(run) if run.format() == format => run,
            Some(run) => {
                let (from, to) = (run.format(), format);
                let message = format!(
                    "the sound changes from {} Hz with {} channels to {} Hz with {}",
                    from.rate, from.channels, to.rate, to.channels
                );
                return Err(Fault::new(FaultKind::Unsupported, message));
            }
            None => self.begin(caps, format, at)?,
        };
        for block in run.place(at, &map) {
            for encoder in &mut self.encoders {
                encoder.push(&block)?;
            }
        }
        Ok(self.run.as_ref().map_or(0, Run::heard))
    }

    fn begin(&mut self, caps: &gst::CapsRef, format: AudioFormat, at: Option<MediaTime>) -> Result<&mut Run, Fault> {
        let run = Run::new(format, at.unwrap_or(self.span.start), self.span);
        for rendition in &self.work.renditions {
            let mut encoder = Encoder::start(rendition, (caps, format), self.scratch)?;
            encoder.lead(run.first() - self.work.origin)?;
            self.encoders.push(encoder);
        }
        Ok(self.run.insert(run))
    }

    fn finish(self) -> Result<Vec<AudioProof>, Fault> {
        let lost = self.unheard.end();
        if lost.units > 0 && self.work.damaged == Damaged::Fail {
            let (units, first) = (lost.units, lost.first);
            let message = format!(
                "the sound is damaged: {units} units do not decode, the first of them stands at {first} of the film (--damaged keep puts \
                 silence in their place)"
            );
            return Err(Fault::new(FaultKind::Damaged, message));
        }
        let run = self.run.filter(|run| run.heard() > 0);
        let run =
            run.ok_or_else(|| Fault::new(FaultKind::Corrupt, "the audio track has no sound in the wanted part"))?;
        let first = run.first() - self.work.origin;
        self.encoders.into_iter().map(|encoder| encoder.finish((first, lost.units), &run)).collect()
    }
}
