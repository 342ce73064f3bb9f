//! A sound track that is merged: what of its units is to be heard, and where.

use framefleet_model::fault::Fault;
use framefleet_model::media::AudioCodec;
use framefleet_model::pipeline::Coding;
use framefleet_model::plan::AudioRendition;
use framefleet_model::probe::Shown;
use framefleet_model::task::MergeAudio;
use framefleet_model::time::{MediaTime, NS_PER_SECOND, scale_round};

use crate::merge::headers::codec_data;
use crate::merge::inputs::open_segment;
use crate::muxing::{Audio, SoundUnits};
use crate::reader::Reader;
use crate::segment::{Extent, SegmentReader};

pub(crate) struct SoundInput {
    pub(crate) rendition: AudioRendition,
    shown: Shown,
    pub(crate) track: SegmentReader,
}

impl SoundInput {
    pub(crate) fn open(audio: &MergeAudio, reader: &Reader) -> Result<Self, Fault> {
        let track = open_segment(audio.object, reader)?;
        Ok(Self { rendition: audio.rendition.clone(), shown: audio.shown, track })
    }

    /// The place of the first sample that is to be heard.
    pub(crate) fn first(&self) -> MediaTime {
        let Extent { samples, end } = self.track.extent;
        let first = end - MediaTime::from_ticks(i64::try_from(samples).unwrap_or(i64::MAX), self.rate());
        if self.rendition.begins.is_some() { first } else { first.max(MediaTime::ZERO) }
    }

    /// Samples that a decoder gives before that one.
    fn priming(&self) -> u32 {
        let begins = self.track.entries.first().map_or(MediaTime::ZERO, |entry| entry.pts);
        let samples = scale_round((self.first() - begins).ns(), i64::from(self.rate()), NS_PER_SECOND);
        u32::try_from(samples).unwrap_or(0)
    }

    /// Whether its first unit holds some of what is to be heard.
    pub(crate) fn begins_at_once(&self) -> bool {
        let next = self.units().begins.get(1).copied();
        u64::from(self.priming()) < next.unwrap_or(u64::MAX)
    }

    fn rate(&self) -> u32 {
        self.rendition.format.rate.max(1)
    }

    pub(super) fn track(&self) -> Result<Audio, Fault> {
        let codec = self.rendition.settings.codec;
        let (priming, samples) = (self.priming(), self.track.extent.samples);
        Ok(Audio {
            codec,
            codec_data: fitted(codec, codec_data(&self.track.caps)?, (priming, samples)),
            format: self.rendition.format,
            language: self.rendition.language.clone(),
            title: self.rendition.title.clone(),
            shown: self.shown,
            bitrate: self.rendition.settings.bitrate,
            first: self.first(),
            priming,
            samples,
            units: self.units(),
        })
    }

    fn units(&self) -> SoundUnits {
        let codec = self.rendition.settings.codec;
        let begin = self.track.entries.first().map_or(MediaTime::ZERO, |e| e.pts);
        let samples = |at: MediaTime| scale_round((at - begin).ns(), i64::from(self.rate()), NS_PER_SECOND);
        let begins: Vec<u64> = self.track.entries.iter().map(|e| samples(e.pts).unsigned_abs()).collect();
        let whole = u64::from(self.priming()) + self.track.extent.samples;
        let unit = match self.rendition.settings.coding {
            Coding::Encode => codec.unit_samples(self.rate()).map(u64::from),
            // The last unit is as long as the one before it, for all that is known.
            Coding::Copy => begins.last_chunk::<2>().map(|[before, last]| last - before),
        };
        let unit = unit.filter(|_| !codec.is_lossless());
        let end = unit.map_or(whole, |unit| begins.last().copied().unwrap_or(0) + unit);
        SoundUnits { begins, end: end.max(whole) }
    }
}

/// A header that says what of the sound is to be heard says so of these units: of copied ones its own encoder did not know.
fn fitted(codec: AudioCodec, mut record: Vec<u8>, (priming, samples): (u32, u64)) -> Vec<u8> {
    const OPUS_SKIP: std::ops::Range<usize> = 10..12;
    const FLAC_SAMPLES: std::ops::Range<usize> = 13..18;
    const FLAC_MD5: std::ops::Range<usize> = 18..34;
    if codec == AudioCodec::Opus
        && let Some(skip) = record.get_mut(OPUS_SKIP)
    {
        skip.copy_from_slice(&u16::try_from(priming).unwrap_or(u16::MAX).to_le_bytes());
    }
    if codec == AudioCodec::Flac
        && let Some(field) = record.get(FLAC_SAMPLES)
    {
        let told = field.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)) & ((1 << 36) - 1);
        // A checksum of other samples is none of these.
        if let Some(md5) = record.get_mut(FLAC_MD5).filter(|_| told > 0 && told != samples) {
            md5.fill(0);
        }
    }
    record
}
