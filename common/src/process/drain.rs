//! Told to stop, a member of a fleet has two phases, each with a bound.
//!
//! ```text
//! running ──signal──▶ stopping: take nothing more, finish what fits
//!                        │ grace but for its end
//!                        ▼
//!                     abandoning: hand back what still runs ──end of the grace──▶ Ended::Abandoned
//! ```
//!
//! Work that ends by itself ends the drain at once, a second signal ends it as well, wherever it is. What is dropped
//! then is safe: its leases run out, and whoever comes next finds what was committed.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::Stream;
use tokio_util::sync::CancellationToken;

use crate::ports::clock::Clock;
use crate::process::shutdown::{Ended, Shutdown};

/// The end of a grace, in which work is handed back.
pub const HAND_BACK: Duration = Duration::from_secs(15);

pub struct Drain {
    shutdown: Shutdown,
    abandon: CancellationToken,
    clock: Arc<dyn Clock>,
    grace: Duration,
}

impl Drain {
    /// `grace` is all the time from the first signal to the end.
    pub fn new(clock: Arc<dyn Clock>, grace: Duration) -> Self {
        let shutdown = Shutdown::new(clock.clone(), grace);
        Self { shutdown, abandon: CancellationToken::new(), clock, grace }
    }

    /// Cancelled when nothing more is to be taken; cancelling it stops the program.
    pub fn stop(&self) -> CancellationToken {
        self.shutdown.stopping()
    }

    /// Cancelled when what still runs is to be handed back. Never before `stop`.
    pub fn abandon(&self) -> CancellationToken {
        self.abandon.clone()
    }

    /// Runs the work to its end, or to that of our patience.
    pub async fn run<T>(&self, signals: impl Stream<Item = ()> + Unpin, work: impl Future<Output = T>) -> Ended<T> {
        let work = async {
            tokio::pin!(work);
            tokio::select! {
                biased;
                done = &mut work => done,
                () = self.patience() => {
                    self.abandon.cancel();
                    work.await
                }
            }
        };
        self.shutdown.run(signals, work).await
    }

    /// Until what still runs no longer fits the grace.
    async fn patience(&self) {
        self.stop().cancelled().await;
        self.clock.sleep(self.grace.saturating_sub(HAND_BACK)).await;
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc;
    use futures::poll;

    use super::*;
    use crate::adapters::clock::ManualClock;

    const GRACE: Duration = Duration::from_secs(600);

    fn drain() -> (Arc<ManualClock>, Drain) {
        let clock = Arc::new(ManualClock::default());
        (clock.clone(), Drain::new(clock, GRACE))
    }

    #[tokio::test]
    async fn work_that_fits_the_grace_finishes() {
        let (clock, drain) = drain();
        let (mut signal, signals) = mpsc::channel(2);
        let (stop, abandon) = (drain.stop(), drain.abandon());
        let work = async {
            stop.cancelled().await;
            clock.sleep(GRACE / 2).await;
            abandon.is_cancelled()
        };
        let run = drain.run(signals, work);
        tokio::pin!(run);
        assert!(poll!(&mut run).is_pending());
        signal.try_send(()).unwrap();
        assert!(poll!(&mut run).is_pending());
        assert!(drain.stop().is_cancelled());
        assert!(poll!(&mut run).is_pending(), "now the work knows and takes its time");
        clock.advance(GRACE / 2);
        assert_eq!(run.await, Ended::Finished(false), "nothing had to be handed back");
    }

    #[tokio::test]
    async fn work_that_does_not_fit_is_handed_back_before_the_grace_is_over() {
        let (clock, drain) = drain();
        let abandon = drain.abandon();
        let run = drain.run(futures::stream::pending(), abandon.cancelled());
        tokio::pin!(run);
        clock.advance(2 * GRACE);
        assert!(poll!(&mut run).is_pending(), "nobody told it to stop yet");
        drain.stop().cancel();
        assert!(poll!(&mut run).is_pending());
        clock.advance(GRACE - HAND_BACK - Duration::from_secs(1));
        assert!(poll!(&mut run).is_pending());
        clock.advance(Duration::from_secs(1));
        assert_eq!(run.await, Ended::Finished(()));
    }

    #[tokio::test]
    async fn handing_back_is_bounded() {
        let (clock, drain) = drain();
        let run = drain.run(futures::stream::pending(), std::future::pending::<()>());
        tokio::pin!(run);
        drain.stop().cancel();
        assert!(poll!(&mut run).is_pending());
        clock.advance(GRACE - HAND_BACK);
        assert!(poll!(&mut run).is_pending());
        assert!(drain.abandon().is_cancelled());
        clock.advance(HAND_BACK);
        assert_eq!(run.await, Ended::Abandoned);
    }

    #[tokio::test]
    async fn the_second_signal_ends_it_in_either_phase() {
        for waited in [Duration::ZERO, GRACE - HAND_BACK] {
            let (clock, drain) = drain();
            let (mut signal, signals) = mpsc::channel(2);
            let run = drain.run(signals, std::future::pending::<()>());
            tokio::pin!(run);
            signal.try_send(()).unwrap();
            assert!(poll!(&mut run).is_pending());
            clock.advance(waited);
            assert!(poll!(&mut run).is_pending());
            signal.try_send(()).unwrap();
            assert_eq!(run.await, Ended::Abandoned);
        }
    }

    #[tokio::test]
    async fn a_grace_shorter_than_handing_back_hands_back_at_once() {
        let clock = Arc::new(ManualClock::default());
        let drain = Drain::new(clock, HAND_BACK / 2);
        let abandon = drain.abandon();
        drain.stop().cancel();
        assert_eq!(drain.run(futures::stream::pending(), abandon.cancelled()).await, Ended::Finished(()));
    }
}
