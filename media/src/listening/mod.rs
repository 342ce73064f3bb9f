//! Listening to a track: its sound decoded from the film's first byte to its last, handed to whoever wants it as one unbroken
//! run of samples.
//!
//! ```text
//! {fleetsrc} ! {parsebin} ─ the track ─▶ {decoder} ! {audioconvert} ! {appsink} ─▶ run ─▶ listeners
//! ```

pub(crate) mod front;
pub(crate) mod measuring;

use std::sync::{Arc, Mutex, PoisonError};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::media::AudioFormat;
use framefleet_model::pipeline::Damaged;
use framefleet_model::task::AudioWork;
use framefleet_model::time::{MediaTime, Span};
use gst::prelude::*;

use crate::decode::pull;
use crate::demux::{self, Demux, FilmClock, pad_caps, track_id};
use crate::isobmff::reader::Presented;
use crate::pipe::{internal, make};
use crate::unbroken::{Run, SAMPLE_BYTES, samples_time};
use crate::unheard::{Block, Given, Unheard};
use crate::{decoder, formats};

/// Whoever wants the samples of a track.
pub(crate) trait Listener {
    /// Where the first sample stands in the output.
    fn lead(&mut self, first: MediaTime) -> Result<(), Fault>;

    fn push(&mut self, block: &[u8]) -> Result<(), Fault>;
}

/// A track that was heard to its end.
pub(crate) struct Heard<L> {
    pub(crate) listeners: Vec<L>,
    pub(crate) run: Run,
    /// The first sample's place in the output.
    pub(crate) first: MediaTime,
    /// Units that do not decode.
    pub(crate) lost: u32,
}

/// Makes those who want the samples, once it is known what they are.
pub(crate) type Begin<'a, L> = dyn FnMut((&gst::CapsRef, AudioFormat)) -> Result<Vec<L>, Fault> + 'a;

/// `step` is told how many samples were heard so far.
pub(crate) fn listen<L: Listener>(
    work: &AudioWork,
    film: Arc<Presented>,
    begin: &mut Begin<'_, L>,
    step: &dyn Fn(u64),
) -> Result<Heard<L>, Fault> {
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
    let mut sound = Sound { work, span, begin, run: None, listeners: Vec::new(), unheard };
    let pipeline = demux.pipe.element();
    let mut clock = None;
    let mut refused = None;
    let pulled = pull(&demux.pipe, &sink, &mut |sample| {
        let clock = clock.get_or_insert_with(|| (FilmClock::of(pipeline), demux::keeps_time(pipeline)));
        let heard = sound.take(sample, clock).inspect_err(|fault| refused = Some(fault.clone()))?;
        step(heard);
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

/// The track's samples on their way from the decoder to the listeners.
struct Sound<'a, 'b, L> {
    work: &'a AudioWork,
    /// The wanted part, up to the track's own end.
    span: Span,
    begin: &'a mut Begin<'b, L>,
    run: Option<Run>,
    listeners: Vec<L>,
    unheard: Unheard,
}

impl<L: Listener> Sound<'_, '_, L> {
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
            for listener in &mut self.listeners {
                listener.push(&block)?;
            }
        }
        Ok(self.run.as_ref().map_or(0, Run::heard))
    }

    fn begin(&mut self, caps: &gst::CapsRef, format: AudioFormat, at: Option<MediaTime>) -> Result<&mut Run, Fault> {
        let run = Run::new(format, at.unwrap_or(self.span.start), self.span);
        self.listeners = (self.begin)((caps, format))?;
        for listener in &mut self.listeners {
            listener.lead(run.first() - self.work.origin)?;
        }
        Ok(self.run.insert(run))
    }

    fn finish(self) -> Result<Heard<L>, Fault> {
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
        Ok(Heard { listeners: self.listeners, run, first, lost: lost.units })
    }
}
