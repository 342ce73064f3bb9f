//! H.263 and Sorenson's variant of it: one picture a unit.

use super::bits::Bits;
use super::{Odd, Verdict};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Syntax {
    Itu,
    Sorenson,
}

const EXTENDED: u32 = 7;

impl Syntax {
    pub(crate) fn judge(self, unit: &[u8]) -> Result<Verdict, Odd> {
        let mut bits = Bits::new(unit);
        let intra = match self {
            Self::Itu => read_itu(&mut bits),
            Self::Sorenson => read_sorenson(&mut bits),
        };
        match intra {
            Some(true) => Ok(Verdict::KEY),
            Some(false) => Ok(Verdict::PICTURE),
            None => Err(Odd("an H.263 picture header does not parse")),
        }
    }
}

/// Whether the picture is intra; a PB-frame, two pictures in one, is refused.
fn read_itu(bits: &mut Bits<'_>) -> Option<bool> {
    if bits.take(22)? != 0x20 {
        return None;
    }
    bits.take(8)?;
    if bits.take(2)? != 2 {
        return None;
    }
    bits.take(3)?;
    if bits.take(3)? != EXTENDED {
        let inter = bits.flag()?;
        bits.take(3)?;
        let two_pictures = bits.flag()?;
        return (!two_pictures).then_some(!inter);
    }
    if bits.take(3)? == 1 {
        bits.take(18)?;
    }
    match bits.take(3)? {
        0 => Some(true),
        1 => Some(false),
        _ => None,
    }
}

fn read_sorenson(bits: &mut Bits<'_>) -> Option<bool> {
    if bits.take(17)? != 1 {
        return None;
    }
    bits.take(5)?;
    bits.take(8)?;
    match bits.take(3)? {
        0 => bits.skip(16)?,
        1 => bits.skip(32)?,
        _ => {}
    }
    Some(bits.take(2)? == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use framefleet_model::index::Key;

    #[test]
    fn picture_types_are_read() {
        let key = |syntax: Syntax, unit: &[u8]| syntax.judge(unit).map(|verdict| verdict.key);
        // start code, reference 0, marks 10, split/document/freeze 000, format 2, type, …
        assert_eq!(key(Syntax::Itu, &[0, 0, 0x80, 0x02, 0x08, 0, 0]), Ok(Key::Yes));
        assert_eq!(key(Syntax::Itu, &[0, 0, 0x80, 0x02, 0x0a, 0, 0]), Ok(Key::No));
        assert_eq!(key(Syntax::Sorenson, &[0, 0, 0x80, 0x01, 0x00, 0]), Ok(Key::Yes));
        assert!(Syntax::Itu.judge(&[1, 2, 3]).is_err());
    }
}
