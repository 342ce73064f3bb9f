//! Settings of pictures and sound: text to checked values. Every refusal names the value and the bound.

use std::fmt::Display;
use std::ops::RangeInclusive;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::holds::Holds;
use framefleet_model::media::{AudioCodec, Container, Geometry, VideoCodec};
use framefleet_model::picture::Shape;
use framefleet_model::pipeline::{AudioSettings, Coding, Preset, RateControl, VideoSettings};
use framefleet_model::sound::Treatment;
use framefleet_model::time::{MediaTime, Rational};

use crate::asked::{AskedAudio, AskedVideo};
use crate::{shape, sound};

const VIDEO_BITRATE: RangeInclusive<u32> = 16_000..=400_000_000;
const AUDIO_BITRATE: RangeInclusive<u32> = 8_000..=1_024_000;
const CHANNELS: RangeInclusive<u32> = 1..=6;
const SAMPLE_RATES: [u32; 14] =
    [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000, 176_400, 192_000];
const SIDE: RangeInclusive<u32> = 16..=8192;
const FPS_MAX: u32 = 240;
const KEYFRAME_INTERVAL: RangeInclusive<MediaTime> = MediaTime::from_millis(10)..=MediaTime::from_secs(600);

/// The word for taking the source's own coded units.
pub const COPY: &str = "copy";

/// `None`: without pictures.
pub fn video(asked: &AskedVideo, container: Container) -> Result<Option<VideoSettings>, Fault> {
    let holds = container.holds();
    let others = || asked.given().into_iter().filter(|(name, _)| *name != "codec");
    let codec = match (asked.codec.as_deref(), holds.video.first()) {
        (Some("none"), _) => {
            contradicts("video codec none", others())?;
            return Ok(None);
        }
        (None, None) => {
            contradicts(&format!("{}, which holds no pictures", holds.name), others())?;
            return Ok(None);
        }
        (Some(COPY), usual) => return copied_video(asked, (holds, usual)).map(Some),
        (None, Some(usual)) => *usual,
        (Some(text), _) => named("video codec", text, VideoCodec::ALL.map(|c| (c.name(), c)), &[COPY, "none"])?,
    };
    holds.check_video(codec).map_err(|why| refused(why.to_string()))?;
    Ok(Some(VideoSettings {
        codec,
        coding: Coding::Encode,
        preset: optional(&asked.preset, |text| named("preset", text, Preset::ALL.map(|p| (p.name(), p)), &[]))?
            .unwrap_or_default(),
        rate: rate_control((&asked.crf, &asked.bitrate), codec)?,
        max_bitrate: max_bitrate(asked)?,
        size: shape::size(asked)?,
        fps: optional(&asked.fps, picture_rate)?,
        keyframe_interval: optional(&asked.keyframe_interval, |text| {
            within("keyframe interval", duration("keyframe interval", text)?, &KEYFRAME_INTERVAL)
        })?,
        shape: shape::shape(asked)?,
        watermarks: Vec::new(),
    }))
}

/// `None`: without sound.
pub fn audio(asked: &AskedAudio, container: Container) -> Result<Option<AudioSettings>, Fault> {
    let holds = container.holds();
    let codec = match asked.codec.as_deref() {
        Some("none") => {
            contradicts("audio codec none", asked.given().into_iter().filter(|(name, _)| *name != "codec"))?;
            return Ok(None);
        }
        Some(COPY) => return copied_audio(asked, holds).map(Some),
        Some(text) => named("audio codec", text, AudioCodec::ALL.map(|c| (c.name(), c)), &[COPY, "none"])?,
        None => *holds.audio.first().ok_or_else(|| refused(format!("{} holds no sound", holds.name)))?,
    };
    holds.check_audio(codec).map_err(|why| refused(why.to_string()))?;
    if codec.is_lossless() {
        contradicts(
            &format!("audio codec {}, which loses nothing", codec.name()),
            [("audio bitrate", &asked.bitrate)],
        )?;
    }
    let channels = optional(&asked.channels, |text| whole("channels", text, &CHANNELS))?;
    let default = codec.default_bitrate(channels);
    let bitrate = optional(&asked.bitrate, |text| bits("audio bitrate", text, &AUDIO_BITRATE))?.unwrap_or(default);
    let treatment = sound::treatment(asked, channels)?;
    let channels = channels.map(|n| u16::try_from(n).expect("a number of channels is small"));
    let (coding, sample_rate) = (Coding::Encode, optional(&asked.sample_rate, sample_rate)?);
    Ok(Some(AudioSettings { codec, coding, bitrate, sample_rate, channels, treatment }))
}

