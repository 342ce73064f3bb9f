//! The encoders of a run of samples.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::ledger::AudioProof;
use framefleet_model::media::{AudioCodec, AudioFormat};
use framefleet_model::plan::AudioRendition;
use framefleet_model::sound::Measured;
use framefleet_model::time::{MediaTime, NS_PER_SECOND, scale_round};
use gst::prelude::*;

use crate::decode::pull;
use crate::listening::Listener;
use crate::listening::front::{Front, raw, stage};
use crate::pipe::{Pipe, internal, make};
use crate::rendition::fingerprint;
use crate::segment::{Extent, SegmentWriter, Sync};
use crate::sound_coding;
use crate::treatment::loudness::Leveller;
use crate::unbroken::{Run, samples_time};

/// One rendition of the sound.
pub(crate) struct Encoder {
    rendition: AudioRendition,
    front: Front,
    given: Given,
    leveller: Option<Arc<Mutex<Leveller>>>,
    writing: Option<JoinHandle<Result<SegmentWriter, Fault>>>,
}

impl Encoder {
    /// ```text
    /// front [ ! leveller ] ! {audioconvert} ! raw caps ─ count ─▶ encoder ! {appsink} ─▶ file
    /// ```
    pub(crate) fn start(
        rendition: &AudioRendition,
        source: (&gst::CapsRef, AudioFormat),
        (scratch, measured): (&Path, &BTreeMap<u32, Measured>),
    ) -> Result<Self, Fault> {
        let pipe = Pipe::new();
        let (front, mut row) = Front::new(rendition, source)?;
        let leveller = leveller(rendition, measured)?;
        if let Some(leveller) = &leveller {
            row.push(stage(rendition.format, leveller)?);
        }
        // What came out of a decoder with as many bits as it goes in with again must come through untouched.
        let narrow = make("audioconvert")?;
        narrow.set_property_from_str("dithering", "none");
        let filter = make("capsfilter")?;
        filter.set_property("caps", raw(sound_coding::layout(rendition.settings.codec).0, rendition.format));
        let sink = gst_app::AppSink::builder().sync(false).max_buffers(64).build();
        sink.set_property("enable-last-sample", false);
        sink.set_property("async", false);
        row.extend([narrow, filter.clone()]);
        row.extend(sound_coding::encoder(rendition)?);
        row.push(sink.clone().upcast());
        pipe.chain(&row.iter().collect::<Vec<_>>())?;
        let given = Given::through(&filter, rendition)?;
        pipe.play()?;
        let writer = SegmentWriter::create(scratch, &format!("audio-{}", rendition.number))?;
        let units = Units::of(rendition);
        let writing = std::thread::spawn(move || write(&pipe, &sink, (writer, units)));
        let (rendition, writing) = (rendition.clone(), Some(writing));
        Ok(Self { rendition, front, given, leveller, writing })
    }

    /// A pipeline that takes nothing more says why through the writing thread.
    fn unless_failed(&mut self, pushed: Result<(), Fault>) -> Result<(), Fault> {
        pushed.or_else(|fault| self.written().and(Err(fault)))
    }

    pub(crate) fn finish(mut self, (first, lost): (MediaTime, u32), run: &Run) -> Result<AudioProof, Fault> {
        let (codec, to, due) = (self.rendition.settings.codec, self.rendition.format.rate, self.front.due(run.heard()));
        if let Some(leveller) = &self.leveller {
            leveller.lock().unwrap_or_else(PoisonError::into_inner).end_at(due);
        }
        // The others fill their last unit by themselves, or with what comes after it.
        if codec.is_lossless() {
            self.given.end_at(due);
        }
        // AC-3's encoder keeps back what fills no frame.
        let pushed = if codec == AudioCodec::Ac3 { self.front.tail() } else { self.front.drain() };
        self.unless_failed(pushed)?;
        self.front.end();
        let mut writer = self.written()?;
        let samples = self.given.samples.load(Ordering::SeqCst).min(due);
        let length = samples_time(samples, to);
        let first = self.rendition.begins.unwrap_or(first);
        writer.truncate_at(length);
        writer.shift(first);
        let written = writer.finish(Extent { samples, end: first + length })?;
        let units = written.entries.len() as u64;
        let (unit, priming) = (codec.unit_samples(to), u64::from(codec.priming_samples()));
        if unit.is_some_and(|unit| units * u64::from(unit) < samples + priming) {
            let message = format!("{samples} samples and {priming} of priming do not fit the encoder's {units} units");
            return Err(Fault::new(FaultKind::LedgerOpen, message));
        }
        Ok(AudioProof {
            rendition: self.rendition.number,
            samples,
            first,
            units: u32::try_from(units).unwrap_or(u32::MAX),
            lost,
            silences: run.silences.clone(),
            overlapped_samples: run.overlapped,
            loudness: self.leveller.map(|made| made.lock().unwrap_or_else(PoisonError::into_inner).proof()),
            header: written.header,
            content: written.content,
            fingerprint: fingerprint(sound_coding::factory(codec).unwrap_or("audioconvert")),
            file: written.file,
        })
    }

    fn written(&mut self) -> Result<SegmentWriter, Fault> {
        let writing = self.writing.take().ok_or_else(|| internal("the audio file was asked for twice"))?;
        writing.join().unwrap_or_else(|_| Err(internal("the writing thread panicked")))
    }
}

impl Listener for Encoder {
    fn lead(&mut self, first: MediaTime) -> Result<(), Fault> {
        let pushed = self.front.lead(first);
        self.unless_failed(pushed)
    }

