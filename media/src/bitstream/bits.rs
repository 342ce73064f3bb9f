//! Bits, most significant first, and Exp-Golomb codes; past the end everything is `None`.

#[derive(Clone, Copy)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `n` bits, at most 32.
    pub(crate) fn take(&mut self, n: u32) -> Option<u32> {
        let mut value = 0_u64;
        for _ in 0..n.min(32) {
            let byte = self.bytes.get(self.at / 8)?;
            value = value << 1 | u64::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        u32::try_from(value).ok()
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }

    pub(crate) fn skip(&mut self, n: usize) -> Option<()> {
        self.at = self.at.checked_add(n)?;
        (self.at <= self.bytes.len() * 8).then_some(())
    }

    /// An unsigned Exp-Golomb code.
    pub(crate) fn ue(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1_u32 << zeros) - 1 + self.take(zeros)?)
    }

    /// A signed Exp-Golomb code.
    pub(crate) fn se(&mut self) -> Option<i32> {
        let code = i64::from(self.ue()?);
        let magnitude = (code + 1) / 2;
        i32::try_from(if code % 2 == 1 { magnitude } else { -magnitude }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_read() {
        // 1 · 010 · 011 · 00100 · 00101
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([bits.ue(), bits.ue(), bits.ue()], [Some(0), Some(1), Some(2)]);
        assert_eq!([bits.se(), bits.se()], [Some(2), Some(-2)]);
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        let mut bits = Bits::new(&[0]);
        assert_eq!(bits.ue(), None);
        assert_eq!(Bits::new(&[0; 9]).ue(), None);
        assert_eq!(Bits::new(&[1]).skip(9), None);
    }
}
