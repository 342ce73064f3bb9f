//! When MPEG-1 and MPEG-2 pictures are shown, where the container tells it of some only.
//!
//! A program stream gives a time to the first picture that begins in a packet, and need not give one more often than
//! every 0.7 s (ISO/IEC 13818-1 2.7.4). The others follow from their place in the group of pictures and from how many
//! fields each is shown (ISO/IEC 13818-2 6.3.9, 6.3.10).

use framefleet_model::index::Unit;
use framefleet_model::time::{MediaTime, NS_PER_SECOND, scale_round};

use super::bits::Bits;
use super::mpeg2::{CODING_EXTENSION, EXTENSION, GROUP, PICTURE, SEQUENCE};
use super::nal::start_codes;

const SEQUENCE_EXTENSION: u32 = 1;
const FRAME: u32 = 3;
/// Temporal references count modulo this.
const NUMBERS: i64 = 1024;
const FIELDS: i64 = 2;
/// Pictures a second by their code (ISO/IEC 13818-2 table 6-4).
const RATES: [(i64, i64); 8] =
    [(24_000, 1001), (24, 1), (25, 1), (30_000, 1001), (30, 1), (50, 1), (60_000, 1001), (60, 1)];

/// What the units so far say of their display.
#[derive(Debug, Default)]
pub(crate) struct Display {
    pictures: Vec<Picture>,
    /// Pictures a second by the sequence header's code.
    rate: Option<(i64, i64)>,
    /// What the sequence extension multiplies them by, as a fraction; none in MPEG-1.
    scale: Option<(i64, i64)>,
    progressive: bool,
    group: u32,
}

#[derive(Clone, Copy, Debug)]
struct Picture {
    unit: usize,
    group: u32,
    /// Place in the group, in order of display.
    number: i64,
    fields: i64,
    structure: u32,
}

impl Display {
    pub(crate) fn hear(&mut self, unit: usize, bytes: &[u8]) {
        for (code, payload) in start_codes(bytes) {
            match code {
                SEQUENCE => self.rate = parse_rate(payload).or(self.rate),
                GROUP => self.group += 1,
                PICTURE => self.begin(unit, payload),
                EXTENSION => self.extend(payload),
                _ => {}
            }
        }
    }

    fn begin(&mut self, unit: usize, payload: &[u8]) {
        let Some(told) = Bits::new(payload).take(10).map(i64::from) else { return };
        let before = self.pictures.last().filter(|last| last.group == self.group).map_or(told, |last| last.number);
        let number = before + (told - before + NUMBERS / 2).rem_euclid(NUMBERS) - NUMBERS / 2;
        self.pictures.push(Picture { unit, group: self.group, number, fields: FIELDS, structure: FRAME });
    }

    fn extend(&mut self, payload: &[u8]) {
        let mut bits = Bits::new(payload);
        match bits.take(4) {
            Some(SEQUENCE_EXTENSION) => {
                let progressive = bits.skip(8).and_then(|()| bits.take(1));
                self.progressive = progressive == Some(1);
                let scale = bits.skip(28).and_then(|()| bits.take(2).zip(bits.take(5)));
                self.scale = scale.map(|(n, d)| (i64::from(n) + 1, i64::from(d) + 1));
            }
            Some(CODING_EXTENSION) => {
                let structure = bits.skip(18).and_then(|()| bits.take(2));
                let top_first = bits.take(1);
                let repeated = bits.skip(5).and_then(|()| bits.take(1));
                let Some(last) = self.pictures.last_mut() else { return };
                last.structure = structure.unwrap_or(FRAME);
                last.fields = match (repeated, self.progressive, top_first) {
                    (Some(1), true, Some(1)) => 3 * FIELDS,
                    (Some(1), true, _) => 2 * FIELDS,
                    (Some(1), false, _) => FIELDS + 1,
                    _ => FIELDS,
                };
            }
            _ => {}
        }
    }

    /// Gives each picture without a time its own, where those around it agree on one.
    pub(crate) fn fill(&self, units: &mut [Unit]) {
        let Some(rate) = self.rate else { return };
        let (times, parts) = self.scale.unwrap_or((1, 1));
        let (pictures, seconds) = (rate.0 * times, rate.1 * parts);
        let time_of = |fields: i64| MediaTime(scale_round(fields * seconds, NS_PER_SECOND, pictures * FIELDS));
        let slack = MediaTime(time_of(FIELDS).ns() / 4);
        let mut next = None;
        for group in self.pictures.chunk_by(|a, b| a.group == b.group) {
            let Some((places, length)) = places(group) else {
                next = None;
                continue;
            };
            let told: Vec<MediaTime> =
                places.iter().filter_map(|(unit, at)| Some(units.get(*unit)?.pts? - time_of(*at))).collect();
            let begun = match (told.first(), next) {
                (Some(first), _) if told.iter().all(|other| (*other - *first).ns().abs() <= slack.ns()) => Some(*first),
                (Some(_), _) => None,
                (None, next) => next,
            };
            for (unit, at) in places {
                if let (Some(begun), Some(unit)) = (begun, units.get_mut(unit))
                    && unit.shows > 0
                {
                    unit.pts = unit.pts.or(Some(begun + time_of(at)));
                }
            }
            next = begun.map(|begun| begun + time_of(length));
        }
    }
}

