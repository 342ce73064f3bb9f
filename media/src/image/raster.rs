//! Pictures as rows of red, green and blue, and lines of elements that give one picture for each that they take.

use std::time::{Duration, Instant};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::image::Rgb;
use framefleet_model::media::{Geometry, Orientation};
use gst::prelude::*;
use gst_video::prelude::*;

use crate::pipe::{Pipe, internal, make};
use crate::shaping::turning;

/// No picture takes longer.
const PICTURE_DEADLINE: Duration = Duration::from_secs(120);
pub(crate) const BYTES_A_PIXEL: usize = 3;

/// A picture in memory, row by row without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raster {
    pub(crate) size: Geometry,
    pub(crate) rgb: Vec<u8>,
}

impl Raster {
    pub(crate) fn filled(size: Geometry, colour: Rgb) -> Self {
        Self { size, rgb: colour.0.repeat(size.width as usize * size.height as usize) }
    }

    fn row_bytes(&self) -> usize {
        self.size.width as usize * BYTES_A_PIXEL
    }

    /// Puts a smaller picture onto this one, its upper left corner here.
    pub(crate) fn put(&mut self, picture: &Self, (left, top): (u32, u32)) {
        let (own, theirs) = (self.row_bytes(), picture.row_bytes());
        let begin = top as usize * own + left as usize * BYTES_A_PIXEL;
        let rows = self.rgb[begin..].chunks_mut(own);
        for (row, from) in rows.zip(picture.rgb.chunks(theirs)) {
            row[..theirs].copy_from_slice(from);
        }
    }

    fn of(sample: &gst::Sample) -> Result<Self, Fault> {
        let lacking = || internal("a picture without its format");
        let info = sample.caps().and_then(|caps| gst_video::VideoInfo::from_caps(caps).ok()).ok_or_else(lacking)?;
        let buffer = sample.buffer().ok_or_else(lacking)?;
        let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, &info).map_err(|_| lacking())?;
        let stride = usize::try_from(frame.plane_stride()[0]).map_err(|_| lacking())?;
        let data = frame.plane_data(0).map_err(|_| lacking())?;
        let size = Geometry { width: info.width(), height: info.height() };
        let wide = size.width as usize * BYTES_A_PIXEL;
        let rows = data.chunks(stride).take(size.height as usize);
        Ok(Self { size, rgb: rows.flat_map(|row| &row[..wide]).copied().collect() })
    }

    fn info(&self) -> Result<gst_video::VideoInfo, Fault> {
        let builder = gst_video::VideoInfo::builder(gst_video::VideoFormat::Rgb, self.size.width, self.size.height);
        let built = builder.fps(gst::Fraction::new(25, 1)).build();
        built.map_err(|_| internal(format!("no picture has the size {}", self.size)))
    }

    /// As GStreamer keeps pictures: rows begin at multiples of four.
    pub(crate) fn to_sample(&self) -> Result<gst::Sample, Fault> {
        let info = self.info()?;
        let stride = usize::try_from(info.stride()[0]).map_err(|_| internal("a picture without rows"))?;
        let mut padded = vec![0; info.size()];
        for (row, from) in padded.chunks_mut(stride).zip(self.rgb.chunks(self.row_bytes())) {
            row[..from.len()].copy_from_slice(from);
        }
        let caps = info.to_caps().map_err(|_| internal("a picture without caps"))?;
        Ok(gst::Sample::builder().buffer(&gst::Buffer::from_mut_slice(padded)).caps(&caps).build())
    }
}

/// Elements in a row that give one buffer for each that they take.
pub(crate) struct Line {
    pipe: Pipe,
    source: gst_app::AppSrc,
    sink: gst_app::AppSink,
    passed: u64,
}

impl Line {
    /// ```text
    /// {appsrc} ! elements ! {appsink}
    /// ```
    pub(crate) fn new(elements: Vec<gst::Element>) -> Result<Self, Fault> {
        let pipe = Pipe::new();
        let source = gst_app::AppSrc::builder().format(gst::Format::Time).block(true).build();
        let sink = gst_app::AppSink::builder().sync(false).build();
        sink.set_property("enable-last-sample", false);
        sink.set_property("qos", false);
        sink.set_property("async", false);
        let row: Vec<gst::Element> =
            std::iter::once(source.clone().upcast()).chain(elements).chain([sink.clone().upcast()]).collect();
        pipe.chain(&row.iter().collect::<Vec<_>>())?;
        pipe.play()?;
        Ok(Self { pipe, source, sink, passed: 0 })
    }

