//! An MP4 of fragments: one pass, and nothing to be written once more at its beginning.
//!
//! ```text
//! ftyp · moov(mvex) │ moof · mdat │ moof · mdat │ … │ mfra
//! ```
//! A fragment begins with each key picture and takes the sound that comes with it; one that would grow too large is
//! continued by another. Where there are no pictures, it is as long as a run. Each track's clock begins at the output's time
//! zero less what is decoded ahead or put out before the first sample, which the track's one edit takes off again.

use std::io::{Seek, Write};

use framefleet_model::index::Key;
use framefleet_model::time::MediaTime;

use super::Brand;
use super::boxes::Boxes;
use super::fragments::{self, FRAGMENT_BYTES_MAX, Head, TrackClock, TrackFragment, Zeros};
use crate::muxing::{Film, InRun, MuxError, Muxer, Picture, Pictures, Track, Turns, runs, timescale_of};

const RUN: MediaTime = MediaTime::from_millis(500);
/// Of a fragment without pictures.
const SOUND_RUN: MediaTime = MediaTime::from_secs(2);

pub struct FragmentedWriter<W> {
    sink: W,
    pictures: Option<Pictures>,
    turns: Turns,
    /// In the order of the movie.
    tracks: Vec<Building>,
    /// Of the fragment that is being put together.
    number: u32,
    at: u64,
    /// Fragments that reading may begin at: when their first sample is shown, and where they lie.
    entries: Vec<(u64, u64)>,
}

struct Building {
    track: Track,
    clock: TrackClock,
    pushed: usize,
    part: TrackFragment,
}

impl<W: Write + Seek> FragmentedWriter<W> {
    pub fn begin(mut sink: W, film: &Film) -> Result<Self, MuxError> {
        let timescale = film.video.as_ref().map(|video| timescale_of(video.rate));
        let pictures = match (&film.video, timescale) {
            (Some(video), Some(timescale)) => Some(Pictures::new(video, timescale)?),
            _ => None,
        };
        let length = if pictures.is_some() { RUN } else { SOUND_RUN };
        let turns = Turns::new(runs(film, pictures.as_ref(), length)?);
        if turns.now().is_none() {
            return Err(MuxError::Empty);
        }
        let mut tracks = Vec::new();
        let mut add = |track, clock| {
            let part = TrackFragment::new(u32::try_from(tracks.len() + 1).unwrap_or(u32::MAX));
            tracks.push(Building { track, clock, pushed: 0, part });
        };
        // Decoding begins as late as the first picture is shown, and showing as much later as decoding runs ahead.
        let shown = pictures.as_ref().zip(film.video.as_ref().zip(timescale)).map_or(0, |(pictures, (video, rate))| {
            pictures.zero + video.times.first().map_or(0, |first| first.to_ticks(rate))
        });
        let heard: Vec<i64> = film.audio.iter().map(|audio| i64::from(audio.priming)).collect();
        if let Some(pictures) = &pictures {
            add(Track::Video, TrackClock::of_pictures(pictures, shown));
        }
        for ((number, audio), heard) in film.audio.iter().enumerate().zip(&heard) {
            add(Track::Audio(number), TrackClock::of_sound(audio, *heard)?);
        }
        let begin = sink.stream_position()?;
        let init = fragments::init(film, (Brand::Fragmented, &Zeros { shown, heard }))?;
        sink.write_all(&init)?;
        let at = begin + init.len() as u64;
        Ok(Self { sink, pictures, turns, tracks, number: 1, at, entries: Vec::new() })
    }

    fn building(&mut self, track: Track) -> Result<&mut Building, MuxError> {
        self.tracks.iter_mut().find(|building| building.track == track).ok_or(MuxError::Turn(track))
    }

    fn is_full(&self, more: usize) -> bool {
        let held: usize = self.tracks.iter().map(|building| building.part.data.len()).sum();
        held + more > FRAGMENT_BYTES_MAX
    }

    /// Writes the fragment that is there, if there is one.
    fn flush(&mut self) -> Result<(), MuxError> {
        let take = |building: &mut Building| {
            let next = TrackFragment::new(building.part.track);
            std::mem::replace(&mut building.part, next)
        };
        let parts: Vec<TrackFragment> =
            self.tracks.iter_mut().map(take).filter(|part| !part.samples.is_empty()).collect();
        let Some(first) = parts.first() else { return Ok(()) };
        let may_begin = first.head == Head::Key || self.pictures.is_none();
        if let Some(sample) = first.samples.first().filter(|_| may_begin) {
            self.entries.push((first.time + u64::from(sample.offset), self.at));
        }
        let header = fragments::header(self.number, &parts)?;
        self.sink.write_all(&header)?;
        self.at += header.len() as u64;
        for part in &parts {
            self.sink.write_all(&part.data)?;
            self.at += part.data.len() as u64;
        }
        self.number += 1;
        Ok(())
    }

    /// Where readers that look at the end of a file find its fragments.
    fn random_access(&self) -> Vec<u8> {
        let mut b = Boxes::default();
        b.nest(b"mfra", |b| {
            b.full(b"tfra", 1, |b| {
                b.u32(1);
                b.u32(0);
                b.count(self.entries.len());
                for (time, at) in &self.entries {
                    b.u64(*time);
                    b.u64(*at);
                    [1; 3].into_iter().for_each(|number| b.u8(number));
                }
            });
            b.full(b"mfro", 0, |b| b.count(RANDOM_ACCESS_BYTES + 19 * self.entries.len()));
        });
        b.into_bytes()
    }
}

/// Of the box without its entries: the headers of three boxes and what the two within say besides.
const RANDOM_ACCESS_BYTES: usize = 8 + 24 + 16;

impl<W: Write + Seek> Muxer<W> for FragmentedWriter<W> {
    fn wants(&self) -> Option<Track> {
        self.turns.now()
    }

    fn push_picture(&mut self, picture: Picture<'_>) -> Result<(), MuxError> {
        self.turns.take(Track::Video)?;
        if picture.key == Key::Yes || self.is_full(picture.data.len()) {
            self.flush()?;
        }
        let number = self.building(Track::Video)?.pushed;
        let pictures = self.pictures.as_ref().ok_or(MuxError::Turn(Track::Video))?;
        let late = || MuxError::LateDecode { number, pts: picture.pts, dts: pictures.decoded_at(number) };
        let offset = u32::try_from(pictures.shown(picture.pts) - pictures.dts[number]).map_err(|_| late())?;
        let building = self.building(Track::Video)?;
        if picture.key == Key::Yes {
            building.part.head = Head::Key;
        }
        building.push(offset, picture.data)
    }

    fn push_sound(&mut self, data: &[u8]) -> Result<(), MuxError> {
        let (number, place) = self.turns.take_sound()?;
        let track = Track::Audio(number);
        let is_begun = !self.building(track)?.part.samples.is_empty();
        let begins = place == InRun::First && is_begun && self.pictures.is_none();
        if begins || self.is_full(data.len()) {
            self.flush()?;
        }
        self.building(track)?.push(0, data)
    }

    fn finish(mut self: Box<Self>) -> Result<W, MuxError> {
        if let Some(track) = self.wants() {
            return Err(MuxError::Unfinished(track));
        }
        self.flush()?;
        let index = self.random_access();
        self.sink.write_all(&index)?;
        self.sink.flush()?;
        Ok(self.sink)
    }
}

impl Building {
    fn push(&mut self, offset: u32, data: &[u8]) -> Result<(), MuxError> {
        self.part.push((&self.clock, self.pushed), offset, data)?;
        self.pushed += 1;
        Ok(())
    }
}
