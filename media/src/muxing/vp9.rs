//! What containers are told of a VP9 track (VP Codec ISO Media File Format Binding 1.0, 3.1).

use framefleet_model::media::ColourRange;

use super::Video;

/// Level, luma samples a second, luma samples of a picture (VP9 levels, by the WebM project).
const LEVELS: [(u8, u64, u64); 14] = [
    (10, 829_440, 36_864),
    (11, 2_764_800, 73_728),
    (20, 4_608_000, 122_880),
    (21, 9_216_000, 245_760),
    (30, 20_736_000, 552_960),
    (31, 36_864_000, 983_040),
    (40, 83_558_400, 2_228_224),
    (41, 160_432_128, 2_228_224),
    (50, 311_951_360, 8_912_896),
    (51, 588_251_136, 8_912_896),
    (52, 1_176_502_272, 8_912_896),
    (60, 1_176_502_272, 35_651_584),
    (61, 2_353_004_544, 35_651_584),
    (62, 4_706_009_088, 35_651_584),
];

/// The payload of `vpcC` after its version and flags.
pub(crate) fn record(video: &Video) -> Vec<u8> {
    let deep = video.depth > 8;
    let profile = if deep { 2 } else { 0 };
    let full = u8::from(video.colour.range == ColourRange::Full);
    let depth = video.depth << 4;
    // 4:2:0 with chroma in line with luma.
    let sampling = 1 << 1;
    let colour = [video.colour.primaries, video.colour.transfer, video.colour.matrix];
    [&[profile, level(video), depth | sampling | full], &colour[..], &[0, 0]].concat()
}

pub(crate) fn level(video: &Video) -> u8 {
    let picture = u64::from(video.geometry.width) * u64::from(video.geometry.height);
    let second = picture * u64::from(video.rate.num()) / u64::from(video.rate.den());
    let fits = LEVELS.iter().find(|(_, by_second, by_picture)| second <= *by_second && picture <= *by_picture);
    fits.map_or(62, |(level, _, _)| *level)
}
