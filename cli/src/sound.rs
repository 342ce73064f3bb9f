//! Settings of what is done to sound: how channels are mixed, what becomes of noise, how loud the whole is.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use framefleet_model::fault::Fault;
use framefleet_model::sound::{Downmix, Level, Loudness, Treatment};
use serde::Deserialize;
use serde::de::Error;

use crate::args::AudioArgs;
use crate::asked::{AskedAudio, Text};
use crate::settings::{contradicts, named, optional, refused};

/// Below, BS.1770 takes it for silence; above, nothing is left of the sound.
const INTEGRATED: RangeInclusive<Level> = Level::from_decibels(-70)..=Level::from_decibels(-5);
const TRUE_PEAK: RangeInclusive<Level> = Level::from_decibels(-9)..=Level::from_decibels(0);
/// EBU R128's.
const TRUE_PEAK_USUAL: Level = Level::from_decibels(-1);

impl From<&AudioArgs> for AskedAudio {
    fn from(args: &AudioArgs) -> Self {
        Self {
            codec: args.audio_codec.clone(),
            bitrate: args.audio_bitrate.clone(),
            sample_rate: args.sample_rate.clone(),
            channels: args.channels.clone(),
            downmix: args.downmix.clone(),
            denoise: args.denoise.then(|| true.to_string()),
            loudness: args.loudness.clone(),
            true_peak: args.true_peak.clone(),
        }
    }
}

/// `channels` is how many are asked for.
pub fn treatment(asked: &AskedAudio, channels: Option<u32>) -> Result<Treatment, Fault> {
    let downmix = optional(&asked.downmix, |text| named("downmix", text, Downmix::ALL.map(|d| (d.name(), d)), &[]))?;
    let downmix = downmix.unwrap_or_default();
    if let (Some(made), Some(channels)) = (downmix.channels(), channels)
        && u32::from(made) != channels
    {
        let name = downmix.name();
        return Err(refused(format!("downmix {name} makes {made} channels, not {channels} (itu makes any number)")));
    }
    let denoise = optional(&asked.denoise, |text| named("denoise", text, [("true", true), ("false", false)], &[]))?;
    Ok(Treatment { downmix, denoise: denoise.unwrap_or_default(), loudness: loudness(asked)? })
}

fn loudness(asked: &AskedAudio) -> Result<Option<Loudness>, Fault> {
    let true_peak = optional(&asked.true_peak, |text| level(("true peak", "dBTP"), text, TRUE_PEAK))?;
    let Some(text) = &asked.loudness else {
        contradicts("sound without loudness", [("true peak", &asked.true_peak)])?;
        return Ok(None);
    };
    let integrated = level(("loudness", "LUFS"), text, INTEGRATED)?;
    Ok(Some(Loudness { integrated, true_peak: true_peak.unwrap_or(TRUE_PEAK_USUAL) }))
}

fn level((name, unit): (&str, &str), text: &str, bounds: RangeInclusive<Level>) -> Result<Level, Fault> {
    let level = Level::parse(text)
        .ok_or_else(|| refused(format!("{name} {text:?} is no number of {unit} such as -1, -16 or -23.5")))?;
    if bounds.contains(&level) {
        return Ok(level);
    }
    Err(refused(format!("{name} {text} is not within {} to {} {unit}", bounds.start(), bounds.end())))
}

/// What a key of a job file is set to: a scalar, or, of `loudness` alone, a map.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a number")]
pub enum Value {
    Scalar(Text),
    Map(BTreeMap<String, Text>),
}

impl Value {
    /// The settings that it is, by their flat names.
    pub fn under<E: Error>(self, key: String) -> Result<Vec<(String, String)>, E> {
        match self {
            Self::Scalar(text) => Ok(vec![(key, text.0)]),
            Self::Map(map) if key == "loudness" => {
                let flat = |name: String| if name == "integrated" { key.clone() } else { name };
                Ok(map.into_iter().map(|(name, text)| (flat(name), text.0)).collect())
            }
            Self::Map(_) => Err(E::custom(format_args!("{key} is a map, not a text or a number"))),
        }
    }
}
