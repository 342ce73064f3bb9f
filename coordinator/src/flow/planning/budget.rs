//! How bits are shared over the segments of a film, so that all of them together are what was asked for.
//!
//! A bit rate is an average over the film. What each segment needs of it is estimated by what the source's own encoder
//! spent there, but for its key pictures: the source has them where it likes, an output has one in front of each
//! segment.

use framefleet_model::index::Unit;
use framefleet_model::pipeline::RateControl;
use framefleet_model::plan::{PACE_EVEN, Segment, Vbv, VideoRendition};
use framefleet_model::time::{MediaTime, NS_PER_SECOND};

/// No segment gets less than this part of the average, in ten-thousandths: the estimate may be wrong.
const PACE_MIN: u64 = 100;
/// Of a cap, what an average may be at most.
const AVERAGE_PERCENT_MAX: u32 = 97;
/// How full a segment's encoder may think the player's buffer at its start, and how large that buffer is.
const BUFFER: MediaTime = MediaTime::from_secs(1);
const FULL_AT_START: MediaTime = MediaTime(NS_PER_SECOND / 2);

/// Bits a second of each segment, in ten-thousandths of the film's average.
pub(crate) fn paces(units: &[Unit], segments: &[Segment]) -> Vec<u32> {
    let mut tallies = vec![Tally::default(); segments.len()];
    for unit in units {
        let Some(pts) = unit.pts else { continue };
        let after = segments.partition_point(|segment| segment.span.start <= pts);
        let within = after.checked_sub(1).filter(|n| pts < segments[*n].span.end);
        if let Some(n) = within {
            tallies[n].count(unit);
        }
    }
    let mut key = tallies.iter().find_map(Tally::key).unwrap_or(0);
    let needs: Vec<u128> = tallies
        .iter()
        .map(|tally| {
            key = tally.key().unwrap_or(key);
            u128::from(tally.need(key))
        })
        .collect();
    let lengths: Vec<u128> =
        segments.iter().map(|segment| segment.span.len().ns().max(1).unsigned_abs().into()).collect();
    let (all, length) = (needs.iter().sum::<u128>(), lengths.iter().sum::<u128>());
    if all == 0 {
        return vec![PACE_EVEN; segments.len()];
    }
    let shared = u128::from(u64::from(PACE_EVEN) - PACE_MIN);
    let pace = |(need, own): (&u128, &u128)| {
        let (part, whole) = (shared * need * length, all * own);
        u32::try_from(u128::from(PACE_MIN) + (part + whole / 2) / whole).unwrap_or(u32::MAX)
    };
    needs.iter().zip(&lengths).map(pace).collect()
}

/// The largest pace at which no rendition with both an average and a cap goes over the cap; `None` where there is none.
pub(crate) fn pace_max(renditions: &[VideoRendition]) -> Option<u32> {
    let bounds =
        renditions.iter().filter_map(|rendition| match (rendition.settings.rate, rendition.settings.max_bitrate) {
            (RateControl::Bitrate(bits), Some(most)) => {
                let pace = u64::from(PACE_EVEN) * u64::from(within_cap(most)) / u64::from(bits.max(1));
                Some(u32::try_from(pace).unwrap_or(u32::MAX))
            }
            (RateControl::Bitrate(_) | RateControl::Crf(_), _) => None,
        });
    bounds.min()
}

/// The highest average under a cap: encoders meet what a segment is given, but not to the bit.
pub(crate) fn within_cap(max_bitrate: u32) -> u32 {
    max_bitrate / 100 * AVERAGE_PERCENT_MAX
}

/// What is over a bound goes to the segments that have room, by what they have already.
pub(crate) fn bounded(mut paces: Vec<u32>, segments: &[Segment], most: u32) -> Vec<u32> {
    let length = |n: usize| u128::from(segments[n].span.len().ns().max(1).unsigned_abs());
    // Each round fills at least one segment.
    for _ in 0..segments.len() {
        let over: u128 = (0..paces.len()).map(|n| length(n) * u128::from(paces[n].saturating_sub(most))).sum();
        let room: u128 = (0..paces.len()).filter(|n| paces[*n] < most).map(|n| length(n) * u128::from(paces[n])).sum();
        if over == 0 || room == 0 {
            break;
        }
        for pace in &mut paces {
            *pace = match *pace >= most {
                true => most,
                false => u32::try_from(u128::from(*pace) * (room + over) / room).unwrap_or(u32::MAX),
            };
        }
    }
    paces.into_iter().map(|pace| pace.min(most)).collect()
}

/// The bits a second of the segment that has most.
pub(crate) fn most(rendition: &VideoRendition, segments: &[Segment]) -> u64 {
    let pace = segments.iter().map(|segment| segment.pace).max().unwrap_or(PACE_EVEN);
    match rendition.settings.rate {
        RateControl::Bitrate(bits) => u64::from(bits) * u64::from(pace) / u64::from(PACE_EVEN),
        RateControl::Crf(_) => 0,
    }
}

