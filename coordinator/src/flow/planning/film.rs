//! What the planner knows of the film's pictures: when each is shown, and where decoding may begin.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::{Divisible, Index, Key, Unit, VideoTrack};
use framefleet_model::time::MediaTime;

/// Distance of pictures where a film has but one.
const LONE_PICTURE: MediaTime = MediaTime::from_millis(40);

/// Units before an open key that are decoded for their reference numbers alone: H.264 has at most 16 references, and
/// libav makes up for missing ones in the units that follow, which then do not decode.
const RUN_UP: u32 = 24;
/// The tick of Matroska and FLV.
const COARSE_CLOCK: MediaTime = MediaTime::from_millis(1);

pub(crate) struct Film<'a> {
    pub(crate) track: &'a VideoTrack,
    pub(crate) units: &'a [Unit],
    /// When each picture is shown: ascending, from running time zero on, only those that can be decoded.
    pub(crate) shown: Vec<MediaTime>,
    /// Where decoding may begin: ascending in time and in place.
    pub(crate) keys: Vec<KeyUnit>,
    /// The usual distance of two pictures.
    pub(crate) distance: MediaTime,
    /// Where the last picture ends.
    pub(crate) end: MediaTime,
    pub(crate) counting: Counting,
    /// Shown units by time, each with the last place in the film of all up to it.
    reach: Vec<(MediaTime, u32)>,
}

/// A key unit whose picture is shown after all earlier ones: what stands behind it in the film is shown after it,
/// except its own leading pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyUnit {
    pub(crate) unit: u32,
    pub(crate) pts: MediaTime,
}

/// How far the index can be trusted to tell pictures apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// Every picture has its own time: the film can be cut, and every segment's pictures are known.
    Exact,
    /// Every picture has its own time, but what the index lists may not be what decodes.
    Uncounted(String),
    /// Pictures have no time, or share one: the decoder must see the film from its first byte to its last.
    Untimed(String),
}

impl<'a> Film<'a> {
    pub(crate) fn of(index: &'a Index, track: &'a VideoTrack) -> Result<Self, Fault> {
        let units = &index.units[..];
        let keys = key_units(units);
        let counting = counting(units, track, &keys);
        let shown = shown(units, &keys, &counting);
        let (Some(first), Some(last)) = (shown.first(), shown.last()) else {
            let text = format!("the index lists {} access units, none of which shows a picture", units.len());
            return Err(Fault::new(FaultKind::Corrupt, text));
        };
        let distance = usual_distance(&shown).unwrap_or(LONE_PICTURE);
        let listed = units.iter().find(|u| u.pts == Some(*last)).and_then(|u| u.duration);
        // Parsers tell durations from a nominal rate that a film of variable rate does not keep.
        let plausible = |d: &MediaTime| d.ns() >= distance.ns() / 2 && d.ns() <= distance.ns().saturating_mul(10);
        let hidden = units.iter().filter_map(|u| u.pts).filter(|pts| pts > last).min();
        let end = match counting {
            Counting::Exact => {
                let end = *last + listed.filter(plausible).unwrap_or(distance);
                hidden.map_or(end, |hidden| end.min(hidden))
            }
            Counting::Uncounted(_) | Counting::Untimed(_) => {
                track.span.end.max(*first + distance).max(*last + distance)
            }
        };
        Ok(Self { track, units, keys, distance, end, counting, reach: reach(units), shown })
    }

    /// The first picture shown at `time` or later.
    pub(crate) fn picture_from(&self, time: MediaTime) -> Option<MediaTime> {
        self.shown.get(self.shown.partition_point(|t| *t < time)).copied()
    }

    /// The last picture shown before `time`.
    pub(crate) fn picture_before(&self, time: MediaTime) -> Option<MediaTime> {
        self.shown[..self.shown.partition_point(|t| *t < time)].last().copied()
    }

    /// The picture that is on the screen at `time`: the last one shown until then, or the first one before it.
    pub(crate) fn picture_at(&self, time: MediaTime) -> Option<MediaTime> {
        let after = self.shown.partition_point(|t| *t <= time);
        self.shown.get(after.saturating_sub(1)).copied()
    }

    /// How many pictures are shown in `[from, to)`.
    pub(crate) fn count(&self, from: MediaTime, to: MediaTime) -> u32 {
        let place = |time| self.shown.partition_point(|t| *t < time);
        u32::try_from(place(to).saturating_sub(place(from))).unwrap_or(u32::MAX)
    }

    /// The last key unit shown at `time` or earlier.
    pub(crate) fn key_before(&self, time: MediaTime) -> Option<KeyUnit> {
        self.keys[..self.keys.partition_point(|k| k.pts <= time)].last().copied()
    }

    /// Where decoding may begin and nothing that comes later is shown before: copies are cut there.
    pub(crate) fn closed_keys(&self) -> Vec<KeyUnit> {
        let mut earliest = MediaTime::MAX;
        let mut closed = Vec::new();
        let mut keys = self.keys.iter().rev().peekable();
        for (number, unit) in self.units.iter().enumerate().rev() {
            if let Some(key) = keys.next_if(|key| key.unit as usize == number) {
                closed.extend(Some(*key).filter(|key| key.pts < earliest));
            }
            if unit.shows > 0 {
                earliest = earliest.min(unit.pts.unwrap_or(earliest));
            }
        }
        closed.reverse();
        closed
    }