/// What any setting would change must be decoded, which a copy is not.
fn copied_video(asked: &AskedVideo, (holds, usual): (&Holds, Option<&VideoCodec>)) -> Result<VideoSettings, Fault> {
    let codec = *usual
        .ok_or_else(|| refused(format!("video codec copy contradicts {}, which holds no pictures", holds.name)))?;
    contradicts("video codec copy", asked.given().into_iter().filter(|(name, _)| *name != "codec"))?;
    Ok(VideoSettings {
        codec,
        coding: Coding::Copy,
        preset: Preset::default(),
        rate: RateControl::Crf(codec.default_crf()),
        max_bitrate: None,
        size: None,
        fps: None,
        keyframe_interval: None,
        shape: Shape::default(),
        watermarks: Vec::new(),
    })
}

fn copied_audio(asked: &AskedAudio, holds: &Holds) -> Result<AudioSettings, Fault> {
    let codec = *holds.audio.first().ok_or_else(|| refused(format!("{} holds no sound", holds.name)))?;
    let is_changed = |(name, _): &(&str, _)| !matches!(*name, "codec" | "tracks");
    contradicts("audio codec copy", asked.given().into_iter().filter(is_changed))?;
    let treatment = Treatment::default();
    Ok(AudioSettings { codec, coding: Coding::Copy, bitrate: 0, sample_rate: None, channels: None, treatment })
}

pub fn geometry(text: &str) -> Result<Geometry, Fault> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let (width, height) = sides.ok_or_else(|| refused(format!("size {text:?} is no size such as 1280x720")))?;
    Ok(Geometry { width: side("width", width)?, height: side("height", height)? })
}

pub fn side(name: &str, side: u32) -> Result<u32, Fault> {
    within(name, side, &SIDE)?;
    if side % 2 == 1 {
        return Err(refused(format!("{name} {side} is odd, sizes are even")));
    }
    Ok(side)
}

pub fn picture_rate(text: &str) -> Result<Rational, Fault> {
    let rate = Rational::parse(text).map_err(|e| refused(format!("fps: {e}")))?;
    if rate.num() < rate.den() || u64::from(rate.num()) > u64::from(FPS_MAX) * u64::from(rate.den()) {
        return Err(refused(format!("fps {text} is not within 1 to {FPS_MAX}")));
    }
    Ok(rate)
}

pub fn duration(name: &str, text: &str) -> Result<MediaTime, Fault> {
    MediaTime::parse(text).map_err(|e| refused(format!("{name}: {e}")))
}

/// A whole number of any size, which is then held to the bounds.
pub fn whole(name: &str, text: &str, bounds: &RangeInclusive<u32>) -> Result<u32, Fault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused(format!("{name} {text:?} is no whole number")));
    }
    let value = text.parse().ok().filter(|value| bounds.contains(value));
    value.ok_or_else(|| refused(format!("{name} {text} is not within {} to {}", bounds.start(), bounds.end())))
}

pub fn within<T: PartialOrd + Display + Copy>(name: &str, value: T, bounds: &RangeInclusive<T>) -> Result<T, Fault> {
    if bounds.contains(&value) {
        return Ok(value);
    }
    Err(refused(format!("{name} {value} is not within {} to {}", bounds.start(), bounds.end())))
}

