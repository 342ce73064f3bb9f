//! A limiter that sees peaks coming: no true peak stands above the ceiling, no sample is moved.
//!
//! ```text
//! samples ─▶ true peak of each ─▶ the gain it bears ─▶ the least of its surroundings ─▶ slow rise ─▶ mean over a ramp ─▶ gain
//! ```
//! The least is taken over more than the mean is, so that around a peak the gain is whole: it is even there, and changes no
//! peak between samples.

use std::collections::VecDeque;

use crate::treatment::interpolation::{self, Interpolation, REACH};

/// How long a gain takes to fall to what a peak bears, and at least to rise again.
const RAMP_MS: u32 = 5;
/// By which a gain rises to all but a third.
const RELEASE_MS: u32 = 50;
/// Frames around a peak in which its gain is whole.
const GUARD: usize = REACH / 2;

pub(crate) struct Limiter {
    channels: usize,
    gain: f32,
    ceiling: f32,
    /// Frames that the gain is not yet known of, and before them those that a peak between samples reaches back to.
    frames: VecDeque<f32>,
    peaks: Peaks,
    /// Frame and gain: those that may yet be the least of a window, rising.
    least: VecDeque<(usize, f32)>,
    release: f32,
    risen: f32,
    ramp: VecDeque<f32>,
    ramp_sum: f64,
    /// Frames that came in, those before the first among them.
    heard: usize,
    half_ramp: usize,
    pub(crate) limited: u64,
}

impl Limiter {
    pub(crate) fn new((channels, rate): (u16, u32), gain: f32, ceiling: f32) -> Self {
        let half_ramp = (rate * RAMP_MS / 2000).max(1) as usize;
        let channels = usize::from(channels.max(1));
        let ramp = VecDeque::from(vec![1.0; 2 * half_ramp + 1]);
        let mut limiter = Self {
            channels,
            gain,
            ceiling,
            frames: VecDeque::new(),
            peaks: Peaks::new(channels, ceiling),
            least: VecDeque::new(),
            release: 1.0 - (-1000.0 / (f64::from(RELEASE_MS) * f64::from(rate.max(1)))).exp() as f32,
            risen: 1.0,
            ramp_sum: ramp.len() as f64,
            ramp,
            heard: 0,
            half_ramp,
            limited: 0,
        };
        // What comes before the first frame has gains as well: the ramp to a peak at once begins there.
        limiter.limit(&vec![0.0; half_ramp * channels]);
        limiter
    }

    /// What can be told of all that came so far: what is missing comes with later samples.
    pub(crate) fn limit(&mut self, samples: &[f32]) -> Vec<f32> {
        let mut out = Vec::with_capacity(samples.len());
        for frame in samples.chunks_exact(self.channels) {
            let at = self.heard;
            self.heard += 1;
            let gain = self.gain;
            self.frames.extend(frame.iter().map(|sample| sample * gain));
            let peak = self.peaks.next(frame.iter().map(|sample| sample * gain));
            // The peak is of a frame that came before.
            let Some(peaked) = at.checked_sub(REACH) else { continue };
            let bears = if peak > self.ceiling { self.ceiling / peak } else { 1.0 };
            let gain = self.ramped(peaked, bears);
            let late = REACH + self.half_window() + self.half_ramp;
            let Some(done) = at.checked_sub(late) else { continue };
            let whole = self.frames.drain(..self.channels);
            if done < self.half_ramp {
                continue;
            }
            self.limited += u64::from(gain < 0.999);
            out.extend(whole.map(|sample| sample * gain));
        }
        out
    }

    fn half_window(&self) -> usize {
        self.half_ramp + GUARD
    }

    /// The gain of the frame in the middle of the ramp's, when that of `at` is known.
    fn ramped(&mut self, at: usize, bears: f32) -> f32 {
        while self.least.back().is_some_and(|(_, gain)| *gain >= bears) {
            self.least.pop_back();
        }
        self.least.push_back((at, bears));
        while self.least.front().is_some_and(|(frame, _)| frame + 2 * self.half_window() < at) {
            self.least.pop_front();
        }
        let least = self.least.front().map_or(1.0, |(_, gain)| *gain);
        self.risen = least.min(self.risen + (1.0 - self.risen) * self.release);
        self.ramp.push_back(self.risen);
        let gone = self.ramp.pop_front().unwrap_or(1.0);
        self.ramp_sum += f64::from(self.risen) - f64::from(gone);
        (self.ramp_sum / self.ramp.len() as f64).min(1.0) as f32
    }
}

/// True peaks, frame by frame, of all channels together.
struct Peaks {
    interpolation: Interpolation,
    /// The last frames, channel by channel.
    recent: Vec<VecDeque<f32>>,
    /// A sample below this has no peak above the ceiling beside it.
    quiet: f32,
    /// Frames until all that are near are quiet.
    loud: usize,
    /// The peak after the frame before.
    before: f32,
}

