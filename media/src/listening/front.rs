//! The way of samples from a decoder's blocks to what makes use of them: mixed, resampled, freed of noise.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use framefleet_model::fault::Fault;
use framefleet_model::media::AudioFormat;
use framefleet_model::plan::AudioRendition;
use framefleet_model::time::{MediaTime, scale_round};
use gst::prelude::*;

use crate::pipe::{internal, make};
use crate::treatment::denoise::{self, Denoiser};
use crate::treatment::mix::Mix;
use crate::treatment::{Treat, bytes, floats};
use crate::unbroken::{SAMPLE_BYTES, SILENCE_BLOCK, samples_in, samples_time};

const BYTES_AHEAD: u64 = 4 << 20;
/// The part of a second that is more than any resampling filter, any frame and any treatment keeps back.
const TAIL: u32 = 10;

pub(crate) struct Front {
    source: gst_app::AppSrc,
    /// `None`: no channel is left out.
    mix: Option<Mix>,
    /// Of the decoder.
    format: AudioFormat,
    /// Of what comes out.
    rate: u32,
    /// Where the first sample must stand, if the container says.
    begins: Option<MediaTime>,
    /// Samples that went in, at the source's rate, and those of them that are silence in front.
    pushed: u64,
    lead: u64,
    /// Whether some of what goes in comes out with later samples only.
    keeps_back: bool,
}

impl Front {
    /// The front, and the elements behind it in a row.
    ///
    /// ```text
    /// block ─ mixed ─▶ {appsrc} ! {audioconvert} [ ! {audioresample} ! denoise ] ! {audioresample} ▶
    /// ```
    pub(crate) fn new(
        rendition: &AudioRendition,
        (caps, format): (&gst::CapsRef, AudioFormat),
    ) -> Result<(Self, Vec<gst::Element>), Fault> {
        let treatment = &rendition.settings.treatment;
        let placed = with_positions(caps);
        let mask = placed.structure(0).and_then(|told| told.get::<gst::Bitmask>("channel-mask").ok());
        let mask = mask.map_or(if format.channels == 2 { STEREO } else { 0 }, |mask| *mask);
        let mix = Mix::new(mask, rendition.format.channels, treatment.downmix);
        let mixed = match mix {
            Some(_) => raw("F32LE", AudioFormat { rate: format.rate, ..rendition.format }),
            None => placed,
        };
        let source = gst_app::AppSrc::builder().caps(&mixed).format(gst::Format::Time).block(true).build();
        source.set_max_bytes(BYTES_AHEAD);
        let mut row = vec![source.clone().upcast(), make("audioconvert")?];
        if treatment.denoise {
            let denoiser = Arc::new(Mutex::new(Denoiser::new(rendition.format.channels)));
            row.extend([resampler()?, stage(AudioFormat { rate: denoise::RATE, ..rendition.format }, &denoiser)?]);
        }
        row.push(resampler()?);
        let (rate, begins) = (rendition.format.rate, rendition.begins);
        let keeps_back = format.rate != rate || treatment.denoise || treatment.loudness.is_some();
        Ok((Self { source, mix, format, rate, begins, pushed: 0, lead: 0, keeps_back }, row))
    }

    /// Fills the time from where a container without times begins up to the source's first sample, which stands at `first`
    /// of the output.
    pub(crate) fn lead(&mut self, first: MediaTime) -> Result<(), Fault> {
        let Some(begins) = self.begins else { return Ok(()) };
        self.lead = u64::try_from(samples_in(first - begins, self.format.rate)).unwrap_or(0);
        self.silence(self.lead)
    }

    pub(crate) fn push(&mut self, block: &[u8]) -> Result<(), Fault> {
        let samples = block.len() as u64 / self.frame();
        let block = self.mix.as_ref().map_or_else(|| block.to_vec(), |mix| mix.apply(block));
        let pushed = self.source.push_buffer(stamped(block, samples_time(self.pushed, self.format.rate)));
        self.pushed += samples;
        pushed.map(drop).map_err(|_| internal("nothing takes any more sound"))
    }

    /// Samples that come out for so many that were heard.
    pub(crate) fn due(&self, heard: u64) -> u64 {
        let given = (heard + self.lead).cast_signed();
        scale_round(given, i64::from(self.rate), i64::from(self.format.rate.max(1))).unsigned_abs()
    }

