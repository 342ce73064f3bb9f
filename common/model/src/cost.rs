//! What an encode is estimated to cost: for the lengths of segments, the classes of tasks and, with much room, for the
//! CPU time beyond which an attempt is taken to run in circles.

use crate::media::{Geometry, VideoCodec};
use crate::pipeline::{Coding, Preset, RateControl};
use crate::plan::{AudioRendition, Decode, Passes, VideoRendition};
use crate::shots::{ImagePlan, Make};
use crate::task::{EncodeWork, Need, Work};
use crate::time::{MediaTime, NS_PER_SECOND, scale_round};

/// A first pass is made at the encoder's fastest.
const TWO_PASSES_TENTHS: u64 = 15;
/// Decoding and scaling, beside the encode.
const DECODE_PIXEL_PS: u64 = 4_000;
/// Reading and writing what is copied.
const COPY_SECOND_NS: u64 = 2_000_000;
/// Scaling and coding a still picture.
const IMAGE_PIXEL_NS: u64 = 60;

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
        Work::Image(work) => image(&work.plan),
        Work::Index(_) | Work::Audio(_) | Work::Merge(_) | Work::Probe(_) => None,
    }
}

const MIB: u64 = 1 << 20;
/// A child that does nothing yet: libraries, queues, stacks.
const CHILD_MIB: u64 = 96;
/// What encoders and decoders keep for each pixel of a rendition: pictures looked ahead at, references, queues. A child
/// that encodes 1920x1080 at preset medium was measured at 582 MiB.
const BYTES_A_PIXEL: u64 = 250;
/// The same of a decoder alone.
const IMAGE_BYTES_A_PIXEL: u64 = 50;
/// One byte for so many pixels each second, 4 Mbit/s at 1920x1080, is what constant quality usually gives. A film that
/// gives more is caught by the scratch running full; more room than is needed would be found in fewer workers.
const PIXELS_A_BYTE_A_SECOND: u64 = 4;

/// What reading through a film takes.
pub fn index_need() -> Need {
    Need { memory_mib: mib(2 * CHILD_MIB * MIB), scratch_mib: 64 }
}

pub fn encode_need(renditions: &[VideoRendition], length: MediaTime) -> Need {
    let encoded = renditions.iter().filter(|rendition| rendition.settings.coding.is_encode());
    let pixels = encoded.map(|rendition| pixels(rendition.format.geometry)).fold(0, u64::saturating_add);
    let memory = (CHILD_MIB * MIB).saturating_add(pixels.saturating_mul(BYTES_A_PIXEL));
    Need { memory_mib: mib(memory), scratch_mib: mib(encoded_bytes(renditions, length)) }
}

pub fn audio_need<'a>(renditions: impl Iterator<Item = &'a AudioRendition>, length: MediaTime) -> Need {
    let bits = renditions.map(|rendition| u64::from(rendition.settings.bitrate)).fold(0, u64::saturating_add);
    let scratch = seconds(length).saturating_mul(bits) / 8;
    Need { memory_mib: mib(CHILD_MIB * MIB), scratch_mib: mib(scratch) }
}

/// Of pictures taken out of a film: the decoder's, those that wait, and what is made of them.
pub fn image_need(plan: &ImagePlan) -> Need {
    let picture = pixels(plan.size).saturating_mul(3);
    let (memory, files) = match &plan.make {
        Make::Stills(_) => (picture, picture.saturating_mul(plan.shots.len() as u64)),
        Make::Sheets(sheets) => {
            let sheet = pixels(sheets.layout.sheet(plan.size)).saturating_mul(3);
            let count = plan.shots.len().div_ceil(sheets.layout.tiles().max(1)) as u64;
            (sheet.saturating_mul(4), sheet.saturating_mul(count))
        }
        Make::Gif(_) => (picture.saturating_mul(4), picture.saturating_mul(2 * plan.shots.len() as u64)),
    };
    let memory = pixels(plan.film).saturating_mul(IMAGE_BYTES_A_PIXEL).saturating_add(memory.saturating_mul(2));
    Need { memory_mib: mib((CHILD_MIB * MIB).saturating_add(memory)), scratch_mib: mib(files) }
}

