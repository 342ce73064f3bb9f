//! How loud a track is (EBU R128), and the one gain that makes it as loud as is asked for.

use ebur128::{Channel, EbuR128, Mode};
use framefleet_model::ledger::LoudnessProof;
use framefleet_model::media::AudioFormat;
use framefleet_model::sound::{Level, Loudness, Measured};

use crate::treatment::Treat;
use crate::treatment::limiter::Limiter;

/// A limiter's ceiling stands so much below the limit: others that measure have other filters.
const MARGIN_DB: f64 = 0.1;

pub(crate) struct Meter {
    ebu: EbuR128,
    channels: u16,
    heard: u64,
    /// Samples of one channel that count; what comes after them is not the track's.
    end: u64,
}

impl Meter {
    pub(crate) fn new(format: AudioFormat) -> Result<Self, String> {
        let AudioFormat { rate, channels } = format;
        let mode = Mode::I | Mode::TRUE_PEAK;
        let mut ebu = EbuR128::new(u32::from(channels), rate, mode).map_err(|e| e.to_string())?;
        ebu.set_channel_map(loudspeakers(channels)).map_err(|e| e.to_string())?;
        Ok(Self { ebu, channels, heard: 0, end: u64::MAX })
    }

    pub(crate) fn end_at(&mut self, samples: u64) {
        self.end = samples;
    }

    pub(crate) fn hear(&mut self, samples: &[f32]) {
        let channels = usize::from(self.channels.max(1));
        let left = usize::try_from(self.end.saturating_sub(self.heard)).unwrap_or(usize::MAX);
        let counted = samples.len().min(left.saturating_mul(channels));
        self.heard += (samples.len() / channels) as u64;
        // Blocks are whole frames; nothing else is refused.
        let _ = self.ebu.add_frames_f32(&samples[..counted]);
    }

    pub(crate) fn told(&self) -> Measured {
        let finite = |level: f64| Some(level).filter(|level| level.is_finite()).map(level_of);
        let peaks = (0..u32::from(self.channels)).filter_map(|channel| self.ebu.true_peak(channel).ok());
        Measured {
            integrated: self.ebu.loudness_global().ok().and_then(finite),
            true_peak: finite(decibels(peaks.fold(0.0, f64::max))),
        }
    }
}

impl Treat for Meter {
    /// Listens, and lets through what it hears.
    fn treat(&mut self, samples: &[f32]) -> Vec<f32> {
        self.hear(samples);
        samples.to_vec()
    }
}

/// One gain for the whole track, with a limiter where it would lift a peak above the limit.
pub(crate) struct Leveller {
    measured: Measured,
    gain: Level,
    way: Way,
    made: Meter,
}

enum Way {
    Gain(f32),
    Limited(Box<Limiter>),
}

impl Leveller {
    /// Silence is left alone.
    pub(crate) fn new(wanted: Loudness, measured: Measured, format: AudioFormat) -> Result<Self, String> {
        let gain = measured.integrated.map_or(Level(0), |integrated| Level(wanted.integrated.0 - integrated.0));
        let factor = amplitude(gain) as f32;
        let peak = measured.true_peak.map_or(i32::MIN, |peak| peak.0 + gain.0);
        let way = if peak <= wanted.true_peak.0 {
            Way::Gain(factor)
        } else {
            let ceiling = amplitude(wanted.true_peak) * 10_f64.powf(-MARGIN_DB / 20.0);
            let format = (format.channels, format.rate);
            Way::Limited(Box::new(Limiter::new(format, factor, ceiling as f32)))
        };
        Ok(Self { measured, gain, way, made: Meter::new(format)? })
    }

    pub(crate) fn end_at(&mut self, samples: u64) {
        self.made.end_at(samples);
    }

    /// Of what was made so far.
    pub(crate) fn proof(&self) -> LoudnessProof {
        let limited_samples = match &self.way {
            Way::Gain(_) => 0,
            Way::Limited(limiter) => limiter.limited,
        };
        LoudnessProof { measured: self.measured, gain: self.gain, limited_samples, made: self.made.told() }
    }
}

