//! An MP4 muxer: one pass, equal bytes for equal films, memory for the sample tables alone.
//!
//! ```text
//! ftyp · moov · free · mdat(64-bit size): titles, then runs of half a second of pictures and sound by turns
//! ```
//! The movie box stands in front. Its room is set aside before any media: sample counts, decoding times and chunks
//! are known from the film, and what is not (which pictures are keys, how far each is reordered) is bounded by the
//! number of samples; what the finished tables leave over becomes the `free` box. Chunk offsets are always 64-bit,
//! so no size need be guessed.
//!
//! Decoding begins at tick zero of each track, and an edit list sets media time `dts_delay` (or the sound's priming)
//! at its place on the time line, so that no composition offset is negative and nothing moves: the first picture and
//! the first sample of the source stand exactly where the film says, the last sample ends where it says.

pub(crate) mod boxes;
mod chapters;
mod entries;
mod fragmented;
pub(crate) mod fragments;
mod movie;
pub(crate) mod tables;

pub use fragmented::FragmentedWriter;

use std::io::{Seek, SeekFrom, Write};

use framefleet_model::index::Key;
use framefleet_model::media::{AudioCodec, VideoCodec};
use framefleet_model::time::MediaTime;

use self::boxes::Boxes;
use self::movie::{Edit, Movie, TrackKind, TrackPlan};
use self::tables::{Layout, Reorders, Tables, run_lengths};
use crate::muxing::{
    Audio, Film, InRun, MuxError, Muxer, Picture, Pictures, Run, Sounds, Track, Turns, runs, timescale_of,
};

const CHUNK: MediaTime = MediaTime::from_millis(500);
/// Both tracks' clocks divide the movie's, if that is not too fine.
const TIMESCALE_MAX: u64 = 50_000_000;
/// A movie box has a 32-bit size.
const SAMPLES_MAX: u64 = 100_000_000;
const FREE_HEADER: usize = 8;
const MDAT_HEADER: u64 = 16;

/// Which of the family a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brand {
    Mp4,
    /// MP4 of sound alone, as players of music name it.
    Sound,
    QuickTime,
    /// In fragments.
    Fragmented,
    /// One track in fragments that are files of their own (CMAF, ISO/IEC 23000-19).
    Cmaf,
}

pub struct Mp4Writer<W> {
    sink: W,
    film: Film,
    brand: Brand,
    timescale: u32,
    tracks: Vec<TrackPlan>,
    /// In the order of `tracks`.
    tables: Vec<Tables>,
    pictures: Option<Pictures>,
    turns: Turns,
    /// Bytes from the movie box to the media.
    reserved: usize,
    moov_at: u64,
    mdat_at: u64,
    /// Where the next byte goes.
    at: u64,
    /// Bytes of PCM that are still to come of each sound track.
    pcm_due: Vec<u64>,
}

impl<W: Write + Seek> Mp4Writer<W> {
    pub fn begin(mut sink: W, film: Film, brand: Brand) -> Result<Self, MuxError> {
        entries::check(&film, brand)?;
        let timescale = film.video.as_ref().map(|video| timescale_of(video.rate));
        let pictures = match (&film.video, timescale) {
            (Some(video), Some(timescale)) => Some(Pictures::new(video, timescale)?),
            _ => None,
        };
        let runs = runs(&film, pictures.as_ref(), CHUNK)?;
        let tracks = plan_tracks(&film, pictures.as_ref().zip(timescale), &runs)?;
        let timescale = movie_timescale(&tracks);
        let largest: Vec<Tables> = tracks.iter().map(|t| Tables::largest(&t.layout, t.kind.reorders())).collect();
        let movie = Movie { film: &film, timescale, tracks: &tracks, brand };
        let reserved = movie.to_bytes(&largest).len() + FREE_HEADER;
        drop(largest);

        let start = sink.stream_position()?;
        let ftyp = file_type(&film, brand);
        sink.write_all(&ftyp)?;
        let moov_at = start + ftyp.len() as u64;
        let mdat_at = moov_at + reserved as u64;
        sink.seek(SeekFrom::Start(mdat_at))?;
        sink.write_all(&media_header(0))?;
        let tables = tracks.iter().map(|track| track.kind.empty_tables()).collect();
        let turns = Turns::new(runs);
        let at = mdat_at + MDAT_HEADER;
        let pcm_due = |audio: &Audio| audio.samples.saturating_mul(2 * u64::from(audio.format.channels));
        let pcm_due = film.audio.iter().map(pcm_due).collect();
        let mut writer = Self {
            sink,
            film,
            brand,
            timescale,
            tracks,
            tables,
            pictures,
            turns,
            reserved,
            moov_at,
            mdat_at,
            at,
            pcm_due,
        };
        writer.put_titles()?;
        Ok(writer)
    }