/// The value of this name, or a refusal that lists all names.
pub fn named<T, const N: usize>(what: &str, text: &str, known: [(&str, T); N], more: &[&str]) -> Result<T, Fault> {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).chain(more.iter().copied()).collect();
    let found = known.into_iter().find(|(name, _)| *name == text).map(|(_, value)| value);
    found.ok_or_else(|| refused(format!("{what} {text:?} is not one of: {}", names.join(", "))))
}

pub fn optional<T>(text: &Option<String>, read: impl FnOnce(&str) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
    text.as_deref().map(read).transpose()
}

pub fn refused(message: String) -> Fault {
    Fault::new(FaultKind::Settings, message)
}

pub fn contradicts<'a>(
    what: &str,
    settings: impl IntoIterator<Item = (&'a str, &'a Option<String>)>,
) -> Result<(), Fault> {
    let given = settings.into_iter().find_map(|(name, value)| Some((name, value.as_ref()?)));
    given.map_or(Ok(()), |(name, value)| {
        let name = name.replace('_', " ");
        Err(refused(format!("{name} {value} contradicts {what}")))
    })
}

pub fn rate_control(asked: (&Option<String>, &Option<String>), codec: VideoCodec) -> Result<RateControl, Fault> {
    match asked {
        (Some(crf), Some(bitrate)) => Err(refused(format!("crf {crf} contradicts video bitrate {bitrate}"))),
        (None, Some(text)) => bits("video bitrate", text, &VIDEO_BITRATE).map(RateControl::Bitrate),
        (Some(text), None) => {
            let crf = whole("crf", text, &codec.crf_range())?;
            Ok(RateControl::Crf(u8::try_from(crf).expect("a crf is at most 63")))
        }
        (None, None) => Ok(RateControl::Crf(codec.default_crf())),
    }
}

fn max_bitrate(asked: &AskedVideo) -> Result<Option<u32>, Fault> {
    let read = |name, text: &Option<String>| optional(text, |text| bits(name, text, &VIDEO_BITRATE));
    let (most, average) = (read("max bitrate", &asked.max_bitrate)?, read("video bitrate", &asked.bitrate)?);
    match (most.zip(average), &asked.max_bitrate, &asked.bitrate) {
        (Some((most, average)), Some(told_most), Some(told)) if average > most => {
            Err(refused(format!("video bitrate {told} is over max bitrate {told_most}")))
        }
        _ => Ok(most),
    }
}

fn sample_rate(text: &str) -> Result<u32, Fault> {
    let value = text.parse().ok().filter(|rate| SAMPLE_RATES.contains(rate));
    let rates = SAMPLE_RATES.map(|rate| rate.to_string()).join(", ");
    value.ok_or_else(|| refused(format!("sample rate {text} is not one of: {rates}")))
}

/// `2500000`, `2500k` or `2.5M` bits per second.
fn bits(name: &str, text: &str, bounds: &RangeInclusive<u32>) -> Result<u32, Fault> {
    let bad = || refused(format!("{name} {text:?} is no bit rate such as 128k, 2.5M or 2500000"));
    let (number, unit) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1_000_u64),
        None => text.strip_suffix('M').map_or((text, 1), |number| (number, 1_000_000)),
    };
    let (int, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if int.is_empty() || fraction.len() > 3 || (unit == 1 && !fraction.is_empty()) || !digits(int) || !digits(fraction)
    {
        return Err(bad());
    }
    let thousandths: u64 = format!("{int}{fraction:0<3}").parse().map_err(|_| bad())?;
    let value = u32::try_from(u128::from(thousandths) * u128::from(unit) / 1000);
    value.ok().filter(|value| bounds.contains(value)).ok_or_else(|| {
        refused(format!("{name} {text} is not within {} to {} bits per second", bounds.start(), bounds.end()))
    })
}
