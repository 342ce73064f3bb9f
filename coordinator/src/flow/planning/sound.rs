//! Audio renditions: what is encoded, from the track's format, the settings asked for and what the codec takes.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::AudioTrack;
use framefleet_model::media::{AudioCodec, AudioFormat, Container};
use framefleet_model::pipeline::{AudioSettings, Coding, Edges};
use framefleet_model::plan::AudioRendition;
use framefleet_model::sound::{Downmix, Treatment};
use framefleet_model::time::{MediaTime, NS_PER_SECOND, scale_round};

use crate::flow::planning::copies;

/// The sampling frequencies that AAC can write (ISO 14496-3, table 1.18).
const AAC_RATES: [u32; 13] =
    [7_350, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000];
/// Of MPEG-1, MPEG-2 and its extension to low rates (ISO/IEC 11172-3, 13818-3).
const MP3_RATES: [u32; 9] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];
/// The rates that FLV's sound tag can name (Adobe's specification, E.4.2.1).
const FLV_MP3_RATES: [u32; 3] = [11_025, 22_050, 44_100];
/// Opus always decodes to it; the lower ones are bandwidths (RFC 6716).
const OPUS_RATES: [u32; 1] = [48_000];
/// ATSC A/52, 5.4.1.3.
const AC3_RATES: [u32; 3] = [32_000, 44_100, 48_000];
const OTHER_RATES: [u32; 14] =
    [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000, 176_400, 192_000];
const MONO_STEREO: [u16; 2] = [1, 2];
/// Channel counts whose loudspeakers every one of these codecs has.
const UP_TO_SIX: [u16; 6] = [1, 2, 3, 4, 5, 6];
const BITRATE_MIN: u32 = 8_000;
/// An access unit of 1024 samples holds at most 6144 bits a channel.
const AAC_BITS_PER_SAMPLE: u32 = 6;
const OPUS_BITRATE_MAX: u32 = 256_000;
/// ISO/IEC 11172-3 2.4.2.3 from 32 kHz on, 13818-3 below.
const MP3_BITRATES: [u32; 14] = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const MP3_LOW_BITRATES: [u32; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// ATSC A/52, table 5.18.
const AC3_BITRATES: [u32; 19] =
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
pub(super) const PCM_BITS: u32 = 16;

/// Where an output's sound goes.
#[derive(Clone, Copy)]
pub(crate) struct Within {
    pub(crate) container: Container,
    /// How much later everything stands in the file.
    pub(crate) delay: MediaTime,
}

/// The number of the rendition with these settings; a new one if there is none yet.
pub(crate) fn rendition(
    settings: &AudioSettings,
    track: &AudioTrack,
    within: Within,
    known: &mut Vec<AudioRendition>,
) -> Result<u32, Fault> {
    if settings.coding == Coding::Copy {
        return copies::sound(track, within.container, known);
    }
    let format = format(settings, track.format, within.container)?;
    let treatment = treatment(&settings.treatment, format, track.format)?;
    let settings = AudioSettings { bitrate: bitrate(settings, format)?, treatment, ..settings.clone() };
    let begins = begins(settings.codec, format, within);
    let same = |r: &&AudioRendition| {
        r.track == track.number && r.settings == settings && r.format == format && r.begins == begins
    };
    if let Some(same) = known.iter().find(same) {
        return Ok(same.number);
    }
    let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
    let (language, title, edges) = (track.language.clone(), track.title.clone(), Edges::Told);
    known.push(AudioRendition { number, track: track.number, settings, format, language, title, begins, edges });
    Ok(number)
}

/// How much later a container without times must let everything begin, so that what a decoder puts out before the first
/// sample of the source still has its place. In steps of `picture`.
pub(crate) fn delay(container: Container, settings: &AudioSettings, picture: MediaTime) -> MediaTime {
    let priming = settings.codec.priming_samples();
    if container != Container::Avi || settings.coding == Coding::Copy || priming == 0 || picture <= MediaTime::ZERO {
        return MediaTime::ZERO;
    }
    // The slowest rate that the codec may run at here has the longest priming.
    let slowest = rates(settings.codec, container).first().copied().unwrap_or(8_000).max(8_000);
    let rate = settings.sample_rate.unwrap_or(slowest);
    let needed = priming_time(settings.codec, rate).ns();
    MediaTime((needed + picture.ns() - 1) / picture.ns() * picture.ns())
}

/// Containers that keep no times of their sound begin with the film, or so much before it as their delay is.
fn begins(codec: AudioCodec, format: AudioFormat, within: Within) -> Option<MediaTime> {
    match within.container {
        // The priming is declared.
        Container::Mp3 | Container::Ogg | Container::Flac | Container::Wav => Some(MediaTime::ZERO),
        Container::Avi => Some(priming_time(codec, format.rate) - within.delay),
        Container::Mp4
        | Container::Fmp4
        | Container::Mov
        | Container::Mkv
        | Container::Webm
        | Container::Ts
        | Container::Flv
        | Container::M4a
        | Container::Images => None,
    }
}

fn priming_time(codec: AudioCodec, rate: u32) -> MediaTime {
    MediaTime(scale_round(i64::from(codec.priming_samples()), NS_PER_SECOND, i64::from(rate.max(1))))
}

pub(super) fn rates(codec: AudioCodec, container: Container) -> &'static [u32] {
    match codec {
        AudioCodec::Aac => &AAC_RATES,
        AudioCodec::Mp3 if container == Container::Flv => &FLV_MP3_RATES,
        AudioCodec::Mp3 => &MP3_RATES,
        AudioCodec::Opus => &OPUS_RATES,
        AudioCodec::Ac3 => &AC3_RATES,
        AudioCodec::Vorbis | AudioCodec::Flac | AudioCodec::Pcm => &OTHER_RATES,
    }
}

