//! How long a film of fragments lasts, by the first and the last of them (ISO/IEC 14496-12 8.8).

use framefleet_model::time::MediaTime;

use super::bytes::Bytes;
use super::edits::to_ns;
use super::find::{self, Outer};
use super::run::{Head, Run, Usual};
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
    let parts = Bytes::new(fragment).boxes().filter(|(kind, _)| kind == b"traf");
    parts.filter_map(|(_, part)| span_of(part, movie)).collect()
}

fn span_of(part: Bytes<'_>, movie: Movie<'_>) -> Option<(MediaTime, MediaTime)> {
    let head = Head::read(part, |track| Usual::of(movie.boxes, track))?;
    let start = head.time?;
    let runs = Run::all(part, head.usual).collect::<Option<Vec<_>>>()?;
    let ticks = runs.into_iter().map(Run::ticks).fold(0, u64::saturating_add);
    let timescale = movie.tracks.iter().find(|track| track.id == head.track)?.timescale;
    let at = |ticks| MediaTime(to_ns(ticks, timescale));
    Some((at(start), at(start.checked_add(ticks)?)))
}
