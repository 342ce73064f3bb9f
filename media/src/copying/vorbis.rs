//! Lengths of Vorbis' packets (Vorbis I specification, 4.2.4 and 4.3.1).
//!
//! A packet's first bits name its mode, and modes have long or short blocks. Which mode has which stands at the end of
//! the setup header, behind tables that are of no interest here: so it is read from its end.

/// The least that a mode takes, with the framing bit.
const MODE_BITS: usize = 41;
const MODES_MAX: usize = 64;

/// The lengths of blocks, and that of the last packet's.
pub(crate) struct Blocks {
    /// Short and long.
    sizes: [u64; 2],
    /// Whether a mode's blocks are long, by its number.
    long: Vec<bool>,
    before: Option<u64>,
}

impl Blocks {
    /// Out of Matroska's private data: the three headers, laced.
    pub(crate) fn of(record: &[u8]) -> Option<Self> {
        let (first, setup) = first_and_last(record)?;
        let packed = *first.get(28)?;
        let sizes = [1 << (packed & 0xf), 1 << (packed >> 4)];
        Some(Self { sizes, long: modes(setup)?, before: None })
    }

    /// What a decoder gives when it has this packet: half of the block before and half of this one's.
    pub(crate) fn samples(&mut self, packet: &[u8]) -> Option<u64> {
        let head = packet.first().filter(|head| *head & 1 == 0)?;
        let bits = usize::BITS - (self.long.len() - 1).leading_zeros();
        let mode = usize::from(head >> 1) & ((1 << bits) - 1);
        let size = self.sizes[usize::from(*self.long.get(mode)?)];
        let before = self.before.replace(size);
        Some(before.map_or(0, |before| before / 4 + size / 4))
    }
}

fn first_and_last(record: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = record.strip_prefix(&[2])?;
    let mut lengths = [0; 2];
    for length in &mut lengths {
        loop {
            let (lace, later) = rest.split_first()?;
            rest = later;
            *length += usize::from(*lace);
            if *lace < 255 {
                break;
            }
        }
    }
    let (first, rest) = rest.split_at_checked(lengths[0])?;
    Some((first, rest.get(lengths[1]..)?))
}

/// Whether each mode's blocks are long.
fn modes(setup: &[u8]) -> Option<Vec<bool>> {
    let mut bits = Backwards { bytes: setup, read: 0 };
    // What stands behind the framing bit is padding.
    while bits.take(1)? == 0 {}
    let (mut long, mut found) = (Vec::new(), 0);
    while long.len() < MODES_MAX && bits.left() >= MODE_BITS + 6 {
        // A mapping is one of 64; window and transform are of type 0.
        if bits.take(8)? >= 64 || bits.take(16)? != 0 || bits.take(16)? != 0 {
            break;
        }
        long.push(bits.take(1)? == 1);
        // The modes' count less one stands in front of them, and what looks like it may be a part of one more mode.
        if bits.peek(6)? as usize + 1 == long.len() {
            found = long.len();
        }
    }
    long.truncate(found);
    long.reverse();
    Some(long).filter(|long| !long.is_empty())
}

/// Bits from a packet's end on, which makes fields begin with their highest bit.
struct Backwards<'a> {
    bytes: &'a [u8],
    read: usize,
}

impl Backwards<'_> {
    fn left(&self) -> usize {
        self.bytes.len() * 8 - self.read
    }

    fn peek(&self, count: usize) -> Option<u32> {
        (self.left() >= count).then(|| {
            (self.read..self.read + count).fold(0, |value, at| {
                let byte = self.bytes[self.bytes.len() - 1 - at / 8];
                value << 1 | u32::from(byte >> (7 - at % 8) & 1)
            })
        })
    }

    fn take(&mut self, count: usize) -> Option<u32> {
        let value = self.peek(count)?;
        self.read += count;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields as Vorbis packs them: the lowest bit first.
    fn packed(fields: &[(u32, usize)]) -> Vec<u8> {
        let bits: Vec<u32> =
            fields.iter().flat_map(|(value, count)| (0..*count).map(move |at| value >> at & 1)).collect();
        bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |sum, (at, bit)| sum | (*bit as u8) << at)).collect()
    }

    #[test]
    fn packets_tell_their_lengths() {
        let mode = |long| [(long, 1), (0, 16), (0, 16), (long, 8)];
        let setup = [vec![(0x5a5a, 16), (1, 6)], mode(0).to_vec(), mode(1).to_vec(), vec![(1, 1)]].concat();
        let setup = packed(&setup);
        let mut first = vec![0; 30];
        first[28] = 0xb8;
        let record = [vec![2, 30, 1], first, vec![7], setup].concat();
        let mut blocks = Blocks::of(&record).unwrap();
        let lengths = [0_u8, 0, 2, 2, 0].map(|head| blocks.samples(&[head]));
        assert_eq!(lengths, [Some(0), Some(128), Some(576), Some(1024), Some(576)]);
        assert_eq!(blocks.samples(&[1]), None, "a header");
        assert!(Blocks::of(&[2, 1, 1, 0, 0]).is_none());
    }
}
