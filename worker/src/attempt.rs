//! One attempt at a task.
//!
//! ```text
//! hint ─▶ claim ─▶ brief ─▶ media child ─▶ verify ─▶ upload ─▶ settle ─▶ acknowledge
//!           │        └─────────── heartbeats ───────────┘        │
//!           └ not granted: acknowledge                           └ lost: delete what it made
//! ```
//! The hint is acknowledged last, so that a worker which dies leaves it to another. A store that is away stops nobody:
//! the work goes on, and its settle is repeated for `SETTLE_PATIENCE`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::blob::Root;
use framefleet_common::board::{Board, Claimed, Grant, Made, Mint, Settlement};
use framefleet_common::child::{Attempt, Media};
use framefleet_common::ports::broker::{Arrival, Delivery};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::TaskRef;
use framefleet_common::ports::store::StoreError;
use framefleet_common::tending::{Tending, Told};
use framefleet_model::board::{Claimant, Heard};
use framefleet_model::fault::Fault;
use framefleet_model::task::{Outcome, Progress};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};
use tokio_util::sync::CancellationToken;

use crate::brief::Briefing;
use crate::scratch::Scratch;
use crate::{observe, transfer};

/// How long a finished result is kept for a store that is away.
const SETTLE_PATIENCE: Duration = Duration::from_secs(300);
/// The same of a claim and of a task that is handed back: beyond, a lease that nobody knows of or that nobody wants runs
/// out, which counts against the task.
const SHORT_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// What all attempts of a worker share.
pub(crate) struct Bench {
    pub(crate) name: String,
    pub(crate) board: Board,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) work: Root,
    pub(crate) media: Arc<dyn Media>,
    pub(crate) mint: Mint,
    pub(crate) briefing: Briefing,
    pub(crate) scratch: PathBuf,
    pub(crate) beat: Duration,
    /// Shared by attempts that run together; taken whole by one that must run alone.
    pub(crate) company: RwLock<()>,
}

