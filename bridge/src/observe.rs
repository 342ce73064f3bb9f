//! What happens to messages, as typed events: each writes its line of log and counts itself, in one place.

use framefleet_common::ports::broker::BrokerError;
use framefleet_common::process::metrics::{self, Counters, Gauges};
use prometheus::{IntCounter, Registry};
use tracing::{debug, info, warn};

use crate::mns::MnsError;

#[derive(Clone, Debug)]
pub(crate) struct Observer {
    messages: Counters,
    failures: Counters,
    unpublished: IntCounter,
    waiting: Gauges,
}

impl Observer {
    /// Every figure is there from the start, at zero.
    pub(crate) fn new(registry: &Registry, queues: &[&str]) -> Self {
        let named = ("framefleet_bridge_messages_total", "Messages of all queues by what was done with them.");
        let done = ["received", "published", "deleted", "expired", "handed_back", "damaged"];
        let failed = ("framefleet_bridge_queue_failures_total", "Requests that a queue did not answer well.");
        let kinds = ["away", "throttled", "expired", "no_queue", "denied", "clock", "no_key", "refused", "unreadable"];
        let waiting = ("framefleet_bridge_queue_messages", "Messages that wait in a queue, when it was last asked.");
        Self {
            messages: Counters::new(registry, named, ("done", &done)),
            failures: Counters::new(registry, failed, ("kind", &kinds)),
            unpublished: metrics::counter(
                registry,
                ("framefleet_bridge_unpublished_total", "Times that the broker did not confirm a message."),
            ),
            waiting: Gauges::new(registry, waiting, ("queue", queues)),
        }
    }

    pub(crate) fn received(&self, queue: &str, count: usize) {
        debug!(queue, count, "received");
        self.messages.add("received", count as u64);
    }

    pub(crate) fn published(&self, queue: &str, (id, times): (&str, u32)) {
        info!(queue, id, received = times, "handed on");
        self.messages.add("published", 1);
    }

    pub(crate) fn unpublished(&self, (queue, id): (&str, &str), error: &BrokerError) {
        warn!(queue, id, %error, "not handed on, trying again");
        self.unpublished.inc();
    }

    pub(crate) fn deleted(&self, queue: &str, count: usize) {
        debug!(queue, count, "deleted");
        self.messages.add("deleted", count as u64);
    }

    /// Its while was over: it comes again.
    pub(crate) fn expired(&self, (queue, id): (&str, &str)) {
        info!(queue, id, "was held too long and comes again");
        self.messages.add("expired", 1);
    }

    /// It is not what was sent, by the hash that came with it.
    pub(crate) fn damaged(&self, (queue, id): (&str, &str), times: u32) {
        warn!(queue, id, received = times, "is not as it was sent, by its hash, and is left in the queue");
        self.messages.add("damaged", 1);
    }

    pub(crate) fn handed_back(&self, (queue, id): (&str, &str)) {
        info!(queue, id, "given back to the queue");
        self.messages.add("handed_back", 1);
    }

    pub(crate) fn failed(&self, queue: &str, (what, error): (&str, &MnsError)) {
        match error {
            MnsError::Empty | MnsError::Partly(_) => {}
            error => {
                warn!(queue, what, %error, "queue did not answer well");
                self.failures.add(error.name(), 1);
            }
        }
    }

    pub(crate) fn held_up(&self, queue: &str, why: &str) {
        warn!(queue, why, "nothing is received: the broker takes nothing");
    }

    pub(crate) fn waiting(&self, queue: &str, count: u64) {
        self.waiting.set(queue, i64::try_from(count).unwrap_or(i64::MAX));
    }
}
