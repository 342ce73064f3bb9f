//! How often a segment is gone through, and with how many bits.
//!
//! An average is met by two passes, and where an encoder does not meet it in a segment, by further ones with as many bits
//! more or less as it was off. That depends on nothing but the segment, so it is the same for whoever does it.

use framefleet_model::pipeline::RateControl;
use framefleet_model::plan::{PACE_EVEN, Passes, VideoRendition};
use framefleet_model::time::{NS_PER_SECOND, Rational};

use crate::encoder::{Course, KILOBITS_MAX, Pass};
use crate::rendition::Made;

/// After the first.
pub(crate) const PASSES_MAX: u32 = 5;
/// How far a segment may be off its share: of the film's average, so that the film is off by no more.
const OFF_MAX_THOUSANDTHS: u128 = 15;
/// Encoders do not follow in a straight line.
const STEP_MAX: u32 = 4;

/// A rendition of the segment, and how it is to be encoded.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) rendition: &'a VideoRendition,
    pub(crate) course: Course,
    /// Bits a second that the segment should have.
    due: u64,
    /// Kilobits below which the encoder refuses to work.
    least: u32,
}

impl<'a> Asked<'a> {
    pub(crate) fn of(rendition: &'a VideoRendition, pace: u32) -> Self {
        let (pass, due) = match (rendition.passes(), rendition.settings.rate) {
            (Passes::Two, RateControl::Bitrate(bits)) => {
                (Pass::Second, u64::from(bits) * u64::from(pace) / u64::from(PACE_EVEN))
            }
            (Passes::One, RateControl::Bitrate(bits)) => (Pass::Only, bits.into()),
            (Passes::One | Passes::Two, RateControl::Crf(_)) => (Pass::Only, 0),
        };
        let kilobits = u32::try_from((due + 500) / 1000).unwrap_or(u32::MAX).clamp(1, KILOBITS_MAX);
        Self { rendition, course: Course { pass, kilobits }, due, least: 1 }
    }

    /// With what the first pass saw: headers and motion cost bits that no quantizer saves.
    pub(crate) fn with_seen(self, seen: &str) -> Self {
        let rate = self.rendition.format.rate;
        let least = least(seen, rate).min(self.most());
        Self { course: Course { kilobits: self.course.kilobits.max(least), ..self.course }, least, ..self }
    }

    /// A second: what the encoder takes, or what nothing may go over.
    fn most(&self) -> u32 {
        self.rendition.vbv.map_or(KILOBITS_MAX, |vbv| (vbv.rate / 1000).clamp(1, KILOBITS_MAX))
    }

    pub(crate) fn first_pass(&self) -> Option<Self> {
        let course = Course { pass: Pass::First, ..self.course };
        (self.course.pass == Pass::Second).then_some(Self { course, ..*self })
    }

    /// What to ask for instead, where what was made is too far off.
    pub(crate) fn nearer(&self, made: &Made) -> Option<Self> {
        let (Pass::Second, RateControl::Bitrate(average)) = (self.course.pass, self.rendition.settings.rate) else {
            return None;
        };
        let second = u128::from(NS_PER_SECOND.unsigned_abs());
        let length = u128::from((made.proof.end - made.proof.first).ns().max(1).unsigned_abs());
        let (due, got) = (u128::from(self.due) * length / second, u128::from(made.bytes) * 8);
        let off_max = u128::from(average) * length / second * OFF_MAX_THOUSANDTHS / 1000;
        if due.abs_diff(got) <= off_max {
            return None;
        }
        let asked = self.course.kilobits;
        let corrected = u32::try_from(u128::from(asked) * due / got.max(1)).unwrap_or(u32::MAX);
        let kilobits = corrected.clamp(asked / STEP_MAX, asked.saturating_mul(STEP_MAX)).clamp(self.least, self.most());
        (kilobits != asked).then_some(Self { course: Course { kilobits, ..self.course }, ..*self })
    }
}

/// x264 and x265 write a line for each picture, with the bits of it that always remain: `misc:120`.
fn least(seen: &str, rate: Rational) -> u32 {
    let misc = |line: &str| line.split_once("misc:")?.1.split([' ', ';']).next()?.parse::<u64>().ok();
    let (pictures, bits) = seen.lines().filter_map(misc).fold((0, 0), |(n, sum), bits| (n + 1, sum + bits));
    let length = rate.time_of(pictures).ns().max(1).unsigned_abs();
    let kilobits = u128::from(bits) * u128::from(NS_PER_SECOND.unsigned_abs()) / u128::from(length) / 1000;
    // A little more, since pictures need not be as long as their rate says.
    u32::try_from(kilobits + kilobits / 16 + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_what_headers_and_motion_take() {
        let seen = "#options: 320x180 fps=25/1\n\
            in:0 out:0 type:I dur:2 cpbdur:2 q:9.00 aq:8.00 tex:0 mv:60 misc:500 imb:240 pmb:0 smb:0 d:-;\n\
            in:1 out:1 type:P dur:2 cpbdur:2 q:9.00 aq:8.00 tex:0 mv:20 misc:300 imb:0 pmb:0 smb:240 d:- ref:;\n";
        // 800 bits in 80 ms
        assert_eq!(least(seen, Rational::new(25, 1).unwrap()), 11);
        assert_eq!(least("", Rational::new(25, 1).unwrap()), 1);
    }
}
