//! AV1: temporal units in the low-overhead format.

use super::bits::Bits;
use super::{Odd, Verdict};
use framefleet_model::index::Key;

#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Whether the stream's headers hold a sequence header.
    headers: Headers,
    still: Still,
    start: Start,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Headers {
    #[default]
    InBandOnly,
    OutOfBand,
}

/// Whether frame headers are those of still pictures, reduced to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Still {
    #[default]
    No,
    Reduced,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Start {
    #[default]
    Waiting,
    Decoding,
}

/// An open bitstream unit.
struct Obu<'a> {
    kind: u8,
    payload: &'a [u8],
}

struct Frame {
    key: bool,
    shown: bool,
}

/// What a temporal unit of a stream begins with.
pub(crate) const DELIMITER: [u8; 2] = [0x12, 0];
const SEQUENCE_HEADER: u8 = 1;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
/// Colour has half the samples in both directions.
const SUBSAMPLED: u8 = 0b1100;

impl Rules {
    /// An av1C record: four bytes, then OBUs.
    pub(crate) fn set_codec_data(&mut self, codec_data: Option<&[u8]>) {
        self.headers = Headers::InBandOnly;
        let Some(mut rest) = codec_data.and_then(|av1c| av1c.get(4..)) else { return };
        while let Some(obu) = take_obu(&mut rest) {
            if obu.kind == SEQUENCE_HEADER {
                self.headers = Headers::OutOfBand;
                self.learn(obu.payload);
            }
        }
    }

    pub(crate) fn judge(&mut self, unit: &[u8]) -> Result<Verdict, Odd> {
        let mut rest = unit;
        let mut headed = self.headers == Headers::OutOfBand;
        let mut key = false;
        let mut shown = 0;
        while !rest.is_empty() {
            let obu = take_obu(&mut rest).ok_or(Odd("an AV1 unit does not parse"))?;
            match obu.kind {
                SEQUENCE_HEADER => {
                    headed = true;
                    self.learn(obu.payload);
                }
                FRAME_HEADER | FRAME => {
                    let frame = self.frame(obu.payload).ok_or(Odd("an AV1 frame header does not parse"))?;
                    key |= frame.key && frame.shown && headed;
                    shown += u8::from(frame.shown);
                }
                _ => {}
            }
        }
        if shown > 1 {
            return Err(Odd("a temporal unit shows several pictures"));
        }
        if key {
            self.start = Start::Decoding;
        }
        let shows = if self.start == Start::Decoding { shown } else { 0 };
        Ok(Verdict { key: if key { Key::Yes } else { Key::No }, shows })
    }

    fn learn(&mut self, sequence_header: &[u8]) {
        let reduced = Bits::new(sequence_header).take(5).is_some_and(|head| head & 1 == 1);
        self.still = if reduced { Still::Reduced } else { Still::No };
    }

    fn frame(&self, payload: &[u8]) -> Option<Frame> {
        if self.still == Still::Reduced {
            return Some(Frame { key: true, shown: true });
        }
        let mut bits = Bits::new(payload);
        if bits.flag()? {
            return Some(Frame { key: false, shown: true });
        }
        let key = bits.take(2)? == 0;
        Some(Frame { key, shown: bits.flag()? })
    }
}

/// The av1C record of a stream of 4:2:0 that begins with this unit (AV1's binding to ISOBMFF, 2.3).
pub(crate) fn record(unit: &[u8], depth: u8) -> Option<Vec<u8>> {
    let mut rest = unit;
    let header = std::iter::from_fn(|| take_obu(&mut rest)).find(|obu| obu.kind == SEQUENCE_HEADER)?.payload;
    let (profile, level, tier) = level(header)?;
    let high = u8::from(depth > 8);
    let mut record = vec![0x81, profile << 5 | level, tier << 7 | high << 6 | SUBSAMPLED, 0, SEQUENCE_HEADER << 3 | 2];
    let mut size = header.len();
    while size >= 0x80 {
        record.push((size & 0x7f) as u8 | 0x80);
        size >>= 7;
    }
    record.push(size as u8);
    record.extend_from_slice(header);
    Some(record)
}

