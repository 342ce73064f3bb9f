//! Settings of what is done to sound: how channels are mixed.

use framefleet_model::fault::Fault;
use framefleet_model::sound::{Downmix, Treatment};

use crate::args::AudioArgs;
use crate::asked::AskedAudio;
use crate::settings::{named, optional, refused};

impl From<&AudioArgs> for AskedAudio {
    fn from(args: &AudioArgs) -> Self {
        Self {
            codec: args.audio_codec.clone(),
            bitrate: args.audio_bitrate.clone(),
            sample_rate: args.sample_rate.clone(),
            channels: args.channels.clone(),
            downmix: args.downmix.clone(),
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
    Ok(Treatment { downmix })
}
