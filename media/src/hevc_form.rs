//! HEVC's byte stream as files keep it: parameter sets in a record, the rest of a unit by lengths (ISO/IEC 14496-15,
//! 8.3.3).
//!
//! Not by a parser. In front of an encoder's first unit stands a second head, asked of x265 before it has seen a picture;
//! with HDR its last message ends in memory that nobody wrote to. A parser keeps those bytes, other ones each time, and
//! where they hold a start code, it makes two units of one.

use crate::bitstream::bits::Bits;
use crate::bitstream::nal::{Framing, nals, unescape, without_zeros};

const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
/// The record's fields in front of its arrays.
const RECORD_BYTES: usize = 23;
/// A profile and level, all that is said of the whole stream.
const PROFILE_BYTES: usize = 12;
/// In a sequence parameter set, behind two bytes of NAL header and one of layers.
const PROFILE_AT: usize = 3;
const SPS_BYTES_READ: usize = 256;

/// A unit in its parts.
pub(crate) struct Unit {
    /// Each NAL unit behind its length in four bytes, but parameter sets.
    pub(crate) data: Vec<u8>,
    /// What its parameter sets say, if it has all three.
    pub(crate) record: Option<Vec<u8>>,
}

/// `None` where there is no picture, or where parameter sets do not parse.
pub(crate) fn take(byte_stream: &[u8]) -> Option<Unit> {
    let all: Vec<&[u8]> = nals(Framing::StartCodes, byte_stream).map(without_zeros).filter(|n| n.len() > 2).collect();
    // Slices follow the head that is meant.
    let begins = all.iter().rposition(|nal| kind(nal) == VPS).unwrap_or(0);
    let (sets, rest): (Vec<&[u8]>, Vec<&[u8]>) =
        all[begins..].iter().partition(|nal| matches!(kind(nal), VPS | SPS | PPS));
    let mut data = Vec::with_capacity(byte_stream.len());
    for nal in &rest {
        data.extend_from_slice(&u32::try_from(nal.len()).ok()?.to_be_bytes());
        data.extend_from_slice(nal);
    }
    let record = if sets.is_empty() { None } else { Some(record(&sets)?) };
    rest.iter().any(|nal| kind(nal) < VPS).then_some(Unit { data, record })
}

fn kind(nal: &[u8]) -> u8 {
    nal[0] >> 1 & 0x3f
}

fn record(sets: &[&[u8]]) -> Option<Vec<u8>> {
    let of = |wanted: u8| sets.iter().copied().filter(move |nal| kind(nal) == wanted);
    let sequence = Sequence::of(of(SPS).next()?)?;
    let mut out = Vec::with_capacity(RECORD_BYTES);
    out.push(1);
    out.extend_from_slice(&sequence.profile);
    // Neither bands nor ways to decode in parallel are told.
    out.extend_from_slice(&[0xf0, 0, 0xfc]);
    out.extend_from_slice(&[0xfc | sequence.chroma, 0xf8 | sequence.luma_depth, 0xf8 | sequence.chroma_depth]);
    // No rate on average; lengths of four bytes.
    out.extend_from_slice(&[0, 0, sequence.layers << 3 | sequence.nested << 2 | 3, 3]);
    for wanted in [VPS, SPS, PPS] {
        // All that there are.
        out.push(0x80 | wanted);
        out.extend_from_slice(&u16::try_from(of(wanted).count()).ok().filter(|count| *count > 0)?.to_be_bytes());
        for set in of(wanted) {
            out.extend_from_slice(&u16::try_from(set.len()).ok()?.to_be_bytes());
            out.extend_from_slice(set);
        }
    }
    Some(out)
}

/// What the record repeats of a sequence parameter set (ITU-T H.265, 7.3.2.2).
struct Sequence {
    profile: [u8; PROFILE_BYTES],
    layers: u8,
    nested: u8,
    chroma: u8,
    luma_depth: u8,
    chroma_depth: u8,
}