fn channel_counts(codec: AudioCodec) -> &'static [u16] {
    match codec {
        AudioCodec::Mp3 => &MONO_STEREO,
        AudioCodec::Aac
        | AudioCodec::Opus
        | AudioCodec::Vorbis
        | AudioCodec::Flac
        | AudioCodec::Pcm
        | AudioCodec::Ac3 => &UP_TO_SIX,
    }
}

/// What is not asked for follows the source, by the nearest that the codec has.
fn format(settings: &AudioSettings, source: AudioFormat, container: Container) -> Result<AudioFormat, Fault> {
    let codec = settings.codec;
    let (rates, counts) = (rates(codec, container), channel_counts(codec));
    let rate = match settings.sample_rate {
        Some(rate) if rates.contains(&rate) => rate,
        Some(rate) => return Err(refused("sample rate", rate, (codec, rates))),
        None => nearest(source.rate, rates),
    };
    let channels = match settings.channels {
        Some(channels) if counts.contains(&channels) => channels,
        Some(channels) => return Err(refused("channel count", channels, (codec, counts))),
        None => counts.iter().rev().copied().find(|c| *c <= source.channels).unwrap_or(1),
    };
    Ok(AudioFormat { rate, channels })
}

/// Without a matrix that nothing goes through: sound that is the same is encoded once.
fn treatment(asked: &Treatment, format: AudioFormat, source: AudioFormat) -> Result<Treatment, Fault> {
    let channels = format.channels;
    if channels >= source.channels {
        return Ok(Treatment { downmix: Downmix::default(), ..asked.clone() });
    }
    match asked.downmix.channels() {
        Some(made) if made != channels => {
            let name = asked.downmix.name();
            let text = format!("downmix {name} makes {made} channels, not {channels} (itu makes any number)");
            Err(Fault::new(FaultKind::Settings, text))
        }
        Some(_) | None => Ok(asked.clone()),
    }
}

fn nearest(rate: u32, known: &[u32]) -> u32 {
    known.iter().rev().copied().min_by_key(|known| known.abs_diff(rate)).unwrap_or(48_000)
}

fn refused<T: std::fmt::Display>(what: &str, value: T, (codec, known): (AudioCodec, &[T])) -> Fault {
    let list: Vec<String> = known.iter().map(T::to_string).collect();
    Fault::new(FaultKind::Settings, format!("the {what} {value} is none of {}'s: {}", codec.name(), list.join(", ")))
}

/// What is asked for, or the nearest that the format can hold: a slow mono track has no room for the usual rate.
fn bitrate(settings: &AudioSettings, format: AudioFormat) -> Result<u32, Fault> {
    let (codec, channels) = (settings.codec, u32::from(format.channels));
    if codec.is_lossless() {
        return Ok(format.rate.saturating_mul(channels).saturating_mul(PCM_BITS));
    }
    if settings.bitrate < BITRATE_MIN {
        let text = format!("an audio bitrate of {} bit/s is below {BITRATE_MIN}", settings.bitrate);
        return Err(Fault::new(FaultKind::Settings, text));
    }
    let listed = |known: &[u32]| nearest(settings.bitrate, &known.iter().map(|k| k * 1000).collect::<Vec<_>>());
    Ok(match codec {
        AudioCodec::Aac => {
            settings.bitrate.min(format.rate.saturating_mul(channels).saturating_mul(AAC_BITS_PER_SAMPLE))
        }
        AudioCodec::Opus => settings.bitrate.min(OPUS_BITRATE_MAX * channels),
        AudioCodec::Mp3 if format.rate < 32_000 => listed(&MP3_LOW_BITRATES),
        AudioCodec::Mp3 => listed(&MP3_BITRATES),
        AudioCodec::Ac3 => listed(&AC3_BITRATES),
        AudioCodec::Vorbis | AudioCodec::Flac | AudioCodec::Pcm => settings.bitrate,
    })
}
