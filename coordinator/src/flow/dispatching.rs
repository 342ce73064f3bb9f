//! Dispatching: which ready tasks are hinted. Ready tasks wait in the store; only as many as the slots can soon take
//! are on their way, so that priority and cancellation mean something on any broker.

use framefleet_model::board::BEFORE_TURN;
use framefleet_model::id::{TaskId, TaskKind};
use framefleet_model::job::Job;

/// Short tasks that need little: the planner's choice alone.
pub(crate) const CLASS_LIGHT: &str = "light";
pub(crate) const CLASS_STANDARD: &str = "standard";
/// Tasks that may outlast a worker's grace.
pub(crate) const CLASS_LONG: &str = "long";
/// Taken from the store by coordinators, never hinted.
pub const CLASS_MERGE: &str = "merge";
/// Hinted, in the order in which they are looked at.
pub const CLASSES: [&str; 3] = [CLASS_LIGHT, CLASS_STANDARD, CLASS_LONG];

/// Hints that may be on their way when nothing is known of any slot.
const WINDOW_MIN: usize = 8;
/// More tasks than any job has: they share a job's place in the order.
const TASKS_PER_PLACE: i64 = 1 << 16;

/// How many more hints may be on their way.
pub fn credit(live_slots: usize, on_their_way: usize) -> usize {
    let window = live_slots.saturating_mul(6).div_ceil(5).max(WINDOW_MIN);
    window.saturating_sub(on_their_way)
}

/// A task's place among the ready ones: jobs by their age, within a job the sound, which is one long task, first.
pub(crate) fn order(job: &Job, task: TaskId) -> i64 {
    let number = i64::from(task.number);
    let within = match task.kind {
        TaskKind::Index | TaskKind::Audio => 0,
        TaskKind::Encode | TaskKind::Merge => number + 1,
    };
    (job.created.ms() / 1000) * TASKS_PER_PLACE + within
}

/// The place of a merge whose segments are still being encoded: behind all others.
pub(crate) fn early_order(job: &Job, task: TaskId) -> i64 {
    order(job, task) + BEFORE_TURN
}
