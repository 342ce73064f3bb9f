//! An FLV muxer (Adobe Flash Video File Format Specification 10.1, annex E): one pass, equal bytes for equal films.
//!
//! ```text
//! header · onMetaData · AVC and AAC headers · tags in decoding order
//! ```
//! Time stamps are milliseconds from zero on, and decoding of the first picture, or the first unit of sound with its priming,
//! begins there: pictures and sound stand later by the same, so that nothing moves against the other.

use std::io::{Seek, SeekFrom, Write};

use framefleet_model::index::Key;
use framefleet_model::media::{AudioCodec, VideoCodec};
use framefleet_model::time::MediaTime;

use crate::muxing::{Audio, Film, MuxError, Muxer, Picture, Pictures, Sounds, Track, Turns, runs};

const TICKS_PER_SECOND: u32 = 1000;
/// Each unit takes its own turn.
const RUN: MediaTime = MediaTime(1);
const AUDIO_TAG: u8 = 8;
const VIDEO_TAG: u8 = 9;
const SCRIPT_TAG: u8 = 18;
const TAG_HEADER: usize = 11;
/// A tag's size has 24 bits.
const TAG_BYTES_MAX: usize = (1 << 24) - 1;
const AVC: u8 = 7;
const AAC_STEREO_16: u8 = 0xaf;
const MP3: u8 = 2;

pub struct FlvWriter<W> {
    sink: W,
    film: Film,
    pictures: Option<Pictures>,
    sounds: Option<Sounds>,
    turns: Turns,
    pushed_pictures: usize,
    pushed_sounds: usize,
    /// What stands on the file's clock at the output's time zero, in milliseconds.
    zero: i64,
    /// Where the file's size is told.
    size_at: u64,
    at: u64,
}

impl<W: Write + Seek> FlvWriter<W> {
    pub fn begin(mut sink: W, film: Film) -> Result<Self, MuxError> {
        check(&film)?;
        let pictures = film.video.as_ref().map(|video| Pictures::new(video, TICKS_PER_SECOND)).transpose()?;
        let sounds = film.audio.first().map(Sounds::new).transpose()?;
        let turns = Turns::new(runs(&film, pictures.as_ref(), RUN)?);
        let decoded = pictures.as_ref().map_or(0, |pictures| pictures.zero);
        let heard = film.audio.first().map_or(0, |audio| -ticks(sound_begins(audio)));
        let zero = decoded.max(heard).max(0);
        let start = sink.stream_position()?;
        let flags = u8::from(film.video.is_some()) | u8::from(!film.audio.is_empty()) << 2;
        sink.write_all(&[b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0])?;
        let (metadata, size_at) = metadata(&film, zero);
        let size_at = start + 13 + TAG_HEADER as u64 + size_at as u64;
        let (pushed_pictures, pushed_sounds, at) = (0, 0, start + 13);
        let mut writer =
            Self { sink, film, pictures, sounds, turns, pushed_pictures, pushed_sounds, zero, size_at, at };
        writer.put(SCRIPT_TAG, 0, &[&metadata])?;
        writer.put_headers()?;
        Ok(writer)
    }

    fn put_headers(&mut self) -> Result<(), MuxError> {
        if let Some(video) = &self.film.video {
            let record = video.codec_data.clone();
            self.put(VIDEO_TAG, 0, &[&[0x10 | AVC, 0, 0, 0, 0], &record])?;
        }
        let told = self.film.audio.first().filter(|audio| audio.codec == AudioCodec::Aac);
        if let Some(record) = told.map(|audio| audio.codec_data.clone()) {
            self.put(AUDIO_TAG, 0, &[&[AAC_STEREO_16, 0], &record])?;
        }
        Ok(())
    }

    fn put(&mut self, kind: u8, stamp: i64, parts: &[&[u8]]) -> Result<(), MuxError> {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        if size > TAG_BYTES_MAX {
            let (value, bound) = (size as u64, TAG_BYTES_MAX as u64);
            return Err(MuxError::TooLarge { what: "a tag", value, bound });
        }
        let stamp = u32::try_from(stamp).map_err(|_| MuxError::TooLarge {
            what: "a time stamp in milliseconds",
            value: stamp.unsigned_abs(),
            bound: u64::from(u32::MAX),
        })?;
        let [_, a, b, c] = (size as u32).to_be_bytes();
        let [extended, x, y, z] = stamp.to_be_bytes();
        self.sink.write_all(&[kind, a, b, c, x, y, z, extended, 0, 0, 0])?;
        for part in parts {
            self.sink.write_all(part)?;
        }
        let whole = TAG_HEADER + size;
        self.sink.write_all(&(whole as u32).to_be_bytes())?;
        self.at += whole as u64 + 4;
        Ok(())
    }
}

impl<W: Write + Seek> Muxer<W> for FlvWriter<W> {
    fn wants(&self) -> Option<Track> {
        self.turns.now()
    }

