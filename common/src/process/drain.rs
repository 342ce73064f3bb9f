//! Told to stop, a role first takes nothing more, then hands back what still runs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

#[derive(Clone, Debug)]
pub struct Drain {
    /// Cancelled: take nothing more.
    pub stop: CancellationToken,
    /// Cancelled: hand back what still runs.
    pub abandon: CancellationToken,
    /// Between the two.
    pub grace: Duration,
}
