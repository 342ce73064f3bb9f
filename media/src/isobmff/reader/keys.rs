//! Which sync samples are keys from which nothing earlier is needed.
//!
//! Tables do not tell: some muxers list recovery points, too. An H.264 key that has leading pictures is one. Of the
//! others a few are looked at, spread over the film; where one of them is no IDR picture, none is taken for one.

use framefleet_model::index::{Key, Unit};
use framefleet_model::media::VideoCodec;

use super::{Pictures, Refusal};
use crate::bitstream::h264;
use crate::bitstream::nal::Framing;
use crate::read_at::ReadAt;

const LOOKS: usize = 8;
/// Messages before the first slice are shorter.
const LOOK_BYTES: u32 = 8192;
const IDR: u8 = 5;

/// Turns open keys into closed ones where they are.
pub(crate) fn close(film: &dyn ReadAt, pictures: &Pictures, units: &mut [Unit]) -> Result<(), Refusal> {
    let mut closed: Vec<usize> = (0..units.len()).filter(|at| units[*at].is_key()).collect();
    if pictures.codec == VideoCodec::H264 {
        closed.retain(|at| !leads(units, *at));
        let framing = h264::parse_avcc(&pictures.codec_data).map(|(framing, _)| framing).unwrap_or_default();
        for look in 0..LOOKS.min(closed.len()) {
            let unit = &units[closed[look * closed.len() / LOOKS.min(closed.len())]];
            let head = film.read_exact_at(unit.offset.unwrap_or(0), unit.size.min(LOOK_BYTES) as usize)?;
            if first_slice(framing, &head) != Some(IDR) {
                return Ok(());
            }
        }
    }
    for at in closed {
        units[at].key = Key::Yes;
    }
    Ok(())
}

/// Whether pictures that are decoded after a key are shown before it.
fn leads(units: &[Unit], key: usize) -> bool {
    units.get(key + 1).is_some_and(|next| next.pts < units[key].pts)
}

/// The type of the first NAL unit that is a slice; the last one may be cut off.
fn first_slice(framing: Framing, mut rest: &[u8]) -> Option<u8> {
    let Framing::Lengths(bytes) = framing else { return None };
    loop {
        let (head, tail) = rest.split_at_checked(bytes)?;
        let kind = tail.first()? & 0x1f;
        if matches!(kind, 1..=IDR) {
            return Some(kind);
        }
        let length = head.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        rest = tail.get(length..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_slice_is_found_behind_messages() {
        let unit = [0, 0, 0, 2, 6, 9, 0, 0, 9, 9, 0x65, 1, 2];
        assert_eq!(first_slice(Framing::Lengths(4), &unit), Some(IDR));
        assert_eq!(first_slice(Framing::Lengths(4), &unit[..8]), None);
        assert_eq!(first_slice(Framing::Lengths(2), &[0, 1, 0x41]), Some(1));
    }
}
