//! A film in fragments as a plain one: a movie box of our own with all sample tables, and the whole film behind it.
//!
//! ```text
//! ftyp │ moov, made │ mdat ┤ the film as it is: ftyp moov moof mdat moof mdat … ├
//! ```
//! So one fast path, one pass and one way to sound serve both kinds, and no demuxer reads fragments, which GStreamer
//! 1.22's does wrongly where they overlap, follow samples of the movie box, or are cut off.

use std::io;
use std::sync::Arc;

use framefleet_model::index::Unit;

use super::bytes::Bytes;
use super::edits::{Rates, Shift};
use super::gather::{self, CutOff};
use super::line::Line;
use super::track::Track;
use super::{Refusal, entry, find, movie_timescale, odd, track_name};
use crate::isobmff::writer::boxes::Boxes;
use crate::isobmff::writer::tables::{Layout, Tables, run_lengths};
use crate::read_at::ReadAt;

const NS: u32 = 1_000_000_000;
const TYPE_BYTES_MAX: u64 = 4096;
const DATA_HEAD: u64 = 16;

/// The film, told plainly.
pub(crate) struct Plain {
    film: Arc<dyn ReadAt>,
    /// All that stands before the film as it is.
    front: Vec<u8>,
    /// Tracks with samples that are decoded and not shown: the sizes of all, and the numbers of these.
    hidden: Vec<(String, Vec<u32>, Vec<usize>)>,
    cut: Option<CutOff>,
}

impl Plain {
    /// `Ok(None)` for a film that is not in fragments.
    pub(crate) fn of(film: Arc<dyn ReadAt>) -> Result<Option<Self>, Refusal> {
        let (_, movie) = match find::movie(&*film) {
            Ok(found) => found,
            Err(Refusal::Odd(_)) => return Ok(None),
            Err(refusal) => return Err(refusal),
        };
        let movie = Bytes::new(&movie);
        if movie.find(b"mvex").is_none() || movie.find(b"cmov").is_some() {
            return Ok(None);
        }
        let rate = movie_timescale(movie).ok_or_else(|| odd("the movie box has no time scale"))?;
        let (gathered, cut) = gather::gather(&*film, movie)?;
        let mut tracks = Vec::new();
        for gathered in gathered.into_iter().filter(|gathered| !gathered.samples.is_empty()) {
            let track = gathered.track.clone();
            let (kind, _) = entry::only(track.table)?;
            let shift = Shift::of_fragments(track.boxes, Rates { movie: rate, track: track.timescale })?;
            tracks.push((track, Line::of(gathered, kind, shift)?));
        }
        if tracks.is_empty() {
            return Err(odd("no fragment has samples"));
        }
        let hidden = tracks.iter().filter(|(_, line)| !line.hidden.is_empty());
        let sizes = |line: &Line| line.samples.iter().map(|sample| sample.size).collect();
        let hidden = hidden.map(|(track, line)| (track_name(track), sizes(line), line.hidden.clone())).collect();
        let front = front(&*film, movie, &tracks)?;
        Ok(Some(Self { film, front, hidden, cut }))
    }

    /// What the film promises and does not have.
    pub(crate) fn cut_off(&self) -> Option<String> {
        let size = self.film.size();
        self.cut.as_ref().map(|CutOff { what, end }| format!("{what} ends at byte {end}, the file at byte {size}"))
    }

    /// Units by the made tables as units of the film itself.
    pub(crate) fn place(&self, units: &mut [Unit]) {
        for unit in units {
            unit.offset = unit.offset.and_then(|offset| offset.checked_sub(self.front.len() as u64));
        }
    }

    /// Hides what of the track is decoded and not shown; the units must be those of its tables.
    pub(crate) fn hide(&self, track: &str, units: &mut [Unit]) -> Result<(), String> {
        let Some((_, sizes, hidden)) = self.hidden.iter().find(|(name, _, _)| name == track) else { return Ok(()) };
        if !units.iter().map(|unit| unit.size).eq(sizes.iter().copied()) {
            return Err("a part of the film is told twice, and its units are not those of its tables".to_owned());
        }
        hidden.iter().for_each(|number| units[*number].shows = 0);
        Ok(())
    }
}

impl ReadAt for Plain {
    fn size(&self) -> u64 {
        self.front.len() as u64 + self.film.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let front = self.front.len() as u64;
        let Some(before) = front.checked_sub(offset).filter(|before| *before > 0) else {
            return self.film.read_at(offset - front, buf);
        };
        let count = buf.len().min(usize::try_from(before).unwrap_or(usize::MAX));
        let from = self.front.len() - usize::try_from(before).unwrap_or(usize::MAX);
        buf[..count].copy_from_slice(&self.front[from..from + count]);
        if count == buf.len() {
            return Ok(count);
        }
        Ok(count + self.film.read_at(0, &mut buf[count..])?)
    }
}

