//! Which part of the film is wanted, and which of its moments is zero in every output.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::AudioTrack;
use framefleet_model::pipeline::Range;
use framefleet_model::time::{MediaTime, Span};

use crate::flow::planning::film::Film;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// All that is wanted, in the source's running time; its start is zero in every output.
    pub(crate) span: Span,
    /// From the first wanted picture to the end of the last; empty where no pictures are wanted.
    pub(crate) pictures: Span,
}

/// What of the film goes into any output.
#[derive(Clone, Copy)]
pub(crate) struct Tracks<'a> {
    pub(crate) film: Option<&'a Film<'a>>,
    pub(crate) audio: &'a [&'a AudioTrack],
}

/// The range is counted from the film's first moment: its first picture, or its sound where that begins earlier.
/// Where there are pictures it is taken to the picture: from the first one shown not before `from` to the end of the
/// last one shown before `to`.
pub(crate) fn wanted(range: Range, tracks: Tracks<'_>) -> Result<Wanted, Fault> {
    let whole = whole(tracks)?;
    let from = whole.start + range.from.unwrap_or(MediaTime::ZERO);
    let to = range.to.map_or(whole.end, |to| (whole.start + to).min(whole.end));
    check(range, whole)?;
    let Some(film) = tracks.film else {
        return Ok(Wanted { span: Span::new(from, to), pictures: Span::new(from, from) });
    };
    let first = film.picture_from(from).filter(|first| *first < to).ok_or_else(|| {
        let last = film.shown.last().map_or(whole.end, |last| *last - whole.start);
        let text = format!("the range from {} holds no picture: the last one is shown at {last}", from - whole.start);
        Fault::new(FaultKind::Settings, text)
    })?;
    let begins_before_pictures = film.shown.first().is_some_and(|picture| from <= *picture);
    let start = if begins_before_pictures { from } else { first };
    let last = film.picture_from(to).filter(|next| *next < film.end).unwrap_or(film.end);
    let end = if to < film.end { last } else { to };
    Ok(Wanted { span: Span::new(start, end), pictures: Span::new(first, last) })
}

/// The film's first moment.
pub(crate) fn zero(tracks: Tracks<'_>) -> Result<MediaTime, Fault> {
    whole(tracks).map(|whole| whole.start)
}

fn whole(tracks: Tracks<'_>) -> Result<Span, Fault> {
    let pictures = tracks.film.and_then(|film| film.shown.first().map(|first| Span::new(*first, film.end)));
    let sound = tracks.audio.iter().map(|audio| Span::new(audio.span.start.max(MediaTime::ZERO), audio.span.end));
    let spans = pictures.into_iter().chain(sound).filter(|span| !span.is_empty());
    let joined = spans.reduce(|a, b| Span::new(a.start.min(b.start), a.end.max(b.end)));
    joined.ok_or_else(|| Fault::new(FaultKind::Corrupt, "the film has neither pictures nor sound of any length"))
}

fn check(range: Range, whole: Span) -> Result<(), Fault> {
    let length = whole.len();
    let from = range.from.unwrap_or(MediaTime::ZERO);
    if from >= length || from < MediaTime::ZERO {
        let text = format!("from {from} lies outside the film, which is {length} long");
        return Err(Fault::new(FaultKind::Settings, text));
    }
    match range.to {
        Some(to) if to <= from => {
            Err(Fault::new(FaultKind::Settings, format!("the range ends at {to}, not after its start at {from}")))
        }
        Some(_) | None => Ok(()),
    }
}
