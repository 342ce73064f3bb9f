//! Times of pictures in an output: exact, the same however the film is cut.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use framefleet_model::picture::Deinterlace;
use framefleet_model::plan::{OutputLine, output_end, output_times};
use framefleet_model::time::{MediaTime, Rational, Span};

fn ms(values: &[i64]) -> Vec<MediaTime> {
    values.iter().map(|v| MediaTime::from_millis(*v)).collect()
}

fn span(start: i64, end: i64) -> Span {
    Span::new(MediaTime::from_millis(start), MediaTime::from_millis(end))
}

#[test]
fn without_a_grid_each_picture_keeps_its_time() {
    let line = OutputLine { origin: MediaTime::from_millis(1000), grid: None, deinterlace: Deinterlace::Frame };
    assert_eq!(output_times(&ms(&[1000, 1040, 1090]), span(1000, 1200), line), ms(&[0, 40, 90]));
    assert_eq!(output_end(span(1000, 1200), line), MediaTime::from_millis(200));
}

#[test]
fn a_grid_doubles_drops_and_never_needs_the_neighbour() {
    let grid = |rate| Some(Rational::new(rate, 1).unwrap());
    let line = |rate| OutputLine { origin: MediaTime::ZERO, grid: grid(rate), deinterlace: Deinterlace::Weave };
    assert_eq!(output_times(&ms(&[0, 40]), span(0, 80), line(50)), ms(&[0, 20, 40, 60]));
    // Halves round up: 20 takes slot 1 and leaves it to 40 at once, 60 and 80 share slot 2.
    assert_eq!(output_times(&ms(&[0, 20, 40, 60, 80]), span(0, 100), line(25)), ms(&[0, 40, 80]));
    let film = ms(&[0, 33, 67, 100, 133, 167, 200, 233, 267]);
    let whole = output_times(&film, span(0, 300), line(25));
    for cut in 1..film.len() {
        let at = film[cut].ns() / 1_000_000;
        let mut parts = output_times(&film[..cut], span(0, at), line(25));
        assert!(parts.last().is_none_or(|last| *last < output_end(span(0, at), line(25))));
        parts.extend(output_times(&film[cut..], span(at, 300), line(25)));
        assert_eq!(parts, whole, "cut at {at} ms");
    }
}

#[test]
fn two_fields_share_the_time_of_their_picture() {
    let line = OutputLine { origin: MediaTime::ZERO, grid: None, deinterlace: Deinterlace::Bob };
    assert_eq!(output_times(&ms(&[0, 40]), span(0, 100), line), ms(&[0, 20, 40, 70]));
    let on_grid = OutputLine { grid: Some(Rational::new(25, 1).unwrap()), ..line };
    assert_eq!(output_times(&ms(&[0, 40]), span(0, 80), on_grid), ms(&[0, 40]));
    let fast = OutputLine { grid: Some(Rational::new(100, 1).unwrap()), ..line };
    let mut parts = output_times(&ms(&[0]), span(0, 40), fast);
    parts.extend(output_times(&ms(&[40]), span(40, 80), fast));
    assert_eq!(parts, output_times(&ms(&[0, 40]), span(0, 80), fast));
    assert_eq!(parts.len(), 8);
}
