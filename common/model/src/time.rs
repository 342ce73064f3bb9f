//! Media time: signed nanoseconds, exact rational rates, half-open spans.

use std::fmt;
use std::ops::{Add, Neg, Sub};

use serde::{Deserialize, Serialize};

pub const NS_PER_SECOND: i64 = 1_000_000_000;

/// A place on, or a distance along, a media time line, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaTime(pub i64);

/// A moment by the store's clock, in milliseconds since 1970: the only clock that decisions go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoreTime(pub i64);

/// A positive rational number, such as a frame rate (30000/1001) or a pixel aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32)", into = "(u32, u32)")]
pub struct Rational {
    num: u32,
    den: u32,
}

/// A half-open range `[start, end)` of media time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    pub start: MediaTime,
    pub end: MediaTime,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("{0}/{1} is no positive ratio")]
    Ratio(u32, u32),
    #[error("cannot read {0:?} as a ratio such as 25 or 30000/1001")]
    RatioText(String),
    #[error("cannot read {0:?} as a duration such as 5s, 500ms, 1m30s or 00:01:30.5")]
    DurationText(String),
}

impl MediaTime {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_millis(ms: i64) -> Self {
        Self(ms * 1_000_000)
    }

    pub const fn from_secs(s: i64) -> Self {
        Self(s * NS_PER_SECOND)
    }

    pub const fn ns(self) -> i64 {
        self.0
    }

    /// The tick of a clock of `rate` ticks a second that stands nearest to this time.
    pub fn to_ticks(self, rate: u32) -> i64 {
        scale_round(self.0, i64::from(rate), NS_PER_SECOND)
    }

    pub fn from_ticks(ticks: i64, rate: u32) -> Self {
        Self(scale_round(ticks, NS_PER_SECOND, i64::from(rate)))
    }

    /// Reads `5s`, `500ms`, `1m30s`, `2h`, `12.5`, or `[HH:]MM:SS[.fff]`.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let bad = || TimeError::DurationText(text.to_owned());
        let trimmed = text.trim();
        if trimmed.contains(':') {
            return parse_clock(trimmed).ok_or_else(bad);
        }
        parse_units(trimmed).ok_or_else(bad)
    }
}

impl StoreTime {
    pub const fn ms(self) -> i64 {
        self.0
    }

    pub const fn after_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; negative where it lies ahead.
    pub const fn ms_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Rational {
    pub const ONE: Self = Self { num: 1, den: 1 };

    pub fn new(num: u32, den: u32) -> Result<Self, TimeError> {
        if num == 0 || den == 0 {
            return Err(TimeError::Ratio(num, den));
        }
        let divisor = gcd(num, den);
        Ok(Self { num: num / divisor, den: den / divisor })
    }

    pub fn num(self) -> u32 {
        self.num
    }

    pub fn den(self) -> u32 {
        self.den
    }

    /// When the n-th picture of this constant rate stands, counted from zero.
    pub fn time_of(self, n: i64) -> MediaTime {
        MediaTime(scale_round(n, NS_PER_SECOND * i64::from(self.den), i64::from(self.num)))
    }

    /// The picture of this constant rate whose time is nearest to `time`.
    pub fn nearest(self, time: MediaTime) -> i64 {
        scale_round(time.0, i64::from(self.num), NS_PER_SECOND * i64::from(self.den))
    }

    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let bad = || TimeError::RatioText(text.to_owned());
        let trimmed = text.trim();
        if let Some((num, den)) = trimmed.split_once(['/', ':']) {
            return Self::new(num.parse().map_err(|_| bad())?, den.parse().map_err(|_| bad())?);
        }
        let (whole, fraction) = trimmed.split_once('.').unwrap_or((trimmed, ""));
        if fraction.len() > 6 {
            return Err(bad());
        }
        let den = 10_u32.pow(u32::try_from(fraction.len()).map_err(|_| bad())?);
        let whole: u32 = whole.parse().map_err(|_| bad())?;
        let part: u32 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| bad())? };
        let num = whole.checked_mul(den).and_then(|n| n.checked_add(part)).ok_or_else(bad)?;
        Self::new(num, den)
    }
}

impl Span {
    pub fn new(start: MediaTime, end: MediaTime) -> Self {
        Self { start, end: end.max(start) }
    }

    pub fn contains(self, time: MediaTime) -> bool {
        self.start <= time && time < self.end
    }

