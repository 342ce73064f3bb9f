//! Tracks that come one after the other: a transport stream's programme changes midway, Ogg streams are chained. The
//! first of them is the film's track; what goes on in others must not pass unseen.

use framefleet_model::index::{Missing, Part};
use framefleet_model::time::{MediaTime, Span};

use crate::pass::Passed;
use crate::tap::{Kind, Tap};

/// Tracks of one time begin and end together within this.
const TOGETHER: MediaTime = MediaTime::from_millis(500);
/// What lists all tracks of the film in front: sound that begins later is a track like any other.
const LISTS_ALL: [&str; 6] =
    ["video/quicktime", "audio/x-m4a", "video/x-matroska", "audio/x-matroska", "video/webm", "video/x-msvideo"];

/// Whether a track begins only where another of its kind ends.
pub(crate) fn is_sequel(tap: &Tap, passed: &Passed) -> bool {
    let (kind, span) = kind_and_span(tap);
    let others = others(kind, passed);
    span.is_some_and(|span| others.iter().any(|other| changes((*other, span), &others)))
}

/// What goes on after a track's end, in another of its kind.
pub(crate) fn after(tap: &Tap, passed: &Passed) -> Option<Missing> {
    let (kind, span) = kind_and_span(tap);
    let span = span?;
    let others = others(kind, passed);
    let end = others.iter().filter(|other| changes((span, **other), &others)).map(|other| other.end).max()?;
    let (of, what) = match kind {
        Kind::Video => (Part::Pictures, "pictures go"),
        Kind::Audio => (Part::Sound, "sound goes"),
        Kind::Other => return None,
    };
    let what = format!("its {what} on in another track from {} to {end}", span.end);
    Some(Missing { of, from: Some(span.end), track: None, what })
}

fn kind_and_span(tap: &Tap) -> (Kind, Option<Span>) {
    let heard = tap.heard();
    (heard.kind, heard.span)
}

/// Spans of the tracks of a kind among which there may be sequels.
fn others(kind: Kind, passed: &Passed) -> Vec<Span> {
    if kind == Kind::Audio && LISTS_ALL.contains(&passed.container.as_str()) {
        return Vec::new();
    }
    let of_kind = passed.taps.iter().map(kind_and_span).filter(|(other, _)| *other == kind);
    of_kind.filter_map(|(_, span)| span).collect()
}

/// Whether the source changes from one track to the next there: none beside them goes on.
fn changes((early, late): (Span, Span), all: &[Span]) -> bool {
    let goes_on = |span: &Span| span.start + TOGETHER < early.end && late.start + TOGETHER < span.end;
    follows(late, early) && !all.iter().any(goes_on)
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

    #[test]
    fn nothing_changes_where_a_third_track_goes_on() {
        let span = |start, end| Span::new(MediaTime::from_secs(start), MediaTime::from_secs(end));
        let (early, late) = (span(0, 6), span(7, 10));
        assert!(changes((early, late), &[early, late]));
        assert!(!changes((early, late), &[early, late, span(0, 10)]));
    }
}
