//! The header list of an AVI file, and what of it is known only at the end.

use framefleet_model::media::{AudioCodec, VideoCodec};

use crate::muxing::{Audio, Film, Track, Video};

/// Of a part of 1 GiB each; the room for their places is set aside.
pub(crate) const PARTS_MAX: usize = 256;
/// There is an index, tracks are interleaved, key flags can be trusted.
const FLAGS: u32 = 0x10 | 0x100 | 0x800;
const PCM: u16 = 1;
const MPEG_LAYER_3: u16 = 0x55;
const AC3: u16 = 0x2000;

pub(crate) struct Head {
    video: Option<Video>,
    audio: Vec<Audio>,
}

/// Where numbers go that are known only at the end.
#[derive(Clone, Default)]
pub(crate) struct Places {
    first_part_at: u64,
    whole_at: u64,
    tracks: Vec<TrackPlaces>,
    pub(crate) first_part_pictures: u64,
}

#[derive(Clone)]
struct TrackPlaces {
    track: Track,
    length_at: u64,
    index_at: u64,
    /// Place, size and duration of each part's index.
    indexes: Vec<(u64, u32, u32)>,
}

impl Places {
    pub(crate) fn from(mut self, start: u64) -> Self {
        self.first_part_at += start;
        self.whole_at += start;
        for track in &mut self.tracks {
            track.length_at += start;
            track.index_at += start;
        }
        self
    }

    pub(crate) fn note_index(&mut self, track: Track, (at, size): (u64, u32), duration: u32) {
        if let Some(places) = self.tracks.iter_mut().find(|places| places.track == track) {
            places.indexes.push((at, size, duration));
        }
    }

    /// `sounds`: the length of each sound track.
    pub(crate) fn patches(&self, slots: u64, sounds: &[u64]) -> Vec<(u64, Vec<u8>)> {
        let word = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        let mut patches = vec![(self.first_part_at, word(self.first_part_pictures)), (self.whole_at, word(slots))];
        for places in &self.tracks {
            let length = match places.track {
                Track::Video => slots,
                Track::Audio(number) => sounds.get(number).copied().unwrap_or(0),
            };
            patches.push((places.length_at, word(length)));
            patches.push((places.index_at + 12, word(places.indexes.len() as u64)));
            let mut entries = Vec::new();
            for (at, size, duration) in &places.indexes {
                entries.extend_from_slice(&at.to_le_bytes());
                entries.extend_from_slice(&size.to_le_bytes());
                entries.extend_from_slice(&duration.to_le_bytes());
            }
            patches.push((places.index_at + 32, entries));
        }
        patches
    }
}

impl Head {
    pub(crate) fn of(film: &Film) -> Self {
        Self { video: film.video.clone(), audio: film.audio.clone() }
    }

    pub(crate) fn tracks(&self) -> Vec<Track> {
        let video = self.video.as_ref().map(|_| Track::Video);
        video.into_iter().chain((0..self.audio.len()).map(Track::Audio)).collect()
    }

    pub(crate) fn chunk_name(&self, track: Track) -> [u8; 4] {
        match track {
            Track::Video => *b"00dc",
            Track::Audio(number) => numbered(b"__wb", 0, number),
        }
    }

    pub(crate) fn index_name(&self, track: Track) -> [u8; 4] {
        match track {
            Track::Video => *b"ix00",
            Track::Audio(number) => numbered(b"ix__", 2, number),
        }
    }

    /// Up to the first chunk of the first part.
    pub(crate) fn to_bytes(&self) -> (Vec<u8>, Places) {
        let mut out = Riff(b"RIFF\0\0\0\0AVI ".to_vec());
        let mut places = Places::default();
        out.list(b"hdrl", |out| {
            out.chunk(b"avih", |out| self.put_main(out, &mut places));
            if let Some(video) = &self.video {
                out.list(b"strl", |out| put_video(out, video, &mut places));
            }
            for (number, audio) in self.audio.iter().enumerate() {
                out.list(b"strl", |out| self.put_audio(out, (number, audio), &mut places));
            }
            out.list(b"odml", |out| {
                out.chunk(b"dmlh", |out| {
                    places.whole_at = out.0.len() as u64;
                    out.0.extend_from_slice(&[0; 248]);
                });
            });
        });
        out.0.extend_from_slice(b"LIST\0\0\0\0movi");
        (out.0, places)
    }

