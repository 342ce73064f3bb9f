//! VP8 and VP9: hidden reference pictures, alone or in a superframe.

use super::bits::Bits;
use super::{Odd, Verdict};
use framefleet_model::index::Key;

/// Whether there was anything yet to decode from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Start {
    #[default]
    Waiting,
    Decoding,
}

#[derive(Debug, Default)]
pub(crate) struct Vp8 {
    start: Start,
}

#[derive(Debug, Default)]
pub(crate) struct Vp9 {
    start: Start,
}

/// What the first bits of a VP9 frame say.
struct Frame {
    key: bool,
    shown: bool,
}

const SUPERFRAME_MARKER: u8 = 0b110;

impl Start {
    fn verdict(&mut self, key: bool, shown: bool) -> Verdict {
        if key {
            *self = Self::Decoding;
        }
        let shows = u8::from(shown && *self == Self::Decoding);
        Verdict { key: if key { Key::Yes } else { Key::No }, shows }
    }
}

impl Vp8 {
    pub(crate) fn judge(&mut self, unit: &[u8]) -> Result<Verdict, Odd> {
        let head = unit.first().copied().unwrap_or(1);
        Ok(self.start.verdict(head & 1 == 0, head >> 4 & 1 == 1))
    }
}

impl Vp9 {
    pub(crate) fn judge(&mut self, unit: &[u8]) -> Result<Verdict, Odd> {
        let mut key = false;
        let mut shown = 0;
        for bytes in frames_of(unit) {
            let frame = parse_frame(bytes).ok_or(Odd("a VP9 frame header does not parse"))?;
            key |= frame.key;
            shown += u8::from(frame.shown);
        }
        if shown > 1 {
            return Err(Odd("a superframe shows several pictures"));
        }
        Ok(self.start.verdict(key, shown == 1))
    }
}

/// The frames of a superframe; a unit without an index is one frame.
fn frames_of(unit: &[u8]) -> Vec<&[u8]> {
    superframe(unit).unwrap_or_else(|| vec![unit])
}

fn superframe(unit: &[u8]) -> Option<Vec<&[u8]>> {
    let marker = *unit.last()?;
    if marker >> 5 != SUPERFRAME_MARKER {
        return None;
    }
    let count = usize::from(marker & 7) + 1;
    let bytes = usize::from(marker >> 3 & 3) + 1;
    let index_at = unit.len().checked_sub(2 + count * bytes)?;
    let index = &unit[index_at..];
    if index[0] != marker {
        return None;
    }
    let mut rest = &unit[..index_at];
    let mut frames = Vec::with_capacity(count);
    for size in index[1..=count * bytes].chunks_exact(bytes) {
        let size = size.iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (frame, tail) = rest.split_at_checked(size)?;
        rest = tail;
        if !frame.is_empty() {
            frames.push(frame);
        }
    }
    Some(frames)
}

fn parse_frame(bytes: &[u8]) -> Option<Frame> {
    let mut bits = Bits::new(bytes);
    if bits.take(2)? != 2 {
        return None;
    }
    let profile = bits.take(1)? | bits.take(1)? << 1;
    if profile == 3 {
        bits.take(1)?;
    }
    if bits.flag()? {
        return Some(Frame { key: false, shown: true });
    }
    let key = !bits.flag()?;
    Some(Frame { key, shown: bits.flag()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VP9_KEY: u8 = 0b1000_0010;
    const VP9_HIDDEN: u8 = 0b1000_0100;
    const VP9_SHOWN: u8 = 0b1000_0110;
    const VP9_EXISTING: u8 = 0b1000_1000;

    #[test]
    fn hidden_vp8_frames_show_nothing() {
        let mut rules = Vp8::default();
        let verdicts = [0x11, 0x10, 0x01, 0x11].map(|head| rules.judge(&[head, 0, 0]).unwrap());
        let nothing_yet = Verdict { key: Key::No, shows: 0 };
        assert_eq!(verdicts, [nothing_yet, Verdict::KEY, Verdict::NOTHING, Verdict::PICTURE]);
    }

    #[test]
    fn a_superframe_shows_its_one_shown_frame() {
        let mut rules = Vp9::default();
        assert_eq!(rules.judge(&[VP9_KEY, 1, 2]), Ok(Verdict::KEY));
        assert_eq!(rules.judge(&[VP9_HIDDEN, 9]), Ok(Verdict::NOTHING));
        assert_eq!(rules.judge(&[VP9_EXISTING]), Ok(Verdict::PICTURE));
        let marker = 0b1100_0001;
        let both = [VP9_HIDDEN, 7, VP9_SHOWN, 8, 9, marker, 2, 3, marker];
        assert_eq!(rules.judge(&both), Ok(Verdict::PICTURE));
        let twice = [VP9_SHOWN, VP9_SHOWN, marker, 1, 1, marker];
        assert!(rules.judge(&twice).is_err());
    }

    #[test]
    fn a_marker_without_its_index_is_data() {
        assert_eq!(frames_of(&[VP9_SHOWN, 0b1100_0001]).len(), 1);
        assert_eq!(frames_of(&[VP9_SHOWN, 0, 0, 0b1100_0001]).len(), 1);
    }
}
