//! Coded units as transport streams carry them: H.264 in the byte-stream format, AAC in ADTS.

use crate::muxing::MuxError;

const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// An access unit delimiter for a picture of any kind.
const DELIMITER: [u8; 6] = [0, 0, 0, 1, 0x09, 0xf0];
const SPS: u8 = 7;
const PPS: u8 = 8;
const AUD: u8 = 9;
const ADTS_BYTES: usize = 7;
const ADTS_FRAME_MAX: usize = (1 << 13) - 1;

/// What an avcC record says.
pub(crate) struct Avc {
    /// Bytes of each length in front of a unit.
    length_bytes: usize,
    /// Parameter sets in the byte-stream format.
    parameters: Vec<u8>,
}

impl Avc {
    pub(crate) fn of(record: &[u8]) -> Result<Self, MuxError> {
        let broken = || MuxError::CodecData("avcC");
        let [1, _, _, _, lengths, sets, rest @ ..] = record else { return Err(broken()) };
        let mut parameters = Vec::new();
        let rest = put_sets(rest, sets & 0x1f, &mut parameters).ok_or_else(broken)?;
        let (count, rest) = rest.split_first().ok_or_else(broken)?;
        put_sets(rest, *count, &mut parameters).ok_or_else(broken)?;
        Ok(Self { length_bytes: usize::from(lengths & 3) + 1, parameters })
    }

    /// A picture with its delimiter, and with the parameter sets where decoding may begin.
    pub(crate) fn byte_stream(&self, data: &[u8], is_key: IsKey) -> Result<Vec<u8>, MuxError> {
        let mut out = DELIMITER.to_vec();
        if is_key == IsKey::Yes {
            out.extend_from_slice(&self.parameters);
        }
        let mut rest = data;
        while !rest.is_empty() {
            let broken = || MuxError::CodecData("a picture");
            let (length, after) = rest.split_at_checked(self.length_bytes).ok_or_else(broken)?;
            let length = length.iter().fold(0, |length: usize, byte| length << 8 | usize::from(*byte));
            let (unit, after) = after.split_at_checked(length).ok_or_else(broken)?;
            rest = after;
            let kind = unit.first().map(|byte| byte & 0x1f);
            let is_known = kind == Some(AUD) || (is_key == IsKey::Yes && matches!(kind, Some(SPS | PPS)));
            if !is_known {
                out.extend_from_slice(&START_CODE);
                out.extend_from_slice(unit);
            }
        }
        Ok(out)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IsKey {
    No,
    Yes,
}

fn put_sets<'a>(mut rest: &'a [u8], count: u8, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (set, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        out.extend_from_slice(&START_CODE);
        out.extend_from_slice(set);
        rest = after;
    }
    Some(rest)
}

/// What an `AudioSpecificConfig` says that every frame repeats.
#[derive(Clone, Copy)]
pub(crate) struct Adts {
    profile: u8,
    rate: u8,
    channels: u8,
}

impl Adts {
    pub(crate) fn of(config: &[u8]) -> Result<Self, MuxError> {
        let [first, second, ..] = config else { return Err(MuxError::CodecData("AudioSpecificConfig")) };
        let (object, rate, channels) = (first >> 3, (first & 7) << 1 | second >> 7, second >> 3 & 0x0f);
        // ADTS has two bits for the profile, a table for the rate and three bits for the channels.
        if !(1..=4).contains(&object) || rate > 12 || !(1..=7).contains(&channels) {
            return Err(MuxError::CodecData("AudioSpecificConfig that ADTS can say"));
        }
        Ok(Self { profile: object - 1, rate, channels })
    }

    pub(crate) fn put_frame(self, out: &mut Vec<u8>, data: &[u8]) -> Result<(), MuxError> {
        let length = data.len() + ADTS_BYTES;
        if length > ADTS_FRAME_MAX {
            let (value, bound) = (length as u64, ADTS_FRAME_MAX as u64);
            return Err(MuxError::TooLarge { what: "an ADTS frame", value, bound });
        }
        let low = |value: usize| u8::try_from(value & 0xff).unwrap_or(0);
        out.extend_from_slice(&[
            0xff,
            0xf1,
            self.profile << 6 | self.rate << 2 | self.channels >> 2,
            (self.channels & 3) << 6 | low(length >> 11),
            low(length >> 3),
            low(length << 5) | 0x1f,
            0xfc,
        ]);
        out.extend_from_slice(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_stand_before_a_key_picture_once() {
        let avc = Avc::of(&[1, 0x64, 0, 0x1e, 0xff, 0xe1, 0, 2, 0x67, 9, 1, 0, 1, 0x68]).unwrap();
        let picture = [0, 0, 0, 1, 0x67, 0, 0, 0, 2, 0x65, 5];
        let key = avc.byte_stream(&picture, IsKey::Yes).unwrap();
        assert_eq!(key, [&DELIMITER[..], &[0, 0, 0, 1, 0x67, 9, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 5]].concat());
        assert!(avc.byte_stream(&picture[..10], IsKey::No).is_err());
        assert!(Avc::of(&[1, 0x64, 0, 0x1e, 0xff, 0xe1, 0, 9]).is_err());
    }

    #[test]
    fn adts_says_length_rate_and_channels() {
        let adts = Adts::of(&[0x11, 0x90]).unwrap();
        let mut out = Vec::new();
        adts.put_frame(&mut out, &[3; 300]).unwrap();
        assert_eq!(out[..7], [0xff, 0xf1, 0x4c, 0x80, 0x26, 0x7f, 0xfc]);
        assert!(adts.put_frame(&mut out, &[0; 9000]).is_err());
        assert!(Adts::of(&[0x17, 0x80, 0, 0]).is_err());
    }
}