impl Sequence {
    fn of(nal: &[u8]) -> Option<Self> {
        let bytes = unescape(nal, SPS_BYTES_READ);
        let profile = bytes.get(PROFILE_AT..PROFILE_AT + PROFILE_BYTES)?.try_into().ok()?;
        let mut bits = Bits::new(&bytes);
        bits.skip(2 * 8 + 4)?;
        let (upper_layers, nested) = (bits.take(3)?, bits.take(1)?);
        bits.skip(PROFILE_BYTES * 8)?;
        if upper_layers > 0 {
            let mut told = Vec::new();
            for _ in 0..8 {
                told.push((bits.flag()?, bits.flag()?));
            }
            for (has_profile, has_level) in told.into_iter().take(upper_layers as usize) {
                bits.skip(if has_profile { 88 } else { 0 } + if has_level { 8 } else { 0 })?;
            }
        }
        bits.ue()?;
        let chroma = bits.ue()?;
        if chroma == 3 {
            bits.flag()?;
        }
        bits.ue()?;
        bits.ue()?;
        if bits.flag()? {
            for _ in 0..4 {
                bits.ue()?;
            }
        }
        let small = |value: u32, bound: u32| u8::try_from(value).ok().filter(|_| value < bound);
        let (luma_depth, chroma_depth) = (small(bits.ue()?, 8)?, small(bits.ue()?, 8)?);
        let (layers, nested, chroma) = (small(upper_layers + 1, 8)?, small(nested, 2)?, small(chroma, 4)?);
        Some(Self { profile, layers, nested, chroma, luma_depth, chroma_depth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitstream::hevc::parse_hvcc;

    /// Of x265, ten bits, 320x180.
    const HEAD: [&[u8]; 3] = [
        &[0x40, 1, 0x0c, 1, 0xff, 0xff, 2, 0x20, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3f, 0x95, 0x94, 9],
        &[
            0x42, 1, 1, 2, 0x20, 0, 0, 3, 0, 0x90, 0, 0, 3, 0, 0, 3, 0, 0x3f, 0xa0, 0x0a, 8, 0x0c, 0x1f, 0x3b, 0x65,
            0x95, 0x95, 0x29, 0x30, 0xbf, 0xfc, 0, 4, 0, 5, 0xa8, 0x48, 0x80, 0x48, 0x20, 0, 0, 3, 0, 0x20, 0, 0, 3, 3,
            0x21,
        ],
        &[0x44, 1, 0xc0, 0x73, 0xc0, 0x89],
    ];
    const MESSAGE: &[u8] = &[0x4e, 1, 0x90, 4, 3, 0xe8, 1, 0x90, 0x80];
    const SLICE: &[u8] = &[0x28, 1, 0xac, 0x76];

    fn stream(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
    }

    #[test]
    fn parameter_sets_go_into_the_record_and_the_rest_stays_in_order() {
        let unit = take(&stream(&[&HEAD[..], &[MESSAGE, SLICE, &[0, 0]]].concat())).unwrap();
        let sized = |nal: &[u8]| [&[0, 0, 0, u8::try_from(nal.len()).unwrap()], nal].concat();
        assert_eq!(unit.data, [sized(MESSAGE), sized(SLICE)].concat());
        let record = unit.record.unwrap();
        let (framing, sets) = parse_hvcc(&record).unwrap();
        assert_eq!(framing, Framing::Lengths(4));
        assert_eq!(sets, HEAD);
        // Main 10, level 2.1, 4:2:0, ten bits, one layer
        assert_eq!(record[1], 2);
        assert_eq!(record[12], 63);
        assert_eq!(record[16..19], [0xfd, 0xfa, 0xfa]);
        assert_eq!(record[21], 0x0f);
    }

    #[test]
    fn what_stands_before_the_last_head_is_left_out() {
        let junk: &[u8] = &[0x4e, 1, 0x89, 0x18, 7, 0, 0, 1, 0x28, 1, 0xac, 0, 0, 1, 0x44, 1, 9];
        let once = take(&stream(&[&HEAD[..], &[MESSAGE, SLICE]].concat())).unwrap();
        let twice = take(&stream(&[&HEAD[..], &[MESSAGE, junk], &HEAD[..], &[MESSAGE, SLICE]].concat())).unwrap();
        assert_eq!((twice.data, twice.record), (once.data, once.record));
    }

    #[test]
    fn a_unit_without_a_picture_or_with_half_a_head_is_none() {
        assert!(take(&stream(&[MESSAGE])).is_none());
        assert!(take(&[]).is_none());
        assert!(take(&stream(&[HEAD[0], SLICE])).is_none());
        assert!(take(&stream(&[HEAD[0], &HEAD[1][..12], HEAD[2], SLICE])).is_none());
        let plain = take(&stream(&[SLICE])).unwrap();
        assert!(plain.record.is_none());
        assert_eq!(plain.data, [&[0, 0, 0, 4], SLICE].concat());
    }
}
