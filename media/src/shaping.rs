//! What stands between a decoded picture and the encoder: turn, crop, scale, canvas.

use framefleet_model::fault::Fault;
use framefleet_model::media::{Colour, Geometry, Mirror, Orientation, Scan};
use framefleet_model::picture::{Canvas, Rect, Rgb};
use framefleet_model::plan::VideoRendition;
use framefleet_model::time::MediaTime;
use gst::prelude::*;

use crate::canvas::FleetCanvas;
use crate::canvas::stamp::Stamp;
use crate::formats;
use crate::pipe::{internal, make};

/// ```text
/// {videoflip} ! {videocrop} ! {videoconvertscale} ! raw caps ! fleetcanvas
/// ```
/// Each only where it has something to do, but for the scaler, which also brings all to one layout.
pub(crate) fn elements(
    rendition: &VideoRendition,
    (marks, lead): (Vec<Stamp>, MediaTime),
) -> Result<Vec<gst::Element>, Fault> {
    let format = &rendition.format;
    let scaled = rendition.canvas.map_or(format.geometry, |canvas| canvas.picture.geometry());
    let mut row: Vec<gst::Element> = Vec::new();
    row.extend(turning(rendition.turn)?);
    row.extend(rendition.crop.map(cropping).transpose()?);
    row.extend(scaling(rendition, scaled)?);
    if rendition.canvas.is_some() || !marks.is_empty() {
        let filled = Canvas { picture: Rect::whole(format.geometry), border: Rgb::default() };
        let canvas = FleetCanvas::around(format.geometry, rendition.canvas.unwrap_or(filled), (marks, lead));
        row.push(canvas.upcast());
    }
    Ok(row)
}

pub(crate) fn turning(turn: Orientation) -> Result<Option<gst::Element>, Fault> {
    // GStreamer's mirrored quarter turns are named by the diagonal that stays.
    let direction = match (turn.quarter_turns % 4, turn.mirror) {
        (0, Mirror::No) => return Ok(None),
        (1, Mirror::No) => "90r",
        (2, Mirror::No) => "180",
        (_, Mirror::No) => "90l",
        (0, Mirror::Horizontal) => "horiz",
        (1, Mirror::Horizontal) => "ur-ll",
        (2, Mirror::Horizontal) => "vert",
        (_, Mirror::Horizontal) => "ul-lr",
    };
    let flip = make("videoflip")?;
    flip.set_property_from_str("video-direction", direction);
    Ok(Some(flip))
}

/// The element counts what it takes off at each side; the picture's size is known when it comes.
fn cropping(kept: Rect) -> Result<gst::Element, Fault> {
    let crop = make("videocrop")?;
    let sink = crop.static_pad("sink").ok_or_else(|| internal("a crop without a pad"))?;
    let cropping = crop.downgrade();
    sink.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let Some(gst::PadProbeData::Event(event)) = &info.data else { return gst::PadProbeReturn::Ok };
        if let gst::EventView::Caps(caps) = event.view()
            && let Some(crop) = cropping.upgrade()
            && let Some(structure) = caps.caps().structure(0)
        {
            let side = |name: &str| structure.get::<i32>(name).ok().and_then(|v| u32::try_from(v).ok()).unwrap_or(0);
            let rest = |all: u32, from: u32, len: u32| i32::try_from(all.saturating_sub(from + len)).unwrap_or(0);
            crop.set_property("left", i32::try_from(kept.x).unwrap_or(0));
            crop.set_property("top", i32::try_from(kept.y).unwrap_or(0));
            crop.set_property("right", rest(side("width"), kept.x, kept.width));
            crop.set_property("bottom", rest(side("height"), kept.y, kept.height));
        }
        gst::PadProbeReturn::Ok
    });
    Ok(crop)
}

fn scaling(rendition: &VideoRendition, scaled: Geometry) -> Result<[gst::Element; 2], Fault> {
    let format = &rendition.format;
    let scale = make("videoconvertscale")?;
    if rendition.source_colour.is_some_and(|source| source.primaries != format.colour.primaries) {
        scale.set_property_from_str("primaries-mode", "fast");
        scale.set_property_from_str("gamma-mode", "remap");
    }
    scale.set_property_from_str("method", "catrom");
    scale.set_property("add-borders", false);
    scale.set_property("n-threads", 1_u32);
    scale.set_property("qos", false);
    let filter = make("capsfilter")?;
    let side = |v: u32| i32::try_from(v).unwrap_or(i32::MAX);
    let mut caps = gst::Caps::builder("video/x-raw")
        .field("format", &format.layout)
        .field("width", side(scaled.width))
        .field("height", side(scaled.height))
        .field("pixel-aspect-ratio", formats::fraction(format.pixel_aspect))
        .build();
    if let Some(structure) = caps.make_mut().structure_mut(0) {
        set_colour(structure, format.colour);
        if format.scan == Scan::Progressive {
            structure.set("interlace-mode", "progressive");
        }
    }
    filter.set_property("caps", caps);
    Ok([scale, filter])
}

pub(crate) fn set_colour(structure: &mut gst::StructureRef, colour: Colour) {
    if colour.matrix != Colour::UNSPECIFIED.matrix {
        structure.set("colorimetry", formats::colorimetry(colour).to_string());
    }
}
