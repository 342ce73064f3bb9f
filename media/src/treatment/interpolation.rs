//! The wave between two samples, by a windowed sinc at each quarter.

/// Samples on either side.
pub(crate) const REACH: usize = 16;
pub(crate) const TAPS: usize = 2 * REACH;
/// Of a sample's length: true peaks are those of four times the rate (ITU-R BS.1770, annex 2).
const STEPS: usize = 4;

pub(crate) struct Interpolation {
    kernels: [[f32; TAPS]; STEPS - 1],
}

impl Interpolation {
    pub(crate) fn new() -> Self {
        Self { kernels: std::array::from_fn(|step| kernel((step + 1) as f64 / STEPS as f64)) }
    }

    /// By which a peak may at most stand above the samples around it.
    pub(crate) fn gain_max(&self) -> f32 {
        let sum = |kernel: &[f32; TAPS]| kernel.iter().map(|tap| tap.abs()).sum::<f32>();
        self.kernels.iter().map(sum).fold(1.0, f32::max)
    }

    /// The largest value between the samples `REACH - 1` and `REACH` of these.
    pub(crate) fn peak_after(&self, taps: &[f32]) -> f32 {
        let value = |kernel: &[f32; TAPS]| kernel.iter().zip(taps).map(|(weight, sample)| weight * sample).sum::<f32>();
        self.kernels.iter().map(|kernel| value(kernel).abs()).fold(0.0, f32::max)
    }
}

/// Weights of the samples around a place that is so much of a sample's length behind the one in the middle.
fn kernel(behind: f64) -> [f32; TAPS] {
    let distance = |tap: usize| tap as f64 - (REACH - 1) as f64 - behind;
    let weights: [f64; TAPS] = std::array::from_fn(|tap| sinc(distance(tap)) * blackman(distance(tap) / REACH as f64));
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| (weight / sum) as f32)
}

fn sinc(x: f64) -> f64 {
    let turned = std::f64::consts::PI * x;
    if turned == 0.0 { 1.0 } else { turned.sin() / turned }
}

fn blackman(x: f64) -> f64 {
    let turned = std::f64::consts::PI * x;
    if x.abs() < 1.0 { 0.42 + 0.5 * turned.cos() + 0.08 * (2.0 * turned).cos() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wave_is_found_between_its_samples() {
        let interpolation = Interpolation::new();
        for hz in [100.0, 5_000.0, 15_000.0_f64] {
            // The crest lies half a sample behind the middle.
            let wave = |tap: usize| (std::f64::consts::TAU * hz / 48_000.0 * (tap as f64 - REACH as f64 + 0.5)).cos();
            let taps: Vec<f32> = (0..TAPS).map(|tap| wave(tap) as f32).collect();
            let peak = interpolation.peak_after(&taps);
            assert!((peak - 1.0).abs() < 0.005, "{peak} at {hz} Hz");
        }
    }
}