    /// The key unit nearest to `time` of those in `[from, to]`.
    pub(crate) fn key_near(&self, time: MediaTime, from: MediaTime, to: MediaTime) -> Option<KeyUnit> {
        let within =
            &self.keys[self.keys.partition_point(|k| k.pts < from)..self.keys.partition_point(|k| k.pts <= to)];
        within.iter().copied().min_by_key(|k| (k.pts - time).ns().unsigned_abs())
    }

    /// The units to be decoded for the pictures in `[start, end)`.
    ///
    /// From the last key unit shown not after the start, to the last unit of the film that shows a picture before the
    /// end: with it come the leading pictures that stand behind the next key unit. Units in between that are shown
    /// later are decoded as well, and their pictures are dropped by their time.
    /// A key that is not the end of all references gets a run-up.
    pub(crate) fn slice(&self, start: MediaTime, end: MediaTime) -> (u32, u32) {
        let key = self.key_before(start).or(self.keys.first().copied()).map_or(0, |k| k.unit);
        let from = match self.units.get(key as usize).map(|u| u.key) {
            Some(Key::Open) => key.saturating_sub(RUN_UP),
            Some(Key::Yes | Key::No) | None => key,
        };
        let before = self.reach.partition_point(|(pts, _)| *pts < end);
        let last = before.checked_sub(1).map_or(from, |at| self.reach[at].1.max(from));
        let mut to = last + 1;
        // The second field of a picture shows nothing of its own, and belongs to the first.
        if self.units.get(to as usize).is_some_and(|u| u.shows == 0 && !u.is_key()) {
            to += 1;
        }
        (from, to)
    }
}

fn key_units(units: &[Unit]) -> Vec<KeyUnit> {
    let mut latest = MediaTime(i64::MIN);
    let mut keys = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        let Some(pts) = unit.pts else { continue };
        if unit.is_key() && pts > latest {
            keys.push(KeyUnit { unit: u32::try_from(number).unwrap_or(u32::MAX), pts });
        }
        if unit.shows > 0 {
            latest = latest.max(pts);
        }
    }
    keys
}

fn counting(units: &[Unit], track: &VideoTrack, keys: &[KeyUnit]) -> Counting {
    let showing = units.iter().filter(|u| u.shows > 0);
    let untimed = showing.clone().filter(|u| u.pts.is_none()).count();
    if untimed > 0 {
        return Counting::Untimed(format!("{untimed} of {} pictures have no time", showing.count()));
    }
    let mut times: Vec<MediaTime> = showing.filter_map(|u| u.pts).collect();
    times.sort_unstable();
    if let Some(pair) = times.windows(2).find(|pair| pair[0] == pair[1]) {
        return Counting::Untimed(format!("several pictures stand at {}", pair[0]));
    }
    match &track.divisible {
        Divisible::No(why) => Counting::Uncounted(why.clone()),
        Divisible::Yes if keys.is_empty() => Counting::Uncounted("the film has no key picture".to_owned()),
        Divisible::Yes => Counting::Exact,
    }
}

fn shown(units: &[Unit], keys: &[KeyUnit], counting: &Counting) -> Vec<MediaTime> {
    // What stands before the first key unit, and its own leading pictures, refers to what is not there.
    let first = match counting {
        Counting::Exact => keys.first().copied(),
        Counting::Uncounted(_) | Counting::Untimed(_) => None,
    };
    let (from, earliest) = first.map_or((0, MediaTime::ZERO), |k| (k.unit as usize, k.pts.max(MediaTime::ZERO)));
    let showing = units[from..].iter().filter(|u| u.shows > 0).filter_map(|u| u.pts);
    let mut times: Vec<MediaTime> = showing.filter(|pts| *pts >= earliest).collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// The median; where the mean is as good as the same, the mean, which the container's coarse clock does not round.
fn usual_distance(shown: &[MediaTime]) -> Option<MediaTime> {
    let mut distances: Vec<MediaTime> = shown.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let (first, last) = (shown.first()?, shown.last()?);
    let mean = MediaTime((*last - *first).ns() / i64::try_from(distances.len()).ok().filter(|n| *n > 0)?);
    let middle = distances.len() / 2;
    let median = *distances.select_nth_unstable(middle).1;
    Some(if (mean - median).ns().abs() <= COARSE_CLOCK.ns() { mean } else { median })
}

fn reach(units: &[Unit]) -> Vec<(MediaTime, u32)> {
    let numbered = units.iter().zip(0_u32..).filter(|(u, _)| u.shows > 0);
    let mut reach: Vec<(MediaTime, u32)> = numbered.filter_map(|(u, n)| u.pts.map(|pts| (pts, n))).collect();
    reach.sort_unstable();
    let mut furthest = 0;
    for (_, unit) in &mut reach {
        furthest = furthest.max(*unit);
        *unit = furthest;
    }
    reach
}
