//! Moments as messages tell them.

use std::fmt;

use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;

/// A moment by somebody else's clock, in milliseconds since 1970. What it is compared with goes by another clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(pub i64);

impl WallTime {
    /// Reads `2022-08-13T06:45:43.000Z`, with an offset instead of the Z, or with the zone that EventBridge names.
    /// None if it says no moment.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_once(['T', ' '])?;
        let mut date = date.split('-').map(number);
        let (year, month, day) = (date.next()??, date.next()??, date.next()??);
        let zone = rest.find(|c: char| !matches!(c, '0'..='9' | ':' | '.'))?;
        let (clock, zone) = rest.split_at(zone);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut clock = clock.split(':').map(number);
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let fits = date.next().is_none()
            && clock.next().is_none()
            && (1970..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && (hour < 24 && minute < 60 && second <= 60);
        let fraction: String = fraction.chars().chain("000".chars()).take(3).collect();
        let ms = ((hour * 60 + minute) * 60 + second) * 1000 + number(&fraction)?;
        fits.then(|| Self(days_before(year, month, day) * DAY_MS + ms)).and_then(|local| local.less(offset_ms(zone)?))
    }

    fn less(self, ms: i64) -> Option<Self> {
        self.0.checked_sub(ms).map(Self)
    }
}

/// `2022-08-13T06:45:43.000Z`.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, ms) = (self.0.div_euclid(DAY_MS), self.0.rem_euclid(DAY_MS));
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
    }
}

fn number(digits: &str) -> Option<i64> {
    let fits = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if fits { digits.parse().ok() } else { None }
}

fn offset_ms(zone: &str) -> Option<i64> {
    if let Some((hours, minutes)) = zone.get(1..).and_then(|offset| offset.split_once(':')) {
        let ms = (number(hours)? * 60 + number(minutes)?) * 60_000;
        return match zone.as_bytes()[0] {
            b'+' => Some(ms),
            b'-' => Some(-ms),
            _ => None,
        };
    }
    match zone {
        "Z" | "z" | "UTC" | "GMT" => Some(0),
        "Asia/Shanghai" => Some(8 * 3_600_000),
        _ => None,
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn year_days_before(year: i64) -> i64 {
    let last = year - 1;
    (year - 1970) * 365 + (last / 4 - last / 100 + last / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400)
}

fn days_before(year: i64, month: i64, day: i64) -> i64 {
    year_days_before(year) + (1..month).map(|month| days_in(year, month)).sum::<i64>() + day - 1
}

fn date_of(days: i64) -> (i64, i64, i64) {
    // A guess that is at most one year late, taken back.
    let mut year = 1970 + days.div_euclid(365);
    while year_days_before(year) > days {
        year -= 1;
    }
    let (mut month, mut day) = (1, days - year_days_before(year));
    while day >= days_in(year, month) {
        day -= days_in(year, month);
        month += 1;
    }
    (year, month, day + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_read_as_providers_write_them() {
        let check = |text: &str, ms: Option<i64>| assert_eq!(WallTime::parse(text), ms.map(WallTime), "{text}");
        check("1970-01-01T00:00:00Z", Some(0));
        check("2022-08-13T06:45:43.000Z", Some(1_660_373_143_000));
        check("2022-08-13T06:45:43.5Z", Some(1_660_373_143_500));
        check("2022-08-13T14:45:43.123456+08:00", Some(1_660_373_143_123));
        check("2020-08-17T16:04:46.149Asia/Shanghai", Some(1_597_651_486_149));
        check("2000-02-29T23:59:60-01:30", Some(951_874_200_000));
        for none in
            ["", "yesterday", "2022-08-13", "2022-02-30T00:00:00Z", "2022-08-13T25:00:00Z", "2022-08-13T06:45:43"]
        {
            check(none, None);
        }
        check("2022-08-13T06:45:43.000Europe/Atlantis", None);
        check("2022-08-13T06:45:43源1:2", None);
    }

    proptest! {
        #[test]
        fn every_moment_reads_back(ms in 0_i64..253_402_300_800_000) {
            prop_assert_eq!(WallTime::parse(&WallTime(ms).to_string()), Some(WallTime(ms)));
        }

        #[test]
        fn no_text_is_too_much(text in "[-0-9TZ:.+ \\PC]{0,40}") {
            let _ = WallTime::parse(&text);
        }
    }
}
