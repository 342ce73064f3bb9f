//! What is done to sound between decoder and encoder: channels that are not put out are mixed into those that are.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Treatment {
    pub downmix: Downmix,
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
