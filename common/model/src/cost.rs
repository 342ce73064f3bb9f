//! What an encode is estimated to cost: for the lengths of segments, the classes of tasks and, with much room, for the
//! CPU time beyond which an attempt is taken to run in circles.

use crate::media::{Geometry, VideoCodec};
use crate::pipeline::Preset;
use crate::plan::{Decode, VideoRendition};
use crate::task::{EncodeWork, Work};
use crate::time::{MediaTime, NS_PER_SECOND, scale_round};

/// Decoding and scaling, beside the encode.
const DECODE_PIXEL_PS: u64 = 4_000;

/// One core's time for one second of the film in these renditions.
pub fn second(renditions: &[VideoRendition]) -> MediaTime {
    let total = renditions.iter().map(rendition_second_ns).fold(0_u64, u64::saturating_add);
    MediaTime(i64::try_from(total).unwrap_or(i64::MAX))
}

/// One core's time for this much of the film.
pub fn stretch(length: MediaTime, second: MediaTime) -> MediaTime {
    MediaTime(scale_round(length.ns(), second.ns(), NS_PER_SECOND))
}

/// One core's time for a child's work, where it can be told beforehand.
pub fn of(work: &Work) -> Option<MediaTime> {
    match work {
        Work::Encode(work) => encode(work),
        Work::Index(_) | Work::Audio(_) | Work::Merge(_) => None,
    }
}

fn encode(work: &EncodeWork) -> Option<MediaTime> {
    let span = work.segment.span;
    let length = span.len();
    let decoded = match &work.segment.decode {
        Decode::Slice { from, to, .. } if span.end < MediaTime::MAX => to.saturating_sub(*from),
        // From the film's first byte, however little of it is wanted.
        Decode::Slice { .. } | Decode::Whole => return None,
    };
    let picture_ns = pixels(work.track.format.geometry).saturating_mul(DECODE_PIXEL_PS) / 1_000;
    let preroll = MediaTime(i64::try_from(picture_ns.saturating_mul(decoded.into())).unwrap_or(i64::MAX));
    let encoded = stretch(length, second(&work.renditions));
    Some(MediaTime(encoded.ns().saturating_add(preroll.ns())))
}

fn pixels(geometry: Geometry) -> u64 {
    u64::from(geometry.width) * u64::from(geometry.height)
}

fn rendition_second_ns(rendition: &VideoRendition) -> u64 {
    let pixels = pixels(rendition.format.geometry);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Divisible, Method, VideoTrack};
    use crate::media::{Colour, Orientation, Scan, VideoFormat};
    use crate::pipeline::Damaged;
    use crate::plan::Segment;
    use crate::task::{IndexWork, SourceLimits};
    use crate::time::{Rational, Span};

    fn encode(end: MediaTime, units: u32) -> Work {
        let format = VideoFormat {
            geometry: Geometry { width: 1000, height: 1000 },
            layout: "I420".to_owned(),
            pixel_aspect: Rational::new(1, 1).unwrap(),
            rate: None,
            scan: Scan::Progressive,
            colour: Colour::UNSPECIFIED,
            mastering: None,
            light: None,
            orientation: Orientation::UPRIGHT,
        };
        let span = Span::new(MediaTime::ZERO, end);
        let (id, codec, decoder) = (String::new(), String::new(), String::new());
        let track = VideoTrack { id, codec, decoder, caps: Vec::new(), format, span, divisible: Divisible::Yes };
        let decode = Decode::Slice { from: 0, to: units, blocks: Vec::new() };
        Work::Encode(EncodeWork {
            method: Method::Pass,
            track,
            origin: MediaTime::ZERO,
            segment: Segment { number: 0, span, decode, pictures: None },
            renditions: Vec::new(),
            damaged: Damaged::Fail,
        })
    }

    #[test]
    fn a_run_up_through_a_long_gop_is_part_of_the_estimate() {
        assert_eq!(of(&encode(MediaTime::from_secs(5), 1000)), Some(MediaTime::from_secs(4)));
        assert_eq!(of(&encode(MediaTime::MAX, 1000)), None);
        let index = IndexWork { audio_track: Default::default(), limits: SourceLimits::DEFAULT, tables: true };
        assert_eq!(of(&Work::Index(index)), None);
    }
}
