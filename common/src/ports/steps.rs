//! Those that steps speak to once a job has ended: receivers of webhooks, databases, CDNs.

use std::time::Duration;

use async_trait::async_trait;
use framefleet_model::step::Step;
use framefleet_model::step::life::Answer;

#[async_trait]
pub trait Steps: Send + Sync {
    /// One try, which may be repeated whatever came of it.
    async fn run(&self, call: &Call<'_>) -> Answer;

    /// How long one may take; what takes longer is given up.
    fn time_max(&self, step: &Step) -> Duration;
}

/// What a try has to say.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub step: &'a Step,
    /// The event's id: the same for every try.
    pub event: &'a str,
    /// The event, as docs/EVENTS.md has it.
    pub body: &'a str,
    /// URLs of the outputs' files, as far as the step has to do with them.
    pub files: &'a [String],
    /// How many of them are dealt with.
    pub files_done: u32,
}
