//! Finding and making decoders: explicit, ranked, one thread each, no broken pictures.

use framefleet_model::fault::Fault;
use gst::prelude::*;

use crate::allow;
use crate::pipe::make;

/// Decoders that take `caps`, best first, by name.
pub(crate) fn candidates(caps: &gst::Caps, kind: gst::ElementFactoryType) -> Vec<String> {
    let factories =
        gst::ElementFactory::factories_with_type(gst::ElementFactoryType::DECODER | kind, gst::Rank::MARGINAL);
    let mut fitting: Vec<_> = factories
        .into_iter()
        .filter(|f| allow::is_allowed(&f.name()) && f.can_sink_any_caps(caps))
        .map(|f| (std::cmp::Reverse(i32::from(f.rank())), f.name().to_string()))
        .collect();
    fitting.sort();
    fitting.into_iter().map(|(_, name)| name).collect()
}

/// ```text
/// appsrc ! {decoder} ! appsink
/// ```
pub(crate) fn build(name: &str) -> Result<gst::Element, Fault> {
    let decoder = make(name)?;
    // One thread: the fleet's parallelism is between segments, and threads change nothing in the pictures.
    for (property, value) in [("max-threads", 1_i32), ("threads", 1)] {
        if decoder.find_property(property).is_some_and(|p| p.value_type() == i32::static_type()) {
            decoder.set_property(property, value);
        }
    }
    if decoder.find_property("threads").is_some_and(|p| p.value_type() == u32::static_type()) {
        decoder.set_property("threads", 1_u32);
    }
    if decoder.has_property("output-corrupt") {
        decoder.set_property("output-corrupt", false);
    }
    if decoder.has_property("qos") {
        decoder.set_property("qos", false);
    }
    if decoder.has_property("max-errors") {
        // A damaged film is judged by the pictures that are missing, not by the decoder's patience.
        decoder.set_property("max-errors", -1_i32);
    }
    Ok(decoder)
}
