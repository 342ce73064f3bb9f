//! Video renditions: what is encoded, from the film's format and the settings asked for. Equal ones are encoded once.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::media::{Colour, ColourRange, Container, Geometry, Orientation, Scan, VideoCodec, VideoFormat};
use framefleet_model::pipeline::{Preset, RateControl, VideoSettings};
use framefleet_model::plan::{EncodeFormat, VideoRendition};
use framefleet_model::time::{MediaTime, NS_PER_SECOND, Rational, scale_round};

use crate::flow::planning::film::Film;

const SIDE_MIN: u32 = 16;
const SIDE_MAX: u32 = 8192;
const BITRATE_MIN: u32 = 10_000;
const BITRATE_MAX: u32 = 400_000_000;
const RATE_MAX: u32 = 240;
const KEYFRAMES_MAX: u32 = 250;
const KEYFRAME_INTERVAL_MAX: MediaTime = MediaTime::from_secs(600);
/// Matrices by H.273.
const MATRIX_RGB: u8 = 0;
const MATRIX_BT709: u8 = 1;
const MATRIX_BT601: u8 = 6;

/// The number of the rendition with these settings; a new one if there is none yet.
pub(crate) fn rendition(
    settings: &VideoSettings,
    film: &Film<'_>,
    container: Container,
    known: &mut Vec<VideoRendition>,
) -> Result<u32, Fault> {
    check(settings)?;
    let made = make(settings, film, container)?;
    let same = |r: &&VideoRendition| {
        r.settings == made.settings && r.format == made.format && r.reorder_depth == made.reorder_depth
    };
    if let Some(same) = known.iter().find(same) {
        return Ok(same.number);
    }
    let number = u32::try_from(known.len()).unwrap_or(u32::MAX);
    known.push(VideoRendition { number, ..made });
    Ok(number)
}

/// What the container makes of the settings, for people.
pub(crate) fn notes(container: Container, made: &VideoRendition) -> Vec<String> {
    if container != Container::Avi {
        return Vec::new();
    }
    let grid = format!("avi keeps no times: pictures are put on a grid of {} a second", made.format.rate);
    let ahead = reorder_depth(made.settings.codec, made.settings.preset) > 0;
    let order = ahead.then(|| "avi keeps no order of showing: B-pictures are off".to_owned());
    [grid].into_iter().chain(order).collect()
}

