//! Noise taken off by RNNoise, each channel by itself.

use nnnoiseless::DenoiseState;

use crate::treatment::Treat;

/// The only rate that it knows.
pub(crate) const RATE: u32 = 48_000;
const FRAME: usize = DenoiseState::FRAME_SIZE;
/// It takes samples for those of 16 bits.
const FULL_SCALE: f32 = 32_768.0;

pub(crate) struct Denoiser {
    channels: Vec<Channel>,
    /// Interleaved samples that fill no frame yet.
    waiting: Vec<f32>,
    /// What it puts out is a frame late, and so what is put out first is nobody's.
    begun: Begun,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    No,
    Yes,
}

enum Channel {
    Voice(Box<DenoiseState<'static>>),
    /// Low frequencies are no noise; they wait as long as the others.
    Lfe(Box<[f32; FRAME]>),
}

impl Denoiser {
    /// Of channels that stand where AAC's configurations have them.
    pub(crate) fn new(channels: u16) -> Self {
        let channel = |number: u16| match (channels, number) {
            (6, 3) => Channel::Lfe(Box::new([0.0; FRAME])),
            _ => Channel::Voice(DenoiseState::new()),
        };
        Self { channels: (0..channels).map(channel).collect(), waiting: Vec::new(), begun: Begun::No }
    }

    /// A frame of all channels.
    fn frame(&mut self, samples: &[f32]) -> Vec<f32> {
        let count = self.channels.len();
        let mut out = vec![0.0; samples.len()];
        for (number, channel) in self.channels.iter_mut().enumerate() {
            let own: [f32; FRAME] = std::array::from_fn(|at| samples[at * count + number] * FULL_SCALE);
            let mut cleaned = [0.0; FRAME];
            match channel {
                Channel::Voice(state) => {
                    state.process_frame(&mut cleaned, &own);
                }
                Channel::Lfe(before) => cleaned = std::mem::replace(&mut **before, own),
            }
            for (at, sample) in cleaned.iter().enumerate() {
                out[at * count + number] = sample / FULL_SCALE;
            }
        }
        out
    }
}

impl Treat for Denoiser {
    fn treat(&mut self, samples: &[f32]) -> Vec<f32> {
        self.waiting.extend_from_slice(samples);
        let whole = self.waiting.len() / (FRAME * self.channels.len()) * FRAME * self.channels.len();
        let later = self.waiting.split_off(whole);
        let frames = std::mem::replace(&mut self.waiting, later);
        let mut out = Vec::with_capacity(frames.len());
        for frame in frames.chunks_exact(FRAME * self.channels.len()) {
            let cleaned = self.frame(frame);
            if self.begun == Begun::Yes {
                out.extend(cleaned);
            }
            self.begun = Begun::Yes;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vowels of 200 ms twice a second: harmonics of a voice that falls from 140 Hz, louder near 600 and 1200 Hz.
    fn vowels(n: usize) -> f32 {
        let (t, within) = (n as f32 / RATE as f32, n as f32 / RATE as f32 % 0.5);
        if within >= 0.2 {
            return 0.0;
        }
        let shape = (within / 0.2 * std::f32::consts::PI).sin();
        let harmonic = |k: usize| {
            let hz = k as f32 * (140.0 - 40.0 * within);
            let formant = |centre: f32| (-((hz - centre) / 150.0).powi(2)).exp();
            (formant(600.0) + 0.6 * formant(1200.0) + 0.05) * (std::f32::consts::TAU * hz * t).sin()
        };
        0.2 * shape * (1..25).map(harmonic).sum::<f32>()
    }

    /// White, and the same each time.
    fn noise(n: usize) -> f32 {
        let mut state = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((state >> 40) as f32 / (1 << 24) as f32 - 0.5) * 0.02
    }

    fn cleaned(samples: &[f32], channels: u16) -> Vec<f32> {
        let mut denoiser = Denoiser::new(channels);
        let mut out: Vec<f32> =
            samples.chunks(1000 * usize::from(channels)).flat_map(|block| denoiser.treat(block)).collect();
        out.extend(denoiser.treat(&vec![0.0; 2 * FRAME * usize::from(channels)]));
        out.truncate(samples.len());
        out
    }

    fn power(samples: impl Iterator<Item = f32>) -> f64 {
        let (sum, count) = samples.fold((0.0, 0), |(sum, n), s| (sum + f64::from(s) * f64::from(s), n + 1));
        10.0 * (sum / f64::from(count.max(1))).log10()
    }

    #[test]
    fn noise_falls_and_the_voice_stays_in_its_place() {
        let length = 6 * RATE as usize;
        let voice: Vec<f32> = (0..length).map(vowels).collect();
        let heard: Vec<f32> = (0..length).map(|n| vowels(n) + noise(n)).collect();
        let out = cleaned(&heard, 1);
        assert_eq!(out.len(), length);
        // Pauses, once it has listened for two seconds.
        let pause = |n: &usize| *n >= 2 * RATE as usize && (0.3..0.48).contains(&(*n as f32 / RATE as f32 % 0.5));
        let floor = |samples: &[f32]| power((0..length).filter(pause).map(|n| samples[n]));
        let fallen = floor(&heard) - floor(&out);
        assert!(fallen >= 10.0, "the noise falls by {fallen} dB");
        let likeness = |lag: i64| -> f64 {
            let at = |n: usize| usize::try_from(n as i64 + lag).ok().and_then(|n| out.get(n)).copied().unwrap_or(0.0);
            (2 * RATE as usize..length - 2000).map(|n| f64::from(voice[n]) * f64::from(at(n))).sum()
        };
        let best = (-1000..1000).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
        assert!(best.abs() <= 2, "the voice stands {best} samples off");
        assert!(likeness(0) > 0.5 * voice.iter().skip(2 * RATE as usize).map(|s| f64::from(s * s)).sum::<f64>());
    }

    #[test]
    fn low_frequencies_are_left_alone_and_wait_for_the_others() {
        let low = |n: usize| 0.3 * (std::f32::consts::TAU * 40.0 * n as f32 / RATE as f32).sin();
        let samples: Vec<f32> = (0..9600).flat_map(|n| [0.0, 0.0, 0.0, low(n), 0.0, 0.0]).collect();
        let out = cleaned(&samples, 6);
        assert!((0..9600).all(|n| (out[6 * n + 3] - samples[6 * n + 3]).abs() < 1e-6));
    }
}
