//! MP3 as a file: a frame that holds a LAME tag, so that players know its length, its priming and its padding, then the
//! frames (Xing's and LAME's own descriptions; the tag's frame decodes to silence and is skipped by who reads it).

use std::io::{Seek, SeekFrom, Write};

use framefleet_model::media::AudioCodec;

use super::Only;
use crate::muxing::{Film, MuxError, Muxer, Picture, Track};

/// Every decoder's; the rest of the priming is the encoder's.
const DECODER_DELAY: u64 = 529;
const HEADER: usize = 4;
/// Tag, flags, frames, bytes, a table of 100 places and a quality.
const XING: usize = 4 + 4 + 4 + 4 + 100 + 4;
const LAME: usize = 36;
const FRAMES_BYTES_TABLE_QUALITY: u32 = 0x0f;
const TABLE: usize = 100;

pub struct Mp3Writer<W> {
    sink: W,
    only: Only,
    /// Where the tag's frame stands.
    at: u64,
    tag: Vec<u8>,
    /// Where each frame begins, from the beginning of the file.
    places: Vec<u64>,
    written: u64,
}

impl<W: Write + Seek> Mp3Writer<W> {
    pub fn begin(mut sink: W, film: Film) -> Result<Self, MuxError> {
        let only = Only::of(film)?;
        if only.audio.codec != AudioCodec::Mp3 {
            return Err(only.refuse("mp3"));
        }
        let at = sink.stream_position()?;
        let places = Vec::with_capacity(only.audio.units.begins.len());
        Ok(Self { sink, only, at, tag: Vec::new(), places, written: 0 })
    }

    /// A frame like the first one, of zeros.
    fn open(&mut self, first: &[u8]) -> Result<(), MuxError> {
        let header = first.get(..HEADER).filter(|header| header[0] == 0xff && header[1] & 0xe0 == 0xe0);
        let header = header.ok_or(MuxError::CodecData("a frame of MP3"))?;
        // Without a checksum, at a rate whose frame has room for the tag.
        let mut header = [header[0], header[1] | 1, header[2], header[3]];
        let mut length = frame_length(header)?;
        while length < side_info(header) + HEADER + XING + LAME {
            if header[2] >> 4 >= 14 {
                return Err(MuxError::CodecData("a frame of MP3 with room for its tag"));
            }
            header[2] += 0x10;
            length = frame_length(header)?;
        }
        self.tag = vec![0; length];
        self.tag[..HEADER].copy_from_slice(&header);
        self.sink.write_all(&self.tag)?;
        self.written = length as u64;
        Ok(())
    }

    /// Frames of a constant rate differ by a byte of padding.
    fn is_constant(&self) -> bool {
        let ends = self.places.iter().skip(1).copied().chain([self.written]);
        let mut lengths: Vec<u64> = self.places.iter().zip(ends).map(|(place, end)| end - place).collect();
        lengths.sort_unstable();
        lengths.first().zip(lengths.last()).is_none_or(|(least, most)| most - least <= 1)
    }

    fn fill_tag(&mut self) {
        let audio = &self.only.audio;
        let (frames, bytes) = (audio.units.begins.len() as u32, u32::try_from(self.written).unwrap_or(u32::MAX));
        let header = [self.tag[0], self.tag[1], self.tag[2], self.tag[3]];
        let at = HEADER + side_info(header);
        let mut body = Vec::with_capacity(XING + LAME);
        // "Info" is Xing's tag of a constant rate.
        body.extend_from_slice(if self.is_constant() { b"Info" } else { b"Xing" });
        [FRAMES_BYTES_TABLE_QUALITY, frames, bytes].iter().for_each(|word| body.extend_from_slice(&word.to_be_bytes()));
        body.extend((0..TABLE).map(|n| {
            let frame = n * self.places.len() / TABLE;
            let place = self.places.get(frame).copied().unwrap_or(0);
            (place * 256 / self.written.max(1)).min(255) as u8
        }));
        body.extend_from_slice(&0_u32.to_be_bytes());
        // Where nothing is left out at the beginning nothing can be said of the end either.
        if u64::from(audio.priming) < DECODER_DELAY {
            self.tag[at..at + body.len()].copy_from_slice(&body);
            return;
        }
        let delay = u64::from(audio.priming) - DECODER_DELAY;
        let padding = audio.units.end.saturating_sub(u64::from(audio.priming) + audio.samples) + DECODER_DELAY;
        let gaps = (delay.min(0xfff) << 12 | padding.min(0xfff)) as u32;
        let mut lame = [0; LAME];
        lame[..9].copy_from_slice(b"LAME3.100");
        // Tag revision 0, constant rate.
        lame[9] = 1;
        lame[20] = u8::try_from(audio.bitrate / 1000).unwrap_or(u8::MAX);
        lame[21..24].copy_from_slice(&gaps.to_be_bytes()[1..]);
        lame[28..32].copy_from_slice(&bytes.to_be_bytes());
        body.extend_from_slice(&lame);
        self.tag[at..at + body.len()].copy_from_slice(&body);
        let crc_at = at + body.len() - 2;
        let crc = crc16(&self.tag[..crc_at]);
        self.tag[crc_at..crc_at + 2].copy_from_slice(&crc.to_be_bytes());
    }
}

