//! The samples of a track in fragments on one time line, as sample tables can tell it.
//!
//! Tables know lengths only, so a sample lasts until the next one (which is what a hole between fragments means), and
//! decoding times go forward. A fragment that begins before the last one ended tells a part of the film a second time:
//! the first telling is what is shown (as ffmpeg does it). Pictures of the second are decoded, for what refers to them,
//! and hidden; such sound is left out.

use std::collections::HashSet;
use std::ops::Range;

use framefleet_model::time::MediaTime;

use super::edits::{Shift, to_ns};
use super::gather::Gathered;
use super::samples::Sample;
use super::{Refusal, entry, odd};

/// Sound that tables tell unit by unit; of uncoded sound a demuxer takes many samples for one.
const SOUNDS: [&[u8; 4]; 8] = [b"mp4a", b"Opus", b"ac-3", b"ec-3", b"fLaC", b"alac", b".mp3", b"ac-4"];

/// 36 years: sums of a few of them are still times.
const NS_MAX: i64 = i64::MAX / 8;

/// A track's samples: from decoding time zero on, none shown before it is decoded.
pub(crate) struct Line {
    pub(crate) samples: Vec<Sample>,
    /// Numbers of those that are decoded and not shown.
    pub(crate) hidden: Vec<usize>,
    pub(crate) edit: Edit,
}

/// A hole, then the media from a tick on, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) hole: MediaTime,
    pub(crate) from: u64,
}

impl Line {
    pub(crate) fn of(mut gathered: Gathered<'_>, kind: [u8; 4], shift: Shift) -> Result<Self, Refusal> {
        let (id, timescale, handler) = (gathered.track.id, gathered.track.timescale, gathered.track.handler);
        if &handler == b"soun" && !SOUNDS.contains(&&kind) {
            return Err(odd(format!("no fragments are read of {}", entry::name(kind))));
        }
        let hidden = match &handler {
            b"vide" => second_tellings(&gathered)?,
            _ => {
                leave_out_second_tellings(&mut gathered);
                Vec::new()
            }
        };
        let begin = gathered.samples.first().map_or(0, |first| first.decoded);
        let end =
            gathered.samples.iter().map(|sample| sample.shown.saturating_add_unsigned(sample.duration.into())).max();
        let end = end.unwrap_or(0).saturating_sub_unsigned(shift.media).max(0).unsigned_abs();
        if shift.length.is_some_and(|length| length.ns() < to_ns(end, timescale)) {
            return Err(odd(format!("the edit list of track {id} ends before its fragments do")));
        }
        let too_long = || odd(format!("the times of track {id} do not fit into sample tables"));
        let mut samples = forward(gathered.samples, begin).ok_or_else(too_long)?;
        if &handler != b"vide" {
            samples.iter_mut().for_each(|sample| sample.shown = sample.decoded.cast_signed());
        }
        let samples = apart(samples, &hidden);
        let late = samples.iter().map(late_by).max().unwrap_or(0).max(0);
        if late > 0 && !hidden.is_empty() {
            return Err(odd(format!("track {id} tells a part twice, and shows pictures before they are decoded")));
        }
        let moved = |sample: Sample| Sample { shown: sample.shown.saturating_add(late), ..sample };
        let samples: Vec<Sample> = samples.into_iter().map(moved).collect();
        if samples.iter().any(|sample| u32::try_from(-late_by(sample)).is_err()) {
            return Err(too_long());
        }
        let from = i128::from(shift.media) + i128::from(late) - i128::from(begin);
        let ahead = u64::try_from((-from).max(0)).map_err(|_| too_long())?;
        let from = u64::try_from(from.max(0)).map_err(|_| too_long())?;
        let ends = samples.iter().map(|sample| sample.shown.unsigned_abs().saturating_add(sample.duration.into()));
        let last = ends.max().unwrap_or(0);
        if [ahead, from, last].iter().any(|ticks| to_ns(*ticks, timescale) > NS_MAX) || shift.hole.ns() > NS_MAX {
            return Err(too_long());
        }
        let hole = shift.hole + MediaTime(to_ns(ahead, timescale));
        Ok(Self { samples, hidden, edit: Edit { hole, from } })
    }

