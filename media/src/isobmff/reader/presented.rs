//! A film without the ends of its edit lists, and those ends apart.
//!
//! GStreamer 1.22's demuxer compares an edit's end with decoding times: it stops at the first unit that is decoded at
//! or after the end, and loses pictures that are shown before it. So it is given edits that last for ever (an edit
//! of no length, ISO/IEC 14496-12 8.6.6), and whoever reads the units ends them by their own times.
//!
//! It also takes pictures that last less than a fifth of the film for a preview and leaves them out. Such a film is
//! given the length of its pictures.

use std::io;
use std::sync::Arc;

use framefleet_model::time::MediaTime;

use super::bytes::Bytes;
use super::edits::{self, Rates, to_ns};
use super::track::Track;
use super::{find, movie_timescale, track_name};
use crate::read_at::ReadAt;

/// Pictures of less than one part in so many of the film's length are taken for a preview.
const PREVIEW: u128 = 5;

/// The film as every demuxer in the child reads it; its movie box is held, and read only once.
pub struct Presented {
    film: Arc<dyn ReadAt>,
    /// Where the movie box's payload lies.
    at: u64,
    movie: Vec<u8>,
    ends: Vec<(String, MediaTime)>,
}

impl Presented {
    /// Anything but an unfragmented MP4 or MOV is left as it is.
    pub fn of(film: Arc<dyn ReadAt>) -> Self {
        let (at, mut movie) = find::movie(&*film).unwrap_or_default();
        let found = take_ends(&movie);
        for edit in &found {
            movie[edit.length.clone()].fill(0);
            movie[edit.count.clone()].copy_from_slice(&edit.entries.to_be_bytes());
        }
        if let Some((length, bytes)) = short_pictures(&movie) {
            movie[length].copy_from_slice(&bytes);
        }
        let ends = found.into_iter().map(|edit| (edit.track, edit.end)).collect();
        Self { film, at, movie, ends }
    }

    /// When the track of this name is over, in running time, if an edit list says so.
    pub fn end_of(&self, track: &str) -> Option<MediaTime> {
        self.ends.iter().find(|(name, _)| name == track).map(|(_, end)| *end)
    }

    /// The payload of the movie box; empty where there is none.
    pub(crate) fn movie(&self) -> &[u8] {
        &self.movie
    }
}

impl ReadAt for Presented {
    fn size(&self) -> u64 {
        self.film.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let held = self.at..self.at + self.movie.len() as u64;
        let inside = held.contains(&offset) && offset + buf.len() as u64 <= held.end;
        if inside {
            let from = usize::try_from(offset - held.start).unwrap_or(usize::MAX);
            buf.copy_from_slice(&self.movie[from..from + buf.len()]);
            return Ok(buf.len());
        }
        let got = self.film.read_at(offset, buf)?;
        let (from, to) = (offset.max(held.start), (offset + got as u64).min(held.end));
        if from < to {
            let place = |at: u64, start: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
            let bytes = &self.movie[place(from, held.start)..place(to, held.start)];
            buf[place(from, offset)..place(to, offset)].copy_from_slice(bytes);
        }
        Ok(got)
    }
}

/// The last edit of a track.
struct Edit {
    track: String,
    end: MediaTime,
    /// The bytes of its length, and of the number of entries, within the movie box.
    length: std::ops::Range<usize>,
    count: std::ops::Range<usize>,
    /// Up to it: what comes behind goes on where it ends.
    entries: u32,
}

fn take_ends(movie: &[u8]) -> Vec<Edit> {
    let boxes = Bytes::new(movie);
    let Some(rate) = movie_timescale(boxes).filter(|_| !is_fragmented(boxes)) else { return Vec::new() };
    let edit = |track: Track<'_>| {
        let end = edits::end(track.boxes, Rates { movie: rate, track: track.timescale })?;
        let (length, count) = (place_of(end.length, movie), place_of(end.count, movie));
        let (name, at) = (track_name(&track), MediaTime(to_ns(end.at, rate)));
        Some(Edit { track: name, end: at, length, count, entries: end.entries })
    };
    tracks(boxes).filter_map(edit).collect()
}

fn is_fragmented(movie: Bytes<'_>) -> bool {
    movie.find(b"mvex").is_some()
}

fn tracks(movie: Bytes<'_>) -> impl Iterator<Item = Track<'_>> {
    movie.boxes().filter(|(kind, _)| kind == b"trak").filter_map(|(_, payload)| Track::read(payload).ok())
}

fn place_of(part: &[u8], whole: &[u8]) -> std::ops::Range<usize> {
    let from = part.as_ptr().addr() - whole.as_ptr().addr();
    from..from + part.len()
}

/// Where the film's length stands, and that of its pictures, if these are taken for a preview.
fn short_pictures(movie: &[u8]) -> Option<(std::ops::Range<usize>, Vec<u8>)> {
    let boxes = Bytes::new(movie);
    let (movie_rate, length) = rate_and_length(boxes.find(b"mvhd")?)?;
    let pictures = tracks(boxes).find(|track| &track.handler == b"vide")?;
    let (track_rate, shown) = rate_and_length(pictures.boxes.path(&[b"mdia", b"mdhd"])?)?;
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let shown = u128::from(number(shown)) * u128::from(movie_rate) / u128::from(track_rate.max(1));
    let preview = !is_fragmented(boxes) && shown > 0 && shown * PREVIEW < u128::from(number(length));
    let bytes = u64::try_from(shown).ok()?.to_be_bytes();
    preview.then(|| (place_of(length, movie), bytes[bytes.len() - length.len()..].to_vec()))
}

/// The time scale of a movie's or a track's header, and the bytes of its length.
fn rate_and_length(mut header: Bytes<'_>) -> Option<(u32, &[u8])> {
    let version = header.version()?;
    header.take(if version == 1 { 16 } else { 8 })?;
    let rate = header.u32()?;
    Some((rate, header.take(if version == 1 { 8 } else { 4 })?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_across_the_held_bytes_are_whole() {
        let film: Vec<u8> = (0..100).collect();
        let movie = vec![200; 20];
        let presented = Presented { film: Arc::new(film), at: 40, movie, ends: Vec::new() };
        for (offset, len) in [(0, 100), (30, 15), (45, 5), (55, 20), (40, 20), (90, 20)] {
            let mut buf = vec![0; len];
            let got = presented.read_at(offset, &mut buf).unwrap();
            let due = (offset..100).take(len).map(|at| if (40..60).contains(&at) { 200 } else { at as u8 });
            assert_eq!(buf[..got], due.collect::<Vec<u8>>(), "{len} bytes at {offset}");
        }
    }
}
