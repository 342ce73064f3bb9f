//! Clocks: the host's, one that tests turn by hand, and the store time that an embedded store makes of either.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use framefleet_model::time::StoreTime;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::ports::clock::Clock;

/// The host's own clock.
#[derive(Debug)]
pub struct HostClock {
    start: Instant,
}

/// Stands still until it is advanced.
#[derive(Debug)]
pub struct ManualClock {
    elapsed: watch::Sender<Duration>,
}

/// An embedded store's time: the date at opening, carried on by the clock that never goes back. Neither a date that
/// somebody corrects nor a suspended laptop lets leases expire under workers that stood still as well.
pub(crate) struct EmbeddedTime {
    clock: Arc<dyn Clock>,
    epoch_ms: i64,
    opened: Duration,
}

impl HostClock {
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

#[async_trait]
impl Clock for HostClock {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn epoch_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        millis(since)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

impl ManualClock {
    /// 2026-01-01, so that dates in tests look like dates.
    const EPOCH_MS: i64 = 1_767_225_600_000;

    pub fn advance(&self, duration: Duration) {
        self.elapsed.send_modify(|elapsed| *elapsed += duration);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self { elapsed: watch::Sender::new(Duration::ZERO) }
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn elapsed(&self) -> Duration {
        *self.elapsed.borrow()
    }

    fn epoch_ms(&self) -> i64 {
        Self::EPOCH_MS + millis(self.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        let mut turned = self.elapsed.subscribe();
        let due = self.elapsed() + duration;
        // The sender is ours and lives as long as this call: waiting cannot fail.
        let _ = turned.wait_for(|elapsed| *elapsed >= due).await;
    }
}

impl EmbeddedTime {
    pub(crate) fn open(clock: Arc<dyn Clock>) -> Self {
        Self { epoch_ms: clock.epoch_ms(), opened: clock.elapsed(), clock }
    }

    pub(crate) fn now(&self) -> StoreTime {
        StoreTime(self.epoch_ms).after_ms(millis(self.clock.elapsed().saturating_sub(self.opened)))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = ManualClock::default();
        let sleeping = clock.sleep(Duration::from_secs(10));
        tokio::pin!(sleeping);
        for _ in 0..3 {
            assert!(futures::poll!(&mut sleeping).is_pending());
            clock.advance(Duration::from_secs(3));
        }
        clock.advance(Duration::from_secs(1));
        assert!(futures::poll!(&mut sleeping).is_ready());
    }

    #[test]
    fn an_embedded_stores_time_follows_the_clock_it_was_opened_with() {
        let clock = Arc::new(ManualClock::default());
        let time = EmbeddedTime::open(clock.clone());
        let before = time.now();
        clock.advance(Duration::from_millis(1500));
        assert_eq!(time.now().ms_since(before), 1500);
    }
}
