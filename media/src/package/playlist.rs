//! Playlists by RFC 8216: one of each variant's segments, and the master that leads to all variants.

use std::fmt::Write as _;

use framefleet_model::fault::Fault;
use framefleet_model::media::Geometry;
use framefleet_model::time::{MediaTime, Rational, scale_round};

use crate::merge::mux_fault;
use crate::muxing::{Film, Video};
use crate::package::codecs;
use crate::package::grid::{Grid, Rates};
use crate::pipe::internal;

/// Durations with decimals.
const VERSION: u32 = 3;
const MICROS_PER_SECOND: i64 = 1_000_000;

/// A variant as the master tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) name: String,
    rates: Rates,
    codecs: String,
    resolution: Geometry,
    rate: Rational,
}

impl Variant {
    pub(crate) fn of(name: String, film: &Film, rates: Rates) -> Result<Self, Fault> {
        let video = film.video.as_ref().ok_or_else(|| internal("a variant without pictures"))?;
        let mut codecs = codecs::video(video).map_err(mux_fault)?;
        if let Some(audio) = &film.audio {
            codecs.push(',');
            codecs.push_str(&codecs::audio(audio).map_err(mux_fault)?);
        }
        Ok(Self { name, rates, codecs, resolution: shown(video), rate: video.rate })
    }
}

/// The size at which pictures are to be shown: their pixels may not be square.
fn shown(video: &Video) -> Geometry {
    let (num, den) = (i64::from(video.pixel_aspect.num()), i64::from(video.pixel_aspect.den()));
    let width = scale_round(i64::from(video.geometry.width), num, den);
    Geometry { width: u32::try_from(width).unwrap_or(u32::MAX), ..video.geometry }
}

/// A variant's segments. Durations are rounded so that their sum stays exact.
pub(crate) fn media<'a>(grid: &Grid, names: impl Iterator<Item = &'a str>) -> String {
    let mut text = head();
    // Writing to a string cannot fail.
    let _ =
        write!(text, "#EXT-X-TARGETDURATION:{}\n#EXT-X-MEDIA-SEQUENCE:0\n#EXT-X-PLAYLIST-TYPE:VOD\n", grid.target());
    let micros = |time: MediaTime| scale_round((time - grid.begin()).ns(), 1, 1000);
    for ((from, to), name) in grid.spans().zip(names) {
        let length = micros(to) - micros(from);
        let (seconds, micros) = (length / MICROS_PER_SECOND, length % MICROS_PER_SECOND);
        let _ = write!(text, "#EXTINF:{seconds}.{micros:06},\n{name}\n");
    }
    text.push_str("#EXT-X-ENDLIST\n");
    text
}

/// The best variant first, in the order of the plan.
pub(crate) fn master(folder: &str, variants: &[Variant]) -> String {
    let mut text = head();
    for variant in variants {
        let Variant { name, rates, codecs, resolution, rate } = variant;
        let (peak, average, rate) = (rates.peak, rates.average, thousandths(*rate));
        let _ = write!(
            text,
            "#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS=\"{codecs}\",\
             RESOLUTION={resolution},FRAME-RATE={rate}\n{folder}/{name}\n"
        );
    }
    text
}

fn head() -> String {
    format!("#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS\n")
}

fn thousandths(rate: Rational) -> String {
    let value = scale_round(i64::from(rate.num()), 1000, i64::from(rate.den()));
    format!("{}.{:03}", value / 1000, value % 1000)
}
