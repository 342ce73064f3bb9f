//! What is done to sound between decoder and encoder, always in this order: channels that are not put out are mixed into
//! those that are, noise is taken off, the whole is made as loud as is asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Treatment {
    pub downmix: Downmix,
    pub denoise: bool,
    /// `None`: as loud as it is.
    pub loudness: Option<Loudness>,
}

/// By which matrix channels are mixed where fewer are put out than come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Downmix {
    /// ITU-R BS.775: centre and surround at -3 dB, LFE left out.
    #[default]
    Itu,
    /// Two channels from which Dolby Pro Logic II finds the surround again: it is mixed with opposite signs.
    Dolby,
}

/// How loud a whole track is to be (EBU R128).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loudness {
    /// Integrated, in LUFS.
    pub integrated: Level,
    /// No true peak stands above, in dBTP.
    pub true_peak: Level,
}

/// Hundredths of a decibel of full scale, or between two levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(pub i32);

/// What was measured of a track; `None` of silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    pub integrated: Option<Level>,
    pub true_peak: Option<Level>,
}

impl Treatment {
    /// Whether sound is left as it is, but for what the numbers of channels make of it.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Downmix {
    pub const ALL: [Self; 2] = [Self::Itu, Self::Dolby];

    pub fn name(self) -> &'static str {
        match self {
            Self::Itu => "itu",
            Self::Dolby => "dolby",
        }
    }

    /// The only number of channels that it makes, if there is one.
    pub fn channels(self) -> Option<u16> {
        match self {
            Self::Itu => None,
            Self::Dolby => Some(2),
        }
    }
}

impl Level {
    pub const fn from_decibels(decibels: i32) -> Self {
        Self(decibels * 100)
    }

    /// `-16`, `-1.5` or `-23.25`.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits(whole) || !are_digits(part) || whole.len() > 6 || part.len() > 2 {
            return None;
        }
        let hundredths: i32 = format!("{whole}{part:0<2}").parse().ok()?;
        Some(Self(sign * hundredths))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, whole, part) = (if self.0 < 0 { "-" } else { "" }, self.0.abs() / 100, self.0.abs() % 100);
        match part {
            0 => write!(f, "{sign}{whole}"),
            part if part % 10 == 0 => write!(f, "{sign}{whole}.{}", part / 10),
            part => write!(f, "{sign}{whole}.{part:02}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_written_in_decibels() {
        for (text, level) in [("-16", -1600), ("-1.5", -150), ("-23.25", -2325), ("0", 0), ("-0.05", -5), ("3", 300)] {
            assert_eq!(Level::parse(text), Some(Level(level)));
            assert_eq!(Level(level).to_string(), text);
        }
        for bad in ["", "-", "loud", "-16LUFS", "1.234", ".5", "1.", "--1", "99999999"] {
            assert_eq!(Level::parse(bad), None, "{bad}");
        }
    }
}