    fn push_picture(&mut self, picture: Picture<'_>) -> Result<(), MuxError> {
        self.turns.take(Track::Video)?;
        let (number, pts) = (self.pushed_pictures, picture.pts);
        self.pushed_pictures += 1;
        let pictures = self.pictures.as_ref().ok_or(MuxError::Turn(Track::Video))?;
        // Their own clock begins with the first decoding; the sound may begin before that.
        let decoded = pictures.dts[number] + self.zero - pictures.zero;
        let ahead = pictures.shown(pts) - pictures.dts[number];
        let dts = pictures.decoded_at(number);
        let ahead = u32::try_from(ahead).map_err(|_| MuxError::LateDecode { number, pts, dts })?;
        let [_, a, b, c] = ahead.to_be_bytes();
        let kind = if picture.key == Key::Yes { 0x10 } else { 0x20 };
        self.put(VIDEO_TAG, decoded, &[&[kind | AVC, 1, a, b, c], picture.data])
    }

    fn push_sound(&mut self, data: &[u8]) -> Result<(), MuxError> {
        self.turns.take_sound()?;
        let (Some(audio), Some(sounds)) = (self.film.audio.first(), &self.sounds) else {
            return Err(MuxError::Turn(Track::Audio(0)));
        };
        let stamp = ticks(sound_begins(audio) + sounds.begins(self.pushed_sounds)) + self.zero;
        let head = head(audio);
        self.pushed_sounds += 1;
        self.put(AUDIO_TAG, stamp, &[&head, data])
    }

    fn finish(mut self: Box<Self>) -> Result<W, MuxError> {
        if let Some(track) = self.wants() {
            return Err(MuxError::Unfinished(track));
        }
        self.sink.seek(SeekFrom::Start(self.size_at))?;
        self.sink.write_all(&(self.at as f64).to_be_bytes())?;
        self.sink.seek(SeekFrom::Start(self.at))?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}

fn check(film: &Film) -> Result<(), MuxError> {
    film.check_sounds(1)?;
    let video = film.video.as_ref().map(|video| video.codec).filter(|codec| *codec != VideoCodec::H264);
    let audio = film.audio.first().map(|audio| audio.codec);
    let audio = audio.filter(|codec| !matches!(codec, AudioCodec::Aac | AudioCodec::Mp3));
    let strange = video.map(|codec| codec.name()).or(audio.map(|codec| codec.name()));
    strange.map_or(Ok(()), |codec| Err(MuxError::Codec { container: "flv", codec }))
}

fn ticks(time: MediaTime) -> i64 {
    time.to_ticks(TICKS_PER_SECOND)
}

/// Where the first unit, with its priming, begins.
fn sound_begins(audio: &Audio) -> MediaTime {
    audio.first - MediaTime::from_ticks(i64::from(audio.priming), audio.format.rate.max(1))
}

/// What stands before each unit's data: codec, rate, size and channels.
fn head(audio: &Audio) -> Vec<u8> {
    if audio.codec == AudioCodec::Aac {
        return vec![AAC_STEREO_16, 1];
    }
    let rate = match audio.format.rate {
        0..=11_025 => 1,
        11_026..=22_050 => 2,
        _ => 3,
    };
    vec![MP3 << 4 | rate << 2 | 2 | u8::from(audio.format.channels > 1)]
}

/// AMF0: `onMetaData` and an array of numbers; and where in it the file's size stands.
fn metadata(film: &Film, zero: i64) -> (Vec<u8>, usize) {
    let mut numbers: Vec<(&str, f64)> = Vec::new();
    numbers.push(("duration", (ticks(film.end()) + zero) as f64 / f64::from(TICKS_PER_SECOND)));
    if let Some(video) = &film.video {
        numbers.push(("width", f64::from(video.geometry.width)));
        numbers.push(("height", f64::from(video.geometry.height)));
        numbers.push(("framerate", f64::from(video.rate.num()) / f64::from(video.rate.den())));
        numbers.push(("videocodecid", f64::from(AVC)));
    }
    if let Some(audio) = film.audio.first() {
        numbers.push(("audiocodecid", if audio.codec == AudioCodec::Aac { 10.0 } else { f64::from(MP3) }));
        numbers.push(("audiodatarate", f64::from(audio.bitrate) / 1000.0));
        numbers.push(("audiosamplerate", f64::from(audio.format.rate)));
    }
    numbers.push(("filesize", 0.0));
    let mut out = vec![2];
    put_name(&mut out, "onMetaData");
    out.push(8);
    out.extend_from_slice(&(numbers.len() as u32).to_be_bytes());
    for (name, value) in numbers {
        put_name(&mut out, name);
        out.push(0);
        out.extend_from_slice(&value.to_be_bytes());
    }
    let size_at = out.len() - 8;
    out.extend_from_slice(&[0, 0, 9]);
    (out, size_at)
}

fn put_name(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(&(name.len() as u16).to_be_bytes());
    out.extend_from_slice(name.as_bytes());
}
