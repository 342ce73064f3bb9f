//! An AVI muxer (Microsoft's RIFF and the OpenDML extensions 1.02): one pass, equal bytes for equal films.
//!
//! ```text
//! RIFF AVI : hdrl (avih, a strl for each track, odml) · movi (chunks by turns, ix00, ix01, …) · idx1
//! RIFF AVIX: movi (chunks, ix00, ix01)                                        as often as a part is full
//! ```
//! AVI keeps no times: a picture stands where its number says, at a constant rate, and sound begins with the file. Where
//! there is no picture for a number, an empty chunk stands for it, as AVI's writers have always dropped pictures.

mod headers;

use std::io::{Seek, SeekFrom, Write};

use framefleet_model::index::Key;
use framefleet_model::media::{AudioCodec, VideoCodec};
use framefleet_model::time::MediaTime;

use self::headers::{Head, PARTS_MAX, Places};
use crate::bitstream::h264::parse_avcc;
use crate::bitstream::nal::{Framing, nals};
use crate::muxing::{Audio, Film, MuxError, Muxer, Picture, Pictures, Track, Turns, runs};

/// A part of the file is closed at this size: old readers know the first part alone, by 32 bits.
const PART_BYTES: u64 = 1 << 30;
const RUN: MediaTime = MediaTime::from_millis(500);
const TICKS_PER_SECOND: u32 = 90_000;
const KEY_FRAME: u32 = 0x10;
const NOT_KEY: u32 = 1 << 31;
const CHUNK_HEAD: u64 = 8;

/// A chunk in the part that is being written.
#[derive(Clone, Copy)]
struct Placed {
    track: Track,
    /// Of its head.
    at: u64,
    size: u32,
    key: Key,
}

pub struct AviWriter<W> {
    sink: W,
    film: Film,
    head: Head,
    places: Places,
    turns: Turns,
    start_codes: Option<StartCodes>,
    /// Chunks of pictures, with the empty ones, and of sound.
    slots: u64,
    /// Units of each sound track.
    pushed_sounds: Vec<u64>,
    chunks: Vec<Placed>,
    part: Part,
    parts: usize,
    at: u64,
    part_bytes: u64,
}

/// Where the open part lies.
#[derive(Clone, Copy)]
struct Part {
    riff: u64,
    movi: u64,
}

impl<W: Write + Seek> AviWriter<W> {
    pub fn begin(sink: W, film: Film) -> Result<Self, MuxError> {
        Self::in_parts_of(PART_BYTES, sink, film)
    }

    fn in_parts_of(part_bytes: u64, mut sink: W, film: Film) -> Result<Self, MuxError> {
        check(&film)?;
        let pictures = film.video.as_ref().map(|video| Pictures::new(video, TICKS_PER_SECOND)).transpose()?;
        let turns = Turns::new(runs(&film, pictures.as_ref(), RUN)?);
        let start_codes = match &film.video {
            Some(video) if video.codec == VideoCodec::H264 => Some(StartCodes::of(&video.codec_data)?),
            Some(_) | None => None,
        };
        let start = sink.stream_position()?;
        let head = Head::of(&film);
        let (bytes, places) = head.to_bytes();
        sink.write_all(&bytes)?;
        let at = start + bytes.len() as u64;
        let part = Part { riff: start, movi: at - 4 };
        let (slots, pushed_sounds, parts, chunks) = (0, vec![0; film.audio.len()], 0, Vec::new());
        let places = places.from(start);
        Ok(Self {
            sink,
            film,
            head,
            places,
            turns,
            start_codes,
            slots,
            pushed_sounds,
            chunks,
            part,
            parts,
            at,
            part_bytes,
        })
    }

