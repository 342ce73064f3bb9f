//! Audio renditions: what is encoded, from the track's format and the settings asked for.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::AudioTrack;
use framefleet_model::media::{AudioCodec, AudioFormat};
use framefleet_model::pipeline::AudioSettings;
use framefleet_model::plan::AudioRendition;

/// The sampling frequencies that AAC can write (ISO 14496-3, table 1.18).
const AAC_RATES: [u32; 13] =
    [7_350, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000];
/// Channel counts that have a configuration of their own (same, table 1.19) and that libav's encoder takes.
const AAC_CHANNELS: [u16; 6] = [1, 2, 3, 4, 5, 6];
const BITRATE_MIN: u32 = 8_000;
/// An access unit of 1024 samples holds at most 6144 bits a channel.
const AAC_BITS_PER_SAMPLE: u32 = 6;

/// The number of the rendition with these settings; a new one if there is none yet.
pub(crate) fn rendition(
    settings: &AudioSettings,
    track: &AudioTrack,
    known: &mut Vec<AudioRendition>,
) -> Result<u32, Fault> {
    let format = format(settings, track.format)?;
    let settings = AudioSettings { bitrate: bitrate(settings, format)?, ..settings.clone() };
    if let Some(same) = known.iter().find(|r| r.settings == settings && r.format == format) {
        return Ok(same.number);
    }
    let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
    known.push(AudioRendition { number, settings, format, language: track.language.clone() });
    Ok(number)
}

/// What is not asked for follows the source, by the nearest that the codec has.
fn format(settings: &AudioSettings, source: AudioFormat) -> Result<AudioFormat, Fault> {
    match settings.codec {
        AudioCodec::Aac => {
            let rate = match settings.sample_rate {
                Some(rate) if AAC_RATES.contains(&rate) => rate,
                Some(rate) => return Err(refused("sample rate", rate, &AAC_RATES)),
                None => nearest_rate(source.rate),
            };
            let channels = match settings.channels {
                Some(channels) if AAC_CHANNELS.contains(&channels) => channels,
                Some(channels) => return Err(refused("channel count", channels, &AAC_CHANNELS)),
                None => AAC_CHANNELS.iter().rev().copied().find(|c| *c <= source.channels).unwrap_or(1),
            };
            Ok(AudioFormat { rate, channels })
        }
    }
}

fn nearest_rate(rate: u32) -> u32 {
    AAC_RATES.into_iter().rev().min_by_key(|known| known.abs_diff(rate)).unwrap_or(48_000)
}

fn refused<T: std::fmt::Display>(what: &str, value: T, known: &[T]) -> Fault {
    let list: Vec<String> = known.iter().map(T::to_string).collect();
    Fault::new(FaultKind::Settings, format!("the {what} {value} is none of AAC's: {}", list.join(", ")))
}

/// What is asked for, or the most that the format can hold: a slow mono track has no room for the usual rate.
fn bitrate(settings: &AudioSettings, format: AudioFormat) -> Result<u32, Fault> {
    if settings.bitrate < BITRATE_MIN {
        let text = format!("an audio bitrate of {} bit/s is below {BITRATE_MIN}", settings.bitrate);
        return Err(Fault::new(FaultKind::Settings, text));
    }
    let most = format.rate.saturating_mul(u32::from(format.channels)).saturating_mul(AAC_BITS_PER_SAMPLE);
    Ok(settings.bitrate.min(most))
}