    pub(crate) fn pass(&mut self, buffer: &gst::BufferRef, caps: &gst::CapsRef) -> Result<gst::Sample, Fault> {
        let mut copy = buffer.copy();
        if let Some(buffer) = copy.get_mut() {
            buffer.set_pts(gst::ClockTime::from_mseconds(40 * self.passed));
            buffer.set_dts(gst::ClockTime::NONE);
            buffer.set_duration(gst::ClockTime::from_mseconds(40));
        }
        self.passed += 1;
        let sample = gst::Sample::builder().buffer(&copy).caps(&caps.to_owned()).build();
        if self.source.push_sample(&sample).is_err() {
            return Err(self.pipe.error().unwrap_or_else(|| internal("no more pictures are taken")));
        }
        let begun = Instant::now();
        while begun.elapsed() < PICTURE_DEADLINE {
            if let Some(sample) = self.sink.try_pull_sample(gst::ClockTime::from_mseconds(50)) {
                return Ok(sample);
            }
            if let Some(fault) = self.pipe.error() {
                return Err(fault);
            }
        }
        Err(Fault::new(FaultKind::Hung, format!("no picture came for {} s", PICTURE_DEADLINE.as_secs())))
    }
}

/// Makes decoded pictures upright, of one size, of square pixels, and RGB.
pub(crate) struct Shaper {
    line: Line,
    known: Option<(gst::Caps, gst::Caps)>,
}

impl Shaper {
    /// ```text
    /// decoded ─▶ {videoconvertscale} ! RGB ! {videoflip} ─▶ raster
    /// ```
    pub(crate) fn new(size: Geometry, turn: Orientation) -> Result<Self, Fault> {
        let lying = if turn.swaps_axes() { size.swapped() } else { size };
        let mut row = vec![converter()?, raw("RGB", lying, None)?];
        row.extend(turning(turn)?);
        Ok(Self { line: Line::new(row)?, known: None })
    }

    pub(crate) fn picture(&mut self, sample: &gst::Sample) -> Result<Raster, Fault> {
        let lacking = || internal("a picture without data or caps");
        let (buffer, decoded) = sample.buffer().zip(sample.caps()).ok_or_else(lacking)?;
        let caps = match &self.known {
            Some((known, ours)) if **known == *decoded => ours.clone(),
            _ => {
                // Interlaced pictures stay woven: a still has no fields.
                let mut ours = decoded.to_owned();
                if let Some(structure) = ours.make_mut().structure_mut(0) {
                    structure.set("interlace-mode", "progressive");
                    structure.remove_field("field-order");
                }
                self.known = Some((decoded.to_owned(), ours.clone()));
                ours
            }
        };
        Raster::of(&self.line.pass(buffer, &caps)?)
    }
}

pub(crate) fn converter() -> Result<gst::Element, Fault> {
    let scale = make("videoconvertscale")?;
    scale.set_property_from_str("method", "catrom");
    scale.set_property_from_str("dither", "none");
    scale.set_property("add-borders", false);
    scale.set_property("n-threads", 1_u32);
    scale.set_property("qos", false);
    Ok(scale)
}

/// A filter for raw pictures of this layout and size.
pub(crate) fn raw(layout: &str, size: Geometry, colorimetry: Option<&str>) -> Result<gst::Element, Fault> {
    let side = |v: u32| i32::try_from(v).unwrap_or(i32::MAX);
    let mut caps = gst::Caps::builder("video/x-raw")
        .field("format", layout)
        .field("width", side(size.width))
        .field("height", side(size.height))
        .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
        .build();
    if let (Some(colorimetry), Some(structure)) = (colorimetry, caps.make_mut().structure_mut(0)) {
        structure.set("colorimetry", colorimetry);
    }
    let filter = make("capsfilter")?;
    filter.set_property("caps", caps);
    Ok(filter)
}
