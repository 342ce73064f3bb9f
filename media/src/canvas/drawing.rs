//! Images and texts as pixels. A user's text is data: it is handed to the element that draws it as a property, without
//! the markup that the element would else read in it.

use std::sync::Arc;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use framefleet_model::media::Geometry;
use framefleet_model::picture::Rgb;
use framefleet_model::plan::VideoRendition;
use framefleet_model::task::EncodeWork;
use framefleet_model::watermark::{self, IMAGE_BYTES_MAX, Mark, Watermark};
use gst::glib;
use gst::prelude::*;
use gst_video::prelude::*;

use super::stamp::Stamp;
use crate::decode::pull;
use crate::pipe::{Pipe, internal, make};
use crate::read_at::ReadAt;

/// The bytes of each image by its source and digest.
pub(crate) struct Images(Vec<(String, Vec<u8>)>);

/// Reads the images that the work names; one that is another by now is refused.
pub(crate) fn images(work: &EncodeWork, objects: &[Arc<dyn ReadAt>]) -> Result<Images, Fault> {
    let named = watermark::images(work.renditions.iter().map(|rendition| &rendition.settings));
    let mut images = Vec::new();
    for ((source, digest), object) in named.into_iter().zip(objects) {
        let size = object.size();
        if size > IMAGE_BYTES_MAX {
            let text = format!("the image {source} has {size} bytes, {IMAGE_BYTES_MAX} at most");
            return Err(Fault::new(FaultKind::Settings, text));
        }
        let unreadable = |e| Fault::new(FaultKind::SourceUnreadable, format!("the image {source} cannot be read: {e}"));
        let bytes = object.read_exact_at(0, usize::try_from(size).unwrap_or(usize::MAX)).map_err(unreadable)?;
        if digest.is_some_and(|digest| *digest != Digest::of(&bytes)) {
            let text = format!("the image {source} changed since its job was accepted");
            return Err(Fault::new(FaultKind::SourceChanged, text));
        }
        images.push((source.to_owned(), bytes));
    }
    Ok(Images(images))
}

/// The rendition's marks, drawn and placed.
pub(crate) fn marks(rendition: &VideoRendition, images: &Images) -> Result<Vec<Stamp>, Fault> {
    let outer = rendition.format.geometry;
    let mut marks = Vec::new();
    for watermark in &rendition.settings.watermarks {
        let (size, rgba) = match &watermark.mark {
            Mark::Image { source, width, height, .. } => {
                let bytes = images.0.iter().find(|(known, _)| known == source).map(|(_, bytes)| bytes);
                let bytes = bytes.ok_or_else(|| internal(format!("the image {source} was not handed on")))?;
                image((source, bytes), (*width, *height))?
            }
            Mark::Text { text, size, colour } => written((text, *size, *colour), outer)?,
        };
        marks.push(placed(watermark, (size, rgba), outer)?);
    }
    Ok(marks)
}

fn placed(watermark: &Watermark, (size, rgba): (Geometry, Vec<u8>), outer: Geometry) -> Result<Stamp, Fault> {
    let at = watermark.anchor.place(size, outer, watermark.margin).ok_or_else(|| {
        let margin = watermark.margin;
        refused(format!("a mark of {size} with a margin of {margin} does not fit on pictures of {outer}"))
    })?;
    Ok(Stamp { watermark: watermark.clone(), size, rgba, at })
}

/// ```text
/// {appsrc} ! {pngdec} or {jpegdec} ! {videoconvertscale} ! RGBA ! {appsink}
/// ```
fn image((source, bytes): (&str, &[u8]), sides: (Option<u32>, Option<u32>)) -> Result<(Geometry, Vec<u8>), Fault> {
    let decoder = match bytes {
        [0x89, b'P', b'N', b'G', ..] => "pngdec",
        [0xFF, 0xD8, 0xFF, ..] => "jpegdec",
        _ => return Err(refused(format!("the image {source} is neither a PNG nor a JPEG"))),
    };
    let unfit = |fault: Fault| Fault { message: format!("the image {source}: {}", fault.message), ..fault };
    let one = |row: &[gst::Element]| one_picture(row, (None, gst::Buffer::from_mut_slice(bytes.to_vec())));
    let scale = || {
        let scale = make("videoconvertscale")?;
        scale.set_property_from_str("method", "catrom");
        scale.set_property("add-borders", false);
        Ok(scale)
    };
    let own = one(&[make(decoder)?, scale()?, rgba(None)?]).map_err(unfit)?;
    let (own_size, pixels) = pixels_of(&own)?;
    let size = sized(own_size, sides);
    if size == own_size {
        return Ok((size, pixels));
    }
    let scaled = one(&[make(decoder)?, scale()?, rgba(Some(size))?]).map_err(unfit)?;
    pixels_of(&scaled)
}

/// A side that is not said follows from the other.
fn sized(own: Geometry, sides: (Option<u32>, Option<u32>)) -> Geometry {
    let follow = |side: u32, by: u32, of: u32| {
        let scaled = (u64::from(side) * u64::from(by) + u64::from(of) / 2) / u64::from(of.max(1));
        u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
    };
    match sides {
        (None, None) => own,
        (Some(width), None) => Geometry { width, height: follow(width, own.height, own.width) },
        (None, Some(height)) => Geometry { width: follow(height, own.width, own.height), height },
        (Some(width), Some(height)) => Geometry { width, height },
    }
}