    /// Titles are known beforehand: they come first.
    fn put_titles(&mut self) -> Result<(), MuxError> {
        let Some(track) = self.tracks.iter().position(|track| track.kind == TrackKind::Titles) else {
            return Ok(());
        };
        self.tables[track].chunks.push(self.at);
        for sample in chapters::samples(&self.film.chapters) {
            self.put(track, &sample)?;
        }
        Ok(())
    }

    fn put(&mut self, track: usize, data: &[u8]) -> Result<(), MuxError> {
        let size = u32::try_from(data.len()).map_err(|_| MuxError::TooLarge {
            what: "a unit",
            value: data.len() as u64,
            bound: u64::from(u32::MAX),
        })?;
        self.sink.write_all(data)?;
        if self.tracks[track].layout.sample_bytes.is_none() {
            self.tables[track].sizes.push(size);
        }
        self.at += u64::from(size);
        Ok(())
    }

    /// Puts a unit of a track whose turn it is.
    fn put_in_turn(&mut self, (track, place): (Track, InRun), data: &[u8]) -> Result<(), MuxError> {
        let kind = match track {
            Track::Video => TrackKind::Video,
            Track::Audio(number) => TrackKind::Audio(number),
        };
        let number = self.tracks.iter().position(|t| t.kind == kind).ok_or(MuxError::Turn(track))?;
        if place == InRun::First {
            self.tables[number].chunks.push(self.at);
        }
        self.put(number, data)
    }
}

impl<W: Write + Seek> Muxer<W> for Mp4Writer<W> {
    fn wants(&self) -> Option<Track> {
        self.turns.now()
    }

