//! One attempt at a task.
//!
//! ```text
//! hint ─▶ claim ─▶ brief ─▶ media child ─▶ verify ─▶ upload ─▶ settle ─▶ acknowledge
//!           │        └─────────── heartbeats ───────────┘        │
//!           └ not granted: acknowledge                           └ lost: delete what it made
//! ```
//! The hint is acknowledged last, so that a worker which dies leaves it to another. A store that is away stops nobody:
//! the work goes on, and its settle is repeated for `SETTLE_PATIENCE`. Told to stop, an attempt goes on if it is
//! estimated to end within the grace, and is handed back when the grace is over.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use framefleet_common::adapters::blob::root::Root;
use framefleet_common::board::{Board, Claimed, Grant, Made, Mint, Settlement};
use framefleet_common::child::{Attempt, Media, Spent};
use framefleet_common::ports::broker::{Arrival, Class, Delivery};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::TaskRef;
use framefleet_common::ports::store::StoreError;
use framefleet_common::process::drain::Halt;
use framefleet_common::process::traces::Begun;
use framefleet_common::roster::{self, Roster, Seen};
use framefleet_common::spans;
use framefleet_common::tending::{Pulse, Tending, Told};
use framefleet_model::board::{Claimant, Heard, Task, Wanted};
use framefleet_model::cost;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use framefleet_model::task::{Need, Outcome, Progress, Work};
use framefleet_model::time::MediaTime;
use framefleet_model::trace::TraceContext;
use tokio::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::brief::Briefing;
use crate::observe::{Done, Observer};
use crate::room::{Room, Short};
use crate::scratch::Scratch;
use crate::transfer::Transfer;

/// How long a finished result is kept for a store that is away.
const SETTLE_PATIENCE: Duration = Duration::from_secs(300);
/// The same of a claim and of a task that is handed or put back: beyond, a lease that nobody knows of or that nobody wants runs
/// out, which counts against the task.
const SHORT_PATIENCE: Duration = Duration::from_secs(10);
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// What a roster said stays good so long, as workers report as often.
const SEEN_FOR: Duration = Duration::from_secs(5);
/// A task that was handed back more often than this and still finds no scratch asks for too much.
const HAND_BACKS_MAX: u8 = 8;

/// What all attempts of a worker share.
pub(crate) struct Bench {
    pub(crate) name: String,
    pub(crate) build: String,
    pub(crate) board: Board,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) work: Root,
    pub(crate) media: Arc<dyn Media>,
    pub(crate) mint: Mint,
    pub(crate) briefing: Briefing,
    pub(crate) scratch: PathBuf,
    pub(crate) pulse: Pulse,
    pub(crate) lease_ms: i64,
    pub(crate) room: Room,
    pub(crate) roster: Roster,
    /// Who was there, and when that was asked last.
    pub(crate) seen: Mutex<Option<(Duration, Arc<Vec<Seen>>)>>,
    pub(crate) observer: Observer,
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
    /// The span of who gave the hint.
    hinted: Option<TraceContext>,
}

impl Bench {
    /// Sees one hint of a slot's class through to its acknowledgement.
    pub(crate) async fn take(&self, class: &Class, delivery: Delivery, halt: &Halt) {
        let at = TaskRef::new(&delivery.hint.job, delivery.hint.task);
        let span = spans::task(&at);
        self.answer(class, (at, delivery), halt).instrument(span).await;
    }

    async fn answer(&self, class: &Class, (at, delivery): (TaskRef, Delivery), halt: &Halt) {
        let Delivery { hint, arrival, receipt } = delivery;
        let heard = match arrival {
            Arrival::First => Heard::First,
            Arrival::Redelivered => Heard::Again,
        };
        let lease_ms = self.lease_ms;
        let claimant = Claimant { nonce: (self.mint)(), worker: self.name.clone(), heard, lease_ms };
        let together = self.company.read().await;
        let (claimed, _company) =
            match self.patiently(SHORT_PATIENCE, || self.board.claim_in_company(&at, &claimant)).await {
                Ok(Claimed::Alone) => {
                    drop(together);
                    let alone = self.company.write().await;
                    if halt.stop.is_cancelled() {
                        return;
                    }
                    let claimed = self.patiently(SHORT_PATIENCE, || self.board.claim(&at, &claimant)).await;
                    (claimed, Guard::Alone(alone))
                }
                claimed => (claimed, Guard::Shared(together)),
            };
        match claimed {
            Ok(Claimed::Granted(grant)) => {
                let span = spans::attempt(&at, &claimant.nonce, &grant.task);
                self.granted(Claim { at, claimant, grant: *grant, hinted: hint.trace }, class, halt)
                    .instrument(span)
                    .await;
            }
            Ok(Claimed::Held | Claimed::Alone) => self.observer.not_granted(&at, "held"),
            Ok(Claimed::NotYet) => self.observer.not_granted(&at, "not_yet"),
            Ok(Claimed::Over) => self.observer.not_granted(&at, "over"),
            Err(error) => {
                // Not acknowledged: the hint comes again when the store is back.
                self.observer.store_away(&error);
                self.clock.sleep(PAUSE_FIRST).await;
                return;
            }
        }
        // An acknowledgement that is lost brings the hint again, and its claim will say so.
        drop(receipt.ack().await);
    }

