//! Ogg (RFC 3533) with Opus (RFC 7845), Vorbis or FLAC.

use std::io::{Seek, Write};

use framefleet_model::media::AudioCodec;

use super::{Only, comment, flac};
use crate::muxing::{Audio, Film, MuxError, Muxer, Picture, Track};

const FIRST: u8 = 2;
const LAST: u8 = 4;
const CONTINUED: u8 = 1;
const SEGMENTS_MAX: usize = 255;
/// Pages are closed at about this size, or after a second.
const PAGE_BYTES: usize = 16 << 10;
const NO_GRANULE: u64 = u64::MAX;

pub struct OggWriter<W> {
    sink: W,
    only: Only,
    pages: Pages,
    /// The sample at which the open page begins.
    page_began: u64,
}

/// What becomes of packets: pages of one stream.
struct Pages {
    serial: u32,
    sequence: u32,
    lacing: Vec<u8>,
    body: Vec<u8>,
    /// Of the last packet that ends on the open page.
    granule: u64,
    flags: u8,
}

impl<W: Write + Seek> OggWriter<W> {
    pub fn begin(mut sink: W, film: Film) -> Result<Self, MuxError> {
        let hex = film.plan.to_string();
        let serial = hex.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(1);
        let only = Only::of(film)?;
        let headers = headers(&only)?;
        let mut pages = Pages::new(serial);
        for (number, header) in headers.iter().enumerate() {
            pages.put(header, 0, &mut sink)?;
            // The first stands alone; the last is followed by a new page.
            if number == 0 || number + 1 == headers.len() {
                pages.flush(&mut sink)?;
            }
        }
        Ok(Self { sink, only, pages, page_began: 0 })
    }
}

impl<W: Write + Seek> Muxer<W> for OggWriter<W> {
    fn wants(&self) -> Option<Track> {
        self.only.wants()
    }

    fn push_picture(&mut self, _: Picture<'_>) -> Result<(), MuxError> {
        Err(MuxError::Turn(Track::Video))
    }

    fn push_sound(&mut self, data: &[u8]) -> Result<(), MuxError> {
        let number = self.only.take()?;
        let granule = granule(&self.only.audio, number);
        let begins = self.only.audio.units.begins.get(number).copied().unwrap_or(0);
        let is_last = self.only.wants().is_none();
        // A page that is the first and the last would not tell at which of its ends samples are left out.
        if is_last && self.page_began == 0 || begins - self.page_began >= u64::from(self.only.audio.format.rate) {
            self.pages.flush(&mut self.sink)?;
            self.page_began = begins;
        }
        if is_last {
            self.pages.flags |= LAST;
        }
        self.pages.put(data, granule, &mut self.sink)
    }

    fn finish(mut self: Box<Self>) -> Result<W, MuxError> {
        self.only.check_done()?;
        self.pages.flush(&mut self.sink)?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}

/// Samples that are whole after a unit: Opus counts its priming, and the last unit ends where the sound does.
fn granule(audio: &Audio, number: usize) -> u64 {
    let end = audio.units.begins.get(number + 1).copied();
    end.unwrap_or(u64::from(audio.priming) + audio.samples)
}

fn headers(only: &Only) -> Result<Vec<Vec<u8>>, MuxError> {
    let audio = &only.audio;
    match audio.codec {
        AudioCodec::Opus => Ok(vec![audio.codec_data.clone(), comment(b"OpusTags")]),
        AudioCodec::Vorbis => unlaced(&audio.codec_data).ok_or(MuxError::CodecData("Vorbis' three headers")),
        AudioCodec::Flac => {
            // FLAC's mapping 1.0, with one more header.
            let first = [b"\x7fFLAC\x01\x00\x00\x01fLaC".as_slice(), &flac::stream_info(audio)].concat();
            Ok(vec![first, flac::comment_block()])
        }
        AudioCodec::Aac | AudioCodec::Mp3 | AudioCodec::Pcm | AudioCodec::Ac3 => Err(only.refuse("ogg")),
    }
}

/// Matroska's private data taken apart: a count, two laced lengths, three packets.
fn unlaced(record: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (count, mut rest) = record.split_first()?;
    let mut lengths = Vec::new();
    while lengths.len() < usize::from(*count) {
        let mut length = 0;
        loop {
            let (lace, later) = rest.split_first()?;
            rest = later;
            length += usize::from(*lace);
            if *lace < 255 {
                break;
            }
        }
        lengths.push(length);
    }
    let mut packets = Vec::new();
    for length in lengths {
        packets.push(rest.get(..length)?.to_vec());
        rest = &rest[length..];
    }
    packets.push(rest.to_vec());
    (packets.len() == 3).then_some(packets)
}

impl Pages {
    fn new(serial: u32) -> Self {
        Self { serial, sequence: 0, lacing: Vec::new(), body: Vec::new(), granule: NO_GRANULE, flags: FIRST }
    }