/// Profile, level and tier of the first operating point.
fn level(sequence_header: &[u8]) -> Option<(u8, u8, u8)> {
    let mut bits = Bits::new(sequence_header);
    let profile = bits.take(3)?;
    bits.flag()?;
    let (level, tier) = if bits.flag()? {
        (bits.take(5)?, false)
    } else {
        // No encoder of ours tells of timing.
        let timing = bits.flag()?;
        bits.take(1 + 5 + 12)?;
        let level = bits.take(5).filter(|_| !timing)?;
        (level, level > 7 && bits.flag()?)
    };
    Some((u8::try_from(profile).ok()?, u8::try_from(level).ok()?, u8::from(tier)))
}

fn take_obu<'a>(rest: &mut &'a [u8]) -> Option<Obu<'a>> {
    let (head, mut tail) = rest.split_first()?;
    if head & 0x80 != 0 {
        return None;
    }
    if head & 4 != 0 {
        tail = tail.get(1..)?;
    }
    let size = if head & 2 != 0 { take_leb128(&mut tail)? } else { tail.len() };
    let (payload, after) = tail.split_at_checked(size)?;
    *rest = after;
    Some(Obu { kind: head >> 3 & 15, payload })
}

fn take_leb128(rest: &mut &[u8]) -> Option<usize> {
    let mut value = 0_u64;
    for shift in (0..56).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEQUENCE: [u8; 3] = [0x0a, 1, 0];

    fn frame(header: u8) -> [u8; 3] {
        [0x32, 1, header]
    }

    fn unit(obus: &[&[u8]]) -> Vec<u8> {
        obus.concat()
    }

    #[test]
    fn a_unit_shows_its_shown_frame() {
        let mut rules = Rules::default();
        let (key, hidden, shown, existing) = (frame(0b0001_0000), frame(0b0010_0000), frame(0b0011_0000), frame(0x80));
        assert_eq!(rules.judge(&unit(&[&DELIMITER, &shown])), Ok(Verdict::NOTHING), "nothing to decode from");
        assert_eq!(rules.judge(&unit(&[&DELIMITER, &SEQUENCE, &key])), Ok(Verdict::KEY));
        assert_eq!(rules.judge(&unit(&[&DELIMITER, &hidden, &hidden, &shown])), Ok(Verdict::PICTURE));
        assert_eq!(rules.judge(&unit(&[&DELIMITER, &hidden])), Ok(Verdict::NOTHING));
        assert_eq!(rules.judge(&unit(&[&DELIMITER, &existing])), Ok(Verdict::PICTURE));
        assert!(rules.judge(&unit(&[&DELIMITER, &shown, &shown])).is_err());
    }

    #[test]
    fn a_key_needs_a_sequence_header_somewhere() {
        let key = unit(&[&DELIMITER, &frame(0b0001_0000)]);
        assert_eq!(Rules::default().judge(&key), Ok(Verdict::NOTHING));
        let av1c = [&[0x81, 0, 0, 0][..], &SEQUENCE].concat();
        let mut rules = Rules::default();
        rules.set_codec_data(Some(&av1c));
        assert_eq!(rules.judge(&key), Ok(Verdict::KEY));
    }

    #[test]
    fn the_record_tells_profile_level_and_tier_and_holds_the_header() {
        // Profile 0; no still picture, not reduced; no timing, no delay; one operating point of level 13, high tier.
        let header = [0b0000_0000, 0, 0, 0b0110_1100, 0x55];
        let unit = unit(&[&DELIMITER, &[0x0a, 5], &header, &frame(0b0001_0000)]);
        let due = [&[0x81, 13, 0xcc, 0, 0x0a, 5][..], &header].concat();
        assert_eq!(record(&unit, 10), Some(due));
        assert_eq!(record(&DELIMITER, 8), None);
    }

    #[test]
    fn damaged_units_are_odd() {
        for unit in [&[0x32, 9, 0x10][..], &[0xff], &[0x32, 0x80], &[0x32, 0]] {
            assert!(Rules::default().judge(unit).is_err(), "{unit:?}");
        }
    }
}
