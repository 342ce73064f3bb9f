//! What happens between this process and RabbitMQ, as typed events: one line of log each.

use tracing::{info, warn};

use super::trouble::Trouble;
use crate::ports::wire::Unreadable;

/// A message of a task queue that is no hint; it goes to the dead letters.
pub(super) struct Refused<'a> {
    pub(super) queue: &'a str,
    pub(super) id: &'a str,
    pub(super) bytes: usize,
    pub(super) why: Unreadable,
}

pub(super) fn refused(message: &Refused<'_>) {
    let Refused { queue, id, bytes, why } = message;
    warn!(queue, id, bytes, reason = why.name(), "message refused: {why}");
}

pub(super) fn connected(role: &str, address: &str) {
    info!(role, address, "connected to the broker");
}

pub(super) fn lost(role: &str, trouble: &Trouble) {
    warn!(role, %trouble, "broker is away");
}

pub(super) fn topology_wrong(role: &str, trouble: &Trouble) {
    warn!(role, %trouble, "broker has not what is needed");
}

pub(super) fn topology_right(role: &str) {
    info!(role, "broker has what is needed again");
}

pub(super) fn blocked(role: &str, reason: &str) {
    warn!(role, reason, "broker takes no messages");
}

pub(super) fn unblocked(role: &str) {
    info!(role, "broker takes messages again");
}
