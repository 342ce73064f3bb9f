//! What becomes of channels.

use framefleet_model::fault::FaultKind;
use framefleet_model::media::{AudioCodec, AudioFormat, Container};
use framefleet_model::pipeline::{AudioSettings, Coding};
use framefleet_model::plan::AudioRendition;
use framefleet_model::sound::{Downmix, Treatment};
use framefleet_model::time::MediaTime;

use super::sound::{Within, rendition};
use super::tests::{steady, with_sound};

fn asked(channels: Option<u16>, treatment: Treatment) -> AudioSettings {
    AudioSettings {
        codec: AudioCodec::Aac,
        coding: Coding::Encode,
        bitrate: 128_000,
        sample_rate: None,
        channels,
        treatment,
    }
}

/// Renditions of a track of so many channels, or the refusal.
fn renditions(channels: u16, all: &[AudioSettings]) -> Result<Vec<AudioRendition>, (FaultKind, String)> {
    let mut track = with_sound(steady(10, 10), 0, 400).header.audio.remove(0);
    track.format = AudioFormat { rate: 48_000, channels };
    let within = Within { container: Container::Mp4, delay: MediaTime::ZERO };
    let mut known = Vec::new();
    for settings in all {
        rendition(settings, &track, within, &mut known).map_err(|fault| (fault.kind, fault.message))?;
    }
    Ok(known)
}

#[test]
fn a_matrix_that_nothing_goes_through_makes_no_other_rendition() {
    let both = Downmix::ALL.map(|downmix| asked(Some(2), Treatment { downmix, ..Treatment::default() }));
    assert_eq!(renditions(2, &both).unwrap().len(), 1);
    let mixed = renditions(6, &both).unwrap();
    assert_eq!(mixed.iter().map(|made| made.settings.treatment.downmix).collect::<Vec<_>>(), Downmix::ALL);
}

#[test]
fn a_matrix_of_two_channels_makes_no_other_number() {
    let dolby = |channels| asked(channels, Treatment { downmix: Downmix::Dolby, ..Treatment::default() });
    let refusal = "downmix dolby makes 2 channels, not 1 (itu makes any number)";
    assert_eq!(renditions(6, &[dolby(Some(1))]).unwrap_err(), (FaultKind::Settings, refusal.to_owned()));
    assert_eq!(renditions(6, &[dolby(None)]).unwrap()[0].format.channels, 6, "as the source, and nothing is mixed");
}
