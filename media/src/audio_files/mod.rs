//! Sound in files of its own: MP3, FLAC, WAV and Ogg, one pass each, equal bytes for equal sound.
//!
//! None of them keeps times: the first sample is that of the film's beginning. MP3's priming and padding stand in the frame
//! of a LAME tag, Opus' in its header and last granule; FLAC, WAV and Vorbis have none.

mod flac;
mod mp3;
mod ogg;
mod wav;

pub use flac::FlacWriter;
pub use mp3::Mp3Writer;
pub use ogg::OggWriter;
pub use wav::WavWriter;

pub(crate) use flac::head as flac_head;
pub(crate) use mp3::is_tag;
pub(crate) use wav::loudspeakers;

use crate::muxing::{Audio, Film, MuxError, Track};

const VENDOR: &[u8] = b"framefleet";

/// A comment of Vorbis' form: who wrote it, and no more.
fn comment(magic: &[u8]) -> Vec<u8> {
    let length = u32::try_from(VENDOR.len()).unwrap_or(0).to_le_bytes();
    [magic, &length, VENDOR, &[0; 4]].concat()
}

/// The sound of a film that has nothing else, and how much of it has been written.
struct Only {
    audio: Audio,
    pushed: usize,
}

impl Only {
    fn of(film: Film) -> Result<Self, MuxError> {
        film.check_sounds(1)?;
        match (film.video, film.audio.into_iter().next()) {
            (None, Some(audio)) => Ok(Self { audio, pushed: 0 }),
            (Some(_), _) => Err(MuxError::Turn(Track::Video)),
            (None, None) => Err(MuxError::Empty),
        }
    }

    fn wants(&self) -> Option<Track> {
        (self.pushed < self.audio.units.begins.len()).then_some(Track::Audio(0))
    }

    /// The number of the unit that is being pushed.
    fn take(&mut self) -> Result<usize, MuxError> {
        let number = self.pushed;
        self.wants().ok_or(MuxError::Turn(Track::Audio(0)))?;
        self.pushed += 1;
        Ok(number)
    }

    fn check_done(&self) -> Result<(), MuxError> {
        self.wants().map_or(Ok(()), |track| Err(MuxError::Unfinished(track)))
    }

    fn refuse(&self, container: &'static str) -> MuxError {
        MuxError::Codec { container, codec: self.audio.codec.name() }
    }
}
