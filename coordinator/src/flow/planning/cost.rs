//! What an encode is estimated to cost: for the lengths of segments and the classes of tasks, never for deadlines.

use framefleet_model::media::VideoCodec;
use framefleet_model::pipeline::Preset;
use framefleet_model::plan::VideoRendition;
use framefleet_model::time::{MediaTime, NS_PER_SECOND, scale_round};

/// Decoding and scaling, beside the encode.
const DECODE_PIXEL_PS: u64 = 4_000;

/// One core's time for one second of the film in these renditions.
pub(crate) fn second(renditions: &[VideoRendition]) -> MediaTime {
    let total = renditions.iter().map(rendition_second_ns).fold(0_u64, u64::saturating_add);
    MediaTime(i64::try_from(total).unwrap_or(i64::MAX))
}

/// One core's time for this much of the film.
pub(crate) fn stretch(length: MediaTime, second: MediaTime) -> MediaTime {
    MediaTime(scale_round(length.ns(), second.ns(), NS_PER_SECOND))
}

fn rendition_second_ns(rendition: &VideoRendition) -> u64 {
    let geometry = rendition.format.geometry;
    let pixels = u64::from(geometry.width) * u64::from(geometry.height);
    let rate = rendition.format.rate;
    let picture_ps =
        pixels.saturating_mul(pixel_ps(rendition.settings.codec, rendition.settings.preset) + DECODE_PIXEL_PS);
    (picture_ps / 1_000).saturating_mul(rate.num().into()) / u64::from(rate.den())
}

/// Picoseconds of one core a pixel: measured for H.264 at medium and veryfast, in x264's and x265's own proportions
/// for the rest.
fn pixel_ps(codec: VideoCodec, preset: Preset) -> u64 {
    match codec {
        VideoCodec::H264 => match preset {
            Preset::Ultrafast => 9_000,
            Preset::Superfast => 15_000,
            Preset::Veryfast => 25_000,
            Preset::Faster => 38_000,
            Preset::Fast => 48_000,
            Preset::Medium => 60_000,
            Preset::Slow => 100_000,
            Preset::Slower => 200_000,
            Preset::Veryslow => 350_000,
        },
        VideoCodec::Hevc => match preset {
            Preset::Ultrafast => 40_000,
            Preset::Superfast => 50_000,
            Preset::Veryfast => 90_000,
            Preset::Faster => 95_000,
            Preset::Fast => 130_000,
            Preset::Medium => 200_000,
            Preset::Slow => 500_000,
            Preset::Slower => 1_200_000,
            Preset::Veryslow => 2_500_000,
        },
    }
}
