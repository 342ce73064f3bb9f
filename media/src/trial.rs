//! A trial decode of a track's first units: proves that it decodes at all, and tells what comes out.

use std::time::Duration;

use framefleet_model::fault::Fault;
use gst::prelude::*;

use crate::decoder;
use crate::pipe::Pipe;

/// A picture or a block of samples out of 64 units takes milliseconds; 8K AV1 takes seconds.
const TRIAL_DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Trial {
    pub(crate) decoder: String,
    pub(crate) raw: gst::Caps,
}

/// The first decoder that gives anything, and its output caps; `None` where nothing decodes.
pub(crate) fn decode(caps: &gst::Caps, head: &[gst::Buffer], kind: gst::ElementFactoryType) -> Option<Trial> {
    if caps.structure(0).is_some_and(|s| s.name().ends_with("/x-raw")) {
        return Some(Trial { decoder: "identity".to_owned(), raw: caps.clone() });
    }
    let names = decoder::candidates(caps, kind);
    names.into_iter().find_map(|name| {
        let raw = first_output(&name, caps, head).ok().flatten()?;
        Some(Trial { decoder: name, raw })
    })
}

/// ```text
/// {appsrc} ! {decoder} ! {appsink}
/// ```
fn first_output(name: &str, caps: &gst::Caps, head: &[gst::Buffer]) -> Result<Option<gst::Caps>, Fault> {
    let pipe = Pipe::new();
    let source = gst_app::AppSrc::builder().caps(caps).format(gst::Format::Time).build();
    let sink = gst_app::AppSink::builder().sync(false).build();
    sink.set_property("enable-last-sample", false);
    pipe.chain(&[source.upcast_ref(), &decoder::build(name)?, sink.upcast_ref()])?;
    pipe.play()?;
    for buffer in head {
        if source.push_buffer(buffer.copy()).is_err() {
            break;
        }
    }
    // An error here shows as no output, which is the answer.
    let _ = source.end_of_stream();
    let deadline = gst::ClockTime::from_seconds(TRIAL_DEADLINE.as_secs());
    let begun = std::time::Instant::now();
    while begun.elapsed() < TRIAL_DEADLINE {
        if let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_mseconds(100).min(deadline)) {
            return Ok(sample.caps_owned());
        }
        if sink.is_eos() || pipe.error().is_some() {
            break;
        }
    }
    Ok(None)
}
