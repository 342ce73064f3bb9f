//! Time as this process sees it: for waiting, never for deciding. Decisions go by the store's clock.

use std::time::Duration;

use async_trait::async_trait;

#[async_trait]
pub trait Clock: Send + Sync {
    /// Time since some fixed moment; never goes back.
    fn elapsed(&self) -> Duration;

    /// What the host believes the date to be, in milliseconds since 1970. Embedded stores begin their clock with it.
    fn epoch_ms(&self) -> i64;

    /// Returns when `elapsed` has grown by `duration`. Safe to cancel.
    async fn sleep(&self, duration: Duration);
}
