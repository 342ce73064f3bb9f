//! What becomes of spans at their collector, as typed events.

use std::time::Duration;

use tracing::{info, warn};

/// A collector that is away is told of so often; the figure says how many spans went with it.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// Whether it takes spans, as was last said.
#[derive(Default)]
pub(super) struct Standing {
    failing_since: Option<Duration>,
    said: Option<Duration>,
}

pub(super) fn exporting(url: &str) {
    info!(url, "traces are exported");
}

/// With the process, whose last seconds were too few.
pub(super) fn lost(spans: usize) {
    warn!(spans, "spans are lost: their collector did not take them before the end");
}

impl Standing {
    pub(super) fn refused(&mut self, now: Duration, (spans, error): (usize, &str)) {
        self.failing_since.get_or_insert(now);
        if self.said.is_none_or(|said| now.saturating_sub(said) >= SAID_EVERY) {
            self.said = Some(now);
            warn!(spans, error, "spans are not taken by their collector");
        }
    }

    pub(super) fn taken(&mut self, now: Duration) {
        if let Some(since) = self.failing_since.take() {
            self.said = None;
            info!(away_s = now.saturating_sub(since).as_secs(), "spans are taken by their collector again");
        }
    }
}
