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

use framefleet_model::index::Unit;
use framefleet_model::time::MediaTime;

use super::bytes::Bytes;
use super::edits::{self, Rates, to_ns};
use super::overlay::Overlay;
use super::plain::Plain;
use super::track::Track;
use super::{FastTables, Refusal, fast_index, find, movie_timescale, odd, track_name};
use crate::promise;
use crate::read_at::ReadAt;

/// Pictures of less than one part in so many of the film's length are taken for a preview.
const PREVIEW: u128 = 5;

/// The film as every demuxer in the child reads it; its movie box is held, and read only once.
pub struct Presented {
    film: Overlay,
    ends: Vec<(String, MediaTime)>,
    fragments: Fragments,
}

/// What became of a film's fragments.
enum Fragments {
    /// There are none, or they are left to the demuxer.
    Left,
    Gathered(Arc<Plain>),
    /// They cannot be told exactly, and why.
    Odd(String),
}

impl Presented {
    /// A film in fragments as a plain one, for which its boxes are walked through; where that cannot be told exactly, and
    /// for any other film, as [`Self::of`].
    pub fn plainly(film: Arc<dyn ReadAt>) -> Result<Self, Refusal> {
        let fragments = match Plain::of(film.clone()) {
            Ok(Some(plain)) => Fragments::Gathered(Arc::new(plain)),
            Ok(None) => Fragments::Left,
            Err(Refusal::Odd(reason)) => Fragments::Odd(reason),
            // The pass finds out, too.
            Err(Refusal::Encrypted(track)) => Fragments::Odd(Refusal::Encrypted(track).to_string()),
            Err(Refusal::Io(error)) => return Err(error.into()),
        };
        let presented = match &fragments {
            Fragments::Gathered(plain) => Self::of(plain.clone()),
            Fragments::Left | Fragments::Odd(_) => Self::of(film),
        };
        Ok(Self { fragments, ..presented })
    }

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
        Self { film: Overlay::new(film, (at, movie)), ends, fragments: Fragments::Left }
    }

    /// When the track of this name is over, in running time, if an edit list says so.
    pub fn end_of(&self, track: &str) -> Option<MediaTime> {
        self.ends.iter().find(|(name, _)| name == track).map(|(_, end)| *end)
    }

    /// The time line by the film's tables alone, its units where they lie in the film itself.
    pub fn tables(&self) -> Result<FastTables, Refusal> {
        if let Fragments::Odd(reason) = &self.fragments {
            return Err(odd(reason));
        }
        let mut tables = fast_index(self)?;
        if let Fragments::Gathered(plain) = &self.fragments {
            plain.place(&mut tables.video.units);
            plain.hide(&tables.video.id, &mut tables.video.units).map_err(odd)?;
        }
        Ok(tables)
    }

    /// Hides what a pass has heard of a part that is told a second time; the error says why that cannot be done.
    pub(crate) fn hide(&self, track: &str, units: &mut [Unit]) -> Result<(), String> {
        match &self.fragments {
            Fragments::Gathered(plain) => plain.hide(track, units),
            Fragments::Left | Fragments::Odd(_) => Ok(()),
        }
    }

    /// What the film promises and does not have, by its own boxes.
    pub fn cut_off(&self) -> Option<String> {
        match &self.fragments {
            Fragments::Gathered(plain) => plain.cut_off(),
            Fragments::Left | Fragments::Odd(_) => promise::broken(self, self.movie()),
        }
    }

    /// The payload of the movie box; empty where there is none.
    pub(crate) fn movie(&self) -> &[u8] {
        self.film.bytes()
    }
}

impl ReadAt for Presented {
    fn size(&self) -> u64 {
        self.film.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.film.read_at(offset, buf)
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