    fn put_chunk(&mut self, track: Track, key: Key, parts: &[&[u8]]) -> Result<(), MuxError> {
        let size: u64 = parts.iter().map(|part| part.len() as u64).sum();
        let too_large = MuxError::TooLarge { what: "a chunk", value: size, bound: self.part_bytes };
        let size32 = u32::try_from(size).map_err(|_| too_large)?;
        if self.at + CHUNK_HEAD + size - self.part.riff > self.part_bytes && !self.chunks.is_empty() {
            self.close_part()?;
            self.open_part()?;
        }
        self.chunks.push(Placed { track, at: self.at, size: size32, key });
        self.sink.write_all(&self.head.chunk_name(track))?;
        self.sink.write_all(&size32.to_le_bytes())?;
        for part in parts {
            self.sink.write_all(part)?;
        }
        self.sink.write_all(&vec![0; (size % 2) as usize])?;
        self.at += CHUNK_HEAD + size + size % 2;
        Ok(())
    }

    fn open_part(&mut self) -> Result<(), MuxError> {
        self.part.riff = self.at;
        self.sink.write_all(b"RIFF\0\0\0\0AVIXLIST\0\0\0\0movi")?;
        self.at += 24;
        self.part.movi = self.at - 4;
        Ok(())
    }

    /// Writes the part's indexes and sizes.
    fn close_part(&mut self) -> Result<(), MuxError> {
        if self.parts == PARTS_MAX {
            let value = (self.parts as u64 + 1) * self.part_bytes;
            return Err(MuxError::TooLarge { what: "an AVI file", value, bound: PARTS_MAX as u64 * self.part_bytes });
        }
        for track in self.head.tracks() {
            let index = self.part_index(track);
            self.places.note_index(track, (self.at, index.len() as u32), self.duration_of(track));
            self.sink.write_all(&index)?;
            self.at += index.len() as u64;
        }
        let movi_size = self.at - self.part.movi;
        if self.parts == 0 {
            let index = self.old_index();
            self.sink.write_all(&index)?;
            self.at += index.len() as u64;
            self.places.first_part_pictures = self.slots;
        }
        let riff_size = self.at - self.part.riff - CHUNK_HEAD;
        self.patch(self.part.movi - 4, &(movi_size as u32).to_le_bytes())?;
        self.patch(self.part.riff + 4, &(riff_size as u32).to_le_bytes())?;
        self.chunks.clear();
        self.parts += 1;
        Ok(())
    }

    /// How long the part's chunks of a track last, in its own units.
    fn duration_of(&self, track: Track) -> u32 {
        let of_track = self.chunks.iter().filter(|chunk| chunk.track == track);
        match track {
            Track::Audio(number) if self.film.audio[number].codec == AudioCodec::Pcm => {
                of_track.map(|chunk| chunk.size).sum::<u32>() / headers::frame_bytes(&self.film.audio[number])
            }
            Track::Video | Track::Audio(_) => of_track.count() as u32,
        }
    }