    pub fn len(self) -> MediaTime {
        self.end - self.start
    }

    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

impl Add for MediaTime {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for MediaTime {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for MediaTime {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

/// Seconds with as many decimals as are needed, at least three.
impl fmt::Display for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let abs = self.0.unsigned_abs();
        if abs.is_multiple_of(1_000_000) {
            write!(f, "{sign}{}.{:03} s", abs / 1_000_000_000, abs / 1_000_000 % 1000)
        } else {
            let us = abs.saturating_add(500) / 1000;
            write!(f, "{sign}{}.{:06} s", us / 1_000_000, us % 1_000_000)
        }
    }
}

impl fmt::Display for Rational {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.den == 1 { write!(f, "{}", self.num) } else { write!(f, "{}/{}", self.num, self.den) }
    }
}

impl TryFrom<(u32, u32)> for Rational {
    type Error = TimeError;
    fn try_from((num, den): (u32, u32)) -> Result<Self, TimeError> {
        Self::new(num, den)
    }
}

impl From<Rational> for (u32, u32) {
    fn from(ratio: Rational) -> Self {
        (ratio.num, ratio.den)
    }
}

/// `value * num / den`, rounded half away from zero, without overflow in between.
pub fn scale_round(value: i64, num: i64, den: i64) -> i64 {
    let product = i128::from(value) * i128::from(num);
    let den = i128::from(den);
    let half = den / 2;
    let rounded = if product >= 0 { (product + half) / den } else { (product - half) / den };
    i64::try_from(rounded).unwrap_or(if rounded > 0 { i64::MAX } else { i64::MIN })
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn parse_seconds(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') || text.is_empty() {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let ns: i64 = format!("{fraction:0<9}").parse().ok()?;
    whole.checked_mul(NS_PER_SECOND)?.checked_add(ns)
}

fn parse_clock(text: &str) -> Option<MediaTime> {
    let parts: Vec<&str> = text.split(':').collect();
    let (clock, seconds) = parts.split_at(parts.len().checked_sub(1)?);
    if clock.len() > 2 {
        return None;
    }
    let mut minutes: i64 = 0;
    for part in clock {
        minutes = minutes.checked_mul(60)?.checked_add(part.parse::<u32>().ok()?.into())?;
    }
    let ns = parse_seconds(seconds[0])?;
    minutes.checked_mul(60 * NS_PER_SECOND)?.checked_add(ns).map(MediaTime)
}

fn parse_units(text: &str) -> Option<MediaTime> {
    let (mut rest, mut total) = (text, 0_i64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let value = parse_seconds(&rest[..digits])?;
        let tail = &rest[digits..];
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let ns = match &tail[..letters] {
            "" | "s" => value,
            "ms" => value / 1000,
            "us" => value / 1_000_000,
            "m" | "min" => value.checked_mul(60)?,
            "h" => value.checked_mul(3600)?,
            _ => return None,
        };
        total = total.checked_add(ns)?;
        rest = &tail[letters..];
    }
    (!text.is_empty()).then_some(MediaTime(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let ms = |text: &str| MediaTime::parse(text).map(|t| t.0 / 1_000_000);
        assert_eq!(ms("5s"), Ok(5000));
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("1m30s"), Ok(90_000));
        assert_eq!(ms("12.5"), Ok(12_500));
        assert_eq!(ms("01:02:03.25"), Ok(3_723_250));
        for bad in ["", "s", "5x", "-1s", "1:2:3:4", "5 s", "1e3"] {
            assert!(MediaTime::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rates_are_exact_over_a_day() {
        let ntsc = Rational::parse("30000/1001").unwrap();
        for n in [0, 1, 29, 1_000_000, 2_592_000] {
            assert_eq!(ntsc.nearest(ntsc.time_of(n)), n);
        }
        assert_eq!(Rational::parse("29.97").unwrap(), Rational::new(2997, 100).unwrap());
        assert!(Rational::parse("0").is_err());
    }

    #[test]
    fn rounding_is_symmetric() {
        assert_eq!(scale_round(5, 1, 2), 3);
        assert_eq!(scale_round(-5, 1, 2), -3);
        assert_eq!(MediaTime(-1_500_000).to_string(), "-0.001500 s");
        assert_eq!(MediaTime::from_millis(2500).to_string(), "2.500 s");
        assert_eq!(MediaTime(3_999_999_999).to_string(), "4.000000 s");
    }
}
