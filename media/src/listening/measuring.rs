//! How loud a rendition would be, before it is made.

use std::sync::{Arc, Mutex, PoisonError};

use framefleet_model::fault::Fault;
use framefleet_model::media::AudioFormat;
use framefleet_model::plan::AudioRendition;
use framefleet_model::sound::Measured;
use framefleet_model::time::MediaTime;
use gst::prelude::*;

use crate::listening::Listener;
use crate::listening::front::{Front, stage};
use crate::pipe::{Pipe, internal, make};
use crate::treatment::loudness::Meter;
use crate::unbroken::Run;

pub(crate) struct Measuring {
    rendition: u32,
    front: Front,
    pipe: Pipe,
    meter: Arc<Mutex<Meter>>,
}

impl Measuring {
    /// ```text
    /// front ! meter ! {fakesink}
    /// ```
    pub(crate) fn start(rendition: &AudioRendition, source: (&gst::CapsRef, AudioFormat)) -> Result<Self, Fault> {
        let pipe = Pipe::new();
        let (front, mut row) = Front::new(rendition, source)?;
        let meter = Arc::new(Mutex::new(Meter::new(rendition.format).map_err(internal)?));
        let sink = make("fakesink")?;
        sink.set_property("sync", false);
        sink.set_property("async", false);
        sink.set_property("enable-last-sample", false);
        row.extend([stage(rendition.format, &meter)?, sink]);
        pipe.chain(&row.iter().collect::<Vec<_>>())?;
        pipe.play()?;
        Ok(Self { rendition: rendition.number, front, pipe, meter })
    }

    /// The rendition's number, and how loud it would be.
    pub(crate) fn finish(mut self, run: &Run) -> Result<(u32, Measured), Fault> {
        let due = self.front.due(run.heard());
        self.meter.lock().unwrap_or_else(PoisonError::into_inner).end_at(due);
        let pushed = self.front.drain();
        self.unless_failed(pushed)?;
        self.front.end();
        self.pipe.wait_end(|| {})?;
        let meter = self.meter.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((self.rendition, meter.told()))
    }

    /// A pipeline that takes nothing more says why on its bus.
    fn unless_failed(&self, pushed: Result<(), Fault>) -> Result<(), Fault> {
        pushed.map_err(|fault| self.pipe.error().unwrap_or(fault))
    }
}

impl Listener for Measuring {
    fn lead(&mut self, first: MediaTime) -> Result<(), Fault> {
        let pushed = self.front.lead(first);
        self.unless_failed(pushed)
    }

    fn push(&mut self, block: &[u8]) -> Result<(), Fault> {
        let pushed = self.front.push(block);
        self.unless_failed(pushed)
    }
}