    /// Lets out what is kept back, with silence behind it.
    pub(crate) fn drain(&mut self) -> Result<(), Fault> {
        if self.keeps_back { self.tail() } else { Ok(()) }
    }

    pub(crate) fn tail(&mut self) -> Result<(), Fault> {
        self.silence(u64::from(self.format.rate / TAIL))
    }

    pub(crate) fn end(&self) {
        // A pipeline that has failed says so to whoever waits for its end.
        let _ = self.source.end_of_stream();
    }

    fn silence(&mut self, mut samples: u64) -> Result<(), Fault> {
        while samples > 0 {
            let block = samples.min(SILENCE_BLOCK);
            self.push(&vec![0; usize::try_from(block * self.frame()).unwrap_or(0)])?;
            samples -= block;
        }
        Ok(())
    }

    fn frame(&self) -> u64 {
        SAMPLE_BYTES * u64::from(self.format.channels.max(1))
    }
}

/// Front left and right, which sound of two channels need not say.
const STEREO: u64 = 0x3;

/// Where samples of this format go through a treatment of ours.
pub(crate) fn stage<T: Treat + 'static>(format: AudioFormat, treatment: &Arc<Mutex<T>>) -> Result<gst::Element, Fault> {
    let filter = make("capsfilter")?;
    filter.set_property("caps", raw("F32LE", format));
    let pad = filter.static_pad("src").ok_or_else(|| internal("a filter without a source pad"))?;
    let (treatment, made) = (treatment.clone(), AtomicU64::new(0));
    pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data else { return gst::PadProbeReturn::Ok };
        let Ok(heard) = buffer.map_readable().map(|map| floats(&map)) else { return gst::PadProbeReturn::Drop };
        let treated = treatment.lock().unwrap_or_else(PoisonError::into_inner).treat(&heard);
        if treated.is_empty() {
            return gst::PadProbeReturn::Drop;
        }
        let samples = treated.len() as u64 / u64::from(format.channels.max(1));
        let at = made.fetch_add(samples, Ordering::SeqCst);
        *buffer = stamped(bytes(&treated), samples_time(at, format.rate));
        gst::PadProbeReturn::Ok
    });
    Ok(filter)
}

fn resampler() -> Result<gst::Element, Fault> {
    let resample = make("audioresample")?;
    resample.set_property("quality", 10_i32);
    Ok(resample)
}

/// Without a clock Vorbis' encoder does not tell how long its units are.
fn stamped(block: Vec<u8>, at: MediaTime) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(block);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::from_nseconds(at.ns().unsigned_abs()));
    }
    buffer
}

/// Caps of interleaved samples, with the usual loudspeakers of their number.
pub(crate) fn raw(layout: &str, format: AudioFormat) -> gst::Caps {
    gst::Caps::builder("audio/x-raw")
        .field("format", layout)
        .field("layout", "interleaved")
        .field("rate", i32::try_from(format.rate).unwrap_or(i32::MAX))
        .field("channels", i32::from(format.channels))
        .field_if_some("channel-mask", channel_mask(format.channels))
        .build()
}

/// Channels that the source gives no loudspeakers get the usual ones of their number: sound without places cannot be
/// mixed or encoded.
fn with_positions(caps: &gst::CapsRef) -> gst::Caps {
    let mut caps = caps.to_owned();
    let Some(structure) = caps.make_mut().structure_mut(0) else { return caps };
    let placed = structure.get::<gst::Bitmask>("channel-mask").is_ok_and(|mask| *mask != 0);
    let channels = structure.get::<i32>("channels").ok().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    if channels > 2 && !placed {
        let usual = gst_audio::AudioChannelPosition::fallback_mask(channels);
        structure.set("channel-mask", gst::Bitmask::new(usual));
    }
    caps
}

/// Which loudspeakers the channels of AAC's configurations mean (ISO 14496-3, table 1.19).
fn channel_mask(channels: u16) -> Option<gst::Bitmask> {
    let mask = match channels {
        3 => 0x07,
        4 => 0x107,
        5 => 0x37,
        6 => 0x3f,
        _ => return None,
    };
    Some(gst::Bitmask::new(mask))
}
