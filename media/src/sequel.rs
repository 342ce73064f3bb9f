//! Tracks that come one after the other: a transport stream's programme changes midway, Ogg streams are chained. The
//! first of them is the film's track; what goes on in others must not pass unseen.

use framefleet_model::index::{Missing, Part};
use framefleet_model::time::{MediaTime, Span};

use crate::tap::{Kind, Tap};

/// Tracks of one time begin and end together within this.
const TOGETHER: MediaTime = MediaTime::from_millis(500);

/// Whether a track begins only where another of its kind ends.
pub(crate) fn is_sequel(tap: &Tap, taps: &[Tap]) -> bool {
    let (kind, span) = kind_and_span(tap);
    span.is_some_and(|span| others(kind, taps).any(|other| follows(span, other)))
}

/// What goes on after a track's end, in another of its kind.
pub(crate) fn after(tap: &Tap, taps: &[Tap]) -> Option<Missing> {
    let (kind, span) = kind_and_span(tap);
    let span = span?;
    let end = others(kind, taps).filter(|other| follows(*other, span)).map(|other| other.end).max()?;
    let (of, what) = match kind {
        Kind::Video => (Part::Pictures, "pictures go"),
        Kind::Audio => (Part::Sound, "sound goes"),
        Kind::Other => return None,
    };
    let what = format!("its {what} on in another track from {} to {end}", span.end);
    Some(Missing { of, from: Some(span.end), what })
}

fn kind_and_span(tap: &Tap) -> (Kind, Option<Span>) {
    let heard = tap.heard();
    (heard.kind, heard.span)
}

fn others(kind: Kind, taps: &[Tap]) -> impl Iterator<Item = Span> {
    taps.iter().map(kind_and_span).filter(move |(other, _)| *other == kind).filter_map(|(_, span)| span)
}

/// Begins at or behind the other's end, and is no mere remainder.
fn follows(span: Span, other: Span) -> bool {
    span.start + TOGETHER >= other.end && span.start > other.start + TOGETHER && span.len() > TOGETHER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_side_by_side_are_no_sequels() {
        let span = |start, end| Span::new(MediaTime::from_secs(start), MediaTime::from_secs(end));
        assert!(follows(span(9, 19), span(0, 9)));
        assert!(!follows(span(0, 9), span(9, 19)));
        assert!(!follows(span(0, 10), span(0, 9)));
        assert!(!follows(span(5, 15), span(0, 9)), "they overlap");
        assert!(!follows(span(0, 0), span(0, 0)));
    }
}
