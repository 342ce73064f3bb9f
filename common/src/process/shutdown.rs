//! Told to stop, a program has two phases, each with a bound.
//!
//! ```text
//! running ──signal──▶ stopping: the token is cancelled; finish or hand back ──second signal, or grace over──▶ abandoned
//! ```
//!
//! Abandoning drops the work where it stands, which is safe: what was committed is found by the next to come.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::stream::{Stream, StreamExt as _, poll_fn};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::ports::clock::Clock;

pub struct Shutdown {
    stopping: CancellationToken,
    clock: Arc<dyn Clock>,
    grace: Duration,
}

/// How the work came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// By itself, told to stop or not.
    Finished(T),
    /// It was dropped: told to stop twice, or for longer than its grace.
    Abandoned,
}

/// One item for each SIGINT or SIGTERM, from now on.
pub fn signals() -> io::Result<impl Stream<Item = ()> + Unpin> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(poll_fn(move |context| match (interrupt.poll_recv(context), terminate.poll_recv(context)) {
        (Poll::Pending, Poll::Pending) => Poll::Pending,
        _ => Poll::Ready(Some(())),
    }))
}

impl Shutdown {
    pub fn new(clock: Arc<dyn Clock>, grace: Duration) -> Self {
        Self { stopping: CancellationToken::new(), clock, grace }
    }

    /// Cancelled when the program is to stop; cancelling it stops the program.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Runs the work to its end, or to that of our patience.
    pub async fn run<T>(&self, mut signals: impl Stream<Item = ()> + Unpin, work: impl Future<Output = T>) -> Ended<T> {
        let patience = async {
            tokio::select! {
                () = heard(&mut signals) => self.stopping.cancel(),
                () = self.stopping.cancelled() => {}
            }
            tokio::select! {
                () = heard(&mut signals) => {}
                () = self.clock.sleep(self.grace) => {}
            }
        };
        tokio::select! {
            biased;
            done = work => Ended::Finished(done),
            () = patience => Ended::Abandoned,
        }
    }
}

/// Signals that cannot come any more never come.
async fn heard(signals: &mut (impl Stream<Item = ()> + Unpin)) {
    if signals.next().await.is_none() {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc;
    use futures::poll;

    use super::*;
    use crate::adapters::clock::ManualClock;

    const GRACE: Duration = Duration::from_secs(30);

    fn shutdown() -> (Arc<ManualClock>, Shutdown) {
        let clock = Arc::new(ManualClock::default());
        (clock.clone(), Shutdown::new(clock, GRACE))
    }

    #[tokio::test]
    async fn undisturbed_work_finishes() {
        let (_, shutdown) = shutdown();
        assert_eq!(shutdown.run(futures::stream::empty(), async { 7 }).await, Ended::Finished(7));
    }

    #[tokio::test]
    async fn the_first_signal_lets_the_work_finish() {
        let (_, shutdown) = shutdown();
        let (mut signal, signals) = mpsc::channel(2);
        let stopping = shutdown.stopping();
        let work = async {
            stopping.cancelled().await;
            "handed back"
        };
        let run = shutdown.run(signals, work);
        tokio::pin!(run);
        assert!(poll!(&mut run).is_pending());
        signal.try_send(()).unwrap();
        assert_eq!(run.await, Ended::Finished("handed back"));
    }

    #[tokio::test]
    async fn the_second_signal_abandons() {
        let (_, shutdown) = shutdown();
        let (mut signal, signals) = mpsc::channel(2);
        let run = shutdown.run(signals, std::future::pending::<()>());
        tokio::pin!(run);
        signal.try_send(()).unwrap();
        assert!(poll!(&mut run).is_pending());
        assert!(shutdown.stopping().is_cancelled());
        signal.try_send(()).unwrap();
        assert_eq!(run.await, Ended::Abandoned);
    }

    #[tokio::test]
    async fn work_that_outstays_its_grace_is_abandoned() {
        let (clock, shutdown) = shutdown();
        let run = shutdown.run(futures::stream::pending(), std::future::pending::<()>());
        tokio::pin!(run);
        clock.advance(2 * GRACE);
        assert!(poll!(&mut run).is_pending(), "nobody told it to stop yet");
        shutdown.stopping().cancel();
        assert!(poll!(&mut run).is_pending());
        clock.advance(GRACE);
        assert_eq!(run.await, Ended::Abandoned);
    }

    #[tokio::test]
    async fn real_signals_are_heard() {
        let (_, shutdown) = shutdown();
        let signals = signals().unwrap();
        let stopping = shutdown.stopping();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM).unwrap();
        assert_eq!(shutdown.run(signals, stopping.cancelled()).await, Ended::Finished(()));
    }
}