impl<W: Write + Seek> Muxer<W> for Mp3Writer<W> {
    fn wants(&self) -> Option<Track> {
        self.only.wants()
    }

    fn push_picture(&mut self, _: Picture<'_>) -> Result<(), MuxError> {
        Err(MuxError::Turn(Track::Video))
    }

    fn push_sound(&mut self, data: &[u8]) -> Result<(), MuxError> {
        if self.only.take()? == 0 {
            self.open(data)?;
        }
        self.places.push(self.written);
        self.written += data.len() as u64;
        Ok(self.sink.write_all(data)?)
    }

    fn finish(mut self: Box<Self>) -> Result<W, MuxError> {
        self.only.check_done()?;
        self.fill_tag();
        self.sink.seek(SeekFrom::Start(self.at))?;
        self.sink.write_all(&self.tag)?;
        self.sink.seek(SeekFrom::Start(self.at + self.written))?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}

/// Whether a frame holds such a tag instead of sound.
pub(crate) fn is_tag(frame: &[u8]) -> bool {
    let Some(header) = frame.first_chunk::<HEADER>() else { return false };
    let at = HEADER + side_info(*header);
    let is = |at: usize, name: &[u8]| frame.get(at..at + name.len()) == Some(name);
    is(at, b"Xing") || is(at, b"Info") || is(HEADER + 32, b"VBRI")
}

fn is_mpeg1(header: [u8; HEADER]) -> bool {
    header[1] >> 3 & 3 == 3
}

/// Between header and main data (ISO/IEC 11172-3 2.4.1.7, 13818-3 2.4.1.7).
fn side_info(header: [u8; HEADER]) -> usize {
    let is_mono = header[3] >> 6 == 3;
    match (is_mpeg1(header), is_mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    }
}

fn frame_length(header: [u8; HEADER]) -> Result<usize, MuxError> {
    const MPEG1: [usize; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
    const MPEG2: [usize; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    let rates = match header[1] >> 3 & 3 {
        3 => [44_100, 48_000, 32_000],
        2 => [22_050, 24_000, 16_000],
        _ => [11_025, 12_000, 8_000],
    };
    let (table, samples) = if is_mpeg1(header) { (MPEG1, 144) } else { (MPEG2, 72) };
    let bits = table.get(usize::from(header[2] >> 4)).copied().filter(|bits| *bits > 0);
    let rate = rates.get(usize::from(header[2] >> 2 & 3)).copied();
    let (bits, rate) = bits.zip(rate).ok_or(MuxError::CodecData("a frame of MP3"))?;
    Ok(samples * bits * 1000 / rate + usize::from(header[2] >> 1 & 1))
}

/// CRC-16 with the polynomial 0x8005, bits reversed: LAME's over its own tag.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xa001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_lengths_of_their_headers() {
        // 48 kHz at 128 kbit/s, then 44.1 kHz with a byte of padding, then 24 kHz at 64 kbit/s of MPEG-2.
        assert_eq!(frame_length([0xff, 0xfb, 0x94, 0]).unwrap(), 384);
        assert_eq!(frame_length([0xff, 0xfb, 0x92, 0]).unwrap(), 418);
        assert_eq!(frame_length([0xff, 0xf3, 0x84, 0]).unwrap(), 192);
        assert!(frame_length([0xff, 0xfb, 0xf0, 0]).is_err());
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc16(b"123456789"), 0xbb3d);
    }
}
