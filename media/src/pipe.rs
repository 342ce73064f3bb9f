//! A pipeline that is stopped when it is dropped, and the one loop that waits for its end.

use std::time::Duration;

use framefleet_model::fault::{Fault, FaultKind};
use gst::prelude::*;

/// No state change, seek or pad takes longer; the parent's own watch covers everything else.
pub(crate) const STEP_DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Pipe {
    pipeline: gst::Pipeline,
}

impl Pipe {
    pub(crate) fn new() -> Self {
        Self { pipeline: gst::Pipeline::new() }
    }

    pub(crate) fn element(&self) -> &gst::Pipeline {
        &self.pipeline
    }

    /// Adds the elements and links them in a row.
    pub(crate) fn chain(&self, elements: &[&gst::Element]) -> Result<(), Fault> {
        self.pipeline.add_many(elements).map_err(|e| internal(e.to_string()))?;
        gst::Element::link_many(elements).map_err(|e| internal(e.to_string()))
    }

    pub(crate) fn play(&self) -> Result<(), Fault> {
        match self.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(()),
            Err(_) => Err(self.error().unwrap_or_else(|| internal("the pipeline does not start"))),
        }
    }

    /// Waits for the end of the stream, or for a probe that has heard enough; `seen` is called at least every 200 ms.
    pub(crate) fn wait_end(&self, mut seen: impl FnMut()) -> Result<(), Fault> {
        let bus = self.bus();
        let ends = [gst::MessageType::Eos, gst::MessageType::Application, gst::MessageType::Error];
        loop {
            let message = bus.timed_pop_filtered(gst::ClockTime::from_mseconds(200), &ends);
            seen();
            match message.as_ref().map(|m| m.view()) {
                Some(gst::MessageView::Eos(_) | gst::MessageView::Application(_)) => return Ok(()),
                Some(gst::MessageView::Error(error)) => return Err(fault_of(error)),
                _ => {}
            }
        }
    }

    /// Ends the wait for the end where a thread that feeds the pipeline cannot go on.
    pub(crate) fn or_end(&self, fed: Result<(), Fault>) -> Result<(), Fault> {
        if fed.is_err() {
            let over = gst::message::Application::new(gst::Structure::new_empty("over"));
            // Nobody waits any more on a bus that takes no message.
            let _ = self.bus().post(over);
        }
        fed
    }

    /// The first error on the bus, if there is one.
    pub(crate) fn error(&self) -> Option<Fault> {
        let message = self.bus().pop_filtered(&[gst::MessageType::Error])?;
        match message.view() {
            gst::MessageView::Error(error) => Some(fault_of(error)),
            _ => None,
        }
    }

    /// Caps that no plugin of ours takes, as the pipeline said so far.
    pub(crate) fn missing_plugins(&self) -> Vec<String> {
        let mut missing = Vec::new();
        while let Some(message) = self.bus().pop_filtered(&[gst::MessageType::Element]) {
            let structure = message.structure().filter(|s| s.name() == "missing-plugin");
            if let Some(caps) = structure.and_then(|s| s.get::<gst::Caps>("detail").ok()) {
                missing.push(caps.structure(0).map_or_else(|| caps.to_string(), |s| s.name().to_string()));
            }
        }
        missing
    }

    fn bus(&self) -> gst::Bus {
        self.pipeline.bus().expect("a pipeline always has a bus")
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        for element in self.pipeline.iterate_elements().into_iter().flatten() {
            element.set_locked_state(false);
        }
        // A pipeline that will not stop dies with the child process.
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// Ends a pipeline's [`Pipe::wait_end`]: enough was heard.
pub(crate) fn stop_waiting(pipeline: &gst::Pipeline) {
    // A bus that takes no message belongs to a pipeline that is being stopped.
    let _ = pipeline.post_message(gst::message::Application::new(gst::Structure::new_empty("enough")));
}

pub(crate) fn make(factory: &str) -> Result<gst::Element, Fault> {
    gst::ElementFactory::make(factory)
        .build()
        .map_err(|_| Fault::new(FaultKind::PluginMissing, format!("the GStreamer element {factory} is not installed")))
}

pub(crate) fn internal(message: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Internal, message)
}

fn fault_of(error: &gst::message::Error) -> Fault {
    let source = error.src().map_or_else(String::new, |s| s.name().to_string());
    let glib_error = error.error();
    let kind = if source == "source" && !glib_error.is::<gst::StreamError>() {
        FaultKind::SourceUnreadable
    } else if let Some(stream) = glib_error.kind::<gst::StreamError>() {
        match stream {
            gst::StreamError::Decrypt | gst::StreamError::DecryptNokey => FaultKind::Encrypted,
            gst::StreamError::CodecNotFound | gst::StreamError::WrongType | gst::StreamError::TypeNotFound => {
                FaultKind::Unsupported
            }
            gst::StreamError::Decode
            | gst::StreamError::Demux
            | gst::StreamError::Format
            | gst::StreamError::Failed => FaultKind::Corrupt,
            _ => FaultKind::Internal,
        }
    } else if glib_error.matches(gst::CoreError::MissingPlugin) {
        FaultKind::Unsupported
    } else {
        FaultKind::Internal
    };
    let text = glib_error.message().trim_end_matches('.').to_lowercase();
    let debug = error.debug().map_or_else(String::new, |d| d.to_string());
    Fault::new(kind, text).with_evidence(format!("{source}: {debug}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feeder_that_cannot_go_on_ends_the_wait() {
        gst::init().unwrap();
        let pipe = Pipe::new();
        pipe.chain(&[&make("appsrc").unwrap(), &make("fakesink").unwrap()]).unwrap();
        pipe.play().unwrap();
        std::thread::scope(|scope| {
            let fed = scope.spawn(|| pipe.or_end(Err(internal("nothing more comes"))));
            pipe.wait_end(|| {}).unwrap();
            assert_eq!(fed.join().unwrap().unwrap_err().message, "nothing more comes");
        });
    }
}
