//! The samples of a film in fragments, track by track: those of its movie box, then those of each fragment, by walking
//! the boxes of the file and reading none but these (ISO/IEC 14496-12 8.8).
//!
//! Indexes of fragments (`sidx`, `mfra`) are not looked at: they tell nothing that fragments do not tell, and need not be
//! true.

use super::bytes::Bytes;
use super::find::{self, Outer};
use super::run::{Base, Entry, Head, Run, Usual};
use super::samples::{self, Sample};
use super::track::Track;
use super::window::Window;
use super::{Refusal, TRACKS_MAX, odd};
use crate::read_at::ReadAt;

/// In a second's fragments of two tracks with an index each, 18 hours have a tenth of them.
const BOXES_MAX: usize = 4_000_000;
/// One fragment of 18 hours.
const FRAGMENT_BYTES_MAX: u64 = 64 << 20;
/// Of all tracks: their tables are one movie box later on, which is bounded.
const SAMPLES_MAX: usize = 4_000_000;

/// A track's samples in the order of the film.
pub(crate) struct Gathered<'a> {
    pub(crate) track: Track<'a>,
    pub(crate) samples: Vec<Sample>,
    /// The first sample of each part of a fragment.
    pub(crate) parts: Vec<usize>,
    usual: Option<Usual>,
    /// Where the next sample is decoded if nobody says otherwise.
    next: u64,
}

/// What of a film is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CutOff {
    pub(crate) what: String,
    /// Where it would end.
    pub(crate) end: u64,
}

/// All tracks of the film whose movie box is given, and what it promises beyond the file's end.
pub(crate) fn gather<'a>(film: &dyn ReadAt, movie: Bytes<'a>) -> Result<(Vec<Gathered<'a>>, Option<CutOff>), Refusal> {
    let boxes = movie.boxes().filter(|(kind, _)| kind == b"trak").map(|(_, payload)| payload);
    let tracks = boxes.take(TRACKS_MAX).map(|boxes| begin(film, movie, boxes)).collect::<Result<Vec<_>, _>>()?;
    let mut walk = Walk { film: &Window::over(film), tracks };
    let cut = walk.all()?;
    let lost = walk.tracks.iter_mut().map(|track| track.drop_lost(film.size())).collect::<Result<Vec<_>, _>>()?;
    let lost = lost.into_iter().flatten().max().map(|end| CutOff { what: "its last sample".to_owned(), end });
    Ok((walk.tracks, cut.or(lost)))
}

fn begin<'a>(film: &dyn ReadAt, movie: Bytes<'a>, boxes: Bytes<'a>) -> Result<Gathered<'a>, Refusal> {
    let track = Track::read(boxes)?;
    track.check_self_contained()?;
    let samples = samples::read(track.table, film.size())?;
    let next = samples.last().map_or(0, |last| last.decoded + u64::from(last.duration));
    let usual = Usual::of(movie, track.id);
    Ok(Gathered { track, samples, parts: Vec::new(), usual, next })
}

struct Walk<'a, 'b> {
    film: &'b Window<'b>,
    tracks: Vec<Gathered<'a>>,
}

impl Walk<'_, '_> {
    /// Up to the end of the file, or to a box that goes beyond it.
    fn all(&mut self) -> Result<Option<CutOff>, Refusal> {
        let (mut at, mut movies) = (0, 0);
        for _ in 0..BOXES_MAX {
            let Some(found) = find::head(self.film, at)? else { return Ok(None) };
            let whole = found.end <= self.film.size();
            match &found.kind {
                // What data are missing, samples tell.
                b"mdat" if !whole => return Ok(None),
                b"moof" if !whole => return Ok(Some(CutOff { what: "its box moof".to_owned(), end: found.end })),
                _ if !whole => return Ok(None),
                b"moof" => self.fragment(at, &found)?,
                b"moov" => movies += 1,
                _ => {}
            }
            if movies > 1 {
                return Err(odd(format!("there is a second movie box at {at}")));
            }
            at = found.end;
        }
        Err(odd(format!("the film has more than {BOXES_MAX} boxes")))
    }

