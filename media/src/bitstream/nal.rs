//! NAL units within an access unit, and start codes.

/// How NAL units follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Each after `00 00 01`.
    #[default]
    StartCodes,
    /// Each after its length in so many bytes, 1 to 4.
    Lengths(usize),
}

/// The NAL units of an access unit; ends early where lengths are damaged.
pub(crate) struct Nals<'a> {
    framing: Framing,
    rest: &'a [u8],
}

pub(crate) fn nals(framing: Framing, unit: &[u8]) -> Nals<'_> {
    let rest = match framing {
        Framing::StartCodes => find_start_code(unit).map_or(&[][..], |at| &unit[at + 3..]),
        Framing::Lengths(_) => unit,
    };
    Nals { framing, rest }
}

impl<'a> Iterator for Nals<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        match self.framing {
            Framing::StartCodes => {
                let end = find_start_code(self.rest).unwrap_or(self.rest.len());
                let nal = &self.rest[..end];
                self.rest = self.rest.get(end + 3..).unwrap_or(&[]);
                Some(nal)
            }
            Framing::Lengths(bytes) => {
                let (head, tail) = self.rest.split_at_checked(bytes)?;
                let length = head.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
                let (nal, rest) = tail.split_at_checked(length)?;
                self.rest = rest;
                Some(nal)
            }
        }
    }
}

/// A NAL unit ends in a one bit; zeros behind it are the next start code's, or padding (ITU-T H.265, B.2).
pub(crate) fn without_zeros(nal: &[u8]) -> &[u8] {
    &nal[..nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
}

/// Where the first `00 00 01` begins.
pub(crate) fn find_start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    while at < bytes.len() {
        match bytes[at] {
            1 if bytes[at - 1] == 0 && bytes[at - 2] == 0 => return Some(at - 2),
            // A zero may be the first or the second of the next start code.
            0 => at += 1,
            _ => at += 3,
        }
        // After a byte above 1 the next start code ends three bytes on at the earliest; after a lone 1 too.
    }
    None
}

/// Start codes and what follows each, up to the next.
pub(crate) fn start_codes(bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    nals(Framing::StartCodes, bytes).filter_map(|part| part.split_first().map(|(code, payload)| (*code, payload)))
}

/// At most `limit` bytes of a NAL unit without its emulation prevention bytes.
pub(crate) fn unescape(nal: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(nal.len().min(limit));
    let mut zeros = 0;
    for byte in nal {
        if out.len() == limit {
            break;
        }
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}

/// The next element of a list of `length:u16 NAL` as avcC and hvcC hold.
pub(crate) fn take_sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(2)?;
    let (nal, after) = tail.split_at_checked(usize::from(u16::from_be_bytes([head[0], head[1]])))?;
    *rest = after;
    Some(nal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_between_start_codes() {
        let unit = [9, 0, 0, 0, 1, 0x67, 1, 1, 0, 0, 1, 0x68, 0, 0, 1, 0x65, 0, 0, 3, 1];
        let found: Vec<&[u8]> = nals(Framing::StartCodes, &unit).collect();
        assert_eq!(found, [&[0x67, 1, 1][..], &[0x68], &[0x65, 0, 0, 3, 1]]);
        assert_eq!(nals(Framing::StartCodes, &[0, 0, 2]).count(), 0);
    }

    #[test]
    fn every_start_code_is_found_wherever_it_stands() {
        for at in 0..12 {
            for filler in [0, 1, 2, 0xff] {
                let mut bytes = vec![filler; 16];
                bytes[at..at + 3].copy_from_slice(&[0, 0, 1]);
                let naive = bytes.windows(3).position(|w| w == [0, 0, 1]);
                assert_eq!(find_start_code(&bytes), naive, "{bytes:?}");
            }
        }
    }

    #[test]
    fn damaged_lengths_end_the_list() {
        let unit = [0, 2, 7, 7, 0, 9, 1];
        let found: Vec<&[u8]> = nals(Framing::Lengths(2), &unit).collect();
        assert_eq!(found, [&[7, 7][..]]);
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        assert_eq!(unescape(&[1, 0, 0, 3, 1, 0, 0, 3, 0, 0, 3], 64), [1, 0, 0, 1, 0, 0, 0, 0]);
        assert_eq!(unescape(&[1, 2, 3, 4], 2), [1, 2]);
    }
}
