//! MPEG-4 part 2: pictures that are not coded, and packed B-pictures.

use super::bits::Bits;
use super::nal::start_codes;
use super::{Odd, Verdict};
use framefleet_model::index::Key;

pub(crate) const VOP: u8 = 0xb6;
/// A modulo time base of more seconds is damage.
const SECONDS_MAX: u32 = 3600;

#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// Bits of a VOP's time increment, from the layer's header.
    increment_bits: Option<u32>,
    references: u8,
}

/// Whether a start code is that of a video object layer.
pub(crate) fn is_layer(code: u8) -> bool {
    matches!(code, 0x20..=0x2f)
}

impl Rules {
    /// Keeps what headers say of pictures.
    pub(crate) fn learn(&mut self, headers: &[u8]) {
        for (_, payload) in start_codes(headers).filter(|(code, _)| is_layer(*code)) {
            self.increment_bits = parse_layer(payload).or(self.increment_bits);
        }
    }

    pub(crate) fn judge(&mut self, unit: &[u8]) -> Result<Verdict, Odd> {
        self.learn(unit);
        let mut verdict = None;
        for (code, payload) in start_codes(unit) {
            if code == VOP {
                let picture = self.picture(payload).ok_or(Odd("an MPEG-4 picture header does not parse"))?;
                if verdict.replace(picture).is_some() {
                    return Err(Odd("a unit holds several pictures (packed B-pictures)"));
                }
            }
        }
        Ok(verdict.unwrap_or(Verdict::NOTHING))
    }

    fn picture(&mut self, payload: &[u8]) -> Option<Verdict> {
        let mut bits = Bits::new(payload);
        let kind = bits.take(2)?;
        let is_b = kind == 2;
        let coded = is_coded(&mut bits, self.increment_bits)?;
        let needed = match kind {
            0 => 0,
            2 => 2,
            _ => 1,
        };
        if !coded || self.references < needed {
            return Some(Verdict::NOTHING);
        }
        if !is_b {
            self.references = (self.references + 1).min(2);
        }
        Some(if kind == 0 { Verdict { key: Key::Yes, shows: 1 } } else { Verdict::PICTURE })
    }
}

/// Reads past the time to the flag that says whether the picture is coded at all.
fn is_coded(bits: &mut Bits<'_>, increment_bits: Option<u32>) -> Option<bool> {
    let mut seconds = 0;
    while bits.flag()? {
        seconds += 1;
        if seconds > SECONDS_MAX {
            return None;
        }
    }
    bits.take(1)?;
    bits.take(increment_bits?)?;
    bits.take(1)?;
    bits.flag()
}

/// The width of time increments from a video object layer's header.
fn parse_layer(payload: &[u8]) -> Option<u32> {
    let mut bits = Bits::new(payload);
    bits.take(9)?;
    if bits.flag()? {
        bits.take(7)?;
    }
    if bits.take(4)? == 15 {
        bits.take(16)?;
    }
    if bits.flag()? {
        bits.take(3)?;
        if bits.flag()? {
            bits.skip(79)?;
        }
    }
    let rectangular = bits.take(2)? == 0;
    bits.take(1)?;
    let resolution = bits.take(16)?;
    if !rectangular || resolution == 0 {
        return None;
    }
    Some((u32::BITS - (resolution - 1).leading_zeros()).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Layer with 25 ticks a second: 5 bits of increment.
    const LAYER: [u8; 11] = [0, 0, 1, 0x20, 0x00, 0x84, 0x40, 0x06, 0x40, 0, 0];

    fn vop(kind: u8, coded: u8) -> Vec<u8> {
        // type:2 0 marker:1 increment:5 marker:1 coded:1
        let bits = u16::from(kind) << 14 | 1 << 12 | 1 << 6 | u16::from(coded) << 5;
        [&[0, 0, 1, VOP][..], &bits.to_be_bytes(), &[0x55]].concat()
    }

    #[test]
    fn pictures_that_are_not_coded_show_nothing() {
        let mut rules = Rules::default();
        let first = [&LAYER[..], &vop(0, 1)].concat();
        assert_eq!(rules.judge(&first), Ok(Verdict::KEY));
        assert_eq!(rules.judge(&vop(2, 1)), Ok(Verdict::NOTHING), "one reference is too few");
        assert_eq!(rules.judge(&vop(1, 1)), Ok(Verdict::PICTURE));
        assert_eq!(rules.judge(&vop(1, 0)), Ok(Verdict::NOTHING));
        assert_eq!(rules.judge(&vop(2, 1)), Ok(Verdict::PICTURE));
    }

    #[test]
    fn packed_pictures_are_odd() {
        let mut rules = Rules::default();
        rules.judge(&[&LAYER[..], &vop(0, 1)].concat()).unwrap();
        assert!(rules.judge(&[vop(1, 1), vop(2, 1)].concat()).is_err());
    }
}
