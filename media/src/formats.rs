//! GStreamer caps to model formats and back.

use framefleet_model::media::{
    AudioFormat, Colour, ColourRange, ContentLight, Geometry, MasteringDisplay, Mirror, Orientation, Scan, VideoFormat,
};
use framefleet_model::time::Rational;

/// What a decoder puts out, by its caps and the stream's own caps and tags.
pub(crate) fn video_format(raw: &gst::CapsRef, parsed: &gst::CapsRef, tags: &gst::TagListRef) -> Option<VideoFormat> {
    let info = gst_video::VideoInfo::from_caps(raw).ok()?;
    let either = [raw.structure(0), parsed.structure(0)];
    let text = |field: &str| either.iter().flatten().find_map(|s| s.get::<String>(field).ok());
    Some(VideoFormat {
        geometry: Geometry { width: info.width(), height: info.height() },
        layout: info.format().to_string(),
        pixel_aspect: ratio(info.par()).unwrap_or(Rational::ONE),
        rate: ratio(info.fps()).filter(|r| r.num() / r.den() <= 1000),
        scan: scan_of(&info),
        colour: colour_of(&info, text("colorimetry").as_deref()),
        mastering: text("mastering-display-info").and_then(|t| mastering_of(&t)),
        light: text("content-light-level").and_then(|t| light_of(&t)),
        orientation: orientation_of(tags),
    })
}

pub(crate) fn audio_format(raw: &gst::CapsRef) -> Option<AudioFormat> {
    let info = gst_audio::AudioInfo::from_caps(raw).ok()?;
    Some(AudioFormat { rate: info.rate(), channels: u16::try_from(info.channels()).ok()? })
}

/// The colorimetry string that caps want.
pub(crate) fn colorimetry(colour: Colour) -> gst_video::VideoColorimetry {
    let range = match colour.range {
        ColourRange::Limited => gst_video::VideoColorRange::Range16_235,
        ColourRange::Full => gst_video::VideoColorRange::Range0_255,
    };
    gst_video::VideoColorimetry::new(
        range,
        gst_video::VideoColorMatrix::from_iso(u32::from(colour.matrix)),
        gst_video::VideoTransferFunction::from_iso(u32::from(colour.transfer)),
        gst_video::VideoColorPrimaries::from_iso(u32::from(colour.primaries)),
    )
}

/// GStreamer's text: x:y of red, green, blue and white, then the luminances, all with ':' between.
pub(crate) fn mastering_text(display: MasteringDisplay) -> String {
    let mut numbers: Vec<u32> = Vec::with_capacity(10);
    for (x, y) in display.primaries.into_iter().chain([display.white]) {
        numbers.extend([u32::from(x), u32::from(y)]);
    }
    numbers.extend([display.luminance_max, display.luminance_min]);
    numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(":")
}

pub(crate) fn light_text(light: ContentLight) -> String {
    [light.max_cll, light.max_fall].map(|v| v.to_string()).join(":")
}

pub(crate) fn fraction(ratio: Rational) -> gst::Fraction {
    let part = |v: u32| i32::try_from(v).unwrap_or(i32::MAX);
    gst::Fraction::new(part(ratio.num()), part(ratio.den()))
}

fn ratio(fraction: gst::Fraction) -> Option<Rational> {
    Rational::new(u32::try_from(fraction.numer()).ok()?, u32::try_from(fraction.denom()).ok()?).ok()
}

fn scan_of(info: &gst_video::VideoInfo) -> Scan {
    match (info.interlace_mode(), info.field_order()) {
        (gst_video::VideoInterlaceMode::Progressive, _) => Scan::Progressive,
        (_, gst_video::VideoFieldOrder::BottomFieldFirst) => Scan::BottomFirst,
        _ => Scan::TopFirst,
    }
}

/// `told` is what the caps say: where they tell the range and no matrix, GStreamer takes neither.
fn colour_of(info: &gst_video::VideoInfo, told: Option<&str>) -> Colour {
    let colorimetry = info.colorimetry();
    let told = told.and_then(|text| text.parse::<gst_video::VideoColorimetry>().ok());
    let ranges = [Some(colorimetry.range()), told.filter(|_| info.is_yuv()).map(|told| told.range())];
    let code = |iso: u32| u8::try_from(iso).unwrap_or(2);
    Colour {
        primaries: code(colorimetry.primaries().to_iso()),
        transfer: code(colorimetry.transfer().to_iso()),
        matrix: code(colorimetry.matrix().to_iso()),
        range: match ranges.contains(&Some(gst_video::VideoColorRange::Range0_255)) {
            true => ColourRange::Full,
            false => ColourRange::Limited,
        },
    }
}

fn mastering_of(text: &str) -> Option<MasteringDisplay> {
    let numbers: Vec<u32> = text.split(':').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
    let [rx, ry, gx, gy, bx, by, wx, wy, luminance_max, luminance_min] = numbers.try_into().ok()?;
    let point = |x: u32, y: u32| Some((u16::try_from(x).ok()?, u16::try_from(y).ok()?));
    Some(MasteringDisplay {
        primaries: [point(rx, ry)?, point(gx, gy)?, point(bx, by)?],
        white: point(wx, wy)?,
        luminance_max,
        luminance_min,
    })
}

fn light_of(text: &str) -> Option<ContentLight> {
    let (cll, fall) = text.split_once(':')?;
    Some(ContentLight { max_cll: cll.trim().parse().ok()?, max_fall: fall.trim().parse().ok()? })
}

fn orientation_of(tags: &gst::TagListRef) -> Orientation {
    let tag = tags.get::<gst::tags::ImageOrientation>();
    orientation_named(tag.as_ref().map_or("rotate-0", |t| t.get()))
}

/// GStreamer's tag says how the picture must be turned: `rotate-90` is a quarter turn clockwise; `flip-` mirrors
/// horizontally before the turn.
fn orientation_named(name: &str) -> Orientation {
    let (mirror, turn) = match name.strip_prefix("flip-") {
        Some(turn) => (Mirror::Horizontal, turn),
        None => (Mirror::No, name),
    };
    let quarter_turns = match turn {
        "rotate-90" => 1,
        "rotate-180" => 2,
        "rotate-270" => 3,
        _ => 0,
    };
    Orientation { quarter_turns, mirror }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hdr_texts_read_back() {
        let text = "35400:14600:8500:39850:6550:2300:15635:16450:10000000:50";
        assert_eq!(mastering_of(text).map(mastering_text).as_deref(), Some(text));
        assert_eq!(light_of("1000:400").map(light_text).as_deref(), Some("1000:400"));
        assert_eq!(mastering_of("1:2:3"), None);
    }

    #[test]
    fn orientations_are_quarter_turns_and_mirrors() {
        assert_eq!(orientation_named("rotate-270"), Orientation { quarter_turns: 3, mirror: Mirror::No });
        assert_eq!(orientation_named("flip-rotate-90"), Orientation { quarter_turns: 1, mirror: Mirror::Horizontal });
        assert_eq!(orientation_named("nonsense"), Orientation::UPRIGHT);
    }
}
