//! `fleetsrc`: a random-access GStreamer source over an object; the only source that a child ever opens.

mod imp;

use std::sync::Arc;

use gst::glib;
use gst::prelude::*;
use gst::subclass::prelude::ObjectSubclassIsExt;

use crate::read_at::ReadAt;

glib::wrapper! {
    pub struct FleetSrc(ObjectSubclass<imp::FleetSrc>) @extends gst_base::BaseSrc, gst::Element, gst::Object;
}

impl FleetSrc {
    pub fn over(object: Arc<dyn ReadAt>) -> Self {
        let source: Self = glib::Object::builder().property("name", "source").build();
        source.imp().open(object);
        source.set_property("blocksize", imp::BLOCK_BYTES);
        source
    }

    /// Bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.imp().bytes_read()
    }
}