    fn put_main(&self, out: &mut Riff, places: &mut Places) {
        let picture_us = self
            .video
            .as_ref()
            .map_or(0, |video| u64::from(video.rate.den()) * 1_000_000 / u64::from(video.rate.num()));
        out.u32(u32::try_from(picture_us).unwrap_or(u32::MAX));
        out.u32(0);
        out.u32(0);
        out.u32(FLAGS);
        places.first_part_at = out.0.len() as u64;
        out.u32(0);
        out.u32(0);
        out.u32(self.tracks().len() as u32);
        out.u32(1 << 20);
        let geometry = self.video.as_ref().map(|video| video.geometry);
        out.u32(geometry.map_or(0, |g| g.width));
        out.u32(geometry.map_or(0, |g| g.height));
        [0; 4].into_iter().for_each(|word| out.u32(word));
    }

    fn put_audio(&self, out: &mut Riff, (number, audio): (usize, &Audio), places: &mut Places) {
        let (rate, channels) = (audio.format.rate, audio.format.channels);
        let frame = frame_bytes(audio);
        let unit = audio.codec.unit_samples(rate).unwrap_or(1);
        let is_pcm = audio.codec == AudioCodec::Pcm;
        // A chunk of PCM counts by samples, one of anything else as one unit.
        let (scale, per_second, sample) = if is_pcm { (frame, rate * frame, frame) } else { (unit, rate, 0) };
        let length_at = put_stream_header(out, (b"auds", &[0; 4]), (scale, per_second, sample));
        out.chunk(b"strf", |out| {
            let (tag, bits) = match audio.codec {
                AudioCodec::Mp3 => (MPEG_LAYER_3, 0),
                AudioCodec::Ac3 => (AC3, 0),
                _ => (PCM, 16),
            };
            out.u16(tag);
            out.u16(channels);
            out.u32(rate);
            out.u32(if is_pcm { rate * frame } else { audio.bitrate / 8 });
            out.u16(u16::try_from(if is_pcm { frame } else { unit }).unwrap_or(u16::MAX));
            out.u16(bits);
            out.u16(if tag == MPEG_LAYER_3 { 12 } else { 0 });
            if tag == MPEG_LAYER_3 {
                // MPEGLAYER3WAVEFORMAT: its id, no padding, the size of a block, blocks of one frame, no delay.
                out.u16(1);
                out.u32(2);
                out.u16(
                    u16::try_from(u64::from(unit) * u64::from(audio.bitrate) / 8 / u64::from(rate.max(1))).unwrap_or(0),
                );
                out.u16(1);
                out.u16(0);
            }
        });
        let track = Track::Audio(number);
        let index_at = put_super_index(out, &self.chunk_name(track));
        if let Some(title) = &audio.title {
            out.chunk(b"strn", |out| {
                out.0.extend_from_slice(title.as_bytes());
                out.0.push(0);
            });
        }
        places.tracks.push(TrackPlaces { track, length_at, index_at, indexes: Vec::new() });
    }
}

/// Of one sample of all channels of PCM.
pub(crate) fn frame_bytes(audio: &Audio) -> u32 {
    (u32::from(audio.format.channels) * 2).max(1)
}

/// A name with the number of a sound track's stream in two digits at a place; the pictures' is 00.
fn numbered(name: &[u8; 4], at: usize, sound: usize) -> [u8; 4] {
    let digit = |value: usize| b'0' + (value % 10) as u8;
    let mut name = *name;
    name[at] = digit((sound + 1) / 10);
    name[at + 1] = digit(sound + 1);
    name
}

