//! Tending an attempt: its heartbeats run beside it, and what they answer reaches it.
//!
//! A worker lets them run on a thread of their own, so that work which holds its runtime up costs it no lease.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use framefleet_model::board::{Claimant, Sign};
use framefleet_model::id::Digest;
use framefleet_model::task::Progress;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::board::{Beat, Board};
use crate::ports::clock::Clock;
use crate::ports::rows::TaskRef;

/// A heartbeat without an answer is repeated after this part of the time between two.
const AGAIN_SOONER: u32 = 5;

/// Where heartbeats run, and the board that they go to.
#[derive(Clone)]
pub struct Pulse {
    pub board: Board,
    pub clock: Arc<dyn Clock>,
    pub runtime: Handle,
    pub every: Duration,
}

#[derive(Clone)]
pub struct Tending {
    pub pulse: Pulse,
    pub at: TaskRef,
    pub claimant: Claimant,
    /// The plan that the attempt works by.
    pub plan: Option<Digest>,
}

/// What the board said while the attempt ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Nothing,
    /// The job has ended.
    Cancelled,
    /// The task is somebody else's.
    Lost,
}

impl Tending {
    /// Runs `work` to its end. If the board no longer wants it, `stop` is cancelled, and the end still waited for.
    pub async fn during<T>(
        &self,
        work: impl Future<Output = T>,
        progress: watch::Receiver<Progress>,
        stop: &CancellationToken,
    ) -> (T, Told) {
        let beating = AbortOnDropHandle::new(self.pulse.runtime.spawn(self.clone().until_told(progress)));
        let mut work = pin!(work);
        let told = tokio::select! {
            biased;
            done = &mut work => return (done, Told::Nothing),
            // Heartbeats end by themselves only when they were told something; a panic of theirs is a lost lease.
            told = beating => told.unwrap_or(Told::Lost),
        };
        stop.cancel();
        (work.await, told)
    }

    async fn until_told(self, progress: watch::Receiver<Progress>) -> Told {
        let Self { pulse, at, claimant, plan } = self;
        let mut pause = pulse.every;
        loop {
            pulse.clock.sleep(pause).await;
            pause = pulse.every;
            let sign = Sign { plan: plan.clone(), progress: *progress.borrow() };
            match pulse.board.heartbeat(&at, &claimant, &sign).await {
                // A store that is away is waited for: results keep, and leases come back with the next answer.
                Ok(Beat::Continue) => {}
                // It is asked again sooner: a lease in doubt has little time left.
                Err(_) => pause = pulse.every / AGAIN_SOONER,
                Ok(Beat::Cancel) => return Told::Cancelled,
                Ok(Beat::Lost) => return Told::Lost,
            }
        }
    }
}
