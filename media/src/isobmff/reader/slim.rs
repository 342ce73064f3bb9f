//! A movie box whose long sample tables end after their first entries, for those who look at the first units alone.
//!
//! The tables of a film of two hours take megabytes, and say nothing more of what it is. Every box keeps its place and
//! size; what is left out is not read, and stands as zeros or as a `free` box.

use std::io;
use std::sync::Arc;

use super::bytes::{Bytes, Kind};
use super::find;
use super::overlay::Overlay;
use crate::read_at::ReadAt;

/// Movie boxes up to here are taken as they are.
const MOVIE_BYTES_MAX: u64 = 256 << 10;
/// Other boxes up to here are: descriptions, titles, tables of short tracks.
const BOX_BYTES_MAX: u64 = 16 << 10;
const BOXES_MAX: usize = 4096;
/// Enough for the first units of a track, however they lie.
const ENTRIES: u32 = 64;
const CONTAINERS: [&Kind; 7] = [b"trak", b"mdia", b"minf", b"stbl", b"udta", b"meta", b"ilst"];

/// A film, slim or as it is.
pub(crate) struct Slim {
    film: Overlay,
}

struct Slimming<'a> {
    film: &'a dyn ReadAt,
    /// Where the movie box's payload begins.
    base: u64,
    movie: Vec<u8>,
    boxes_left: usize,
}

/// Where a box begins, where its payload does, and where it ends.
struct Place {
    at: u64,
    payload: u64,
    end: u64,
}

impl Slim {
    /// Anything without a long movie box is left as it is.
    pub(crate) fn of(film: Arc<dyn ReadAt>) -> io::Result<Self> {
        let found = find::place(&*film).ok().filter(|(from, to)| to - from > MOVIE_BYTES_MAX);
        let Some((from, to)) = found else { return Ok(Self { film: Overlay::new(film, (0, Vec::new())) }) };
        let length = usize::try_from(to - from).map_err(io::Error::other)?;
        let mut slimming = Slimming { film: &*film, base: from, movie: vec![0; length], boxes_left: BOXES_MAX };
        slimming.boxes(from, to)?;
        let movie = slimming.movie;
        Ok(Self { film: Overlay::new(film, (from, movie)) })
    }

    pub(crate) fn is_as_it_was(&self) -> bool {
        self.film.bytes().is_empty()
    }
}

impl ReadAt for Slim {
    fn size(&self) -> u64 {
        self.film.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.film.read_at(offset, buf)
    }
}

impl Slimming<'_> {
    /// Takes over the boxes of a part of the movie box, up to the first damaged one.
    fn boxes(&mut self, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at + 8 <= to && self.boxes_left > 0 {
            self.boxes_left -= 1;
            let head = self.film.read_exact_at(at, usize::try_from((to - at).min(16)).unwrap_or(16))?;
            let mut bytes = Bytes::new(&head);
            let Some((size, kind)) = bytes.u32().zip(bytes.kind()) else { return Ok(()) };
            let (header, size) = match size {
                0 => (8, to - at),
                1 => (16, bytes.u64().unwrap_or(0)),
                _ => (8, u64::from(size)),
            };
            let Some(end) = at.checked_add(size).filter(|end| *end <= to && size >= header) else { return Ok(()) };
            self.take(&kind, &Place { at, payload: at + header, end })?;
            at = end;
        }
        Ok(())
    }

    fn take(&mut self, kind: &Kind, place: &Place) -> io::Result<()> {
        if place.end - place.at <= BOX_BYTES_MAX {
            return self.copy(place.at, place.end);
        }
        self.copy(place.at, place.payload)?;
        if CONTAINERS.contains(&kind) {
            // A description of user data may be a full box or, in QuickTime's files, a plain one.
            let version = kind == b"meta" && self.film.read_exact_at(place.payload, 4)? == [0; 4];
            let from = place.payload + if version { 4 } else { 0 };
            return self.boxes(from, place.end);
        }
        match kind {
            b"stts" | b"ctts" => self.cut(place, (4, 8)),
            b"stss" | b"stco" => self.cut(place, (4, 4)),
            b"co64" => self.cut(place, (4, 8)),
            b"stsc" => self.cut(place, (4, 12)),
            b"stsz" => self.cut(place, (8, 4)),
            b"stz2" | b"stsd" => self.copy(place.payload, place.end),
            _ => {
                let name = self.spot(place.at + 4);
                self.movie[name..name + 4].copy_from_slice(b"free");
                Ok(())
            }
        }
    }

    /// Copies a table's first entries, and says that it has no more; where the count stands, and how long entries are.
    fn cut(&mut self, place: &Place, (count_at, entry): (u64, u64)) -> io::Result<()> {
        let kept = (place.payload + count_at + 4 + u64::from(ENTRIES) * entry).min(place.end);
        self.copy(place.payload, kept)?;
        let count = self.spot(place.payload + count_at);
        let told = Bytes::new(&self.movie[count..]).u32().unwrap_or(0);
        self.movie[count..count + 4].copy_from_slice(&told.min(ENTRIES).to_be_bytes());
        Ok(())
    }

    fn copy(&mut self, from: u64, to: u64) -> io::Result<()> {
        let (at, end) = (self.spot(from), self.spot(to));
        let got = self.film.read_at(from, &mut self.movie[at..end])?;
        if got < end - at { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Where in the movie box's payload a place of the film lies.
    fn spot(&self, at: u64) -> usize {
        usize::try_from(at - self.base).unwrap_or(usize::MAX)
    }
}
