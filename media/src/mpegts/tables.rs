//! Which program there is, and which streams it has.

use super::{AUDIO_PID, Sound, VIDEO_PID};

const PROGRAM: u16 = 1;
const H264: u8 = 0x1b;
const AAC: u8 = 0x0f;
const LANGUAGE_DESCRIPTOR: u8 = 0x0a;

pub(super) fn pat(map: u16) -> Vec<u8> {
    let mut body = PROGRAM.to_be_bytes().to_vec();
    body.extend_from_slice(&(0xe000 | map).to_be_bytes());
    section(0x00, PROGRAM, &body)
}

pub(super) fn pmt(sound: Sound) -> Vec<u8> {
    let mut body = (0xe000 | VIDEO_PID).to_be_bytes().to_vec();
    body.extend_from_slice(&[0xf0, 0]);
    put_stream(&mut body, (H264, VIDEO_PID), &[]);
    if let Sound::Aac([a, b, c]) = sound {
        put_stream(&mut body, (AAC, AUDIO_PID), &[LANGUAGE_DESCRIPTOR, 4, a, b, c, 0]);
    }
    section(0x02, PROGRAM, &body)
}

fn put_stream(body: &mut Vec<u8>, (kind, pid): (u8, u16), descriptors: &[u8]) {
    body.push(kind);
    body.extend_from_slice(&(0xe000 | pid).to_be_bytes());
    body.extend_from_slice(&[0xf0, u8::try_from(descriptors.len()).unwrap_or(0)]);
    body.extend_from_slice(descriptors);
}

/// A section of one part, with the byte in front that says that it begins at once.
fn section(table: u8, number: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 9).unwrap_or(u16::MAX);
    let mut section = vec![table];
    section.extend_from_slice(&(0xb000 | length).to_be_bytes());
    section.extend_from_slice(&number.to_be_bytes());
    // Version 0, in force; part 0 of 0.
    section.extend_from_slice(&[0xc1, 0, 0]);
    section.extend_from_slice(body);
    section.extend_from_slice(&checksum(&section).to_be_bytes());
    section.insert(0, 0);
    section
}

/// CRC-32 as ISO/IEC 13818-1, annex A, has it.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 0x8000_0000 == 0 { crc << 1 } else { crc << 1 ^ 0x04c1_1db7 };
    bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_with_its_checksum_sums_to_nothing() {
        for table in [pat(0x1000), pmt(Sound::None), pmt(Sound::Aac(*b"eng"))] {
            assert_eq!(checksum(&table[1..]), 0);
        }
        assert_eq!(checksum(b"123456789"), 0x0376_e6e7);
    }
}
