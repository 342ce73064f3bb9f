//! One unbroken run of samples out of a source that may have holes and overlaps.

use framefleet_model::ledger::Silence;
use framefleet_model::media::AudioFormat;
use framefleet_model::time::{MediaTime, NS_PER_SECOND, Span, scale_round};

/// Holes and overlaps up to this are the rounding of container clocks and are ignored.
const SLACK: MediaTime = MediaTime::from_millis(40);
/// A block that begins so far before the last one's end does not overlap it: the source's clock was set back.
const SET_BACK: MediaTime = MediaTime::from_millis(500);
/// Silence is handed on in blocks of this many samples.
pub(crate) const SILENCE_BLOCK: u64 = 1 << 16;
pub(crate) const SAMPLE_BYTES: u64 = 4;

/// Where the next sample of the source belongs.
pub(crate) struct Run {
    format: AudioFormat,
    /// The source's running time of sample 0.
    begun: MediaTime,
    /// The wanted samples, counted from sample 0.
    wanted: std::ops::Range<u64>,
    /// How far the source's clock was set back so far.
    set_back: MediaTime,
    /// Samples placed so far, wanted or not.
    placed: u64,
    kept: u64,
    pub(crate) silences: Vec<Silence>,
    pub(crate) overlapped: u64,
}

enum Off {
    Not,
    /// What was placed ends so much too early.
    Early(u64),
    Late(u64),
}

impl Run {
    /// `begun` is the running time of the first decoded sample; only what lies in `span` is kept.
    pub(crate) fn new(format: AudioFormat, begun: MediaTime, span: Span) -> Self {
        let at = |time: MediaTime| u64::try_from(samples_in(time - begun, format.rate)).unwrap_or(0);
        let wanted = at(span.start)..if span.end == MediaTime::MAX { u64::MAX } else { at(span.end) };
        Self {
            format,
            begun,
            wanted,
            set_back: MediaTime::ZERO,
            placed: 0,
            kept: 0,
            silences: Vec::new(),
            overlapped: 0,
        }
    }

    pub(crate) fn format(&self) -> AudioFormat {
        self.format
    }

    /// Samples kept.
    pub(crate) fn heard(&self) -> u64 {
        self.kept
    }

    /// The running time of the first kept sample.
    pub(crate) fn first(&self) -> MediaTime {
        self.begun + samples_time(self.wanted.start, self.format.rate)
    }

    /// The blocks that follow what was placed so far: silence for a hole, the new part of an overlap.
    pub(crate) fn place(&mut self, at: Option<MediaTime>, data: &[u8]) -> Vec<Vec<u8>> {
        let frame = SAMPLE_BYTES * u64::from(self.format.channels);
        let mut samples = data.len() as u64 / frame;
        let mut skip = 0;
        let mut blocks = Vec::new();
        match self.off(at) {
            Off::Early(hole) => self.fill(hole, &mut blocks),
            Off::Late(overlap) => {
                skip = overlap.min(samples);
                self.overlapped += skip;
            }
            Off::Not => {}
        }
        samples -= skip;
        let kept = self.keep(samples);
        if !kept.is_empty() {
            let byte = |sample: u64| usize::try_from((skip + sample) * frame).unwrap_or(usize::MAX);
            blocks.push(data[byte(kept.start)..byte(kept.end)].to_vec());
        }
        blocks
    }

    /// Where a coded unit of so many samples comes to lie, counted from sample 0: behind a hole that nothing fills, if
    /// there is one. `None` for a unit that was there already.
    pub(crate) fn place_unit(&mut self, at: Option<MediaTime>, samples: u64) -> Option<u64> {
        match self.off(at) {
            Off::Early(hole) => {
                let at = self.begun + samples_time(self.placed, self.format.rate);
                self.silences.push(Silence { at, length: samples_time(hole, self.format.rate) });
                self.placed += hole;
            }
            Off::Late(_) if samples > 0 => {
                self.overlapped += samples;
                return None;
            }
            Off::Late(_) | Off::Not => {}
        }
        let begins = self.placed;
        self.placed += samples;
        Some(begins)
    }

    /// How far what stands at `at` is off the end of what was placed so far, in samples.
    fn off(&mut self, at: Option<MediaTime>) -> Off {
        let Some(at) = at else { return Off::Not };
        let at = self.on_one_clock(at);
        let off = samples_in(at - self.begun, self.format.rate) - self.placed.cast_signed();
        let slack = samples_in(SLACK, self.format.rate);
        match off {
            _ if off > slack => Off::Early(off.unsigned_abs()),
            _ if off < -slack => Off::Late(off.unsigned_abs()),
            _ => Off::Not,
        }
    }

