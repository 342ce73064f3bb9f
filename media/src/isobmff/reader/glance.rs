//! What the movie box says of a film that need not be read through: its kind, its length, its tracks' rates.

use framefleet_model::time::{MediaTime, Rational};

use super::bytes::Bytes;
use super::edits::to_ns;
use super::fragments::{self, Movie};
use super::track::Track;
use super::{Refusal, TRACKS_MAX, check_encryption, find, samples, track_name};
use crate::read_at::ReadAt;

/// As its first box names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brand {
    QuickTime,
    Iso,
}

pub(crate) struct Glance {
    pub(crate) brand: Brand,
    pub(crate) length: Option<MediaTime>,
    pub(crate) fragmented: Fragmented,
    pub(crate) rates: Vec<Rate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragmented {
    Yes,
    No,
}

/// Samples a second, by a track's table of times.
pub(crate) struct Rate {
    /// As the demuxer names the track.
    pub(crate) id: String,
    pub(crate) constant: Option<Rational>,
    pub(crate) mean: Option<Rational>,
}

/// `None` for a film without a movie box.
pub(crate) fn glance(film: &dyn ReadAt) -> Result<Option<Glance>, Refusal> {
    let movie = match find::movie(film) {
        Ok((_, movie)) => movie,
        Err(Refusal::Odd(_)) => return Ok(None),
        Err(refusal) => return Err(refusal),
    };
    let movie = Bytes::new(&movie);
    let boxes = movie.boxes().filter(|(kind, _)| kind == b"trak").map(|(_, payload)| payload);
    let tracks: Vec<Track<'_>> = boxes.take(TRACKS_MAX).filter_map(|boxes| Track::read(boxes).ok()).collect();
    check_encryption(&tracks)?;
    let length = match length(movie) {
        told if movie.find(b"mvex").is_none() => told,
        told => fragments::span(film, Movie { boxes: movie, tracks: &tracks })
            // Fragments may go on where samples of the movie box end.
            .map(|(begin, end)| if told.is_some() { end } else { end - begin })
            .max(told),
    };
    let fragmented = if movie.find(b"mvex").is_some() { Fragmented::Yes } else { Fragmented::No };
    Ok(Some(Glance { brand: brand(film)?, length, fragmented, rates: tracks.iter().map(rate).collect() }))
}

fn brand(film: &dyn ReadAt) -> Result<Brand, Refusal> {
    let head = film.read_exact_at(0, 12)?;
    let iso = &head[4..8] == b"ftyp" && &head[8..] != b"qt  ";
    Ok(if iso { Brand::Iso } else { Brand::QuickTime })
}

fn length(movie: Bytes<'_>) -> Option<MediaTime> {
    let mut header = movie.find(b"mvhd")?;
    let version = header.version()?;
    header.take(if version == 1 { 16 } else { 8 })?;
    let timescale = header.u32().filter(|timescale| *timescale > 0)?;
    let of_fragments = movie.path(&[b"mvex", b"mehd"]).and_then(|mut all| all.version().and_then(|v| all.wide(v)));
    let unknown = if version == 1 { u64::MAX } else { u64::from(u32::MAX) };
    let told = [header.wide(version), of_fragments];
    let ticks = told.into_iter().flatten().filter(|ticks| (1..unknown).contains(ticks)).max()?;
    Some(MediaTime(to_ns(ticks, timescale)))
}

fn rate(track: &Track<'_>) -> Rate {
    let pace = samples::pace(track.table);
    let constant = pace.and_then(|pace| Rational::new(track.timescale, pace.each?).ok());
    let mean = pace.and_then(|pace| ratio(pace.samples.checked_mul(u64::from(track.timescale))?, pace.ticks));
    Rate { id: track_name(track), constant, mean }
}

/// As exact as it can be told.
fn ratio(mut num: u64, mut den: u64) -> Option<Rational> {
    let (mut a, mut b) = (num, den);
    while b > 0 {
        (a, b) = (b, a % b);
    }
    (num, den) = (num.checked_div(a)?, den.checked_div(a)?);
    while num.max(den) > u64::from(u32::MAX) {
        (num, den) = (num >> 1, den >> 1);
    }
    Rational::new(u32::try_from(num).ok()?, u32::try_from(den).ok()?).ok()
}
