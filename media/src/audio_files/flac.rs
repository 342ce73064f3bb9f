//! FLAC's own container (RFC 9639).

use std::io::{Seek, Write};

use framefleet_model::media::AudioCodec;

use super::{Only, comment};
use crate::muxing::{Audio, Film, MuxError, Muxer, Picture, Track};

const STREAMINFO_BYTES: u8 = 34;
const STREAMINFO: u8 = 0;
const VORBIS_COMMENT: u8 = 4;
/// Of a block's type: it is the last one.
const LAST: u8 = 0x80;

pub struct FlacWriter<W> {
    sink: W,
    only: Only,
}

impl<W: Write + Seek> FlacWriter<W> {
    pub fn begin(mut sink: W, film: Film) -> Result<Self, MuxError> {
        let only = Only::of(film)?;
        if only.audio.codec != AudioCodec::Flac {
            return Err(only.refuse("flac"));
        }
        if only.audio.codec_data.len() != usize::from(STREAMINFO_BYTES) {
            return Err(MuxError::CodecData("a STREAMINFO block"));
        }
        sink.write_all(&head(&only.audio))?;
        Ok(Self { sink, only })
    }
}

impl<W: Write + Seek> Muxer<W> for FlacWriter<W> {
    fn wants(&self) -> Option<Track> {
        self.only.wants()
    }

    fn push_picture(&mut self, _: Picture<'_>) -> Result<(), MuxError> {
        Err(MuxError::Turn(Track::Video))
    }

    fn push_sound(&mut self, data: &[u8]) -> Result<(), MuxError> {
        self.only.take()?;
        Ok(self.sink.write_all(data)?)
    }

    fn finish(mut self: Box<Self>) -> Result<W, MuxError> {
        self.only.check_done()?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}

/// Magic and metadata: readers make a comment up where there is none.
pub(crate) fn head(audio: &Audio) -> Vec<u8> {
    [b"fLaC".to_vec(), stream_info(audio), comment_block()].concat()
}

pub(super) fn comment_block() -> Vec<u8> {
    let comment = comment(b"");
    let [_, size @ ..] = u32::try_from(comment.len()).unwrap_or(0).to_be_bytes();
    [&[LAST | VORBIS_COMMENT], &size[..], &comment].concat()
}

/// The block, with the number of samples that the encoder did not know yet.
pub(super) fn stream_info(audio: &Audio) -> Vec<u8> {
    let mut info = audio.codec_data.clone();
    // 36 bits, after 10 bytes of sizes and 28 bits of format.
    if let Some(field) = info.get_mut(13..18) {
        let samples = audio.samples.min((1 << 36) - 1).to_be_bytes();
        field[0] = field[0] & 0xf0 | samples[3] & 0x0f;
        field[1..].copy_from_slice(&samples[4..]);
    }
    [&[STREAMINFO, 0, 0, STREAMINFO_BYTES], info.as_slice()].concat()
}