    fn push(&mut self, block: &[u8]) -> Result<(), Fault> {
        let pushed = self.front.push(block);
        self.unless_failed(pushed)
    }
}

/// What makes it as loud as is asked for.
fn leveller(
    rendition: &AudioRendition,
    measured: &BTreeMap<u32, Measured>,
) -> Result<Option<Arc<Mutex<Leveller>>>, Fault> {
    let Some(loudness) = rendition.settings.treatment.loudness else { return Ok(None) };
    let measured = measured.get(&rendition.number).copied();
    let measured = measured.ok_or_else(|| internal(format!("sound {} was not measured", rendition.number)))?;
    let leveller = Leveller::new(loudness, measured, rendition.format).map_err(internal)?;
    Ok(Some(Arc::new(Mutex::new(leveller))))
}

/// How many samples an encoder was given, and how many it may be given at most.
#[derive(Clone)]
struct Given {
    samples: Arc<AtomicU64>,
    due: Arc<AtomicU64>,
}

impl Given {
    /// Counts what goes through `filter`, and lets nothing more through once all that is due has come: what keeps samples back
    /// is emptied with silence, which is not the track's.
    fn through(filter: &gst::Element, rendition: &AudioRendition) -> Result<Self, Fault> {
        let given = Self { samples: Arc::new(AtomicU64::new(0)), due: Arc::new(AtomicU64::new(u64::MAX)) };
        let pad = filter.static_pad("src").ok_or_else(|| internal("a filter without a source pad"))?;
        let (counted, frame) = (given.clone(), frame_bytes(rendition));
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else { return gst::PadProbeReturn::Ok };
            let samples = buffer.size() as u64 / frame;
            let had = counted.samples.load(Ordering::SeqCst);
            let kept = samples.min(counted.due.load(Ordering::SeqCst).saturating_sub(had));
            counted.samples.store(had + kept, Ordering::SeqCst);
            if kept == 0 && samples > 0 {
                return gst::PadProbeReturn::Drop;
            }
            if kept < samples {
                buffer.make_mut().set_size(usize::try_from(kept * frame).unwrap_or(usize::MAX));
            }
            gst::PadProbeReturn::Ok
        });
        Ok(given)
    }

    fn end_at(&self, samples: u64) {
        self.due.store(samples, Ordering::SeqCst);
    }
}

fn frame_bytes(rendition: &AudioRendition) -> u64 {
    sound_coding::layout(rendition.settings.codec).1 * u64::from(rendition.format.channels.max(1))
}

/// How an encoder's units are placed: by counting, whatever they are stamped with.
struct Units {
    codec: AudioCodec,
    rate: u32,
    frame: usize,
    /// The caps with the codec's record, once the first unit has come.
    caps: Option<gst::Caps>,
    /// Where the next unit begins, in samples of the encoder's input.
    next: i64,
    /// PCM that does not fill a unit yet.
    rest: Vec<u8>,
}

impl Units {
    fn of(rendition: &AudioRendition) -> Self {
        let codec = rendition.settings.codec;
        let frame = usize::try_from(frame_bytes(rendition)).unwrap_or(1);
        let next = -i64::from(codec.priming_samples());
        Self { codec, rate: rendition.format.rate, frame, caps: None, next, rest: Vec::new() }
    }

    fn take(&mut self, sample: &gst::Sample, writer: &mut SegmentWriter) -> Result<(), Fault> {
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else { return Ok(()) };
        if buffer.flags().contains(gst::BufferFlags::HEADER) {
            return Ok(());
        }
        let data = buffer.map_readable().map_err(|_| internal("a unit that cannot be read"))?;
        if self.caps.is_none() {
            self.caps = Some(sound_coding::header(self.codec, caps, &data)?);
        }
        if self.codec != AudioCodec::Pcm {
            // Only Vorbis' units are of several lengths, and tell by their granule where they end.
            let granule = i64::try_from(buffer.offset_end()).unwrap_or(self.next);
            let length = self.codec.unit_samples(self.rate).map_or(granule - self.next, i64::from);
            return self.push(&data, length, writer);
        }
        self.rest.extend_from_slice(&data);
        let unit = self.frame * self.codec.unit_samples(self.rate).unwrap_or(1) as usize;
        while self.rest.len() >= unit {
            let later = self.rest.split_off(unit);
            let whole = std::mem::replace(&mut self.rest, later);
            self.push(&whole, (unit / self.frame) as i64, writer)?;
        }
        Ok(())
    }

    fn end(&mut self, writer: &mut SegmentWriter) -> Result<(), Fault> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() { Ok(()) } else { self.push(&rest, (rest.len() / self.frame) as i64, writer) }
    }

    fn push(&mut self, data: &[u8], samples: i64, writer: &mut SegmentWriter) -> Result<(), Fault> {
        let at = MediaTime(scale_round(self.next, NS_PER_SECOND, i64::from(self.rate)));
        self.next += samples;
        let caps = self.caps.as_ref().ok_or_else(|| internal("a unit before its caps"))?;
        writer.push(caps, (at, Sync::Yes), data)
    }
}

fn write(
    pipe: &Pipe,
    sink: &gst_app::AppSink,
    (mut writer, mut units): (SegmentWriter, Units),
) -> Result<SegmentWriter, Fault> {
    pull(pipe, sink, &mut |sample| units.take(sample, &mut writer))?;
    units.end(&mut writer)?;
    Ok(writer)
}