fn put_video(out: &mut Riff, video: &Video, places: &mut Places) {
    let handler = if video.codec == VideoCodec::H264 { b"H264" } else { b"FMP4" };
    let length_at = put_stream_header(out, (b"vids", handler), (video.rate.den(), video.rate.num(), 0));
    out.chunk(b"strf", |out| {
        out.u32(40);
        out.u32(video.geometry.width);
        out.u32(video.geometry.height);
        out.u16(1);
        out.u16(24);
        out.0.extend_from_slice(handler);
        out.u32(video.geometry.width.saturating_mul(video.geometry.height).saturating_mul(3));
        [0; 4].into_iter().for_each(|word| out.u32(word));
    });
    let index_at = put_super_index(out, b"00dc");
    if video.pixel_aspect.num() != video.pixel_aspect.den() {
        out.chunk(b"vprp", |out| put_aspect(out, video));
    }
    places.tracks.push(TrackPlaces { track: Track::Video, length_at, index_at, indexes: Vec::new() });
}

/// OpenDML's video properties: what matters of them is the shape of the whole picture.
fn put_aspect(out: &mut Riff, video: &Video) {
    let (width, height) = (video.geometry.width, video.geometry.height);
    let rate = (u64::from(video.rate.num()) + u64::from(video.rate.den()) / 2) / u64::from(video.rate.den());
    let (x, y) = reduced(
        u64::from(width) * u64::from(video.pixel_aspect.num()),
        u64::from(height) * u64::from(video.pixel_aspect.den()),
    );
    [0, 0, rate as u32, width, height, y << 16 >> 16 | x << 16, width, height, 1].into_iter().for_each(|v| out.u32(v));
    [height, width, height, width, 0, 0, 0, 0].into_iter().for_each(|v| out.u32(v));
}

/// In two parts of sixteen bits.
fn reduced(x: u64, y: u64) -> (u32, u32) {
    let divisor = gcd(x, y).max(1);
    let (x, y) = (x / divisor, y / divisor);
    let shrink = x.max(y) / 0xffff + 1;
    ((x / shrink).max(1) as u32, (y / shrink).max(1) as u32)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Gives where the length goes.
fn put_stream_header(
    out: &mut Riff,
    (kind, handler): (&[u8; 4], &[u8; 4]),
    (scale, rate, sample): (u32, u32, u32),
) -> u64 {
    let mut length_at = 0;
    out.chunk(b"strh", |out| {
        out.0.extend_from_slice(kind);
        out.0.extend_from_slice(handler);
        [0, 0, 0, scale, rate, 0].into_iter().for_each(|word| out.u32(word));
        length_at = out.0.len() as u64;
        [0, 1 << 20, u32::MAX, sample].into_iter().for_each(|word| out.u32(word));
        out.0.extend_from_slice(&[0; 8]);
    });
    length_at
}

/// Room for the places of all parts' indexes; gives where it begins, with its head.
fn put_super_index(out: &mut Riff, chunk: &[u8; 4]) -> u64 {
    let at = out.0.len() as u64;
    out.chunk(b"indx", |out| {
        out.u16(4);
        out.u16(0);
        out.u32(0);
        out.0.extend_from_slice(chunk);
        out.0.extend_from_slice(&[0; 12]);
        out.0.extend_from_slice(&[0; 16 * PARTS_MAX]);
    });
    at
}

/// Chunks and lists with their sizes.
struct Riff(Vec<u8>);

impl Riff {
    fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn chunk(&mut self, name: &[u8; 4], payload: impl FnOnce(&mut Self)) {
        self.0.extend_from_slice(name);
        self.sized(payload);
    }

    fn list(&mut self, name: &[u8; 4], payload: impl FnOnce(&mut Self)) {
        self.0.extend_from_slice(b"LIST");
        self.sized(|out| {
            out.0.extend_from_slice(name);
            payload(out);
        });
    }

    fn sized(&mut self, payload: impl FnOnce(&mut Self)) {
        let at = self.0.len();
        self.0.extend_from_slice(&[0; 4]);
        payload(self);
        let size = (self.0.len() - at - 4) as u32;
        self.0[at..at + 4].copy_from_slice(&size.to_le_bytes());
        if size % 2 == 1 {
            self.0.push(0);
        }
    }
}