impl Peaks {
    fn new(channels: usize, ceiling: f32) -> Self {
        let interpolation = Interpolation::new();
        let quiet = ceiling / interpolation.gain_max();
        let recent = vec![VecDeque::from(vec![0.0; interpolation::TAPS]); channels];
        Self { interpolation, recent, quiet, loud: 0, before: 0.0 }
    }

    /// Takes a frame in; the peak is that at the frame `REACH` before it, and on both sides up to its neighbours.
    fn next(&mut self, frame: impl Iterator<Item = f32>) -> f32 {
        for (recent, sample) in self.recent.iter_mut().zip(frame) {
            recent.pop_front();
            recent.push_back(sample);
            if sample.abs() > self.quiet {
                self.loud = interpolation::TAPS;
            }
        }
        if self.loud == 0 {
            self.before = 0.0;
            return 0.0;
        }
        self.loud -= 1;
        let mut peak = std::mem::take(&mut self.before);
        for recent in &mut self.recent {
            let taps = &*recent.make_contiguous();
            self.before = self.before.max(self.interpolation.peak_after(taps));
            peak = peak.max(taps[REACH - 1].abs());
        }
        peak.max(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 48_000;

    fn limited(samples: &[f32], (channels, gain, ceiling): (u16, f32, f32)) -> (Vec<f32>, u64) {
        let mut limiter = Limiter::new((channels, RATE), gain, ceiling);
        let mut out: Vec<f32> = samples.chunks(960).flat_map(|block| limiter.limit(block)).collect();
        out.extend(limiter.limit(&vec![0.0; 48_000 * usize::from(channels)]));
        out.truncate(samples.len());
        (out, limiter.limited)
    }

    fn sine(hz: f32, phase: f32, level: impl Fn(usize) -> f32) -> Vec<f32> {
        let angle = |n: usize| std::f64::consts::TAU * f64::from(hz) * n as f64 / f64::from(RATE) + f64::from(phase);
        (0..24_000).map(|n| level(n) * angle(n).sin() as f32).collect()
    }

    fn true_peak(samples: &[f32]) -> f32 {
        let mut peaks = Peaks::new(1, f32::MIN_POSITIVE);
        let padded = samples.iter().copied().chain([0.0; interpolation::TAPS]);
        padded.map(|sample| peaks.next([sample].into_iter())).fold(0.0, f32::max)
    }

    #[test]
    fn what_stays_below_the_ceiling_is_only_louder_and_in_its_place() {
        let quiet = sine(997.0, 0.3, |_| 0.2);
        let (out, limited) = limited(&quiet, (1, 2.0, 0.5));
        assert_eq!(limited, 0);
        assert!(out.iter().zip(&quiet).all(|(out, was)| (out - 2.0 * was).abs() < 1e-6), "moved or changed");
    }

    #[test]
    fn no_peak_stands_above_the_ceiling_not_even_between_samples() {
        // At a quarter of the rate and an eighth of a turn, samples stand 3 dB below the peaks between them.
        let swell = |n: usize| (n as f32 / 4000.0).min((24_000 - n) as f32 / 4000.0).min(1.0);
        let between = sine(12_000.0, std::f32::consts::FRAC_PI_4, swell);
        assert!((true_peak(&between) - 1.0).abs() < 0.01 && between.iter().all(|s| s.abs() < 0.708));
        let burst = |n: usize| if (9_000..11_000).contains(&n) { 3.0 } else { 0.3 };
        let at_once = |n: usize| if n < 500 { 2.0 } else { 0.1 };
        for samples in [between, sine(440.0, 0.0, burst), sine(5_003.0, 1.0, burst), sine(80.0, 1.5, at_once)] {
            let (out, limited) = limited(&samples, (1, 1.5, 0.8));
            let peak = true_peak(&out);
            assert!(limited > 0 && (0.72..0.8 * 1.012).contains(&peak), "{peak} for 0.8, {limited} limited");
            assert_eq!(out.len(), samples.len());
        }
    }

    #[test]
    fn channels_keep_their_balance_and_far_from_peaks_nothing_changes() {
        let burst = |n: usize| if (12_000..12_100).contains(&n) { 1.0 } else { 0.2 };
        let left = sine(1000.0, 0.0, burst);
        let both: Vec<f32> = left.iter().flat_map(|sample| [*sample, sample * 0.5]).collect();
        let (out, _) = limited(&both, (2, 1.0, 0.5));
        let same = |n: usize| (out[2 * n] - both[2 * n]).abs() < 1e-6;
        assert!(out.as_chunks::<2>().0.iter().all(|[left, right]| (left * 0.5 - right).abs() < 1e-6));
        assert!((0..11_500).all(same), "a gain that falls too early");
        assert!(!same(12_020) && out[2 * 12_012..2 * 12_090].iter().all(|s| s.abs() <= 0.501));
    }
}
