//! Whoever steps of a simulated fleet speak to: what is said must be true for good, and the same however often it is said.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::ports::steps::{Call, Steps};
use framefleet_model::id::JobId;
use framefleet_model::step::life::{Answer, Patience};
use framefleet_model::step::{Ending, Step};

use crate::fleet::peril::Peril;
use crate::fleet::storm::Storm;
use crate::fleet::truth::Truth;

/// Nothing is given up in a run.
pub const PATIENCE: Patience = Patience { tries_max: u32::MAX, first_ms: 1_000, longest_ms: 20_000 };

/// Shorter than the longest answer that comes late.
const TIME_MAX: Duration = Duration::from_secs(2);

pub struct Receiver {
    storm: Arc<Storm>,
    truth: Arc<Truth>,
    /// Bodies by their events' ids.
    heard: Mutex<BTreeMap<String, String>>,
}

/// The receiver as one role reaches it.
pub struct RoleSteps {
    pub receiver: Arc<Receiver>,
    pub peril: Arc<Peril>,
}

/// What every job of a run asks for.
pub fn steps() -> Vec<Step> {
    vec![Step::Webhook { target: "studio".to_owned(), events: Ending::ALL.into() }]
}

impl Receiver {
    pub fn new(storm: Arc<Storm>, truth: Arc<Truth>) -> Self {
        Self { storm, truth, heard: Mutex::default() }
    }

    pub fn has_heard(&self, event: &str) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).contains_key(event)
    }

    fn hear(&self, call: &Call<'_>) {
        self.storm.tell("step", format_args!("step tells of {:.6}…", call.event));
        let mut parts = call.event.split(':');
        let job: Option<JobId> = parts.next().and_then(|job| job.parse().ok());
        let generation: Option<u32> = parts.next().and_then(|generation| generation.parse().ok());
        let known = job.and_then(|job| self.truth.durable(&job).0).zip(generation);
        let has_ended =
            known.is_some_and(|(job, of)| job.generation > of || (job.generation == of && job.state.has_ended()));
        if !has_ended {
            self.storm.wrong(format!("a step told of {}, which may yet be forgotten", call.event));
        }
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let before = heard.entry(call.event.to_owned()).or_insert_with(|| call.body.to_owned());
        if before != call.body {
            self.storm.wrong(format!("a step told of {} in two ways", call.event));
        }
    }
}

#[async_trait]
impl Steps for RoleSteps {
    async fn run(&self, call: &Call<'_>) -> Answer {
        let hearing = async {
            self.receiver.hear(call);
            Ok(())
        };
        match self.peril.call("step", |why: &str| why.to_owned(), hearing).await {
            Ok(()) => Answer::Done,
            Err(why) => Answer::Again { why, not_before_ms: None },
        }
    }

    fn time_max(&self, _: &Step) -> Duration {
        TIME_MAX
    }
}
