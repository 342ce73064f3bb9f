//! What attempts say to the board, and what it answers.

use crate::board::Task;
use crate::fault::Fault;
use crate::id::{Digest, Nonce};
use crate::task::Progress;

/// Who claims, and how it heard of the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    pub nonce: Nonce,
    pub worker: String,
    pub heard: Heard,
    /// How long it is waited for after each sign of life.
    pub lease_ms: i64,
}

/// A sign of life of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// The plan that it works by.
    pub plan: Option<Digest>,
    pub progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    First,
    /// Somebody took the same hint before and did not acknowledge it.
    Again,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimAnswer {
    Granted(Task),
    /// Somebody else has it; their lease may have been cut, which the row then says.
    Held(Option<Task>),
    /// It failed not long ago.
    NotYet,
    /// Settled or dead.
    Over,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BeatAnswer {
    Continue(Box<Task>),
    /// Somebody else has it, or settled it.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleAnswer {
    Settled(Box<Task>),
    /// The same attempt settled it before: its answer was lost on the way.
    Again,
    /// Another attempt was first, or the plan is another: what this one made is nobody's.
    Lost,
}

/// What a move of the board means to the task's job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// Nothing: the task is tried again.
    Back(Task),
    /// It is dead, and the job must hear of it.
    Dead(Task, Fault),
}
