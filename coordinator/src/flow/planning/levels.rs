//! The level that a rendition is written with, where encoders would choose one by a segment's bits: headers must be
//! equal.

use framefleet_model::media::VideoCodec;
use framefleet_model::pipeline::Preset;
use framefleet_model::plan::{Passes, VideoRendition};

/// Level in tenths; macroblocks a second, of a picture and of all kept ones; kilobits a second. H.264, table A-1.
const H264: [(u8, u64, u64, u64, u64); 19] = [
    (10, 1_485, 99, 396, 64),
    (11, 3_000, 396, 900, 192),
    (12, 6_000, 396, 2_376, 384),
    (13, 11_880, 396, 2_376, 768),
    (20, 11_880, 396, 2_376, 2_000),
    (21, 19_800, 792, 4_752, 4_000),
    (22, 20_250, 1_620, 8_100, 4_000),
    (30, 40_500, 1_620, 8_100, 10_000),
    (31, 108_000, 3_600, 18_000, 14_000),
    (32, 216_000, 5_120, 20_480, 20_000),
    (40, 245_760, 8_192, 32_768, 20_000),
    (41, 245_760, 8_192, 32_768, 50_000),
    (42, 522_240, 8_704, 34_816, 50_000),
    (50, 589_824, 22_080, 110_400, 135_000),
    (51, 983_040, 36_864, 184_320, 240_000),
    (52, 2_073_600, 36_864, 184_320, 240_000),
    (60, 4_177_920, 139_264, 696_320, 240_000),
    (61, 8_355_840, 139_264, 696_320, 480_000),
    (62, 16_711_680, 139_264, 696_320, 800_000),
];
/// Level in tenths; pixels a second and of a picture; kilobits a second. HEVC, tables A.8 and A.9.
const HEVC: [(u8, u64, u64, u64); 12] = [
    (20, 3_686_400, 122_880, 1_500),
    (21, 7_372_800, 245_760, 3_000),
    (30, 16_588_800, 552_960, 6_000),
    (31, 33_177_600, 983_040, 10_000),
    (40, 66_846_720, 2_228_224, 12_000),
    (41, 133_693_440, 2_228_224, 20_000),
    (50, 267_386_880, 8_912_896, 25_000),
    (51, 534_773_760, 8_912_896, 40_000),
    (52, 1_069_547_520, 8_912_896, 60_000),
    (60, 1_069_547_520, 35_651_584, 60_000),
    (61, 2_139_095_040, 35_651_584, 120_000),
    (62, 4_278_190_080, 35_651_584, 240_000),
];

/// `None`: what the encoder chooses is the same for every segment.
pub(crate) fn level(rendition: &VideoRendition, bits_max: u64) -> Option<u8> {
    if rendition.passes() != Passes::Two {
        return None;
    }
    let (geometry, rate) = (rendition.format.geometry, rendition.format.rate);
    let a_second = |units: u64| (units * u64::from(rate.num())).div_ceil(rate.den().into());
    // A moment has more than the average of its segment.
    let kilobits = bits_max.saturating_mul(2) / 1000;
    let blocks = u64::from(geometry.width.div_ceil(16)) * u64::from(geometry.height.div_ceil(16));
    let pixels = u64::from(geometry.width) * u64::from(geometry.height);
    match rendition.settings.codec {
        VideoCodec::Hevc => {
            let fits = |(_, speed, size, most): &&(u8, u64, u64, u64)| {
                a_second(pixels) <= *speed && pixels <= *size && kilobits <= *most
            };
            Some(HEVC.iter().find(fits).map_or(62, |(level, ..)| *level))
        }
        VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Mpeg4 => None,
        VideoCodec::H264 => {
            let kept = blocks * references(rendition.settings.preset);
            let fits = |(_, speed, size, all, most): &&(u8, u64, u64, u64, u64)| {
                a_second(blocks) <= *speed && blocks <= *size && kept <= *all && kilobits <= *most
            };
            Some(H264.iter().find(fits).map_or(62, |(level, ..)| *level))
        }
    }
}

/// Pictures that x264 keeps: four at least, for its pyramid.
fn references(preset: Preset) -> u64 {
    match preset {
        Preset::Ultrafast | Preset::Superfast | Preset::Veryfast | Preset::Faster | Preset::Fast | Preset::Medium => 4,
        Preset::Slow => 5,
        Preset::Slower => 8,
        Preset::Veryslow => 16,
    }
}
