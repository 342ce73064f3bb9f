//! Somebody that steps speak to, who keeps all that is said and answers as it was told to.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use framefleet_model::step::Step;
use framefleet_model::step::life::Answer;

use crate::ports::steps::{Call, Steps};

#[derive(Default)]
pub struct MemorySteps {
    heard: Mutex<Vec<Heard>>,
    answers: Mutex<VecDeque<Answer>>,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// `webhook studio`
    pub step: String,
    pub event: String,
    pub body: String,
    pub files: Vec<String>,
    pub files_done: u32,
}

impl MemorySteps {
    /// These come first, one for each try; everything after them is done at once.
    pub fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { heard: Mutex::default(), answers: Mutex::new(answers.into_iter().collect()) }
    }

    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.heard).clone()
    }
}

#[async_trait]
impl Steps for MemorySteps {
    async fn run(&self, call: &Call<'_>) -> Answer {
        lock(&self.heard).push(Heard {
            step: call.step.to_string(),
            event: call.event.to_owned(),
            body: call.body.to_owned(),
            files: call.files.to_vec(),
            files_done: call.files_done,
        });
        lock(&self.answers).pop_front().unwrap_or(Answer::Done)
    }

    fn time_max(&self, _: &Step) -> Duration {
        Duration::from_secs(15)
    }
}

/// What is behind the locks is whole at any moment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