    fn push_picture(&mut self, picture: Picture<'_>) -> Result<(), MuxError> {
        let place = self.turns.take(Track::Video)?;
        self.put_in_turn((Track::Video, place), picture.data)?;
        let (Some(pictures), Some(tables)) = (&self.pictures, self.tables.first_mut()) else {
            return Err(MuxError::Turn(Track::Video));
        };
        let number = tables.sizes.len() - 1;
        let offset = pictures.shown(picture.pts) - pictures.dts[number];
        let late = || MuxError::LateDecode { number, pts: picture.pts, dts: pictures.decoded_at(number) };
        tables.offsets.push(u32::try_from(offset).map_err(|_| late())?);
        if picture.key == Key::Yes {
            tables.syncs.get_or_insert_default().push(u32::try_from(number + 1).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    fn push_sound(&mut self, data: &[u8]) -> Result<(), MuxError> {
        let (track, place) = self.turns.take_sound()?;
        let (due, is_pcm) = (&mut self.pcm_due[track], self.film.audio[track].codec == AudioCodec::Pcm);
        // What a resampler gave beyond the last sample is not wanted.
        let kept = if is_pcm { usize::try_from(*due).unwrap_or(usize::MAX).min(data.len()) } else { data.len() };
        *due = due.saturating_sub(kept as u64);
        self.put_in_turn((Track::Audio(track), place), &data[..kept])
    }

    fn finish(mut self: Box<Self>) -> Result<W, MuxError> {
        if let Some(track) = self.wants() {
            return Err(MuxError::Unfinished(track));
        }
        for tables in &mut self.tables {
            tables.forget_the_obvious();
        }
        let movie = Movie { film: &self.film, timescale: self.timescale, tracks: &self.tracks, brand: self.brand };
        let mut moov = movie.to_bytes(&self.tables);
        let free = self.reserved - moov.len();
        moov.extend_from_slice(&u32::try_from(free).unwrap_or(u32::MAX).to_be_bytes());
        moov.extend_from_slice(b"free");
        moov.resize(self.reserved, 0);
        self.sink.seek(SeekFrom::Start(self.moov_at))?;
        self.sink.write_all(&moov)?;
        self.sink.write_all(&media_header(self.at - self.mdat_at))?;
        self.sink.seek(SeekFrom::Start(self.at))?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}

impl TrackKind {
    fn reorders(self) -> Reorders {
        match self {
            Self::Video => Reorders::Maybe,
            Self::Audio(_) | Self::Titles => Reorders::Never,
        }
    }

    fn empty_tables(self) -> Tables {
        let syncs = match self {
            Self::Video => Some(Vec::new()),
            Self::Audio(_) | Self::Titles => None,
        };
        Tables { syncs, ..Tables::default() }
    }
}

impl Tables {
    /// Leaves out tables that say what their absence says.
    fn forget_the_obvious(&mut self) {
        if self.offsets.iter().all(|offset| *offset == 0) {
            self.offsets.clear();
        }
        if self.syncs.as_ref().is_some_and(|syncs| syncs.len() == self.sizes.len()) {
            self.syncs = None;
        }
    }
}

fn plan_tracks(film: &Film, pictures: Option<(&Pictures, u32)>, runs: &[Run]) -> Result<Vec<TrackPlan>, MuxError> {
    let mut tracks = Vec::new();
    if let (Some(video), Some((pictures, timescale))) = (&film.video, pictures) {
        let hole = video.times.first().copied().unwrap_or(MediaTime::ZERO);
        let nexts = pictures.dts.iter().skip(1).copied().chain([pictures.end]);
        let deltas = pictures.dts.iter().zip(nexts).map(|(tick, next)| u32::try_from(next - tick).unwrap_or(u32::MAX));
        let layout = Layout::of_runs(run_lengths(deltas), runs.iter().filter(|run| run.track == Track::Video));
        let edit = Edit { hole, from: pictures.shown(hole), duration: video.end - hole };
        let media_duration = pictures.end;
        tracks.push(TrackPlan { kind: TrackKind::Video, timescale, media_duration, edit, layout });
    }
    for (number, audio) in film.audio.iter().enumerate() {
        tracks.push(plan_sound((number, audio), runs)?);
    }
    if tracks.iter().all(|track| track.layout.chunk_samples.is_empty()) {
        return Err(MuxError::Empty);
    }
    if let (Some(first), Some(last)) = (film.chapters.first(), film.chapters.last()) {
        let durations = chapters::durations(&film.chapters);
        let media_duration = durations.iter().map(|(_, ticks)| i64::from(*ticks)).sum();
        let chunk_samples = vec![u32::try_from(film.chapters.len()).unwrap_or(u32::MAX)];
        let edit = Edit { hole: first.start, from: 0, duration: last.end - first.start };
        let layout = Layout { durations, chunk_samples, sample_bytes: None };
        tracks.push(TrackPlan {
            kind: TrackKind::Titles,
            timescale: chapters::TIMESCALE,
            media_duration,
            edit,
            layout,
        });
    }
    let tabled = tracks.iter().filter(|track| track.layout.sample_bytes.is_none());
    let samples = tabled.flat_map(|track| &track.layout.chunk_samples).map(|n| u64::from(*n)).sum();
    if samples > SAMPLES_MAX {
        return Err(MuxError::TooLarge { what: "a count of units", value: samples, bound: SAMPLES_MAX });
    }
    Ok(tracks)
}

/// The last unit lasts as long as the source: what it holds beyond is padding.
fn plan_sound((number, audio): (usize, &Audio), runs: &[Run]) -> Result<TrackPlan, MuxError> {
    let sounds = Sounds::new(audio)?;
    let total = (u64::from(audio.priming) + audio.samples).min(sounds.units.end);
    let begins = &sounds.units.begins;
    let before_last = begins.last().copied().unwrap_or(0);
    let last = total.saturating_sub(before_last);
    let lengths = begins.windows(2).map(|pair| pair[1] - pair[0]).chain([last]);
    let deltas = lengths.map(|length| u32::try_from(length).unwrap_or(u32::MAX)).take(begins.len());
    let runs = runs.iter().filter(|run| run.track == Track::Audio(number));
    let layout = match audio.codec {
        AudioCodec::Pcm => moments(audio, runs)?,
        _ => Layout::of_runs(run_lengths(deltas), runs),
    };
    let samples = i64::try_from(audio.samples).unwrap_or(i64::MAX);
    let duration = MediaTime::from_ticks(samples, sounds.rate);
    let edit = Edit { hole: audio.first, from: i64::from(audio.priming), duration };
    let media_duration =
        i64::try_from(before_last).unwrap_or(i64::MAX).saturating_add(i64::try_from(last).unwrap_or(0));
    Ok(TrackPlan { kind: TrackKind::Audio(number), timescale: sounds.rate, media_duration, edit, layout })
}

/// PCM's samples are those of one moment each, however many a unit has.
fn moments<'a>(audio: &Audio, runs: impl Iterator<Item = &'a Run>) -> Result<Layout, MuxError> {
    let (value, bound) = (audio.samples, u64::from(u32::MAX));
    let all = u32::try_from(value).map_err(|_| MuxError::TooLarge { what: "a count of samples", value, bound })?;
    let begins =
        |unit: usize| u32::try_from(audio.units.begins.get(unit).copied().unwrap_or(value)).unwrap_or(all).min(all);
    let mut unit = 0;
    let chunk = |run: &Run| {
        let from = begins(unit);
        unit += run.units as usize;
        begins(unit) - from
    };
    let chunk_samples = runs.map(chunk).collect();
    let sample_bytes = Some(2 * u32::from(audio.format.channels));
    Ok(Layout { durations: vec![(all, 1)], chunk_samples, sample_bytes })
}

/// The least common multiple of the tracks' clocks, or the first track's.
fn movie_timescale(tracks: &[TrackPlan]) -> u32 {
    let clocks = || tracks.iter().filter(|t| t.kind != TrackKind::Titles).map(|t| u64::from(t.timescale.max(1)));
    let common = clocks().reduce(|a, b| a / gcd(a, b) * b).unwrap_or(1000);
    let chosen = if common <= TIMESCALE_MAX { common } else { clocks().next().unwrap_or(1000) };
    u32::try_from(chosen).unwrap_or(1000)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Brand {
    pub(crate) fn is_in_fragments(self) -> bool {
        matches!(self, Self::Fragmented | Self::Cmaf)
    }
}

fn file_type(film: &Film, brand: Brand) -> Vec<u8> {
    let mut b = Boxes::default();
    b.nest(b"ftyp", |b| {
        match brand {
            Brand::Mp4 => b.raw(b"isom"),
            Brand::Sound => b.raw(b"M4A "),
            Brand::QuickTime => b.raw(b"qt  "),
            Brand::Fragmented => b.raw(b"iso6"),
            Brand::Cmaf => b.raw(b"cmfc"),
        }
        b.u32(512);
        if brand == Brand::QuickTime {
            return b.raw(b"qt  ");
        }
        match brand {
            Brand::Sound => b.raw(b"M4A isomiso2"),
            // Offsets from a fragment's own beginning came with iso5, negative ones with iso6.
            Brand::Fragmented => b.raw(b"iso5iso6"),
            Brand::Cmaf => b.raw(b"iso5iso6cmfc"),
            Brand::Mp4 | Brand::QuickTime => b.raw(b"isomiso2"),
        }
        match film.video.as_ref().map(|video| video.codec) {
            Some(VideoCodec::H264) => b.raw(b"avc1"),
            Some(VideoCodec::Hevc) => b.raw(b"hvc1"),
            Some(VideoCodec::Av1) => b.raw(b"av01"),
            Some(VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Mpeg4) | None => {}
        }
        b.raw(b"mp41");
    });
    b.into_bytes()
}

/// A media box of so many bytes, its size in 64 bits.
fn media_header(size: u64) -> [u8; 16] {
    let mut header = [0; 16];
    header[..4].copy_from_slice(&1_u32.to_be_bytes());
    header[4..8].copy_from_slice(b"mdat");
    header[8..].copy_from_slice(&size.to_be_bytes());
    header
}