    /// OpenDML's index of one track's chunks in one part; it points at their payload.
    fn part_index(&self, track: Track) -> Vec<u8> {
        let base = self.part.movi;
        let of_track: Vec<&Placed> = self.chunks.iter().filter(|chunk| chunk.track == track).collect();
        let mut out = self.head.index_name(track).to_vec();
        out.extend_from_slice(&(24 + 8 * of_track.len() as u32).to_le_bytes());
        out.extend_from_slice(&2_u16.to_le_bytes());
        // No fields; chunks, not indexes.
        out.extend_from_slice(&[0, 1]);
        out.extend_from_slice(&(of_track.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.head.chunk_name(track));
        out.extend_from_slice(&base.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for chunk in of_track {
            let delta = if chunk.key == Key::No { NOT_KEY } else { 0 };
            out.extend_from_slice(&((chunk.at + CHUNK_HEAD - base) as u32).to_le_bytes());
            out.extend_from_slice(&(chunk.size | delta).to_le_bytes());
        }
        out
    }

    /// The first part's index as readers before OpenDML want it; places count from `movi`.
    fn old_index(&self) -> Vec<u8> {
        let mut out = b"idx1".to_vec();
        out.extend_from_slice(&(16 * self.chunks.len() as u32).to_le_bytes());
        for chunk in &self.chunks {
            out.extend_from_slice(&self.head.chunk_name(chunk.track));
            out.extend_from_slice(&(if chunk.key == Key::No { 0 } else { KEY_FRAME }).to_le_bytes());
            out.extend_from_slice(&((chunk.at - self.part.movi) as u32).to_le_bytes());
            out.extend_from_slice(&chunk.size.to_le_bytes());
        }
        out
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) -> Result<(), MuxError> {
        self.sink.seek(SeekFrom::Start(at))?;
        self.sink.write_all(bytes)?;
        self.sink.seek(SeekFrom::Start(self.at))?;
        Ok(())
    }
}

impl<W: Write + Seek> Muxer<W> for AviWriter<W> {
    fn wants(&self) -> Option<Track> {
        self.turns.now()
    }

    fn push_picture(&mut self, picture: Picture<'_>) -> Result<(), MuxError> {
        self.turns.take(Track::Video)?;
        let rate = self.film.video.as_ref().map(|video| video.rate).ok_or(MuxError::Turn(Track::Video))?;
        let slot = u64::try_from(rate.nearest(picture.pts)).map_err(|_| MuxError::Negative(picture.pts))?;
        if slot < self.slots {
            // Two pictures for one number, or one that is shown before an earlier one.
            return Err(MuxError::Times(usize::try_from(self.slots).unwrap_or(usize::MAX), picture.pts));
        }
        while self.slots < slot {
            self.put_chunk(Track::Video, Key::No, &[])?;
            self.slots += 1;
        }
        self.slots += 1;
        match self.start_codes.as_ref().map(|codes| codes.framed(picture)) {
            Some(framed) => self.put_chunk(Track::Video, picture.key, &[&framed]),
            None => self.put_chunk(Track::Video, picture.key, &[picture.data]),
        }
    }

    fn push_sound(&mut self, data: &[u8]) -> Result<(), MuxError> {
        let (number, _) = self.turns.take_sound()?;
        self.pushed_sounds[number] += 1;
        self.put_chunk(Track::Audio(number), Key::Yes, &[data])
    }

    fn finish(mut self: Box<Self>) -> Result<W, MuxError> {
        if let Some(track) = self.wants() {
            return Err(MuxError::Unfinished(track));
        }
        self.close_part()?;
        let length = |(audio, pushed): (&Audio, &u64)| match audio.codec {
            AudioCodec::Pcm => audio.samples,
            _ => *pushed,
        };
        let sounds: Vec<u64> = self.film.audio.iter().zip(&self.pushed_sounds).map(length).collect();
        for (at, bytes) in self.places.patches(self.slots, &sounds) {
            self.patch(at, &bytes)?;
        }
        self.sink.flush()?;
        Ok(self.sink)
    }
}

fn check(film: &Film) -> Result<(), MuxError> {
    let refuse = |codec| Err(MuxError::Codec { container: "avi", codec });
    match film.video.as_ref().map(|video| video.codec) {
        Some(VideoCodec::H264 | VideoCodec::Mpeg4) => {}
        None => return Err(MuxError::Empty),
        Some(codec) => return refuse(codec.name()),
    }
    film.audio.iter().try_for_each(|audio| match audio.codec {
        AudioCodec::Mp3 | AudioCodec::Pcm | AudioCodec::Ac3 => Ok(()),
        codec => refuse(codec.name()),
    })
}

/// H.264 as AVI has it: start codes, and parameter sets before each key picture.
struct StartCodes {
    framing: Framing,
    sets: Vec<u8>,
}

impl StartCodes {
    fn of(record: &[u8]) -> Result<Self, MuxError> {
        let (framing, nals) = parse_avcc(record).ok_or(MuxError::CodecData("an avcC record"))?;
        let mut sets = Vec::new();
        nals.into_iter().for_each(|nal| put_nal(&mut sets, nal));
        Ok(Self { framing, sets })
    }

    fn framed(&self, picture: Picture<'_>) -> Vec<u8> {
        let mut out = if picture.key == Key::No { Vec::new() } else { self.sets.clone() };
        nals(self.framing, picture.data).for_each(|nal| put_nal(&mut out, nal));
        out
    }
}

fn put_nal(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(nal);
}

#[cfg(test)]
mod tests;