/// The buffer that each segment's encoder is held to, so that the film's bits in any stretch of it are at most the rate
/// over the stretch and two seconds. What a segment may begin with is taken off the rate: the one before it may have
/// spent it already.
pub(crate) fn vbv(max_bitrate: u32, segments: &[Segment]) -> Vbv {
    let shortest = segments.iter().map(|segment| segment.span.len()).min().unwrap_or(BUFFER).ns().max(1);
    let rate = if segments.len() <= 1 {
        u64::from(max_bitrate)
    } else {
        let (part, whole) = (i128::from(shortest), i128::from(shortest + FULL_AT_START.ns()));
        u64::try_from(i128::from(max_bitrate) * part / whole).unwrap_or(1)
    };
    let rate = u32::try_from(rate).unwrap_or(max_bitrate).max(1000);
    Vbv { rate, buffer_ms: u32::try_from(BUFFER.ns() / 1_000_000).unwrap_or(1000), start_percent: 50 }
}

/// The same where segments are given their bits: all of a segment is within the cap already, and only its moments are
/// bounded.
pub(crate) fn vbv_of_average(max_bitrate: u32) -> Vbv {
    Vbv { rate: max_bitrate, buffer_ms: u32::try_from(BUFFER.ns() / 1_000_000).unwrap_or(1000), start_percent: 50 }
}

/// What the source has between two cuts.
#[derive(Clone, Copy, Default)]
struct Tally {
    keys: u64,
    key_bytes: u64,
    others: u64,
    other_bytes: u64,
}

impl Tally {
    fn count(&mut self, unit: &Unit) {
        let (count, bytes) = match unit.is_key() {
            true => (&mut self.keys, &mut self.key_bytes),
            false => (&mut self.others, &mut self.other_bytes),
        };
        *count += 1;
        *bytes += u64::from(unit.size);
    }

    fn key(&self) -> Option<u64> {
        self.key_bytes.checked_div(self.keys)
    }

    /// Its pictures, one of them a key of this size.
    fn need(&self, key: u64) -> u64 {
        match self.other_bytes.checked_div(self.others) {
            None => self.key_bytes,
            Some(other) => other * (self.keys + self.others) + key.saturating_sub(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use framefleet_model::index::Key;
    use framefleet_model::plan::Decode;
    use framefleet_model::time::Span;

    fn units(sizes: &[(u32, bool)]) -> Vec<Unit> {
        let unit = |(n, (size, key)): (i64, &(u32, bool))| Unit {
            pts: Some(MediaTime::from_millis(n * 100)),
            dts: None,
            duration: None,
            size: *size,
            key: if *key { Key::Yes } else { Key::No },
            shows: 1,
            hash: 0,
            offset: None,
        };
        (0..).zip(sizes).map(unit).collect()
    }

    fn segments(lengths: &[i64]) -> Vec<Segment> {
        let mut at = MediaTime::ZERO;
        let mut number = 0..;
        let segment = |length: &i64| {
            let span = Span::new(at, at + MediaTime::from_millis(length * 100));
            at = span.end;
            let decode = Decode::Whole;
            Segment { number: number.next().unwrap_or(0), span, decode, pictures: None, pace: PACE_EVEN }
        };
        lengths.iter().map(segment).collect()
    }

    #[test]
    fn bits_go_where_the_source_has_them_and_add_up_to_the_average() {
        let film = units(&[(1000, true), (100, false), (100, false), (100, false), (900, false), (900, false)]);
        // A key and three like 100 against two like 900 with the same key in front.
        let paces = paces(&film, &segments(&[4, 2]));
        let sum: u64 = u64::from(paces[0]) * 4 + u64::from(paces[1]) * 2;
        assert!(sum.abs_diff(60_000) <= 3, "{paces:?}");
        let (first, second) = (f64::from(paces[0] - 100), f64::from(paces[1] - 100));
        assert!((second * 2.0 / (first * 4.0) - 1900.0 / 1300.0).abs() < 0.01, "{paces:?}");
    }

    #[test]
    fn where_the_source_has_its_keys_does_not_matter() {
        let film = units(&[(1000, true), (100, false), (100, false), (100, false), (100, false), (100, false)]);
        assert_eq!(paces(&film, &segments(&[3, 3])), [PACE_EVEN, PACE_EVEN]);
        let intra = units(&[(300, true), (300, true), (100, true), (100, true)]);
        assert_eq!(paces(&intra, &segments(&[2, 2])), [100 + 14_850, 100 + 4_950]);
        assert_eq!(paces(&[], &segments(&[2, 2])), [PACE_EVEN, PACE_EVEN]);
    }

    #[test]
    fn what_is_over_a_cap_goes_where_there_is_room() {
        let bounded = |paces: &[u32], most| bounded(paces.to_vec(), &segments(&[10, 10, 10]), most);
        assert_eq!(bounded(&[20_000, 5_000, 5_000], 15_000), [15_000, 7_500, 7_500]);
        assert_eq!(bounded(&[20_000, 9_000, 1_000], 12_000), [12_000, 12_000, 6_000]);
        assert_eq!(bounded(&[10_000, 10_000, 10_000], 12_000), [10_000; 3]);
    }

    #[test]
    fn a_cap_leaves_room_for_what_the_segment_before_has_spent() {
        assert_eq!(vbv(1_000_000, &segments(&[50])).rate, 1_000_000);
        assert_eq!(vbv(1_100_000, &segments(&[50, 60])).rate, 1_000_000);
    }
}
