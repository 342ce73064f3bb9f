//! Which sound is taken, and settings of what is done to it: how channels are mixed, what becomes of noise, how loud the whole is.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use framefleet_model::fault::Fault;
use framefleet_model::holds::Sounds;
use framefleet_model::media::Container;
use framefleet_model::pipeline::{Manifest, SoundTrack, SoundTracks};
use framefleet_model::sound::{Downmix, Level, Loudness, Treatment};
use framefleet_model::task::SourceLimits;
use serde::Deserialize;
use serde::de::Error;

use crate::args::AudioArgs;
use crate::asked::{AskedAudio, Text};
use crate::settings::{contradicts, named, optional, refused, whole};

/// Sources with more are refused.
const TRACK: RangeInclusive<u32> = 1..=SourceLimits::DEFAULT.tracks_max;
/// Below, BS.1770 takes it for silence; above, nothing is left of the sound.
const INTEGRATED: RangeInclusive<Level> = Level::from_decibels(-70)..=Level::from_decibels(-5);
const TRUE_PEAK: RangeInclusive<Level> = Level::from_decibels(-9)..=Level::from_decibels(0);
/// EBU R128's.
const TRUE_PEAK_USUAL: Level = Level::from_decibels(-1);

impl From<&AudioArgs> for AskedAudio {
    fn from(args: &AudioArgs) -> Self {
        Self {
            codec: args.audio_codec.clone(),
            tracks: args.audio_tracks.clone(),
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

/// `manifest`: of an output that is a package.
pub fn tracks(asked: &AskedAudio, container: Container, manifest: Option<Manifest>) -> Result<SoundTracks, Fault> {
    let text = match asked.tracks.as_deref().map(str::trim) {
        None => return Ok(SoundTracks::Usual),
        Some("all") => return Ok(SoundTracks::All),
        Some("first") => return Ok(SoundTracks::First),
        Some(text) => text,
    };
    let these = text.split(',').map(|name| track(name.trim())).collect::<Result<Vec<_>, _>>()?;
    if these.iter().enumerate().any(|(at, this)| these[..at].contains(this)) {
        return Err(refused(format!("audio tracks {text} name one twice")));
    }
    let holds = manifest.and_then(|_| container.in_segments()).unwrap_or(*container.holds());
    if holds.sounds == Sounds::One && these.len() > 1 {
        let (count, name) = (these.len(), holds.name);
        let place = if manifest.is_some() { format!("a package in {name}") } else { name.to_owned() };
        return Err(refused(format!("audio tracks {text}: {place} holds 1 sound track, {count} are asked for")));
    }
    Ok(SoundTracks::These(these))
}

fn track(text: &str) -> Result<SoundTrack, Fault> {
    if text.starts_with(|letter: char| letter.is_ascii_digit()) {
        return whole("audio track", text, &TRACK).map(SoundTrack::Number);
    }
    if (2..=3).contains(&text.len()) && text.bytes().all(|letter| letter.is_ascii_alphabetic()) {
        return Ok(SoundTrack::Language(text.to_ascii_lowercase()));
    }
    let known = "all, first, or a list of numbers from 1 and languages such as en or eng";
    Err(refused(format!("audio track {text:?} is none of: {known}")))
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

/// What a key of a job file is set to: a scalar, or, of `tracks` alone, a list, or, of `loudness` alone, a map.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text or a number")]
pub enum Value {
    Scalar(Text),
    List(Vec<Text>),
    Map(BTreeMap<String, Text>),
}

impl Value {
    /// The settings that it is, by their flat names.
    pub fn under<E: Error>(self, key: String) -> Result<Vec<(String, String)>, E> {
        match self {
            Self::Scalar(text) => Ok(vec![(key, text.0)]),
            Self::List(list) if key == "tracks" => {
                let texts: Vec<String> = list.into_iter().map(|text| text.0).collect();
                Ok(vec![(key, texts.join(","))])
            }
            Self::List(_) => Err(E::custom(format_args!("{key} is a list, not a text or a number"))),
            Self::Map(map) if key == "loudness" => {
                let flat = |name: String| if name == "integrated" { key.clone() } else { name };
                Ok(map.into_iter().map(|(name, text)| (flat(name), text.0)).collect())
            }
            Self::Map(_) => Err(E::custom(format_args!("{key} is a map, not a text or a number"))),
        }
    }
}
