//! WAV: RIFF, or RF64 where its sizes do not fit 32 bits (EBU Tech 3306).

use std::io::{Seek, Write};

use framefleet_model::media::AudioCodec;

use super::Only;
use crate::muxing::{Film, MuxError, Muxer, Picture, Track};

const BITS: u16 = 16;
const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xfffe;
/// From here on loudspeakers must be named.
const CHANNELS_PLAIN: u16 = 2;
/// KSDATAFORMAT_SUBTYPE_PCM.
const SUBTYPE_PCM: [u8; 16] = [1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
const DS64_BYTES: u32 = 28;

pub struct WavWriter<W> {
    sink: W,
    only: Only,
    /// Bytes of sound that are still to come.
    due: u64,
    /// A chunk of an odd size has one byte more.
    is_odd: bool,
}

impl<W: Write + Seek> WavWriter<W> {
    pub fn begin(mut sink: W, film: Film) -> Result<Self, MuxError> {
        let only = Only::of(film)?;
        if only.audio.codec != AudioCodec::Pcm {
            return Err(only.refuse("wav"));
        }
        let frame = u64::from(only.audio.format.channels) * u64::from(BITS / 8);
        let due = only.audio.samples.saturating_mul(frame);
        sink.write_all(&head(&only, due))?;
        Ok(Self { sink, only, due, is_odd: due % 2 == 1 })
    }
}

impl<W: Write + Seek> Muxer<W> for WavWriter<W> {
    fn wants(&self) -> Option<Track> {
        self.only.wants()
    }

    fn push_picture(&mut self, _: Picture<'_>) -> Result<(), MuxError> {
        Err(MuxError::Turn(Track::Video))
    }

    fn push_sound(&mut self, data: &[u8]) -> Result<(), MuxError> {
        self.only.take()?;
        // What a resampler gave beyond the last sample is not wanted.
        let kept = usize::try_from(self.due).unwrap_or(usize::MAX).min(data.len());
        self.due -= kept as u64;
        Ok(self.sink.write_all(&data[..kept])?)
    }

    fn finish(mut self: Box<Self>) -> Result<W, MuxError> {
        self.only.check_done()?;
        if self.due > 0 {
            return Err(MuxError::Unfinished(Track::Audio(0)));
        }
        if self.is_odd {
            self.sink.write_all(&[0])?;
        }
        self.sink.flush()?;
        Ok(self.sink)
    }
}

fn head(only: &Only, data: u64) -> Vec<u8> {
    let format = format_chunk(only);
    let padded = data + data % 2;
    let plain = 4 + format.len() as u64 + 8 + padded;
    let mut head = Vec::new();
    match (u32::try_from(plain), u32::try_from(data)) {
        (Ok(riff), Ok(data)) => {
            put(&mut head, &[b"RIFF", &riff.to_le_bytes(), b"WAVE", &format, b"data", &data.to_le_bytes()]);
        }
        _ => {
            let riff = plain + 8 + u64::from(DS64_BYTES);
            put(&mut head, &[b"RF64", &u32::MAX.to_le_bytes(), b"WAVE", b"ds64", &DS64_BYTES.to_le_bytes()]);
            put(&mut head, &[&riff.to_le_bytes(), &data.to_le_bytes(), &only.audio.samples.to_le_bytes(), &[0; 4]]);
            put(&mut head, &[&format, b"data", &u32::MAX.to_le_bytes()]);
        }
    }
    head
}

fn format_chunk(only: &Only) -> Vec<u8> {
    let (rate, channels) = (only.audio.format.rate, only.audio.format.channels);
    let block = channels * (BITS / 8);
    let second = rate.saturating_mul(u32::from(block));
    let is_plain = channels <= CHANNELS_PLAIN;
    let (tag, size): (u16, u32) = if is_plain { (PCM, 16) } else { (EXTENSIBLE, 40) };
    let mut chunk = Vec::new();
    put(&mut chunk, &[b"fmt ", &size.to_le_bytes(), &tag.to_le_bytes(), &channels.to_le_bytes()]);
    put(&mut chunk, &[&rate.to_le_bytes(), &second.to_le_bytes(), &block.to_le_bytes(), &BITS.to_le_bytes()]);
    if !is_plain {
        let speakers = loudspeakers(channels).unwrap_or(0);
        put(&mut chunk, &[&22_u16.to_le_bytes(), &BITS.to_le_bytes(), &speakers.to_le_bytes(), &SUBTYPE_PCM]);
    }
    chunk
}

/// The mask of the usual places of so many channels: the encoder was given the same.
pub(crate) fn loudspeakers(channels: u16) -> Option<u32> {
    match channels {
        3 => Some(0x07),
        4 => Some(0x107),
        5 => Some(0x37),
        6 => Some(0x3f),
        _ => None,
    }
}

fn put(to: &mut Vec<u8>, parts: &[&[u8]]) {
    parts.iter().for_each(|part| to.extend_from_slice(part));
}
