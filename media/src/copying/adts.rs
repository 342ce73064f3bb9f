//! AAC as transport streams have it: each frame behind a header of its own (ISO/IEC 14496-3, 1.A.2).

const HEADER: usize = 7;
const CHECKSUM: usize = 2;

/// What an ADTS frame says of itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// As an AudioSpecificConfig says it, the same for all frames of a stream.
    pub(crate) config: [u8; 2],
    pub(crate) data: &'a [u8],
}

impl<'a> Frame<'a> {
    /// `None` for what is none, or holds several blocks, which other containers have no place for.
    pub(crate) fn of(unit: &'a [u8]) -> Option<Self> {
        let head: &[u8; HEADER] = unit.first_chunk()?;
        if head[0] != 0xff || head[1] & 0xf6 != 0xf0 || head[6] & 3 != 0 {
            return None;
        }
        let (profile, rate) = (head[2] >> 6, head[2] >> 2 & 0xf);
        let channels = (head[2] & 1) << 2 | head[3] >> 6;
        // A configuration in the stream itself is none that a header could repeat.
        if rate > 12 || channels == 0 {
            return None;
        }
        let config = u16::from(profile + 1) << 11 | u16::from(rate) << 7 | u16::from(channels) << 3;
        let skip = if head[1] & 1 == 1 { HEADER } else { HEADER + CHECKSUM };
        Some(Self { config: config.to_be_bytes(), data: unit.get(skip..)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_out_of_its_header() {
        // LC, 48 kHz, stereo.
        let unit = [0xff, 0xf1, 0x4c, 0x80, 0x01, 0x3f, 0xfc, 1, 2, 3];
        assert_eq!(Frame::of(&unit), Some(Frame { config: [0x11, 0x90], data: &[1, 2, 3] }));
        let mut checked = unit;
        checked[1] = 0xf0;
        assert_eq!(Frame::of(&checked).map(|frame| frame.data), Some(&[3][..]));
        let mut several = unit;
        several[6] |= 1;
        assert_eq!((Frame::of(&several), Frame::of(&unit[..6])), (None, None));
    }
}
