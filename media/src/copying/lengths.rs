//! How many samples of one channel a coded unit of sound holds, told from its own bits.

use framefleet_model::media::{AudioCodec, AudioFormat};

use crate::copying::vorbis::Blocks;

/// The sampling frequencies of AAC's four-bit index (ISO/IEC 14496-3, table 1.18).
const AAC_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
const AAC_UNIT: u64 = 1024;
const OPUS_RATE: u64 = 48_000;

/// What of a stream must be known to tell its units' lengths.
pub(crate) enum Lengths {
    /// Of all units.
    Equal(u64),
    Mp3,
    /// By the first byte of each packet, at this rate.
    Opus(u32),
    Vorbis(Blocks),
    /// By the parser: a block's size is in its header.
    Told,
    /// Bytes of one sample of all channels.
    Frames(u64),
}

impl Lengths {
    /// `record` is the codec's header as our muxers take it.
    pub(crate) fn of(codec: AudioCodec, format: AudioFormat, record: &[u8]) -> Option<Self> {
        Some(match codec {
            // Spectral replication doubles the rate of what comes out.
            AudioCodec::Aac => Self::Equal(AAC_UNIT * u64::from(format.rate / aac_rate(record)?.max(1)).clamp(1, 2)),
            AudioCodec::Mp3 => Self::Mp3,
            AudioCodec::Ac3 => Self::Equal(1536),
            AudioCodec::Opus => Self::Opus(format.rate),
            AudioCodec::Vorbis => Self::Vorbis(Blocks::of(record)?),
            AudioCodec::Flac => Self::Told,
            AudioCodec::Pcm => Self::Frames(2 * u64::from(format.channels.max(1))),
        })
    }

    /// `told` is what the parser says of it. `None`: the unit is damaged, or nobody knows.
    pub(crate) fn samples(&mut self, unit: &[u8], told: Option<u64>) -> Option<u64> {
        match self {
            Self::Equal(samples) => Some(*samples),
            Self::Mp3 => mp3(unit),
            Self::Opus(rate) => opus(unit).map(|samples| samples * u64::from(*rate) / OPUS_RATE),
            Self::Vorbis(blocks) => blocks.samples(unit),
            Self::Told => told,
            Self::Frames(frame) => Some(unit.len() as u64 / *frame),
        }
    }
}

/// Units before the wanted part that its first unit is decoded from: overlapping windows, MP3's reservoir of bits, what an
/// encoder primes a decoder with. More do no harm.
pub(crate) fn units_before(codec: AudioCodec) -> usize {
    match codec {
        AudioCodec::Aac => 4,
        AudioCodec::Mp3 => 10,
        AudioCodec::Ac3 | AudioCodec::Vorbis => 2,
        // 80 ms (RFC 7845, 4.6), of units of 2.5 at the least.
        AudioCodec::Opus => 32,
        AudioCodec::Flac | AudioCodec::Pcm => 0,
    }
}

/// The rate that an AudioSpecificConfig names.
fn aac_rate(config: &[u8]) -> Option<u32> {
    let mut padded = [0; 8];
    let head = &config[..config.len().min(5)];
    padded[3..3 + head.len()].copy_from_slice(head);
    let bits = u64::from_be_bytes(padded);
    // Object types above 30 have six bits more.
    let at = if bits >> 35 == 31 { 11 } else { 5 };
    match (bits >> (40 - at - 4) & 0xf) as usize {
        15 if head.len() == 5 => u32::try_from(bits >> (40 - at - 4 - 24) & 0xff_ffff).ok(),
        index => AAC_RATES.get(index).copied().filter(|_| head.len() >= 2),
    }
}

/// Of layer III: 1152, or half of it at the lower rates.
fn mp3(frame: &[u8]) -> Option<u64> {
    let head = frame.get(..2).filter(|head| head[0] == 0xff && head[1] & 0xe0 == 0xe0)?;
    Some(if head[1] >> 3 & 3 == 3 { 1152 } else { 576 })
}

/// At 48 kHz (RFC 6716, 3.1).
fn opus(packet: &[u8]) -> Option<u64> {
    let toc = *packet.first()?;
    let config = toc >> 3;
    let frame = match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|samples| (1..=5760).contains(samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_tell_their_lengths() {
        assert_eq!(
            [opus(&[0xfc]), opus(&[0x78 | 1]), opus(&[0xff, 3]), opus(&[])],
            [Some(960), Some(1920), Some(2880), None]
        );
        assert_eq!([mp3(&[0xff, 0xfb]), mp3(&[0xff, 0xf3]), mp3(&[0, 0])], [Some(1152), Some(576), None]);
        let aac = |rate, config: &[u8]| {
            let mut lengths = Lengths::of(AudioCodec::Aac, AudioFormat { rate, channels: 2 }, config)?;
            lengths.samples(&[], None)
        };
        assert_eq!(aac(48_000, &[0x11, 0x90]), Some(1024));
        // 24 kHz, of which spectral replication makes 48.
        assert_eq!(aac(48_000, &[0x13, 0x10]), Some(2048));
        assert_eq!(aac(50_000, &[0x17, 0x80, 0x61, 0xa8, 0x10]), Some(1024));
        assert_eq!(aac(48_000, &[0x17]), None);
    }
}