    fn fragment(&mut self, at: u64, place: &Outer) -> Result<(), Refusal> {
        let size = place.end - place.payload;
        if size > FRAGMENT_BYTES_MAX {
            return Err(odd(format!("a fragment of {size} bytes at {at} is over the bound of {FRAGMENT_BYTES_MAX}")));
        }
        let bytes = self.film.read_exact_at(place.payload, usize::try_from(size).unwrap_or(usize::MAX))?;
        let mut follows = at;
        for (_, part) in Bytes::new(&bytes).boxes().filter(|(kind, _)| kind == b"traf") {
            follows = self.part(part, (at, follows))?;
        }
        Ok(())
    }

    /// Where the data of the part end; `follows` is where those of the one before do.
    fn part(&mut self, part: Bytes<'_>, (fragment, follows): (u64, u64)) -> Result<u64, Refusal> {
        let damaged = || odd(format!("the fragment at {fragment} is damaged"));
        let usual = |id| self.tracks.iter().find(|track| track.track.id == id)?.usual;
        let head = Head::read(part, usual).ok_or_else(damaged)?;
        if head.usual.entry > 1 {
            return Err(odd(format!("the fragment at {fragment} has sample entry {}", head.usual.entry)));
        }
        let taken: usize = self.tracks.iter().map(|track| track.samples.len()).sum();
        let track = self.tracks.iter_mut().find(|track| track.track.id == head.track);
        let track = track.ok_or_else(|| odd(format!("the fragment at {fragment} is of no track of the film")))?;
        let base = match head.base {
            Base::At(base) => base,
            Base::Fragment => fragment,
            Base::Follows => follows,
        };
        let (mut at, mut room) = (base, SAMPLES_MAX.saturating_sub(taken));
        let first = track.samples.len();
        for run in Run::all(part, head.usual) {
            let run = run.ok_or_else(damaged)?;
            room = usize::try_from(run.count).ok().and_then(|count| room.checked_sub(count)).ok_or_else(|| {
                odd(format!("the film has more than {SAMPLES_MAX} samples by the fragment at {fragment}"))
            })?;
            at = run.offset.map_or(Some(at), |offset| base.checked_add_signed(offset.into())).ok_or_else(damaged)?;
            if let Some(time) = head.time.filter(|_| run.count > 0 && track.samples.len() == first) {
                track.next = time;
            }
            for entry in run.entries() {
                at = track.take(at, entry).ok_or_else(damaged)?;
            }
        }
        if track.samples.len() > first {
            track.parts.push(first);
        }
        Ok(at)
    }
}

impl Gathered<'_> {
    /// Where the sample ends; `None` for one that no file can hold.
    fn take(&mut self, offset: u64, entry: Entry) -> Option<u64> {
        let Entry { duration, size, shift, sync } = entry;
        let decoded = self.next;
        let shown = i64::try_from(decoded).ok()?.checked_add(shift)?;
        self.samples.push(Sample { offset, size, decoded, duration, shown, sync });
        self.next = decoded.checked_add(u64::from(duration))?;
        offset.checked_add(u64::from(size))
    }

    /// Keeps the samples that are wholly in the file, and tells where the last of the others would end. They must be the
    /// track's last ones: a film that was cut off lacks no others.
    fn drop_lost(&mut self, size: u64) -> Result<Option<u64>, Refusal> {
        let end = |sample: &Sample| sample.offset.saturating_add(u64::from(sample.size));
        let kept = self.samples.iter().position(|sample| end(sample) > size).unwrap_or(self.samples.len());
        if self.samples[kept..].iter().any(|sample| end(sample) <= size) {
            return Err(odd(format!("sample {kept} lies outside of the file, and later ones do not")));
        }
        let lost = self.samples[kept..].iter().map(end).max();
        self.samples.truncate(kept);
        self.parts.retain(|first| *first < kept);
        samples::check_places(&self.samples, size)?;
        Ok(lost)
    }
}