/// White letters on black: how white a pixel is, is how much of the colour it has.
///
/// ```text
/// {appsrc} ! {textoverlay} ! {appsink}
/// ```
fn written((text, size, colour): (&str, u32, Rgb), outer: Geometry) -> Result<(Geometry, Vec<u8>), Fault> {
    let overlay = make("textoverlay")?;
    for (property, value) in [("auto-resize", false), ("draw-shadow", false), ("draw-outline", false)] {
        overlay.set_property(property, value);
    }
    for (property, value) in
        [("halignment", "left"), ("valignment", "top"), ("line-alignment", "left"), ("wrap-mode", "none")]
    {
        overlay.set_property_from_str(property, value);
    }
    for property in ["xpad", "ypad"] {
        overlay.set_property(property, 0_i32);
    }
    overlay.set_property("color", u32::MAX);
    overlay.set_property("font-desc", format!("DejaVu Sans {size}px"));
    overlay.set_property("text", glib::markup_escape_text(text).as_str());
    let side = |v: u32| i32::try_from(v).unwrap_or(i32::MAX);
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "BGRx")
        .field("width", side(outer.width))
        .field("height", side(outer.height))
        .field("framerate", gst::Fraction::new(25, 1))
        .build();
    let black = gst::Buffer::from_mut_slice(vec![0; outer.width as usize * outer.height as usize * 4]);
    let sample = one_picture(&[overlay], (Some(caps), black))?;
    let (size, drawn) = pixels_of(&sample)?;
    let ink =
        ink(size, &drawn).ok_or_else(|| refused(format!("the text {text:?} shows nothing on pictures of {outer}")))?;
    Ok(cut_out(ink, (size, &drawn), colour))
}

/// Where anything is drawn: left, top, right, bottom, the latter two beyond it.
fn ink(size: Geometry, drawn: &[u8]) -> Option<[usize; 4]> {
    let width = size.width as usize;
    let marked =
        drawn.chunks_exact(4).enumerate().filter(|(_, pixel)| pixel[0] > 0).map(|(n, _)| (n % width, n / width));
    marked.fold(None, |found: Option<[usize; 4]>, (x, y)| {
        let [left, top, right, bottom] = found.unwrap_or([x, y, x, y]);
        Some([left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)])
    })
}

fn cut_out(
    [left, top, right, bottom]: [usize; 4],
    (size, drawn): (Geometry, &[u8]),
    colour: Rgb,
) -> (Geometry, Vec<u8>) {
    let width = size.width as usize;
    let places = (top..bottom).flat_map(|y| (left..right).map(move |x| 4 * (y * width + x)));
    let rgba = places.flat_map(|at| [colour.0, colour.1, colour.2, drawn[at]]).collect();
    let side = |v: usize| u32::try_from(v).unwrap_or(u32::MAX);
    (Geometry { width: side(right - left), height: side(bottom - top) }, rgba)
}

/// What comes out of these elements for one buffer.
fn one_picture(row: &[gst::Element], (caps, buffer): (Option<gst::Caps>, gst::Buffer)) -> Result<gst::Sample, Fault> {
    let pipe = Pipe::new();
    let source = gst_app::AppSrc::builder().format(gst::Format::Time).build();
    source.set_caps(caps.as_ref());
    let sink = gst_app::AppSink::builder().sync(false).build();
    sink.set_property("async", false);
    let mut all: Vec<&gst::Element> = vec![source.upcast_ref()];
    all.extend(row);
    all.push(sink.upcast_ref());
    pipe.chain(&all)?;
    pipe.play()?;
    let mut buffer = buffer;
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
        buffer.set_duration(gst::ClockTime::from_mseconds(40));
    }
    // A pipeline that has failed says so on its bus.
    let _ = source.push_buffer(buffer);
    let _ = source.end_of_stream();
    let mut made = None;
    pull(&pipe, &sink, &mut |sample| {
        made.get_or_insert(sample.clone());
        Ok(())
    })?;
    made.ok_or_else(|| Fault::new(FaultKind::Corrupt, "no picture came of it"))
}

fn rgba(size: Option<Geometry>) -> Result<gst::Element, Fault> {
    let filter = make("capsfilter")?;
    let mut caps = gst::Caps::builder("video/x-raw").field("format", "RGBA");
    if let Some(Geometry { width, height }) = size {
        let side = |v: u32| i32::try_from(v).unwrap_or(i32::MAX);
        caps = caps.field("width", side(width)).field("height", side(height));
        caps = caps.field("pixel-aspect-ratio", gst::Fraction::new(1, 1));
    }
    filter.set_property("caps", caps.build());
    Ok(filter)
}

/// Four bytes a pixel, without what a buffer has between rows.
fn pixels_of(sample: &gst::Sample) -> Result<(Geometry, Vec<u8>), Fault> {
    let (buffer, caps) = sample.buffer().zip(sample.caps()).ok_or_else(|| internal("a sample without a picture"))?;
    let info = gst_video::VideoInfo::from_caps(caps).map_err(|e| internal(e.to_string()))?;
    let frame =
        gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).map_err(|e| internal(e.to_string()))?;
    let stride = frame.plane_stride().first().map_or(0, |stride| stride.unsigned_abs() as usize).max(1);
    let data = frame.plane_data(0).map_err(|e| internal(e.to_string()))?;
    let wide = info.width() as usize * 4;
    let rows = data.chunks(stride).take(info.height() as usize).filter_map(|row| row.get(..wide));
    Ok((Geometry { width: info.width(), height: info.height() }, rows.flatten().copied().collect()))
}

fn refused(text: String) -> Fault {
    Fault::new(FaultKind::Settings, text)
}