/// The right to run beside others, or alone, held from the claim to the end.
enum Guard<'a> {
    Shared(#[expect(dead_code, reason = "held, not read")] RwLockReadGuard<'a, ()>),
    Alone(#[expect(dead_code, reason = "held, not read")] RwLockWriteGuard<'a, ()>),
}

struct Claim {
    at: TaskRef,
    claimant: Claimant,
    grant: Grant,
}

impl Bench {
    /// Sees one hint through to its acknowledgement.
    pub(crate) async fn take(&self, delivery: Delivery, stop: &CancellationToken) {
        let Delivery { hint, arrival, receipt } = delivery;
        let at = TaskRef::new(&hint.job, hint.task);
        let heard = match arrival {
            Arrival::First => Heard::First,
            Arrival::Redelivered => Heard::Again,
        };
        let claimant = Claimant { nonce: (self.mint)(), worker: self.name.clone(), heard };
        let together = self.company.read().await;
        let (claimed, _company) =
            match self.patiently(SHORT_PATIENCE, || self.board.claim_in_company(&at, &claimant)).await {
                Ok(Claimed::Alone) => {
                    drop(together);
                    let alone = self.company.write().await;
                    if stop.is_cancelled() {
                        return;
                    }
                    let claimed = self.patiently(SHORT_PATIENCE, || self.board.claim(&at, &claimant)).await;
                    (claimed, Guard::Alone(alone))
                }
                claimed => (claimed, Guard::Shared(together)),
            };
        match claimed {
            Ok(Claimed::Granted(grant)) => {
                observe::claimed(&at, &claimant.nonce);
                self.attempt(&Claim { at, claimant, grant: *grant }, stop).await;
            }
            Ok(Claimed::Held | Claimed::Alone) => observe::not_granted(&at, "held"),
            Ok(Claimed::NotYet) => observe::not_granted(&at, "not yet"),
            Ok(Claimed::Over) => observe::not_granted(&at, "over"),
            Err(error) => {
                // Not acknowledged: the hint comes again when the store is back.
                observe::store_away(&error);
                self.clock.sleep(PAUSE_FIRST).await;
                return;
            }
        }
        // An acknowledgement that is lost brings the hint again, and its claim will say what became of it.
        drop(receipt.ack().await);
    }

    async fn attempt(&self, claim: &Claim, stop: &CancellationToken) {
        let cancel = stop.child_token();
        let (sender, progress) = watch::channel(Progress::default());
        let tending = Tending {
            board: self.board.clone(),
            clock: self.clock.clone(),
            at: claim.at.clone(),
            claimant: claim.claimant.clone(),
            plan: claim.grant.task.plan.clone(),
            every: self.beat,
        };
        let working = self.work(claim, Working { progress: sender, cancel: cancel.clone() });
        let (ended, told) = tending.during(working, progress, &cancel).await;
        let (at, nonce) = (&claim.at, &claim.claimant.nonce);
        let told_board = match (ended, told) {
            (Ok(Settlement::Won), _) => Ok("settled"),
            (Ok(Settlement::Lost), _) => Ok("lost"),
            (Err(_), Told::Cancelled | Told::Lost) => Ok("no longer wanted"),
            (Err(_), Told::Nothing) if stop.is_cancelled() => {
                let handing = || self.board.hand_back(at, nonce);
                self.patiently(SHORT_PATIENCE, handing).await.map(|()| "handed back")
            }
            (Err(fault), Told::Nothing) => {
                observe::failed(at, nonce, &fault);
                self.patiently(SETTLE_PATIENCE, || self.board.fail(at, nonce, &fault)).await.map(|()| "failed")
            }
        };
        match told_board {
            Ok(how) => observe::ended(at, nonce, how),
            Err(error) => observe::store_away(&error),
        }
    }

    async fn work(&self, claim: &Claim, working: Working) -> Result<Settlement, Fault> {
        let nonce = &claim.claimant.nonce;
        let scratch = Scratch::make(&self.scratch, nonce).await?;
        let made = self.make(claim, &scratch, working).await;
        let settled = match made {
            Ok(outcome) => self.settle(claim, outcome, &scratch).await,
            Err(fault) => Err(fault),
        };
        scratch.remove().await;
        settled
    }

    async fn make(&self, claim: &Claim, scratch: &Scratch, working: Working) -> Result<Outcome, Fault> {
        let brief = self.briefing.brief(&claim.grant).await?;
        let Working { progress, cancel } = working;
        let attempt = Attempt { objects: Arc::new(brief.objects), scratch: scratch.path(), progress, cancel };
        self.media.run(brief.work, attempt).await
    }

    async fn settle(&self, claim: &Claim, outcome: Outcome, scratch: &Scratch) -> Result<Settlement, Fault> {
        let (at, nonce) = (&claim.at, &claim.claimant.nonce);
        let upload = transfer::Made { at, nonce, outcome: &outcome };
        upload.upload(&self.work, scratch.path()).await?;
        let plan = claim.grant.task.plan.clone();
        let made = Made { plan, outcome: outcome.clone(), staged: None, inputs: Vec::new() };
        let settled = self.patiently(SETTLE_PATIENCE, || self.board.settle(at, nonce, &made)).await?;
        if settled == Settlement::Lost
            && let Err(fault) = upload.delete(&self.work).await
        {
            observe::leftover(at, &fault);
        }
        Ok(settled)
    }

    /// Repeats what the store did not answer to, ever more slowly.
    async fn patiently<T, F>(&self, patience: Duration, mut ask: impl FnMut() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let (begun, mut pause) = (self.clock.elapsed(), PAUSE_FIRST);
        loop {
            match ask().await {
                Err(StoreError::Unavailable(why)) if self.clock.elapsed() - begun < patience => {
                    observe::store_away(&StoreError::Unavailable(why));
                    self.clock.sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                answer => return answer,
            }
        }
    }
}

struct Working {
    progress: watch::Sender<Progress>,
    cancel: CancellationToken,
}
