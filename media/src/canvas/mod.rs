//! `fleetcanvas`: puts the scaled picture on the output's canvas, and marks on both.

/// Colours as the samples that they are in a picture.
pub(crate) mod colour;
/// Images and texts as pixels.
pub(crate) mod drawing;
mod imp;
/// A mark on pictures.
pub(crate) mod stamp;

use framefleet_model::media::Geometry;
use framefleet_model::picture::Canvas;
use framefleet_model::time::MediaTime;
use gst::glib;
use gst::subclass::prelude::ObjectSubclassIsExt;

use crate::canvas::stamp::Stamp;

glib::wrapper! {
    pub struct FleetCanvas(ObjectSubclass<imp::FleetCanvas>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

impl FleetCanvas {
    /// Pictures of the place's size in, pictures of the outer size out; they come later than they are shown by `lead`.
    pub(crate) fn around(outer: Geometry, canvas: Canvas, (marks, lead): (Vec<Stamp>, MediaTime)) -> Self {
        let element: Self = glib::Object::new();
        element.imp().lay_out(imp::Layout { outer, canvas, marks, lead });
        element
    }
}