    async fn granted(&self, claim: Claim, class: &Class, halt: &Halt) {
        let _busy = self.observer.claimed(&claim.at, (class.as_str(), &claim.claimant.nonce));
        match self.room.reserve(claim.grant.task.need) {
            Ok(_) if self.is_for_another_build(&claim.grant.task).await => self.leave_it(&claim).await,
            Ok(_reserved) => self.attempt(&claim, halt).await,
            Err(short) => self.decline(&claim, short).await,
        }
    }

    /// No room: another worker may have it, or this one soon; what none ever has fails its job.
    async fn decline(&self, claim: &Claim, short: Short) {
        let (at, nonce) = (&claim.at, &claim.claimant.nonce);
        let declined = match (short, self.fits_nobody(claim.grant.task.need).await) {
            (Short::Always, Ok(true)) => {
                let Need { memory_mib, scratch_mib } = claim.grant.task.need;
                let text = format!(
                    "{} is estimated to need {memory_mib} MiB of memory and {scratch_mib} MiB of scratch, more than any worker has",
                    at.task
                );
                let fault = Fault::new(FaultKind::Oversized, text);
                self.observer.failed(at, nonce, &fault);
                self.board.fail(at, nonce, &fault).await.map(|()| "failed")
            }
            (Short::Always | Short::Now, Ok(_)) => self.put_back(at, nonce).await.map(|()| "declined"),
            (_, Err(error)) => Err(error),
        };
        match declined {
            Ok(how) => self.observer.ended(at, nonce, how),
            // The lease runs out, and the task comes back.
            Err(error) => self.observer.store_away(&error),
        }
    }

    /// What is to be joined with another build's segments is that build's, while there is a worker of it.
    async fn is_for_another_build(&self, task: &Task) -> bool {
        let Some(Wanted { build, until }) = &task.wanted else { return false };
        if *build == self.build || task.lease().is_none_or(|lease| lease.since >= *until) {
            return false;
        }
        match self.seen_lately().await {
            Ok(seen) => roster::builds(&seen, &BTreeMap::from([(task.class.clone(), task.need)])).contains_key(build),
            Err(error) => {
                self.observer.store_away(&error);
                false
            }
        }
    }

    /// Tasks that are left to others are many at once, and workers a thousand.
    async fn seen_lately(&self) -> Result<Arc<Vec<Seen>>, StoreError> {
        let mut known = self.seen.lock().await;
        let now = self.clock.elapsed();
        if let Some((at, seen)) = &*known
            && now.saturating_sub(*at) < SEEN_FOR
        {
            return Ok(seen.clone());
        }
        let seen = Arc::new(self.roster.all().await?);
        *known = Some((now, seen.clone()));
        Ok(seen)
    }

    /// Not at once: whose it is may be waiting for hints as well.
    async fn leave_it(&self, claim: &Claim) {
        let (at, nonce) = (&claim.at, &claim.claimant.nonce);
        self.clock.sleep(PAUSE_FIRST).await;
        match self.put_back(at, nonce).await {
            Ok(()) => self.observer.ended(at, nonce, "left"),
            // The lease runs out, and the task comes back.
            Err(error) => self.observer.store_away(&error),
        }
    }

    /// Repeated, as a lease that nobody wants would run out and count against the task.
    async fn put_back(&self, at: &TaskRef, nonce: &Nonce) -> Result<(), StoreError> {
        self.patiently(SHORT_PATIENCE, || self.board.decline(at, nonce)).await
    }

    async fn fits_nobody(&self, need: Need) -> Result<bool, StoreError> {
        Ok(!self.roster.all().await?.iter().filter(|seen| seen.is_live()).any(|seen| seen.worker.has_room_for(need)))
    }

    async fn attempt(&self, claim: &Claim, halt: &Halt) {
        let cancel = halt.abandon.child_token();
        let (sender, progress) = watch::channel(Progress::default());
        let tending = Tending {
            pulse: self.pulse.clone(),
            at: claim.at.clone(),
            claimant: claim.claimant.clone(),
            plan: claim.grant.task.plan.clone(),
        };
        let (estimate, mut fault) = (OnceLock::new(), None);
        let working = self.work(claim, Working { progress: sender, cancel: cancel.clone(), estimate: &estimate });
        let begun = Begun::of(&*self.clock);
        let stopping = async {
            halt.stop.cancelled().await;
            let spent = begun.until_now().took;
            if !fits(estimate.get().copied().flatten(), spent, halt.grace) {
                cancel.cancel();
            }
            std::future::pending::<()>().await;
        };
        let working = async {
            tokio::select! {
                ended = working => ended,
                () = stopping => Err(Fault::new(FaultKind::Cancelled, "told to stop")),
            }
        };
        let (ended, told) = tending.during(working, progress, &cancel).await;
        let (at, nonce) = (&claim.at, &claim.claimant.nonce);
        let told_board = match (ended, told) {
            (Ok(Settlement::Won), _) => Ok("settled"),
            (Ok(Settlement::Lost), _) => Ok("lost"),
            (Err(_), Told::Cancelled | Told::Lost) => Ok("unwanted"),
            (Err(fault), Told::Nothing) if cancel.is_cancelled() || self.is_out_of_room(claim, &fault) => {
                let handing = || self.board.hand_back(at, nonce);
                self.patiently(SHORT_PATIENCE, handing).await.map(|()| "handed_back")
            }
            (Err(failure), Told::Nothing) => {
                let failure = &*fault.insert(failure);
                self.observer.failed(at, nonce, failure);
                self.patiently(SETTLE_PATIENCE, || self.board.fail(at, nonce, failure)).await.map(|()| "failed")
            }
        };
        match told_board {
            Ok(how) => {
                self.observer.ended(at, nonce, how);
                let span = spans::attempted(&claim.grant, &claim.claimant, (how, begun.until_now()));
                let fault = fault.map(|fault| fault.to_string());
                self.observer.trace(span.map(|span| span.linked(claim.hinted).failed(fault)));
            }
            Err(error) => self.observer.store_away(&error),
        }
    }