    /// In ticks of the track.
    pub(crate) fn length(&self) -> u64 {
        self.samples.last().map_or(0, |last| last.decoded + u64::from(last.duration))
    }
}

fn late_by(sample: &Sample) -> i64 {
    sample.decoded.cast_signed().saturating_sub(sample.shown).max(-i64::MAX)
}

/// Parts that begin before the one in front of them has ended: the numbers of their samples, and of the last one before.
fn returns(gathered: &Gathered<'_>) -> impl Iterator<Item = (Range<usize>, usize)> {
    let (samples, parts) = (&gathered.samples, &gathered.parts);
    let until = parts.iter().skip(1).copied().chain([samples.len()]);
    let parts = parts.iter().copied().zip(until).filter(|(first, _)| *first > 0);
    parts.filter_map(|(first, until)| {
        let before = &samples[first - 1];
        // A sample whose fragment does not know how long it lasts is said to last no time.
        let returns = samples[first].decoded < before.decoded + u64::from(before.duration);
        returns.then_some((first..until, first - 1))
    })
}

/// Numbers of the pictures that are told again.
fn second_tellings(gathered: &Gathered<'_>) -> Result<Vec<usize>, Refusal> {
    let (samples, mut hidden) = (&gathered.samples, Vec::new());
    let (mut latest, mut done) = (i64::MIN, 0);
    for (part, last) in returns(gathered) {
        latest = samples[done..=last].iter().map(|sample| sample.shown).fold(latest, i64::max);
        done = part.start;
        let again: Vec<usize> = part.clone().filter(|at| samples[*at].shown <= latest).collect();
        let first = &samples[part.start];
        if again.len() == part.len() {
            return Err(odd(format!("the fragment with data at {} tells nothing new", first.offset)));
        }
        if !again.is_empty() && !first.sync {
            return Err(odd(format!("the fragment with data at {} returns, and begins with no key", first.offset)));
        }
        hidden.extend(again);
    }
    Ok(hidden)
}

fn leave_out_second_tellings(gathered: &mut Gathered<'_>) {
    let mut again = HashSet::new();
    let (mut latest, mut done) = (0, 0);
    for (part, last) in returns(gathered) {
        latest = gathered.samples[done..=last].iter().map(|sample| sample.decoded).fold(latest, u64::max);
        done = part.start;
        again.extend(part.filter(|at| gathered.samples[*at].decoded <= latest));
    }
    let mut number = 0..;
    gathered.samples.retain(|_| number.next().is_none_or(|number| !again.contains(&number)));
}

/// From zero on, each decoded after the one before and lasting until the next.
fn forward(mut samples: Vec<Sample>, begin: u64) -> Option<Vec<Sample>> {
    let mut next = 0;
    for sample in &mut samples {
        sample.shown = sample.shown.checked_sub_unsigned(begin)?;
        sample.decoded = sample.decoded.saturating_sub(begin).max(next);
        next = sample.decoded.checked_add(1)?;
    }
    for at in 1..samples.len() {
        samples[at - 1].duration = u32::try_from(samples[at].decoded - samples[at - 1].decoded).ok()?;
    }
    samples.last().is_none_or(|last| i64::try_from(last.decoded).is_ok()).then_some(samples)
}

/// Hidden samples get times at which nothing is shown, as soon as they are decoded.
fn apart(mut samples: Vec<Sample>, hidden: &[usize]) -> Vec<Sample> {
    if hidden.is_empty() {
        return samples;
    }
    let mut is_hidden = hidden.iter().copied().peekable();
    let shown = samples.iter().enumerate().filter(|(number, _)| is_hidden.next_if_eq(number).is_none());
    let mut taken: HashSet<i64> = shown.map(|(_, sample)| sample.shown).collect();
    for number in hidden {
        let sample = &mut samples[*number];
        sample.shown = sample.decoded.cast_signed();
        while !taken.insert(sample.shown) {
            sample.shown += 1;
        }
    }
    samples
}
