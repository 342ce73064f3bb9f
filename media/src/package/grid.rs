//! When a package's segments begin, how long each is, and how many bits a second that makes.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::time::{MediaTime, NS_PER_SECOND};

use crate::merge::inputs::Inputs;
use crate::merge::sound::SoundInput;
use crate::package::files::KeyPlace;
use crate::pipe::internal;

/// The segments of one variant on the output's time line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// When the first picture of each is shown.
    starts: Vec<MediaTime>,
    /// What of the film comes first, and what ends last: pictures or sound.
    begin: MediaTime,
    end: MediaTime,
}

/// Bits a second of a variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rates {
    /// The most that any run of segments takes that is about as long as the longest of them.
    pub(crate) peak: u64,
    pub(crate) average: u64,
}

impl Grid {
    /// `starts`: the segments of the plan that segments of the package begin with. One in which no picture decodes is left
    /// out.
    pub(crate) fn of(starts: &[u32], inputs: &Inputs) -> Result<Self, Fault> {
        let pictures = inputs.pictures.as_ref().ok_or_else(|| internal("a variant without pictures"))?;
        let ends = starts.iter().skip(1).map(|end| *end as usize).chain([usize::MAX]);
        let spans = starts.iter().zip(ends).map(|(start, end)| *start as usize..end);
        let starts: Vec<MediaTime> = spans.filter_map(|span| pictures.schedule.first_within(span)).collect();
        let first = starts.first().copied();
        let first = first.ok_or_else(|| Fault::new(FaultKind::Corrupt, "no picture of the film decodes"))?;
        let (end, sound) = (pictures.schedule.end, inputs.sounds.first());
        Ok(Self {
            starts,
            begin: sound.map_or(first, |sound| sound.first().min(first)),
            end: sound.map_or(end, |sound| sound.track.extent.end.max(end)),
        })
    }

    /// Of sound with files of its own: each begins with the unit that begins nearest to where one of `pictures` does.
    pub(crate) fn of_sound(sound: &SoundInput, pictures: &Self) -> Result<Self, Fault> {
        let units: Vec<MediaTime> = sound.track.entries.iter().map(|unit| unit.pts).collect();
        let begin = *units.first().ok_or_else(|| Fault::new(FaultKind::Corrupt, "no sound of the film decodes"))?;
        let mut starts = vec![begin];
        for start in pictures.starts.iter().skip(1) {
            let later = units.partition_point(|unit| unit < start);
            let around = [later.checked_sub(1), Some(later)].into_iter().flatten().filter_map(|at| units.get(at));
            let nearest = around.min_by_key(|unit| (**unit - *start).ns().abs());
            // Where the sound is over, there are no more of them.
            starts.extend(nearest.filter(|unit| starts.last().is_some_and(|last| *unit > last)));
        }
        Ok(Self { starts, begin, end: sound.track.extent.end })
    }

    /// Of key pictures alone, each shown until the next.
    pub(crate) fn of_keys(keys: &[KeyPlace], within: &Self) -> Self {
        let starts: Vec<MediaTime> = keys.iter().map(|key| key.shown).collect();
        Self { begin: starts.first().copied().unwrap_or(within.begin), starts, end: within.end }
    }

    pub(crate) fn starts(&self) -> &[MediaTime] {
        &self.starts
    }

    pub(crate) fn begin(&self) -> MediaTime {
        self.begin
    }

    pub(crate) fn end(&self) -> MediaTime {
        self.end
    }

    /// Where each segment begins and ends; together they are the whole.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (MediaTime, MediaTime)> {
        let inner = self.starts.iter().skip(1).copied();
        [self.begin].into_iter().chain(inner.clone()).zip(inner.chain([self.end]))
    }

    /// The longest segment in whole seconds, by which players plan.
    pub(crate) fn target(&self) -> i64 {
        let seconds =
            |(from, to): (MediaTime, MediaTime)| (to - from + MediaTime(NS_PER_SECOND / 2)).ns() / NS_PER_SECOND;
        self.spans().map(seconds).max().unwrap_or(1).max(1)
    }

    /// By RFC 8216: the peak is over every run of segments of half to one and a half target durations.
    pub(crate) fn rates(&self, sizes: impl Iterator<Item = u64>) -> Rates {
        let segments: Vec<(i64, u64)> = self.spans().map(|(from, to)| (to - from).ns()).zip(sizes).collect();
        let target = self.target() * NS_PER_SECOND;
        let run = |segments: &[(i64, u64)]| {
            segments.iter().fold((0, 0), |(ns, bytes), segment| (ns + segment.0, bytes + segment.1))
        };
        let runs = (0..segments.len()).flat_map(|from| {
            let rest = &segments[from..];
            (1..=rest.len()).map(|count| run(&rest[..count])).take_while(move |(ns, _)| *ns * 2 <= target * 3)
        });
        let average = bits_a_second(run(&segments));
        let peak = runs.filter(|(ns, _)| *ns * 2 >= target).map(bits_a_second).max().unwrap_or(average);
        Rates { peak: peak.max(average), average }
    }
}

/// Rounded up: what is told is enough.
fn bits_a_second((ns, bytes): (i64, u64)) -> u64 {
    let ns = u128::from(ns.max(1).cast_unsigned());
    let bits = u128::from(bytes) * 8 * u128::from(NS_PER_SECOND.cast_unsigned());
    u64::try_from(bits.div_ceil(ns)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(seconds: &[i64], end: i64) -> Grid {
        let starts: Vec<MediaTime> = seconds.iter().map(|s| MediaTime::from_secs(*s)).collect();
        Grid { begin: starts[0], starts, end: MediaTime::from_secs(end) }
    }

    #[test]
    fn the_peak_is_over_runs_about_as_long_as_the_target() {
        // The last segment is too short to count alone.
        let rates = grid(&[0, 6, 12], 13).rates([6000, 12_000, 9000].into_iter());
        assert_eq!(rates, Rates { peak: 24_000, average: (27_000_u64 * 8).div_ceil(13) });
        let lone = grid(&[0], 2).rates([1000].into_iter());
        assert_eq!(lone, Rates { peak: 4000, average: 4000 });
    }

    #[test]
    fn segments_meet_and_the_target_is_the_longest_rounded() {
        let grid = grid(&[1, 7, 13], 15);
        let spans: Vec<i64> = grid.spans().map(|(from, to)| (to - from).ns() / NS_PER_SECOND).collect();
        assert_eq!((spans, grid.target()), (vec![6, 6, 2], 6));
        let ms = |ms| MediaTime::from_millis(ms);
        let odd = Grid { starts: vec![ms(0), ms(6480)], begin: ms(0), end: ms(12_980) };
        assert_eq!(odd.target(), 7);
    }
}