/// Units and the field at which each begins to be shown, from the first number of the group on; and all fields.
fn places(group: &[Picture]) -> Option<(Vec<(usize, i64)>, i64)> {
    let mut order: Vec<Picture> = Vec::with_capacity(group.len());
    for picture in group {
        // The second field of a pair is part of the first's picture.
        match order.last() {
            Some(last) if last.number == picture.number && last.structure + picture.structure == FRAME => {}
            _ => order.push(*picture),
        }
    }
    order.sort_by_key(|picture| picture.number);
    if order.windows(2).any(|pair| pair[0].number == pair[1].number) {
        return None;
    }
    let mut at = 0;
    let mut places = Vec::with_capacity(order.len());
    // Numbers start at 0 unless a film begins within its group; what is missing was lost and took its time.
    let mut due = order.first().map_or(0, |first| first.number.min(0));
    for picture in order {
        at += (picture.number - due) * FIELDS;
        places.push((picture.unit, at));
        at += picture.fields;
        due = picture.number + 1;
    }
    Some((places, at))
}

fn parse_rate(payload: &[u8]) -> Option<(i64, i64)> {
    let code = usize::from(payload.get(3)? & 15);
    RATES.get(code.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use framefleet_model::index::Key;

    use super::*;

    fn picture(number: u8, repeat: bool) -> Vec<u8> {
        let head = [0, 0, 1, PICTURE, number >> 2, number << 6 | 1 << 3, 0, 0];
        let extension = [0, 0, 1, EXTENSION, 0x8f, 0xff, 0xff, 0x80 | u8::from(repeat) << 1, 0];
        [&head[..], &extension, &[0, 0, 1, 1, 0x22]].concat()
    }

    fn unit(pts: Option<i64>) -> Unit {
        let pts = pts.map(MediaTime::from_millis);
        Unit { pts, dts: None, duration: None, size: 1, key: Key::No, shows: 1, hash: 0, offset: None }
    }

    fn filled(pictures: &[(u8, bool)], told: &[Option<i64>]) -> Vec<Option<i64>> {
        let mut display = Display::default();
        let head = [0, 0, 1, SEQUENCE, 0, 0, 0, 0x13, 0, 0, 0, 0, 0, 0, 1, GROUP, 0, 0, 0, 0];
        for (number, (place, repeat)) in pictures.iter().enumerate() {
            let opening: &[u8] = if *place == 2 && number == 0 { &head } else { &[] };
            display.hear(number, &[opening, &picture(*place, *repeat)].concat());
        }
        let mut units: Vec<Unit> = told.iter().map(|pts| unit(*pts)).collect();
        display.fill(&mut units);
        units.iter().map(|unit| unit.pts.map(|pts| pts.ns() / 1_000_000)).collect()
    }

    #[test]
    fn untold_times_follow_from_the_order_of_display() {
        let group = [(2, false), (0, false), (1, false), (3, false)];
        let all = [Some(180), Some(100), Some(140), Some(220)];
        assert_eq!(filled(&group, &[Some(180), None, None, None]), all);
        assert_eq!(filled(&group, &[None, None, Some(140), None]), all);
    }

    #[test]
    fn a_repeated_field_takes_half_a_pictures_time() {
        let group = [(2, false), (0, true), (1, false), (3, false)];
        assert_eq!(filled(&group, &[None, Some(100), None, None]), [Some(200), Some(100), Some(160), Some(240)]);
    }

    #[test]
    fn extensions_without_end_multiply_nothing_twice() {
        let mut display = Display::default();
        display.hear(0, &[0, 0, 1, SEQUENCE, 0, 0, 0, 0x13, 0, 0, 0, 0]);
        let extension = [0, 0, 1, EXTENSION, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff];
        (0..1000).for_each(|_| display.hear(0, &extension));
        assert_eq!((display.rate, display.scale), (Some((25, 1)), Some((4, 32))));
    }

    #[test]
    fn times_that_disagree_tell_nothing() {
        let group = [(2, false), (0, false), (1, false), (3, false)];
        let told = [Some(180), Some(100), None, Some(500)];
        assert_eq!(filled(&group, &told), told);
    }
}
