//! How long a film of fragments lasts, by the first and the last of them (ISO/IEC 14496-12 8.8).

use framefleet_model::time::MediaTime;

use super::bytes::Bytes;
use super::edits::to_ns;
use super::find::{self, Outer};
use super::track::Track;
use crate::read_at::ReadAt;

/// A film of 18 hours in fragments of two seconds has as many boxes.
const BOXES_MAX: usize = 1 << 16;
/// Each track may have fragments of its own.
const LAST: usize = 8;
const FRAGMENT_BYTES_MAX: u64 = 256 << 10;

/// What a film's tracks say for all their fragments.
#[derive(Clone, Copy)]
pub(crate) struct Movie<'a> {
    pub(crate) boxes: Bytes<'a>,
    pub(crate) tracks: &'a [Track<'a>],
}

/// When the first fragment begins and the last one ends; `None` where fragments do not tell their time.
pub(crate) fn span(film: &dyn ReadAt, movie: Movie<'_>) -> Option<(MediaTime, MediaTime)> {
    let mut fragments: Vec<Outer> = Vec::new();
    let mut at = 0;
    for _ in 0..BOXES_MAX {
        // A box that is cut off is no fragment, and the last.
        let Some(found) = find::outer(film, at).ok().flatten() else { break };
        at = found.end;
        if &found.kind == b"moof" {
            // All but the first may give way to later ones.
            if fragments.len() > LAST {
                fragments.remove(1);
            }
            fragments.push(found);
        }
    }
    let spans: Vec<(MediaTime, MediaTime)> =
        fragments.iter().filter_map(|place| read(film, place)).flat_map(|bytes| spans(&bytes, movie)).collect();
    Some((spans.iter().map(|(start, _)| *start).min()?, spans.iter().map(|(_, end)| *end).max()?))
}

fn read(film: &dyn ReadAt, place: &Outer) -> Option<Vec<u8>> {
    let size = Some(place.end - place.payload).filter(|size| *size <= FRAGMENT_BYTES_MAX)?;
    film.read_exact_at(place.payload, usize::try_from(size).ok()?).ok()
}

fn spans(fragment: &[u8], movie: Movie<'_>) -> Vec<(MediaTime, MediaTime)> {
    let runs = Bytes::new(fragment).boxes().filter(|(kind, _)| kind == b"traf");
    runs.filter_map(|(_, run)| span_of(run, movie)).collect()
}

fn span_of(run: Bytes<'_>, movie: Movie<'_>) -> Option<(MediaTime, MediaTime)> {
    let mut header = run.find(b"tfhd")?;
    let flags = header.u32()?;
    let id = header.u32()?;
    header.take(if flags & 1 != 0 { 8 } else { 0 } + if flags & 2 != 0 { 4 } else { 0 })?;
    let own = if flags & 8 != 0 { Some(header.u32()?) } else { None };
    let usual = own.or_else(|| usual_duration(movie.boxes, id)).unwrap_or(0);
    let mut time = run.find(b"tfdt")?;
    let version = time.version()?;
    let start = time.wide(version)?;
    let parts = run.boxes().filter(|(kind, _)| kind == b"trun").map(|(_, part)| ticks(part, usual));
    let ticks = parts.collect::<Option<Vec<u64>>>()?.into_iter().fold(0, u64::saturating_add);
    let timescale = movie.tracks.iter().find(|track| track.id == id)?.timescale;
    let at = |ticks| MediaTime(to_ns(ticks, timescale));
    Some((at(start), at(start.checked_add(ticks)?)))
}

/// What a sample of this track lasts unless its fragment says otherwise.
fn usual_duration(movie: Bytes<'_>, id: u32) -> Option<u32> {
    let told = movie.find(b"mvex")?.boxes().filter(|(kind, _)| kind == b"trex");
    let mut told = told.map(|(_, mut told)| {
        told.u32()?;
        let track = told.u32()?;
        told.u32()?;
        Some((track, told.u32()?))
    });
    told.find_map(|told| told.filter(|(track, _)| *track == id)).map(|(_, duration)| duration)
}

/// What the samples of a run last.
fn ticks(mut part: Bytes<'_>, usual: u32) -> Option<u64> {
    let flags = part.u32()?;
    let count = part.u32()?;
    part.take(if flags & 1 != 0 { 4 } else { 0 } + if flags & 4 != 0 { 4 } else { 0 })?;
    if flags & 0x100 == 0 {
        return Some(u64::from(count) * u64::from(usual));
    }
    let others = 4 * (flags >> 9 & 7).count_ones() as usize;
    let mut sum = 0_u64;
    for _ in 0..count {
        sum += u64::from(part.u32()?);
        part.take(others)?;
    }
    Some(sum)
}
