//! Times on a container's clock.

use framefleet_model::time::{MediaTime, NS_PER_SECOND, Rational, scale_round};

use super::{Audio, MuxError, SoundUnits, Video};

/// The clock of a container whose rate no picture rate decides.
const COMMON_TIMESCALE: u32 = 90_000;
const TIMESCALE_MIN: u32 = 10_000;
const TIMESCALE_MAX: u32 = 100_000;

/// When pictures are decoded and shown, in ticks; decoding begins at tick zero.
pub(crate) struct Pictures {
    timescale: u32,
    /// Decoding ticks, strictly rising.
    pub(crate) dts: Vec<i64>,
    /// What stands on the clock at the output's time zero.
    pub(crate) zero: i64,
    /// Where decoding of one more picture would begin.
    pub(crate) end: i64,
}

/// When sound units are decoded, in samples; the first at zero.
#[derive(Clone)]
pub(crate) struct Sounds {
    pub(crate) rate: u32,
    pub(crate) units: SoundUnits,
}

/// The clock on which a constant rate has exact times: a multiple of its numerator between 10 000 and 100 000 ticks
/// a second, else 90 000.
pub(crate) fn timescale_of(rate: Rational) -> u32 {
    let num = rate.num();
    if num > TIMESCALE_MAX {
        return COMMON_TIMESCALE;
    }
    num * TIMESCALE_MIN.div_ceil(num)
}

impl Pictures {
    pub(crate) fn new(video: &Video, timescale: u32) -> Result<Self, MuxError> {
        let first = *video.times.first().ok_or(MuxError::Empty)?;
        if first < MediaTime::ZERO {
            return Err(MuxError::Negative(first));
        }
        let ticks = |time: MediaTime| time.to_ticks(timescale);
        let start = ticks(first);
        let dts: Vec<i64> = video.times.iter().map(|time| ticks(*time) - start).collect();
        if let Some(at) = dts.windows(2).position(|pair| pair[1] <= pair[0]) {
            return Err(MuxError::Times(at + 1, video.times[at + 1]));
        }
        let last = dts.last().copied().unwrap_or(0);
        let end = (ticks(video.end) - start).max(last + 1);
        // The clock starts when the first picture is decoded: `dts_delay` before it is shown. Times that fall between
        // ticks are rounded one by one, and a tick may be what then lacks between decoding and showing.
        let is_between = |time: MediaTime| MediaTime::from_ticks(ticks(time), timescale) != time;
        let slack = is_between(video.dts_delay) || video.times.iter().any(|time| is_between(*time));
        let zero = ticks(video.dts_delay) + i64::from(slack && video.dts_delay > MediaTime::ZERO) - start;
        Ok(Self { timescale, dts, zero, end })
    }

    /// The tick at which a picture is shown.
    pub(crate) fn shown(&self, pts: MediaTime) -> i64 {
        pts.to_ticks(self.timescale) + self.zero
    }

    /// When the n-th picture is decoded, on the output's time line: before zero where decoding runs ahead.
    pub(crate) fn decoded_at(&self, number: usize) -> MediaTime {
        MediaTime::from_ticks(self.dts[number] - self.zero, self.timescale)
    }
}

impl Sounds {
    pub(crate) fn new(audio: &Audio) -> Result<Self, MuxError> {
        if audio.first < MediaTime::ZERO {
            return Err(MuxError::Negative(audio.first));
        }
        Ok(Self { rate: audio.format.rate.max(1), units: audio.units.clone() })
    }

    /// When the n-th unit begins, counted from the first.
    pub(crate) fn begins(&self, number: usize) -> MediaTime {
        let samples = self.units.begins.get(number).copied().unwrap_or(self.units.end);
        MediaTime(scale_round(samples.cast_signed(), NS_PER_SECOND, i64::from(self.rate)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_rates_have_exact_clocks() {
        let timescale = |num, den| timescale_of(Rational::new(num, den).unwrap());
        assert_eq!(timescale(30_000, 1001), 30_000);
        assert_eq!(timescale(24_000, 1001), 24_000);
        assert_eq!(timescale(25, 1), 10_000);
        assert_eq!(timescale(60, 1), 10_020);
        assert_eq!(timescale(2997, 100), 11_988);
        assert_eq!(timescale(1_000_000, 33_333), 90_000);
    }
}
