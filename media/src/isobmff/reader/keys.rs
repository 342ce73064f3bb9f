//! Which sync samples are keys from which nothing earlier is needed.
//!
//! Tables do not tell: some muxers list recovery points, too. An H.264 key that has leading pictures is one. Of the
//! others a few are looked at, spread over the film; where one of them is no IDR picture, none is taken for one.
//!
//! Where all samples are said to be keys, some writer has not said anything: unless the pictures that are looked at agree,
//! the film is judged by its bits.

use framefleet_model::index::{Key, Unit};
use framefleet_model::media::VideoCodec;

use super::{Pictures, Refusal, odd};
use crate::bitstream::nal::Framing;
use crate::bitstream::{h264, hevc};
use crate::read_at::ReadAt;

const LOOKS: usize = 8;
/// Messages before the first slice are shorter.
const LOOK_BYTES: u32 = 8192;
const IDR: u8 = 5;

/// Turns open keys into closed ones where they are.
pub(crate) fn close(film: &dyn ReadAt, pictures: &Pictures, units: &mut [Unit]) -> Result<(), Refusal> {
    let mut closed: Vec<usize> = (0..units.len()).filter(|at| units[*at].is_key()).collect();
    let says_nothing = closed.len() > 1 && closed.len() == units.len();
    if pictures.codec == VideoCodec::H264 {
        closed.retain(|at| !leads(units, *at));
    }
    if pictures.codec == VideoCodec::H264 || says_nothing {
        for look in 0..LOOKS.min(closed.len()) {
            let unit = &units[closed[look * closed.len() / LOOKS.min(closed.len())]];
            let head = film.read_exact_at(unit.offset.unwrap_or(0), unit.size.min(LOOK_BYTES) as usize)?;
            if begins_anew(pictures, &head) {
                continue;
            }
            return if says_nothing { Err(odd("all samples are said to be keys, and not all are")) } else { Ok(()) };
        }
    }
    for at in closed {
        units[at].key = Key::Yes;
    }
    Ok(())
}

/// Whether a unit's first slice is of a picture from which nothing earlier is needed.
fn begins_anew(pictures: &Pictures, unit: &[u8]) -> bool {
    if pictures.codec == VideoCodec::Hevc {
        let framing = hevc::parse_hvcc(&pictures.codec_data).map(|(framing, _)| framing).unwrap_or_default();
        return first_slice(framing, unit, |nal| (nal >> 1 & 0x3f < 32).then_some(nal >> 1 & 0x3f))
            .is_some_and(|kind| hevc::IRAP.contains(&kind));
    }
    let framing = h264::parse_avcc(&pictures.codec_data).map(|(framing, _)| framing).unwrap_or_default();
    first_slice(framing, unit, h264_slice) == Some(IDR)
}

fn h264_slice(nal: u8) -> Option<u8> {
    Some(nal & 0x1f).filter(|kind| (1..=IDR).contains(kind))
}

/// Whether pictures that are decoded after a key are shown before it.
fn leads(units: &[Unit], key: usize) -> bool {
    units.get(key + 1).is_some_and(|next| next.pts < units[key].pts)
}

/// The type of the first NAL unit that is a slice; the last one may be cut off.
fn first_slice(framing: Framing, mut rest: &[u8], slice: impl Fn(u8) -> Option<u8>) -> Option<u8> {
    let Framing::Lengths(bytes) = framing else { return None };
    loop {
        let (head, tail) = rest.split_at_checked(bytes)?;
        if let Some(kind) = slice(*tail.first()?) {
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
        assert_eq!(first_slice(Framing::Lengths(4), &unit, h264_slice), Some(IDR));
        assert_eq!(first_slice(Framing::Lengths(4), &unit[..8], h264_slice), None);
        assert_eq!(first_slice(Framing::Lengths(2), &[0, 1, 0x41], h264_slice), Some(1));
    }
}