    /// The block's time as if the clock had never been set back: what is heard goes on, as the pictures do.
    fn on_one_clock(&mut self, at: MediaTime) -> MediaTime {
        let due = self.begun + samples_time(self.placed, self.format.rate);
        if MediaTime((due - at).ns().abs()) <= SLACK {
            // A single time was wrong, or the clock was put right again.
            self.set_back = MediaTime::ZERO;
        }
        let early = due - (at + self.set_back);
        if self.placed > 0 && early > SET_BACK {
            self.set_back = self.set_back + early;
        }
        at + self.set_back
    }

    fn fill(&mut self, samples: u64, blocks: &mut Vec<Vec<u8>>) {
        let at = self.begun + samples_time(self.placed, self.format.rate);
        self.silences.push(Silence { at, length: samples_time(samples, self.format.rate) });
        let frame = SAMPLE_BYTES * u64::from(self.format.channels);
        let mut left = samples;
        while left > 0 {
            let kept = self.keep(left.min(SILENCE_BLOCK));
            left -= left.min(SILENCE_BLOCK);
            if !kept.is_empty() {
                blocks.push(vec![0; usize::try_from((kept.end - kept.start) * frame).unwrap_or(0)]);
            }
        }
    }

    /// Which of the next `samples` are wanted; all are placed.
    fn keep(&mut self, samples: u64) -> std::ops::Range<u64> {
        let (from, to) = (self.placed, self.placed + samples);
        self.placed = to;
        let start = from.max(self.wanted.start).min(to);
        let end = to.min(self.wanted.end).max(start);
        self.kept += end - start;
        start - from..end - from
    }
}

pub(crate) fn samples_time(samples: u64, rate: u32) -> MediaTime {
    MediaTime(scale_round(samples.cast_signed(), NS_PER_SECOND, i64::from(rate)))
}

pub(crate) fn samples_in(length: MediaTime, rate: u32) -> i64 {
    scale_round(length.ns(), i64::from(rate), NS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: AudioFormat = AudioFormat { rate: 1000, channels: 1 };

    fn block(samples: usize) -> Vec<u8> {
        vec![1; samples * 4]
    }

    fn whole() -> Span {
        Span::new(MediaTime::ZERO, MediaTime::from_secs(100))
    }

    #[test]
    fn holes_become_silence_overlaps_are_dropped_and_jitter_is_ignored() {
        let mut run = Run::new(FORMAT, MediaTime::ZERO, whole());
        let ms = |v| Some(MediaTime::from_millis(v));
        assert_eq!(run.place(ms(0), &block(100)).concat().len(), 400);
        assert_eq!(run.place(ms(130), &block(100)).concat().len(), 400, "30 ms is jitter");
        assert_eq!(run.place(ms(300), &block(100)).concat().len(), 800, "100 ms of silence");
        assert_eq!(run.place(ms(350), &block(100)).concat().len(), 200, "50 samples overlap");
        assert_eq!((run.heard(), run.overlapped, run.silences.len()), (450, 50, 1));
    }

    #[test]
    fn a_clock_that_is_set_back_costs_no_sound() {
        let mut run = Run::new(FORMAT, MediaTime::from_secs(10), whole());
        let place = |run: &mut Run, ms| run.place(Some(MediaTime::from_millis(ms)), &block(1000)).concat().len() / 4;
        let heard = [10_000, 11_000, 9_600, 10_600, 11_700].map(|ms| place(&mut run, ms));
        assert_eq!(heard, [1000, 1000, 1000, 1000, 1100], "the last comes after a hole");
        assert_eq!((run.overlapped, run.silences.len()), (0, 1));
        // One wrong time in a clock that goes on moves nothing after it.
        let mut run = Run::new(FORMAT, MediaTime::from_secs(10), whole());
        let heard = [10_000, 11_000, 9_600, 13_000, 14_000].map(|ms| place(&mut run, ms));
        assert_eq!((heard, run.silences.len()), ([1000; 5], 0));
    }

    #[test]
    fn only_the_wanted_samples_are_kept() {
        let span = Span::new(MediaTime::from_millis(150), MediaTime::from_millis(250));
        let mut run = Run::new(FORMAT, MediaTime::from_millis(100), span);
        assert_eq!(run.place(Some(MediaTime::from_millis(100)), &block(1000)).concat().len(), 400);
        assert_eq!((run.first(), run.heard()), (MediaTime::from_millis(150), 100));
    }
}
