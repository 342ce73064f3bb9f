//! Tending an attempt: its heartbeats run beside it, and what they answer reaches it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use framefleet_model::board::{Claimant, Sign};
use framefleet_model::id::Digest;
use framefleet_model::task::Progress;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::board::{Beat, Board};
use crate::ports::clock::Clock;
use crate::ports::rows::TaskRef;

/// A heartbeat without an answer is repeated after this part of the time between two.
const AGAIN_SOONER: u32 = 5;

pub struct Tending {
    pub board: Board,
    pub clock: Arc<dyn Clock>,
    pub at: TaskRef,
    pub claimant: Claimant,
    /// The plan that the attempt works by.
    pub plan: Option<Digest>,
    pub every: Duration,
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
        let mut work = pin!(work);
        let told = tokio::select! {
            biased;
            done = &mut work => return (done, Told::Nothing),
            told = self.until_told(progress) => told,
        };
        stop.cancel();
        (work.await, told)
    }

    async fn until_told(&self, progress: watch::Receiver<Progress>) -> Told {
        let mut pause = self.every;
        loop {
            self.clock.sleep(pause).await;
            pause = self.every;
            let sign = Sign { plan: self.plan.clone(), progress: *progress.borrow() };
            match self.board.heartbeat(&self.at, &self.claimant, &sign).await {
                // A store that is away is waited for: results keep, and leases come back with the next answer.
                Ok(Beat::Continue) => {}
                // It is asked again sooner: a lease in doubt has little time left.
                Err(_) => pause = self.every / AGAIN_SOONER,
                Ok(Beat::Cancel) => return Told::Cancelled,
                Ok(Beat::Lost) => return Told::Lost,
            }
        }
    }
}