fn make(settings: &VideoSettings, film: &Film<'_>, container: Container) -> Result<VideoRendition, Fault> {
    let source = &film.track.format;
    let mut format = encode_format(settings, source, film.distance)?;
    let mut depth = reorder_depth(settings.codec, settings.preset);
    if container == Container::Avi {
        format.grid = Some(format.rate);
        depth = 0;
    }
    let rate = format.rate;
    let interval = settings.keyframe_interval.map(|interval| {
        let pictures = rate.nearest(interval);
        if rate.time_of(pictures) > interval { pictures - 1 } else { pictures }.max(1)
    });
    Ok(VideoRendition {
        number: 0,
        keyframes_max: interval.map_or(KEYFRAMES_MAX, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        reorder_depth: depth,
        warm_up: warm_up(settings),
        turn: source.orientation,
        dts_delay: None,
        settings: settings.clone(),
        format,
    })
}

/// What the pictures are as large as with these settings.
pub(crate) fn geometry(settings: &VideoSettings, film: &Film<'_>) -> Geometry {
    let source = &film.track.format;
    settings.size.unwrap_or_else(|| even(upright(source.geometry, source.orientation)))
}

/// Constant quality finds its level within a few pictures, whatever they show (docs/SEAMS.md). A bit rate is an account
/// that still pictures would fill.
fn warm_up(settings: &VideoSettings) -> u8 {
    match (settings.codec, settings.rate) {
        (VideoCodec::H264 | VideoCodec::Hevc, RateControl::Crf(_)) => 8,
        (VideoCodec::H264 | VideoCodec::Hevc, RateControl::Bitrate(_)) => 0,
        // Their constant quality has no state.
        (VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Mpeg4, _) => 0,
    }
}

fn encode_format(settings: &VideoSettings, source: &VideoFormat, distance: MediaTime) -> Result<EncodeFormat, Fault> {
    let deep = depth(&source.layout) == Depth::Ten && takes_ten_bits(settings.codec);
    let (geometry, pixel_aspect) = match settings.size {
        Some(size) => (size, aspect_for(size, source)?),
        None => (even(upright(source.geometry, source.orientation)), upright_aspect(source)),
    };
    let hdr = deep && settings.codec != VideoCodec::H264;
    Ok(EncodeFormat {
        geometry,
        layout: if deep { "I420_10LE" } else { "I420" }.to_owned(),
        pixel_aspect,
        rate: settings.fps.unwrap_or_else(|| source.rate.filter(|r| bounded(*r)).unwrap_or_else(|| rate_of(distance))),
        grid: settings.fps,
        scan: if source.orientation.swaps_axes() || !keeps_fields(settings.codec) {
            Scan::Progressive
        } else {
            source.scan
        },
        colour: colour(source),
        mastering: source.mastering.filter(|_| hdr),
        light: source.light.filter(|_| hdr),
    })
}

fn takes_ten_bits(codec: VideoCodec) -> bool {
    match codec {
        VideoCodec::H264 | VideoCodec::Hevc | VideoCodec::Vp9 | VideoCodec::Av1 => true,
        VideoCodec::Vp8 | VideoCodec::Mpeg4 => false,
    }
}

/// Whether an encoder can say that its pictures are woven of fields.
fn keeps_fields(codec: VideoCodec) -> bool {
    matches!(codec, VideoCodec::H264 | VideoCodec::Hevc)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Eight,
    Ten,
}

/// Raw layouts name the bits of a sample when there are more than eight: `I420_10LE`, `P010_10LE`, `Y444_12LE`.
fn depth(layout: &str) -> Depth {
    let deep = ["_10", "_12", "_16", "P010", "P016", "GRAY10", "GRAY16"].iter().any(|mark| layout.contains(mark));
    if deep { Depth::Ten } else { Depth::Eight }
}

fn upright(geometry: Geometry, orientation: Orientation) -> Geometry {
    if orientation.swaps_axes() { geometry.swapped() } else { geometry }
}

fn upright_aspect(source: &VideoFormat) -> Rational {
    let aspect = source.pixel_aspect;
    let swapped = Rational::new(aspect.den(), aspect.num()).expect("a ratio's parts are not zero");
    if source.orientation.swaps_axes() { swapped } else { aspect }
}

/// 4:2:0 has one chroma sample for two pixels either way: an odd size loses its last row or column.
fn even(geometry: Geometry) -> Geometry {
    Geometry { width: (geometry.width & !1).max(2), height: (geometry.height & !1).max(2) }
}

/// The pixel aspect that keeps the picture's shape at another size; square where that is within one percent.
fn aspect_for(size: Geometry, source: &VideoFormat) -> Result<Rational, Fault> {
    let from = upright(source.geometry, source.orientation);
    let aspect = upright_aspect(source);
    let num = u128::from(from.width) * u128::from(aspect.num()) * u128::from(size.height);
    let den = u128::from(from.height) * u128::from(aspect.den()) * u128::from(size.width);
    if num.abs_diff(den) * 100 <= den {
        return Ok(Rational::ONE);
    }
    let shrink = gcd(num, den).max(num.max(den) >> 31).max(1);
    let part = |value: u128| u32::try_from(value / shrink).unwrap_or(u32::MAX).max(1);
    Rational::new(part(num), part(den)).map_err(|e| Fault::new(FaultKind::Settings, e.to_string()))
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// RGB becomes YUV in the encoder, by the matrix that its size suggests to players.
fn colour(source: &VideoFormat) -> Colour {
    let rgb = source.colour.matrix == MATRIX_RGB || ["RGB", "BGR", "GBR"].iter().any(|n| source.layout.contains(n));
    if !rgb {
        return source.colour;
    }
    let matrix = if source.geometry.height >= 720 { MATRIX_BT709 } else { MATRIX_BT601 };
    Colour { matrix, range: ColourRange::Limited, ..source.colour }
}

fn bounded(rate: Rational) -> bool {
    rate.num() >= rate.den() && u64::from(rate.num()) <= u64::from(rate.den()) * u64::from(RATE_MAX)
}

/// The nearest usual rate within half a percent of these pictures' distance, else its own.
fn rate_of(distance: MediaTime) -> Rational {
    const USUAL: [(u32, u32); 18] = [
        (24_000, 1001),
        (24, 1),
        (25, 1),
        (30_000, 1001),
        (30, 1),
        (48, 1),
        (50, 1),
        (60_000, 1001),
        (60, 1),
        (10, 1),
        (12, 1),
        (25, 2),
        (15, 1),
        (20, 1),
        (90, 1),
        (100, 1),
        (120, 1),
        (240, 1),
    ];
    let usual = USUAL.iter().filter_map(|(num, den)| Rational::new(*num, *den).ok());
    let off = |rate: &Rational| (rate.time_of(1) - distance).ns().unsigned_abs();
    let nearest = usual.min_by_key(off).filter(|rate| off(rate) * 200 <= distance.ns().unsigned_abs());
    let thousandths = scale_round(NS_PER_SECOND, 1000, distance.ns().max(1));
    let own = u32::try_from(thousandths.clamp(1000, i64::from(RATE_MAX) * 1000)).unwrap_or(1000);
    nearest.unwrap_or_else(|| Rational::new(own, 1000).expect("clamped above zero"))
}

/// B-pictures that wait for a later one: both encoders keep one as a reference for others (a pyramid) as soon as
/// they make two in a row, which all presets do but x264's fastest.
fn reorder_depth(codec: VideoCodec, preset: Preset) -> u8 {
    match codec {
        VideoCodec::H264 if preset == Preset::Ultrafast => 0,
        VideoCodec::H264 | VideoCodec::Hevc => 2,
        VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Mpeg4 => 0,
    }
}

fn check(settings: &VideoSettings) -> Result<(), Fault> {
    let refuse = |text: String| Err(Fault::new(FaultKind::Settings, text));
    if let Some(Geometry { width, height }) = settings.size {
        let odd = |side: u32| !(SIDE_MIN..=SIDE_MAX).contains(&side) || side % 2 == 1;
        if odd(width) || odd(height) {
            return refuse(format!("the size {width}x{height} is not of even sides from {SIDE_MIN} to {SIDE_MAX}"));
        }
    }
    match settings.rate {
        RateControl::Crf(crf) if !settings.codec.crf_range().contains(&u32::from(crf)) => {
            let (codec, range) = (settings.codec.name(), settings.codec.crf_range());
            return refuse(format!("a crf of {crf} is not within {codec}'s {} to {}", range.start(), range.end()));
        }
        RateControl::Bitrate(rate) if !(BITRATE_MIN..=BITRATE_MAX).contains(&rate) => {
            return refuse(format!("a video bitrate of {rate} bit/s is not from {BITRATE_MIN} to {BITRATE_MAX}"));
        }
        RateControl::Crf(_) | RateControl::Bitrate(_) => {}
    }
    if let Some(fps) = settings.fps.filter(|fps| !bounded(*fps)) {
        return refuse(format!("a rate of {fps} pictures a second is not from 1 to {RATE_MAX}"));
    }
    let interval = settings.keyframe_interval;
    if let Some(interval) = interval.filter(|i| *i <= MediaTime::ZERO || *i > KEYFRAME_INTERVAL_MAX) {
        return refuse(format!("a keyframe interval of {interval} is not over 0 and up to {KEYFRAME_INTERVAL_MAX}"));
    }
    Ok(())
}