/// One core's time for decoding all that these pictures need; `None` where that is the whole film.
pub fn image(plan: &ImagePlan) -> Option<MediaTime> {
    let units = plan.reaches.iter().map(|reach| match reach.decode {
        Decode::Slice { from, to, .. } => Some(u64::from(to.saturating_sub(from))),
        Decode::Whole => None,
    });
    let units = units.sum::<Option<u64>>()?;
    let picture_ns = pixels(plan.film).saturating_mul(DECODE_PIXEL_PS) / 1_000;
    let decoded = picture_ns.saturating_mul(units);
    let made = pixels(plan.size).saturating_mul(IMAGE_PIXEL_NS).saturating_mul(plan.shots.len() as u64);
    Some(MediaTime(i64::try_from(decoded.saturating_add(made)).unwrap_or(i64::MAX)))
}

/// Of an output with these pictures; its sound is little beside them, or alone little.
pub fn merge_need(renditions: &[VideoRendition], length: MediaTime) -> Need {
    let sound = seconds(length).saturating_mul(64 << 10);
    let scratch = encoded_bytes(renditions, length).saturating_add(sound);
    Need { memory_mib: mib(CHILD_MIB * MIB), scratch_mib: mib(scratch) }
}

fn encoded_bytes(renditions: &[VideoRendition], length: MediaTime) -> u64 {
    let bytes = |rendition: &VideoRendition| match rendition.settings.rate {
        RateControl::Bitrate(bits) => seconds(length).saturating_mul(bits.into()) / 8,
        RateControl::Crf(_) => {
            seconds(length).saturating_mul(pixels(rendition.format.geometry)) / PIXELS_A_BYTE_A_SECOND
        }
    };
    renditions.iter().map(bytes).fold(0, u64::saturating_add)
}

/// Begun ones count.
fn seconds(length: MediaTime) -> u64 {
    u64::try_from(length.ns() / NS_PER_SECOND).unwrap_or(0).saturating_add(1)
}

fn mib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(MIB)).unwrap_or(u32::MAX)
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
    if rendition.settings.coding == Coding::Copy {
        return COPY_SECOND_NS;
    }
    let pixels = pixels(rendition.format.geometry);
    let rate = rendition.format.rate;
    let passes = if rendition.passes() == Passes::Two { TWO_PASSES_TENTHS } else { 10 };
    let encoding = pixel_ps(rendition.settings.codec, rendition.settings.preset) + DECODE_PIXEL_PS;
    let picture_ps = pixels.saturating_mul(encoding).saturating_mul(passes) / 10;
    (picture_ps / 1_000).saturating_mul(rate.num().into()) / u64::from(rate.den())
}

/// Picoseconds of one core a pixel: measured for H.264 at medium and veryfast, in the encoders' own proportions for the
/// rest.
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
        VideoCodec::Vp8 => vpx_ps(preset),
        VideoCodec::Vp9 => 2 * vpx_ps(preset),
        VideoCodec::Av1 => 4 * vpx_ps(preset),
        VideoCodec::Mpeg4 => 12_000,
    }
}

/// As measured for VP8.
fn vpx_ps(preset: Preset) -> u64 {
    match preset {
        Preset::Ultrafast => 12_000,
        Preset::Superfast => 18_000,
        Preset::Veryfast => 30_000,
        Preset::Faster => 60_000,
        Preset::Fast => 70_000,
        Preset::Medium => 90_000,
        Preset::Slow => 200_000,
        Preset::Slower => 400_000,
        Preset::Veryslow => 800_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Divisible, Method, VideoTrack};
    use crate::media::{Colour, Orientation, Scan, VideoFormat};
    use crate::pipeline::Damaged;
    use crate::plan::{PACE_EVEN, Segment};
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
        let (id, codec, name, decoder) = Default::default();
        let track = VideoTrack { id, codec, name, decoder, caps: Vec::new(), format, span, divisible: Divisible::Yes };
        let decode = Decode::Slice { from: 0, to: units, blocks: Vec::new() };
        Work::Encode(EncodeWork {
            method: Method::Pass,
            track,
            origin: MediaTime::ZERO,
            segment: Segment { number: 0, span, decode, pictures: None, pace: PACE_EVEN },
            renditions: Vec::new(),
            damaged: Damaged::Fail,
        })
    }

    #[test]
    fn a_run_up_through_a_long_gop_is_part_of_the_estimate() {
        assert_eq!(of(&encode(MediaTime::from_secs(5), 1000)), Some(MediaTime::from_secs(4)));
        assert_eq!(of(&encode(MediaTime::MAX, 1000)), None);
        let index = IndexWork { limits: SourceLimits::DEFAULT, tables: true };
        assert_eq!(of(&Work::Index(index)), None);
    }
}
