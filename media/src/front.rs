//! The way of samples from a decoder's blocks to what makes use of them: an encoder.

use framefleet_model::fault::Fault;
use framefleet_model::media::AudioFormat;
use framefleet_model::plan::AudioRendition;
use gst::prelude::*;

use crate::pipe::{internal, make};
use crate::treatment::mix::Mix;
use crate::unbroken::{SAMPLE_BYTES, SILENCE_BLOCK, samples_time};

const BYTES_AHEAD: u64 = 4 << 20;

pub(crate) struct Front {
    source: gst_app::AppSrc,
    /// `None`: no channel is left out.
    mix: Option<Mix>,
    /// Of the decoder.
    format: AudioFormat,
    /// Samples that went in, at the source's rate.
    pushed: u64,
}

impl Front {
    /// The front, and the elements behind it in a row.
    ///
    /// ```text
    /// block ─ mixed ─▶ {appsrc} ! {audioconvert} ! {audioresample} ▶
    /// ```
    pub(crate) fn new(
        rendition: &AudioRendition,
        (caps, format): (&gst::CapsRef, AudioFormat),
    ) -> Result<(Self, Vec<gst::Element>), Fault> {
        let placed = with_positions(caps);
        let mask = placed.structure(0).and_then(|told| told.get::<gst::Bitmask>("channel-mask").ok());
        let mask = mask.map_or(if format.channels == 2 { STEREO } else { 0 }, |mask| *mask);
        let mix = Mix::new(mask, rendition.format.channels, rendition.settings.treatment.downmix);
        let mixed =
            if mix.is_some() { raw("F32LE", AudioFormat { rate: format.rate, ..rendition.format }) } else { placed };
        let source = gst_app::AppSrc::builder().caps(&mixed).format(gst::Format::Time).block(true).build();
        source.set_max_bytes(BYTES_AHEAD);
        let resample = make("audioresample")?;
        resample.set_property("quality", 10_i32);
        let row = vec![source.clone().upcast(), make("audioconvert")?, resample];
        Ok((Self { source, mix, format, pushed: 0 }, row))
    }

    /// Of what is pushed.
    pub(crate) fn format(&self) -> AudioFormat {
        self.format
    }

    pub(crate) fn push(&mut self, block: &[u8]) -> Result<(), Fault> {
        let samples = block.len() as u64 / self.frame();
        let block = self.mix.as_ref().map_or_else(|| block.to_vec(), |mix| mix.apply(block));
        let mut buffer = gst::Buffer::from_mut_slice(block);
        if let Some(buffer) = buffer.get_mut() {
            // Without a clock Vorbis' encoder does not tell how long its units are.
            let at = samples_time(self.pushed, self.format.rate).ns().unsigned_abs();
            buffer.set_pts(gst::ClockTime::from_nseconds(at));
        }
        self.pushed += samples;
        let pushed = self.source.push_buffer(buffer);
        pushed.map(drop).map_err(|_| internal("nothing takes any more sound"))
    }

    pub(crate) fn silence(&mut self, mut samples: u64) -> Result<(), Fault> {
        while samples > 0 {
            let block = samples.min(SILENCE_BLOCK);
            self.push(&vec![0; usize::try_from(block * self.frame()).unwrap_or(0)])?;
            samples -= block;
        }
        Ok(())
    }

    pub(crate) fn end(&self) {
        // A pipeline that has failed says so to whoever waits for its end.
        let _ = self.source.end_of_stream();
    }

    fn frame(&self) -> u64 {
        SAMPLE_BYTES * u64::from(self.format.channels.max(1))
    }
}

/// Front left and right, which sound of two channels need not say.
const STEREO: u64 = 0x3;

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
