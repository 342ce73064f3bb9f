//! Which track's units follow which: runs of half a second in decoding order.

use framefleet_model::time::MediaTime;

use super::{Audio, Film, MuxError, Pictures, Sounds, Track};

/// Units of one track in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) track: Track,
    pub(crate) units: u32,
}

/// Runs of all tracks, and how far into them the film is.
pub(crate) struct Turns {
    runs: std::vec::IntoIter<Run>,
    now: Option<Run>,
    /// Units of the present run that have been pushed.
    pushed: u32,
}

/// Whether a unit begins a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InRun {
    First,
    Later,
}

impl Turns {
    pub(crate) fn new(runs: Vec<Run>) -> Self {
        let mut runs = runs.into_iter();
        let now = runs.next();
        Self { runs, now, pushed: 0 }
    }

    /// The track whose turn it is; `None` after the last unit.
    pub(crate) fn now(&self) -> Option<Track> {
        self.now.map(|run| run.track)
    }

    /// Which of the sound tracks it is whose turn has come, and its place in the run.
    pub(crate) fn take_sound(&mut self) -> Result<(usize, InRun), MuxError> {
        match self.now() {
            Some(track @ Track::Audio(number)) => Ok((number, self.take(track)?)),
            Some(Track::Video) | None => Err(MuxError::Turn(Track::Audio(0))),
        }
    }

    pub(crate) fn take(&mut self, track: Track) -> Result<InRun, MuxError> {
        let run = self.now.filter(|run| run.track == track).ok_or(MuxError::Turn(track))?;
        let place = if self.pushed == 0 { InRun::First } else { InRun::Later };
        self.pushed += 1;
        if self.pushed == run.units {
            self.now = self.runs.next();
            self.pushed = 0;
        }
        Ok(place)
    }
}

/// All tracks in runs no longer than `length`; pictures come first, so that a run of sound is never waited for by
/// the pictures that it goes with.
pub(crate) fn runs(film: &Film, pictures: Option<&Pictures>, length: MediaTime) -> Result<Vec<Run>, MuxError> {
    let sounds = film.audio.iter().map(Sounds::new).collect::<Result<Vec<_>, _>>()?;
    let mut video = Cursor { track: Track::Video, next: 0, units: pictures.map_or(0, |p| p.dts.len()) };
    let units = |(number, sounds): (usize, &Sounds)| Cursor {
        track: Track::Audio(number),
        next: 0,
        units: sounds.units.begins.len(),
    };
    let mut audio: Vec<Cursor> = sounds.iter().enumerate().map(units).collect();
    let video_at = |n: usize| pictures.map_or(MediaTime::MAX, |p| p.decoded_at(n));
    let audio_at = |track: usize, n: usize| sound_at(&film.audio[track], &sounds[track], n);
    let next = |video: &Cursor, audio: &[Cursor]| {
        let sounds = audio.iter().enumerate().map(|(track, cursor)| cursor.peek(|n| audio_at(track, n)));
        sounds.fold(video.peek(video_at), MediaTime::min)
    };
    let mut runs = Vec::new();
    let mut until = next(&video, &audio);
    while video.is_left() || audio.iter().any(Cursor::is_left) {
        // A hole in all tracks is jumped over.
        until = until.max(next(&video, &audio)) + length;
        runs.extend(video.take_until(until, video_at));
        for (track, cursor) in audio.iter_mut().enumerate() {
            runs.extend(cursor.take_until(until, |n| audio_at(track, n)));
        }
    }
    Ok(runs)
}

fn sound_at(audio: &Audio, sounds: &Sounds, number: usize) -> MediaTime {
    let lead = MediaTime::from_ticks(i64::from(audio.priming), sounds.rate);
    audio.first - lead + sounds.begins(number)
}

struct Cursor {
    track: Track,
    next: usize,
    units: usize,
}

impl Cursor {
    fn is_left(&self) -> bool {
        self.next < self.units
    }

    fn peek(&self, at: impl Fn(usize) -> MediaTime) -> MediaTime {
        if self.is_left() { at(self.next) } else { MediaTime::MAX }
    }

    fn take_until(&mut self, until: MediaTime, at: impl Fn(usize) -> MediaTime) -> Option<Run> {
        let from = self.next;
        while self.is_left() && at(self.next) < until {
            self.next += 1;
        }
        let units = u32::try_from(self.next - from).ok().filter(|units| *units > 0)?;
        Some(Run { track: self.track, units })
    }
}
