//! Video renditions: what is encoded, from the film's format and the settings asked for. Equal ones are encoded once.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::media::{Colour, ColourRange, Container, Geometry, Scan, VideoCodec, VideoFormat};
use framefleet_model::picture::{ColourSpace, Deinterlace, Depth, Shape};
use framefleet_model::pipeline::{Coding, Preset, RateControl, VideoSettings};
use framefleet_model::plan::{EncodeFormat, VideoRendition};
use framefleet_model::time::{MediaTime, NS_PER_SECOND, Rational, scale_round};
use framefleet_model::watermark::Mark;

use crate::flow::planning::budget::within_cap;
use crate::flow::planning::copies;
use crate::flow::planning::film::Film;
use crate::flow::planning::geometry::{SIDE_MAX, SIDE_MIN, Shaped, shaped};

const BITRATE_MIN: u32 = 10_000;
const BITRATE_MAX: u32 = 400_000_000;
const RATE_MAX: u32 = 240;
const KEYFRAMES_MAX: u32 = 250;
const KEYFRAME_INTERVAL_MAX: MediaTime = MediaTime::from_secs(600);
/// Matrices by H.273.
const MATRIX_RGB: u8 = 0;
const MATRIX_BT709: u8 = 1;
const MATRIX_BT601: u8 = 6;
/// PQ and HLG.
const TRANSFERS_HDR: [u8; 2] = [16, 18];

/// The number of the rendition with these settings; a new one if there is none yet.
pub(crate) fn rendition(
    settings: &VideoSettings,
    film: &Film<'_>,
    container: Container,
    known: &mut Vec<VideoRendition>,
) -> Result<u32, Fault> {
    if settings.coding == Coding::Copy {
        return copies::pictures(film, container, known);
    }
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
    if container != Container::Avi || made.settings.coding == Coding::Copy {
        return Vec::new();
    }
    let grid = format!("avi keeps no times: pictures are put on a grid of {} a second", made.format.rate);
    let ahead = reorder_depth(made.settings.codec, made.settings.preset) > 0;
    let order = ahead.then(|| "avi keeps no order of showing: B-pictures are off".to_owned());
    [grid].into_iter().chain(order).collect()
}

fn make(settings: &VideoSettings, film: &Film<'_>, container: Container) -> Result<VideoRendition, Fault> {
    let source = &film.track.format;
    let deinterlace = deinterlace(settings.shape.deinterlace, source)?;
    let shaped = shaped(settings, source)?;
    let nominal = nominal(source, film.distance, deinterlace);
    let woven = !shaped.turn.swaps_axes() && deinterlace == Deinterlace::Weave && keeps_fields(settings.codec);
    let scan = if woven { source.scan } else { Scan::Progressive };
    let (source_colour, colour) = colours(&settings.shape, source)?;
    let mut format = encode_format(settings, source, Seen { shaped, nominal, scan, colour });
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
        vbv: None,
        level: None,
        turn: shaped.turn,
        deinterlace,
        crop: shaped.crop,
        canvas: shaped.canvas,
        source_colour,
        dts_delay: None,
        settings: settings.clone(),
        format,
    })
}

/// What the pictures are as large as with these settings.
pub(crate) fn geometry(settings: &VideoSettings, film: &Film<'_>) -> Result<Geometry, Fault> {
    shaped(settings, &film.track.format).map(|shaped| shaped.geometry)
}