impl Treat for Leveller {
    fn treat(&mut self, samples: &[f32]) -> Vec<f32> {
        let levelled = match &mut self.way {
            Way::Gain(gain) => samples.iter().map(|sample| sample * *gain).collect(),
            Way::Limited(limiter) => limiter.limit(samples),
        };
        self.made.hear(&levelled);
        levelled
    }
}

/// What BS.1770 calls the channels of AAC's configurations.
fn loudspeakers(channels: u16) -> &'static [Channel] {
    use Channel::{Center, Left, LeftSurround, Mp180, Right, RightSurround, Unused};
    match channels {
        1 => &[Center],
        2 => &[Left, Right],
        3 => &[Left, Right, Center],
        4 => &[Left, Right, Center, Mp180],
        5 => &[Left, Right, Center, LeftSurround, RightSurround],
        _ => &[Left, Right, Center, Unused, LeftSurround, RightSurround],
    }
}

fn decibels(amplitude: f64) -> f64 {
    20.0 * amplitude.log10()
}

fn amplitude(level: Level) -> f64 {
    10_f64.powf(f64::from(level.0) / 2000.0)
}

fn level_of(decibels: f64) -> Level {
    Level((decibels * 100.0).round() as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: AudioFormat = AudioFormat { rate: 48_000, channels: 2 };

    /// Ten seconds of a tone in both channels; at 997 Hz its loudness is 3.01 above its root mean square.
    fn tone(amplitude: f32) -> Vec<f32> {
        let sample = |n: usize| amplitude * (std::f32::consts::TAU * 997.0 * n as f32 / 48_000.0).sin();
        (0..480_000).map(sample).flat_map(|sample| [sample, sample]).collect()
    }

    fn measured(samples: &[f32]) -> Measured {
        let mut meter = Meter::new(FORMAT).unwrap();
        meter.hear(samples);
        meter.told()
    }

    #[track_caller]
    fn near(level: Option<Level>, due: i32) {
        assert!(level.is_some_and(|level| (level.0 - due).abs() <= 10), "{level:?} instead of {due}");
    }

    #[test]
    fn a_tone_has_the_loudness_that_the_standard_gives_it() {
        let told = measured(&tone(0.1));
        near(told.integrated, -2000);
        near(told.true_peak, -2000);
        assert_eq!(measured(&[0.0; 96_000]), Measured { integrated: None, true_peak: None });
    }

    #[test]
    fn one_gain_makes_it_as_loud_as_is_asked_for() {
        let wanted = Loudness { integrated: Level(-1600), true_peak: Level(-150) };
        let samples = tone(0.01);
        let mut leveller = Leveller::new(wanted, measured(&samples), FORMAT).unwrap();
        assert_eq!(leveller.treat(&samples).len(), samples.len());
        let proof = leveller.proof();
        near(Some(proof.gain), 2400);
        near(proof.made.integrated, -1600);
        assert_eq!(proof.limited_samples, 0);
    }

    #[test]
    fn a_gain_that_would_break_the_limit_is_limited() {
        let wanted = Loudness { integrated: Level(-1600), true_peak: Level(-600) };
        let mut samples = tone(0.1);
        // A click of thrice the tone's height.
        samples[400_000..400_040].fill(0.9);
        let mut leveller = Leveller::new(wanted, measured(&samples), FORMAT).unwrap();
        leveller.treat(&samples);
        let LoudnessProof { limited_samples, made, .. } = leveller.proof();
        assert!(limited_samples > 0);
        near(made.integrated, -1600);
        assert!(made.true_peak.is_some_and(|peak| peak.0 <= -600), "{made:?}");
    }

    #[test]
    fn silence_is_left_alone() {
        let wanted = Loudness { integrated: Level(-1600), true_peak: Level(-150) };
        let mut leveller = Leveller::new(wanted, measured(&[0.0; 96_000]), FORMAT).unwrap();
        assert_eq!(leveller.treat(&[0.0, 0.001]), [0.0, 0.001]);
        assert_eq!(leveller.proof().gain, Level(0));
    }

    #[test]
    fn what_comes_after_the_track_does_not_count() {
        let mut meter = Meter::new(FORMAT).unwrap();
        meter.hear(&tone(0.1));
        meter.end_at(480_000);
        meter.hear(&tone(0.9));
        near(meter.told().integrated, -2000);
        near(meter.told().true_peak, -2000);
    }
}