fn front(film: &dyn ReadAt, movie: Bytes<'_>, tracks: &[(Track<'_>, Line)]) -> Result<Vec<u8>, Refusal> {
    let mut head = match find::outer(film, 0)? {
        Some(first) if &first.kind == b"ftyp" && first.end <= TYPE_BYTES_MAX => {
            film.read_exact_at(0, usize::try_from(first.end).unwrap_or(usize::MAX))?
        }
        Some(_) | None => Vec::new(),
    };
    let made = |shift| movie_box(movie, tracks, shift).ok_or_else(|| odd("the movie box is damaged"));
    let shift = (head.len() + made(0)?.len()) as u64 + DATA_HEAD;
    head.extend(made(shift)?);
    head.extend([0, 0, 0, 1]);
    head.extend(b"mdat");
    head.extend((DATA_HEAD + film.size()).to_be_bytes());
    Ok(head)
}

/// The movie box with tables of samples that lie `shift` bytes farther back than in the film.
fn movie_box(movie: Bytes<'_>, tracks: &[(Track<'_>, Line)], shift: u64) -> Option<Vec<u8>> {
    let mut b = Boxes::default();
    let mut whole = Some(());
    b.nest(b"moov", |b| {
        whole = put_movie_header(b, movie, tracks);
        for (track, line) in tracks {
            b.nest(b"trak", |b| {
                whole = whole.and(put_track(b, track, (line, shift)));
            });
        }
        copy(b, movie, &[b"mvhd", b"trak", b"mvex"]);
    });
    whole.map(|()| b.into_bytes())
}

/// All boxes but those of some kinds.
fn copy(b: &mut Boxes, boxes: Bytes<'_>, but: &[&[u8; 4]]) {
    for (kind, payload) in boxes.boxes().filter(|(kind, _)| !but.contains(&kind)) {
        b.nest(&kind, |b| b.raw(payload.rest()));
    }
}

/// In nanoseconds, so that holes of all tracks are exact.
fn put_movie_header(b: &mut Boxes, movie: Bytes<'_>, tracks: &[(Track<'_>, Line)]) -> Option<()> {
    let mut header = movie.find(b"mvhd")?;
    let version = header.version()?;
    let (created, changed) = (header.wide(version)?, header.wide(version)?);
    header.take(if version == 1 { 12 } else { 8 })?;
    let length = |(track, line): &(Track<'_>, Line)| super::edits::to_ns(line.length(), track.timescale);
    b.full(b"mvhd", 1, |b| {
        b.u64(created);
        b.u64(changed);
        b.u32(NS);
        b.u64(tracks.iter().map(length).max().unwrap_or(0).unsigned_abs());
        b.raw(header.rest());
    });
    Some(())
}

fn put_track(b: &mut Boxes, track: &Track<'_>, (line, shift): (&Line, u64)) -> Option<()> {
    copy(b, track.boxes, &[b"edts", b"mdia"]);
    let hole = (line.edit.hole.ns() > 0).then_some((line.edit.hole.ns().unsigned_abs(), u64::MAX));
    b.nest(b"edts", |b| {
        b.full(b"elst", 1, |b| {
            let entries = hole.into_iter().chain([(0, line.edit.from)]);
            b.count(entries.clone().count());
            for (length, from) in entries {
                b.u64(length);
                b.u64(from);
                b.u32(0x0001_0000);
            }
        });
    });
    let media = track.boxes.find(b"mdia")?;
    let mut header = media.find(b"mdhd")?;
    let version = header.version()?;
    let (created, changed) = (header.wide(version)?, header.wide(version)?);
    header.take(4)?;
    header.wide(version)?;
    let entries = track.table.find(b"stsd")?;
    let information = media.find(b"minf")?;
    b.nest(b"mdia", |b| {
        b.full(b"mdhd", 1, |b| {
            b.u64(created);
            b.u64(changed);
            b.u32(track.timescale);
            b.u64(line.length());
            b.raw(header.rest());
        });
        copy(b, media, &[b"mdhd", b"minf"]);
        b.nest(b"minf", |b| {
            copy(b, information, &[b"stbl"]);
            b.nest(b"stbl", |b| {
                b.nest(b"stsd", |b| b.raw(entries.rest()));
                put_tables(b, line, shift);
            });
        });
    });
    Some(())
}

fn put_tables(b: &mut Boxes, line: &Line, shift: u64) {
    let samples = &line.samples;
    let late = |sample: &super::samples::Sample| u32::try_from(sample.shown - sample.decoded.cast_signed());
    let offsets: Vec<u32> = samples.iter().map(|sample| late(sample).unwrap_or(0)).collect();
    let all = samples.iter().all(|sample| sample.sync);
    let syncs = samples.iter().zip(1..).filter(|(sample, _)| sample.sync).map(|(_, number)| number).collect();
    let tables = Tables {
        sizes: samples.iter().map(|sample| sample.size).collect(),
        offsets: if offsets.iter().all(|offset| *offset == 0) { Vec::new() } else { offsets },
        syncs: if all { None } else { Some(syncs) },
        chunks: samples.iter().map(|sample| sample.offset + shift).collect(),
    };
    let layout = Layout {
        durations: run_lengths(samples.iter().map(|sample| sample.duration)),
        chunk_samples: vec![1; samples.len()],
        sample_bytes: None,
    };
    tables.put(b, &layout);
}