/// Constant quality finds its level within a few pictures, whatever they show (docs/SEAMS.md). A bit rate is an account
/// that still pictures would fill, and so is a player's buffer.
fn warm_up(settings: &VideoSettings) -> u8 {
    match (settings.codec, settings.rate) {
        (VideoCodec::H264 | VideoCodec::Hevc, RateControl::Crf(_)) if settings.max_bitrate.is_none() => 8,
        (VideoCodec::H264 | VideoCodec::Hevc, _) => 0,
        // Their constant quality has no state.
        (VideoCodec::Vp8 | VideoCodec::Vp9 | VideoCodec::Av1 | VideoCodec::Mpeg4, _) => 0,
    }
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

/// Only fields can become pictures.
fn deinterlace(asked: Deinterlace, source: &VideoFormat) -> Result<Deinterlace, Fault> {
    const LAYOUTS: [&str; 14] = [
        "I420",
        "YV12",
        "Y41B",
        "Y42B",
        "Y444",
        "NV12",
        "NV21",
        "NV16",
        "GRAY8",
        "I420_10LE",
        "I422_10LE",
        "Y444_10LE",
        "I422_12LE",
        "P010_10LE",
    ];
    if source.scan == Scan::Progressive || asked == Deinterlace::Weave {
        return Ok(Deinterlace::Weave);
    }
    if !LAYOUTS.contains(&source.layout.as_str()) {
        let (layout, known) = (&source.layout, LAYOUTS.join(", "));
        let text = format!("pictures of the layout {layout} cannot be deinterlaced, only those of: {known}");
        return Err(Fault::new(FaultKind::Settings, text));
    }
    Ok(asked)
}

/// The source's own rate, by what it says or by its pictures' distance.
pub(super) fn nominal(source: &VideoFormat, distance: MediaTime, deinterlace: Deinterlace) -> Rational {
    let own = source.rate.filter(|r| bounded(*r)).unwrap_or_else(|| rate_of(distance));
    match deinterlace {
        Deinterlace::Weave | Deinterlace::Frame => own,
        Deinterlace::Bob => own.num().checked_mul(2).and_then(|num| Rational::new(num, own.den()).ok()).unwrap_or(own),
    }
}

/// The source's pictures as they come to be encoded.
struct Seen {
    shaped: Shaped,
    nominal: Rational,
    scan: Scan,
    colour: Colour,
}

fn encode_format(settings: &VideoSettings, source: &VideoFormat, seen: Seen) -> EncodeFormat {
    let Seen { shaped, nominal, scan, colour } = seen;
    let deep = settings.shape.depth.unwrap_or(depth(&source.layout)) == Depth::Ten && takes_ten_bits(settings.codec);
    let hdr = deep && settings.codec != VideoCodec::H264;
    EncodeFormat {
        geometry: shaped.geometry,
        layout: if deep { "I420_10LE" } else { "I420" }.to_owned(),
        pixel_aspect: shaped.pixel_aspect,
        rate: settings.fps.unwrap_or(nominal),
        grid: settings.fps,
        scan,
        colour,
        mastering: source.mastering.filter(|_| hdr),
        light: source.light.filter(|_| hdr),
    }
}

/// Raw layouts name the bits of a sample when there are more than eight: `I420_10LE`, `P010_10LE`, `Y444_12LE`.
fn depth(layout: &str) -> Depth {
    let deep = ["_10", "_12", "_16", "P010", "P016", "GRAY10", "GRAY16"].iter().any(|mark| layout.contains(mark));
    if deep { Depth::Ten } else { Depth::Eight }
}

/// What the source's colour is taken for, where it is converted, and that of the output.
fn colours(shape: &Shape, source: &VideoFormat) -> Result<(Option<Colour>, Colour), Fault> {
    let own = colour(source);
    if shape.colour.is_none() && shape.range.is_none() {
        return Ok((None, own));
    }
    // What is not said is what players take it for.
    let usual = if source.geometry.height >= 720 { ColourSpace::Bt709 } else { ColourSpace::Bt601 };
    let usual = usual.colour(own.range);
    let said = |own: u8, usual: u8| if own == Colour::UNSPECIFIED.matrix { usual } else { own };
    let taken = Colour {
        primaries: said(own.primaries, usual.primaries),
        transfer: said(own.transfer, usual.transfer),
        matrix: said(own.matrix, usual.matrix),
        range: own.range,
    };
    let range = shape.range.unwrap_or(own.range);
    let is_hdr = TRANSFERS_HDR.contains(&taken.transfer);
    let target = match shape.colour {
        None => Colour { range, ..taken },
        Some(ColourSpace::Bt2020) if is_hdr => Colour { range, ..taken },
        Some(space) if is_hdr => {
            let (name, transfer) = (space.name(), taken.transfer);
            let text = format!("the colour {name} cannot show the source's HDR (transfer {transfer}), bt2020 can");
            return Err(Fault::new(FaultKind::Settings, text));
        }
        Some(space) => space.colour(range),
    };
    Ok((Some(taken), target))
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

fn check_marks(settings: &VideoSettings) -> Result<(), Fault> {
    let refuse = |text: String| Err(Fault::new(FaultKind::Settings, text));
    for watermark in &settings.watermarks {
        let (margin, opacity) = (watermark.margin, watermark.opacity_percent);
        if margin > SIDE_MAX || !(1..=100).contains(&opacity) {
            return refuse(format!(
                "a mark's margin of {margin} is over {SIDE_MAX}, or its opacity of {opacity} not 1 to 100"
            ));
        }
        let sides = match &watermark.mark {
            Mark::Image { width, height, .. } => [*width, *height],
            Mark::Text { size, .. } => [Some(*size), None],
        };
        if let Some(side) = sides.into_iter().flatten().find(|side| *side == 0 || *side > SIDE_MAX) {
            return refuse(format!("a mark's side of {side} is not from 1 to {SIDE_MAX}"));
        }
    }
    Ok(())
}

fn check_most(settings: &VideoSettings) -> Result<(), Fault> {
    let refuse = |text: String| Err(Fault::new(FaultKind::Settings, text));
    let Some(most) = settings.max_bitrate else { return Ok(()) };
    if !(BITRATE_MIN..=BITRATE_MAX).contains(&most) {
        return refuse(format!("a max bitrate of {most} bit/s is not from {BITRATE_MIN} to {BITRATE_MAX}"));
    }
    if let RateControl::Bitrate(rate) = settings.rate
        && rate > within_cap(most)
    {
        let bound = within_cap(most);
        return refuse(format!(
            "a video bitrate of {rate} bit/s is over {bound}, which a max bitrate of {most} leaves room for"
        ));
    }
    if !matches!(settings.codec, VideoCodec::H264 | VideoCodec::Hevc) {
        let codec = settings.codec.name();
        return refuse(format!("a max bitrate goes with h264 and hevc, not with {codec}"));
    }
    Ok(())
}

fn check(settings: &VideoSettings) -> Result<(), Fault> {
    let refuse = |text: String| Err(Fault::new(FaultKind::Settings, text));
    if let Some(size) = settings.size {
        let odd = |side: &u32| !(SIDE_MIN..=SIDE_MAX).contains(side) || side % 2 == 1;
        if let Some(side) = [size.width, size.height].into_iter().flatten().find(odd) {
            return refuse(format!("a side of {side} is not even and from {SIDE_MIN} to {SIDE_MAX}"));
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
    if settings.shape.depth == Some(Depth::Ten) && !takes_ten_bits(settings.codec) {
        let codec = settings.codec.name();
        return refuse(format!("a depth of 10 bits is not of {codec}, which has 8; h264, hevc, vp9 and av1 have 10"));
    }
    check_most(settings)?;
    check_marks(settings)?;
    if let Some(fps) = settings.fps.filter(|fps| !bounded(*fps)) {
        return refuse(format!("a rate of {fps} pictures a second is not from 1 to {RATE_MAX}"));
    }
    let interval = settings.keyframe_interval;
    if let Some(interval) = interval.filter(|i| *i <= MediaTime::ZERO || *i > KEYFRAME_INTERVAL_MAX) {
        return refuse(format!("a keyframe interval of {interval} is not over 0 and up to {KEYFRAME_INTERVAL_MAX}"));
    }
    Ok(())
}
