//! Units of sound that a decoder was given and made nothing of. It does not say so, and where they stood is a hole like
//! those that a source may have of its own: what tells them apart is that units lie in it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use framefleet_model::time::{MediaTime, Span};
use gst::prelude::*;

/// Less is the rounding of container clocks.
const SLACK: MediaTime = MediaTime::from_millis(40);
const ROUNDING: MediaTime = MediaTime::from_millis(1);
/// Units that a decoder may hold back, and many times more.
const GIVEN_MAX: usize = 1 << 16;

/// The times of units on the track's clock.
#[derive(Clone, Default)]
pub(crate) struct Given(Arc<Mutex<VecDeque<MediaTime>>>);

pub(crate) struct Unheard {
    given: Given,
    /// The part of the film in which losses count, in the film's time.
    span: Span,
    /// Where the last block ends: on the track's clock, and in the film.
    heard_to: Option<(MediaTime, MediaTime)>,
    lost: Lost,
}

/// What a decoder gave: where it stands on the track's clock and in the film.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    pub(crate) at: MediaTime,
    pub(crate) in_film: MediaTime,
    pub(crate) length: MediaTime,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) units: u32,
    /// Where the first of them stands in the film.
    pub(crate) first: MediaTime,
}

impl Given {
    pub(crate) fn watch(&self, decoder: &gst::Element) {
        let (Some(pad), given) = (decoder.static_pad("sink"), self.clone()) else { return };
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let Some(gst::PadProbeData::Buffer(buffer)) = &info.data
                && let Some(pts) = buffer.pts()
            {
                given.push(MediaTime(pts.nseconds().cast_signed()));
            }
            gst::PadProbeReturn::Ok
        });
    }

    fn push(&self, at: MediaTime) {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if given.len() == GIVEN_MAX {
            given.pop_front();
        }
        given.push_back(at);
    }
}

impl Unheard {
    pub(crate) fn of(given: Given, span: Span) -> Self {
        Self { given, span, heard_to: None, lost: Lost::default() }
    }

    pub(crate) fn heard(&mut self, block: Block) {
        let Block { at, in_film, length } = block;
        let mut given = self.given.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((to, _)) = self.heard_to {
            if at + SLACK < to {
                // The clock was set back: what was given before cannot be compared any more.
                given.clear();
            }
            while let Some(unit) = given.front().copied().filter(|unit| *unit + ROUNDING < at) {
                given.pop_front();
                if at > to + SLACK && unit + ROUNDING >= to {
                    self.lost.count(in_film - (at - unit), self.span);
                }
            }
        }
        self.heard_to = Some((at + length, in_film + length));
    }

    /// What has been given so far came to nothing for another reason.
    pub(crate) fn forget(&mut self) {
        self.given.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The decoder has ended: what it was given after its last block came to nothing.
    pub(crate) fn end(mut self) -> Lost {
        let given = self.given.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((to, in_film)) = self.heard_to {
            let after = given.iter().filter(|unit| **unit > to + SLACK);
            after.for_each(|unit| self.lost.count(in_film + (*unit - to), self.span));
        }
        self.lost
    }
}

impl Lost {
    fn count(&mut self, unit: MediaTime, span: Span) {
        if !span.contains(unit) {
            return;
        }
        if self.units == 0 {
            self.first = unit;
        }
        self.units = self.units.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: i64) -> MediaTime {
        MediaTime::from_millis(ms)
    }

    /// Units of 20 ms at these times, of which those come out as blocks.
    fn lost(given: &[i64], heard: &[i64]) -> Lost {
        lost_in(Span::new(MediaTime::ZERO, MediaTime::MAX), given, heard)
    }

    /// The film begins five seconds before the track's clock does.
    fn lost_in(span: Span, given: &[i64], heard: &[i64]) -> Lost {
        let mut unheard = Unheard::of(Given::default(), span);
        given.iter().for_each(|at| unheard.given.push(ms(*at + 5000)));
        let block = |at: i64| Block { at: ms(at + 5000), in_film: ms(at), length: ms(20) };
        heard.iter().for_each(|at| unheard.heard(block(*at)));
        unheard.end()
    }

    #[test]
    fn units_that_come_to_nothing_are_told_from_holes_of_the_source() {
        let all: Vec<i64> = (0..20).map(|n| n * 20).collect();
        assert_eq!(lost(&all, &all), Lost::default());
        let without =
            |from: i64, to: i64| -> Vec<i64> { all.iter().copied().filter(|at| !(from..to).contains(at)).collect() };
        assert_eq!(lost(&all, &without(100, 200)), Lost { units: 5, first: ms(100) });
        assert_eq!(lost(&without(100, 200), &without(100, 200)), Lost::default(), "a hole of the source");
        assert_eq!(lost(&all, &without(300, 400)), Lost { units: 2, first: ms(360) }, "the end, but for the slack");
        assert_eq!(lost(&all, &without(0, 100)), Lost::default(), "where a decoder finds its feet");
        let asked = Span::new(ms(140), ms(180));
        assert_eq!(
            lost_in(asked, &all, &without(100, 200)),
            Lost { units: 2, first: ms(140) },
            "of what was asked for"
        );
    }
}
