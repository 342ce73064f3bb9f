//! What a package holds, as its manifest tells players of it.

use framefleet_model::fault::Fault;
use framefleet_model::media::{AudioFormat, Geometry};
use framefleet_model::probe::Shown;
use framefleet_model::time::{MediaTime, Rational, scale_round};

use crate::merge::mux_fault;
use crate::muxing::Film;
use crate::package::codecs;
use crate::package::grid::Rates;
use crate::package::tracks::Timeline;
use crate::pipe::internal;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The best first, in the order of the plan.
    pub(crate) variants: Vec<Variant>,
    /// Sound tracks with files of their own, each of which goes with every variant.
    pub(crate) sounds: Vec<Sound>,
    pub(crate) duration: MediaTime,
    /// The longest segment in whole seconds.
    pub(crate) target: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// What its files' names begin with.
    pub(crate) name: String,
    pub(crate) rates: Rates,
    /// Of its key pictures alone.
    pub(crate) key_rates: Rates,
    pub(crate) codec: String,
    /// Of sound in the same files.
    pub(crate) sound_codec: Option<String>,
    pub(crate) geometry: Geometry,
    pub(crate) pixel_aspect: Rational,
    pub(crate) rate: Rational,
    pub(crate) timeline: Option<Timeline>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sound {
    pub(crate) name: String,
    pub(crate) rates: Rates,
    pub(crate) codec: String,
    pub(crate) format: AudioFormat,
    /// By RFC 5646, where it is known.
    pub(crate) language: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) shown: Shown,
    pub(crate) timeline: Timeline,
}

impl Variant {
    pub(crate) fn of(
        (name, film): (&str, &Film),
        (rates, key_rates): (Rates, Rates),
        timeline: Option<Timeline>,
    ) -> Result<Self, Fault> {
        let video = film.video.as_ref().ok_or_else(|| internal("a variant without pictures"))?;
        Ok(Self {
            name: name.to_owned(),
            rates,
            key_rates,
            codec: codecs::video(video).map_err(mux_fault)?,
            sound_codec: film.audio.first().map(codecs::audio).transpose().map_err(mux_fault)?,
            geometry: video.geometry,
            pixel_aspect: video.pixel_aspect,
            rate: video.rate,
            timeline,
        })
    }

    /// The size at which pictures are to be shown: their pixels may not be square.
    pub(crate) fn shown(&self) -> Geometry {
        let (num, den) = (i64::from(self.pixel_aspect.num()), i64::from(self.pixel_aspect.den()));
        let width = scale_round(i64::from(self.geometry.width), num, den);
        Geometry { width: u32::try_from(width).unwrap_or(u32::MAX), ..self.geometry }
    }
}

impl Sound {
    pub(crate) fn of((name, film): (&str, &Film), rates: Rates, timeline: Timeline) -> Result<Self, Fault> {
        let audio = film.audio.first().ok_or_else(|| internal("a group of sound without sound"))?;
        let is_tag = |tag: &&String| {
            tag.as_str() != "und" && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        Ok(Self {
            name: name.to_owned(),
            rates,
            codec: codecs::audio(audio).map_err(mux_fault)?,
            format: audio.format,
            language: audio.language.as_ref().filter(is_tag).cloned(),
            title: audio.title.clone(),
            shown: audio.shown,
            timeline,
        })
    }
}