    fn put(&mut self, packet: &[u8], granule: u64, sink: &mut impl Write) -> Result<(), MuxError> {
        let is_last = self.flags & LAST != 0;
        if self.body.len() >= PAGE_BYTES && !self.lacing.is_empty() {
            self.flags &= !LAST;
            self.flush(sink)?;
        }
        let mut rest = packet;
        loop {
            if self.lacing.len() == SEGMENTS_MAX {
                self.flags &= !LAST;
                self.flush(sink)?;
                if rest.len() < packet.len() || packet.is_empty() {
                    self.flags |= CONTINUED;
                }
            }
            let take = rest.len().min(255);
            self.lacing.push(take as u8);
            self.body.extend_from_slice(&rest[..take]);
            rest = &rest[take..];
            if take < 255 {
                break;
            }
        }
        if is_last {
            self.flags |= LAST;
        }
        self.granule = granule;
        Ok(())
    }

    fn flush(&mut self, sink: &mut impl Write) -> Result<(), MuxError> {
        if self.lacing.is_empty() {
            return Ok(());
        }
        let segments = self.lacing.len() as u8;
        let (granule, serial) = (self.granule.to_le_bytes(), self.serial.to_le_bytes());
        let head = [b"OggS\0".as_slice(), &[self.flags], &granule, &serial, &self.sequence.to_le_bytes()].concat();
        // The checksum is of a page without one.
        let mut bytes = [head.as_slice(), &[0; 4], &[segments], &self.lacing, &self.body].concat();
        self.body.clear();
        let crc = crc32(&bytes);
        bytes[22..26].copy_from_slice(&crc.to_le_bytes());
        sink.write_all(&bytes)?;
        self.sequence += 1;
        self.lacing.clear();
        (self.granule, self.flags) = (NO_GRANULE, 0);
        Ok(())
    }
}

/// RFC 3533, 6: polynomial 0x04c11db7, neither reflected nor inverted.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, byte| {
        let mixed = crc ^ u32::from(*byte) << 24;
        (0..8).fold(mixed, |crc: u32, _| if crc & 0x8000_0000 != 0 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_any_length_make_whole_pages() {
        for length in [0, 1, 254, 255, 256, 65_024, 65_025, 65_026, 200_000] {
            let mut out = Vec::new();
            let mut pages = Pages::new(7);
            pages.put(&vec![9; length], 5, &mut out).unwrap();
            pages.put(b"next", 6, &mut out).unwrap();
            pages.flush(&mut out).unwrap();
            let packets = read_back(&out);
            assert_eq!(packets.iter().map(Vec::len).collect::<Vec<_>>(), [length, 4], "{length}");
        }
    }

    /// Packets out of pages whose checksum and order hold.
    fn read_back(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let (mut packets, mut open, mut sequence) = (Vec::new(), None::<Vec<u8>>, 0_u32);
        while !bytes.is_empty() {
            assert_eq!(&bytes[..5], b"OggS\0");
            assert_eq!(bytes[18..22], sequence.to_le_bytes());
            assert_eq!(bytes[5] & CONTINUED != 0, open.is_some());
            sequence += 1;
            let lacing = &bytes[27..27 + usize::from(bytes[26])];
            let length = 27 + lacing.len() + lacing.iter().map(|l| usize::from(*l)).sum::<usize>();
            let mut page = bytes[..length].to_vec();
            page[22..26].fill(0);
            assert_eq!(crc32(&page).to_le_bytes(), bytes[22..26]);
            let mut at = 27 + lacing.len();
            for lace in lacing {
                open.get_or_insert_default().extend_from_slice(&bytes[at..at + usize::from(*lace)]);
                at += usize::from(*lace);
                if *lace < 255 {
                    packets.extend(open.take());
                }
            }
            bytes = &bytes[length..];
        }
        packets
    }
}
