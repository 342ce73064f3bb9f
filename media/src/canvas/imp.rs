use std::sync::{LazyLock, Mutex, OnceLock, PoisonError};

use framefleet_model::media::Geometry;
use framefleet_model::picture::Canvas;
use framefleet_model::time::MediaTime;
use gst::glib;
use gst::subclass::prelude::*;
use gst_base::subclass::BaseTransformMode;
use gst_base::subclass::prelude::*;
use gst_video::prelude::*;
use gst_video::subclass::prelude::*;

use super::colour;
use super::stamp::{Painted, Stamp};

#[derive(Default)]
pub struct FleetCanvas {
    layout: OnceLock<Layout>,
    /// The marks in the samples of the pictures that come.
    painted: Mutex<Vec<Painted>>,
}

pub(super) struct Layout {
    pub(super) outer: Geometry,
    pub(super) canvas: Canvas,
    pub(super) marks: Vec<Stamp>,
    pub(super) lead: MediaTime,
}

impl FleetCanvas {
    pub(super) fn lay_out(&self, layout: Layout) {
        // An element is laid out once, by the one who makes it.
        let _ = self.layout.set(layout);
    }
}

#[glib::object_subclass]
impl ObjectSubclass for FleetCanvas {
    const NAME: &'static str = "FleetCanvas";
    type Type = super::FleetCanvas;
    type ParentType = gst_video::VideoFilter;
}

impl ObjectImpl for FleetCanvas {}
impl GstObjectImpl for FleetCanvas {}

impl ElementImpl for FleetCanvas {
    fn metadata() -> Option<&'static gst::subclass::ElementMetadata> {
        static METADATA: LazyLock<gst::subclass::ElementMetadata> = LazyLock::new(|| {
            gst::subclass::ElementMetadata::new("Canvas", "Filter/Video", "Puts pictures on a canvas", "framefleet")
        });
        Some(&METADATA)
    }

    fn pad_templates() -> &'static [gst::PadTemplate] {
        static TEMPLATES: LazyLock<Vec<gst::PadTemplate>> = LazyLock::new(|| {
            let formats = [gst_video::VideoFormat::I420, gst_video::VideoFormat::I42010le];
            let caps = gst_video::VideoCapsBuilder::new().format_list(formats).build();
            let pad = |name, direction| gst::PadTemplate::new(name, direction, gst::PadPresence::Always, &caps);
            let pads = [pad("sink", gst::PadDirection::Sink), pad("src", gst::PadDirection::Src)];
            pads.into_iter().filter_map(Result::ok).collect()
        });
        &TEMPLATES
    }
}

impl BaseTransformImpl for FleetCanvas {
    const MODE: BaseTransformMode = BaseTransformMode::NeverInPlace;
    const PASSTHROUGH_ON_SAME_CAPS: bool = false;
    const TRANSFORM_IP_ON_PASSTHROUGH: bool = false;

    fn transform_caps(
        &self,
        direction: gst::PadDirection,
        caps: &gst::Caps,
        filter: Option<&gst::Caps>,
    ) -> Option<gst::Caps> {
        let Layout { outer, canvas, .. } = self.layout.get()?;
        let size = if direction == gst::PadDirection::Sink { *outer } else { canvas.picture.geometry() };
        let mut other = caps.clone();
        for structure in other.make_mut().iter_mut() {
            structure.set("width", i32::try_from(size.width).ok()?);
            structure.set("height", i32::try_from(size.height).ok()?);
        }
        Some(filter.map_or(other.clone(), |f| f.intersect_with_mode(&other, gst::CapsIntersectMode::First)))
    }
}

impl VideoFilterImpl for FleetCanvas {
    fn set_info(
        &self,
        _: &gst::Caps,
        _: &gst_video::VideoInfo,
        _: &gst::Caps,
        info: &gst_video::VideoInfo,
    ) -> Result<(), gst::LoggableError> {
        let marks = self.layout.get().map(|layout| layout.marks.iter().map(|mark| mark.painted(info)).collect());
        *self.painted.lock().unwrap_or_else(PoisonError::into_inner) = marks.unwrap_or_default();
        Ok(())
    }

    fn transform_frame(
        &self,
        source: &gst_video::VideoFrameRef<&gst::BufferRef>,
        target: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
    ) -> Result<gst::FlowSuccess, gst::FlowError> {
        let layout = self.layout.get().ok_or(gst::FlowError::NotNegotiated)?;
        let border = colour::samples(layout.canvas.border, target.info());
        for plane in 0..3 {
            place(plane, layout, border, (source, &mut *target)).ok_or(gst::FlowError::Error)?;
        }
        let pts = source.buffer().pts().ok_or(gst::FlowError::Error)?;
        let time = MediaTime(i64::try_from(pts.nseconds()).unwrap_or(i64::MAX)) - layout.lead;
        let painted = self.painted.lock().unwrap_or_else(PoisonError::into_inner);
        for (mark, painted) in layout.marks.iter().zip(&*painted).filter(|(mark, _)| mark.watermark.is_shown(time)) {
            painted.blend(mark.at, target).ok_or(gst::FlowError::Error)?;
        }
        Ok(gst::FlowSuccess::Ok)
    }
}

/// One plane of the picture in its place, the border's sample everywhere else.
fn place(
    plane: u32,
    layout: &Layout,
    border: [u16; 3],
    (source, target): (&gst_video::VideoFrameRef<&gst::BufferRef>, &mut gst_video::VideoFrameRef<&mut gst::BufferRef>),
) -> Option<()> {
    let n = plane as usize;
    let bytes = usize::try_from(source.comp_pstride(plane)).ok()?;
    let divide = |side: u32| (if plane == 0 { side } else { side / 2 }) as usize;
    let at = layout.canvas.picture;
    let (left, top) = (divide(at.x) * bytes, divide(at.y));
    let (width, height) = (source.comp_width(plane) as usize * bytes, source.comp_height(plane) as usize);
    let (whole, rows) = (target.comp_width(plane) as usize * bytes, target.comp_height(plane) as usize);
    let (from, to) = (stride(source.plane_stride(), n)?, stride(target.plane_stride(), n)?);
    let bar: Vec<u8> = border[n].to_le_bytes()[..bytes].repeat(whole / bytes);
    let picture = source.plane_data(plane).ok()?;
    let canvas = target.plane_data_mut(plane).ok()?;
    for row in 0..rows {
        let line = canvas.get_mut(row * to..row * to + whole)?;
        match row.checked_sub(top).filter(|row| *row < height) {
            None => line.copy_from_slice(&bar),
            Some(row) => {
                line[..left].copy_from_slice(bar.get(..left)?);
                line.get_mut(left..left + width)?.copy_from_slice(picture.get(row * from..row * from + width)?);
                line[left + width..].copy_from_slice(bar.get(left + width..)?);
            }
        }
    }
    Some(())
}

fn stride(strides: &[i32], plane: usize) -> Option<usize> {
    strides.get(plane).and_then(|stride| usize::try_from(*stride).ok())
}