    /// Whether the attempt failed for want of scratch here, which says nothing of other workers.
    fn is_out_of_room(&self, claim: &Claim, fault: &Fault) -> bool {
        fault.kind == FaultKind::ScratchFull && claim.grant.task.tries.handed_back < HAND_BACKS_MAX
    }

    async fn work(&self, claim: &Claim, working: Working<'_>) -> Result<Settlement, Fault> {
        let nonce = &claim.claimant.nonce;
        let begun = self.clock.elapsed();
        let scratch = Scratch::make(&self.scratch, nonce).await?;
        let (spent, shown) = (Spent::default(), OnceLock::new());
        let counting = Counting { spent: &spent, shown: &shown };
        let made = self.make(claim, (&scratch, counting), working).await;
        let settled = match made {
            Ok(outcome) => self.settle(claim, (outcome, spent.cpu_ms()), &scratch).await,
            Err(fault) => Err(fault),
        };
        scratch.remove().await;
        let took = self.clock.elapsed().saturating_sub(begun);
        let done = Done { task: claim.at.task, took, cpu_ms: spent.cpu_ms(), media: shown.get().copied() };
        self.observer.done(&done, settled.as_ref().ok().copied());
        settled
    }

    async fn make(
        &self,
        claim: &Claim,
        (scratch, counting): (&Scratch, Counting<'_>),
        working: Working<'_>,
    ) -> Result<Outcome, Fault> {
        let brief = self.briefing.brief(&claim.grant).await?;
        let Counting { spent, shown } = counting;
        if let Work::Encode(work) = &brief.work {
            shown.get_or_init(|| work.segment.span.len());
        }
        let Working { progress, cancel, estimate } = working;
        estimate.get_or_init(|| cost::of(&brief.work));
        let attempt = Attempt { objects: Arc::new(brief.objects), scratch: scratch.path(), progress, cancel, spent };
        let mut outcome = self.media.run(brief.work, attempt).await?;
        if let Outcome::Encode(proofs) = &mut outcome {
            proofs.iter_mut().for_each(|proof| proof.build.clone_from(&self.build));
        }
        Ok(outcome)
    }

    async fn settle(
        &self,
        claim: &Claim,
        (outcome, cpu_ms): (Outcome, u64),
        scratch: &Scratch,
    ) -> Result<Settlement, Fault> {
        let (at, nonce) = (&claim.at, &claim.claimant.nonce);
        let plan = claim.grant.task.plan.clone();
        let made = Made { plan, outcome, staged: None, cpu_ms, inputs: Vec::new() };
        let transfer = Transfer { at, nonce, made: &made };
        transfer.upload(&self.work, scratch.path()).await?;
        let settled = self.patiently(SETTLE_PATIENCE, || self.board.settle(at, nonce, &made)).await?;
        if settled == Settlement::Lost
            && let Err(fault) = transfer.delete(&self.work).await
        {
            self.observer.leftover(at, &fault);
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
                    self.observer.store_away(&StoreError::Unavailable(why));
                    self.clock.sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                answer => return answer,
            }
        }
    }
}

/// What is known of an attempt only once it has ended, or while it runs.
struct Counting<'a> {
    spent: &'a Spent,
    /// Of an encode, how much of the film.
    shown: &'a OnceLock<MediaTime>,
}

struct Working<'a> {
    progress: watch::Sender<Progress>,
    cancel: CancellationToken,
    /// What the work is estimated to take of one core, once it is known what it is.
    estimate: &'a OnceLock<Option<MediaTime>>,
}

/// Whether what is left of the work is estimated to fit the grace. What cannot be estimated may try.
fn fits(estimate: Option<MediaTime>, spent: Duration, grace: Duration) -> bool {
    let estimate = estimate.map(|estimate| Duration::from_nanos(u64::try_from(estimate.ns()).unwrap_or(0)));
    grace > Duration::ZERO && estimate.is_none_or(|estimate| estimate.saturating_sub(spent) <= grace)
}
