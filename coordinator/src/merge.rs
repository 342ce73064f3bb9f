//! Merge slots: a merge is a task like any other, but claimed from the store by coordinators alone.
//!
//! It may be claimed while its segments are still being encoded: a read of a segment that is not settled yet waits for
//! it. What it read is written down, and its settle is refused if any of that is no longer the segment's result.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::blob::root::Root;
use framefleet_common::board::{Beat, Board, Claimed, Grant, Made, Mint, Settlement};
use framefleet_common::child::{Attempt, Media, Spent};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{Entry, Scan, Shard, Store, StoreError};
use framefleet_common::process::machine;
use framefleet_common::process::traces::Begun;
use framefleet_common::spans;
use framefleet_common::tending::{Pulse, Tending, Told};
use framefleet_model::board::{Claimant, Heard, Sign, is_before_turn};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::ledger::OutputProof;
use framefleet_model::task::{MergeWork, Outcome, Progress, Work};
use framefleet_model::terms::Tenant;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::effects::{Effects, internal};
use crate::flow::dispatching::CLASS_MERGE;
use crate::gather;
use crate::inputs::{Inputs, Source};
use crate::mergework::merge_work;
use crate::observe::Observer;
use crate::publish;
use crate::rounds::Rounds;
use crate::staging::{self, Staging};

const POLL: Duration = Duration::from_secs(5);
const MERGES_PER_SHARD: usize = 64;
/// A result that the store is away for is kept, and the store asked again so often.
const ASKS_MAX: u32 = 60;
/// The same of a claim and of a merge that is handed back: beyond, a lease that nobody knows of or that nobody wants
/// runs out, which counts against the merge.
const FEW_ASKS_MAX: u32 = 2;
const ASK_PAUSE: Duration = Duration::from_secs(5);
/// Between looks for a merge that should have this slot; a free slot takes it much sooner.
const YIELD_PAUSE: Duration = Duration::from_secs(10);

pub(crate) struct MergeSlot {
    pub(crate) effects: Effects,
    pub(crate) board: Board,
    pub(crate) media: Arc<dyn Media>,
    pub(crate) mint: Mint,
    pub(crate) name: String,
    pub(crate) scratch: PathBuf,
    pub(crate) beat: Duration,
    pub(crate) lease_ms: i64,
    pub(crate) observer: Observer,
}

/// Whether a merge gave its slot to another that is at its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Yielded {
    No,
    Yes,
}

/// A merge under way.
struct Merge {
    at: TaskRef,
    claimant: Claimant,
    grant: Grant,
}

impl MergeSlot {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut rounds = Rounds::new(&*self.store(), self.effects.clock(), POLL);
        let mut seen = BTreeMap::new();
        loop {
            let shards = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                shards = rounds.next(None) => shards,
            };
            let claimed = match self.look(&mut seen, &shards).await {
                Ok(()) => self.claim_next(&seen).await,
                Err(error) => Err(error),
            };
            match claimed {
                Ok(Some(merge)) => {
                    let span = spans::attempt(&merge.at, &merge.claimant.nonce, &merge.grant.task);
                    self.attempt(merge, &stop).instrument(span).await;
                    // Much may have changed meanwhile.
                    rounds.begin_again();
                }
                Ok(None) => {}
                Err(error) => self.observer.store_away(&error),
            }
        }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.effects.store.clone()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.effects.clock()
    }

    fn work(&self) -> &Root {
        &self.effects.work
    }

    async fn look(&self, seen: &mut BTreeMap<Shard, Vec<Entry>>, shards: &[Shard]) -> Result<(), StoreError> {
        for shard in shards {
            let scan = Scan::all(rows::ready(*shard, CLASS_MERGE, &Tenant::default()), MERGES_PER_SHARD);
            seen.insert(*shard, self.store().scan(scan).await?.entries);
        }
        Ok(())
    }

    /// Merges at their turn go before those that would begin early.
    async fn claim_next(&self, seen: &BTreeMap<Shard, Vec<Entry>>) -> Result<Option<Merge>, StoreError> {
        let mut ready: Vec<&Entry> = seen.values().flatten().collect();
        ready.sort_unstable();
        for at in ready.iter().filter_map(|entry| entry.member.parse::<TaskRef>().ok()) {
            let claimant = Claimant {
                nonce: (self.mint)(),
                worker: self.name.clone(),
                heard: Heard::First,
                lease_ms: self.lease_ms,
            };
            let claiming = || self.board.claim(&at, &claimant);
            if let Claimed::Granted(grant) = self.patiently(FEW_ASKS_MAX, claiming).await? {
                if self.has_room(&grant) {
                    return Ok(Some(Merge { at, claimant, grant: *grant }));
                }
                self.board.decline(&at, &claimant.nonce).await?;
                self.observer.merge_ended((&at.job, at.task), ("declined", Duration::ZERO));
            }
        }
        Ok(None)
    }

    /// Whether the output is estimated to fit what the scratch folder has free.
    fn has_room(&self, grant: &Grant) -> bool {
        let need = u64::from(grant.task.need.scratch_mib);
        machine::free_mib(&self.scratch).is_none_or(|free| need <= free)
    }

    async fn attempt(&self, merge: Merge, stop: &CancellationToken) {
        let Merge { at, claimant, .. } = &merge;
        let clock = self.clock();
        let (begun, mut fault) = (Begun::of(&*clock), None);
        self.observer.merge_began(&at.job, at.task);
        let scratch = self.scratch.join(claimant.nonce.as_str());
        let cancel = stop.child_token();
        let (sender, progress) = watch::channel(Progress::default());
        let pulse =
            Pulse { board: self.board.clone(), clock: self.clock(), runtime: Handle::current(), every: self.beat };
        let plan = merge.grant.task.plan.clone();
        let tending = Tending { pulse, at: at.clone(), claimant: claimant.clone(), plan };
        let working = async {
            tokio::fs::create_dir_all(&scratch).await.map_err(|e| scratch_fault(&e))?;
            let attempt = Running { scratch: &scratch, progress: sender, cancel: cancel.clone() };
            self.merge(&merge, attempt).await
        };
        let early = self.until_anothers_turn(&merge);
        let working = async {
            let mut working = pin!(working);
            tokio::select! {
                biased;
                ended = &mut working => return (ended, Yielded::No),
                () = early => cancel.cancel(),
            }
            (working.await, Yielded::Yes)
        };
        let ((ended, yielded), told) = tending.during(working, progress, &cancel).await;
        // What is left of a scratch folder is no reason to fail: the next start clears it.
        drop(tokio::fs::remove_dir_all(&scratch).await);
        let result = match (ended, told) {
            (Ok(Settlement::Won), _) => Ok("settled"),
            (Ok(Settlement::Lost), _) => Ok("lost"),
            (Err(_), Told::Cancelled | Told::Lost) => Ok("unwanted"),
            (Err(_), Told::Nothing) if stop.is_cancelled() || yielded == Yielded::Yes => {
                let handing = || self.board.hand_back(at, &claimant.nonce);
                self.patiently(FEW_ASKS_MAX, handing).await.map(|()| "handed_back")
            }
            (Err(failure), Told::Nothing) => {
                let failure = &*fault.insert(failure);
                self.observer.merge_failed(&at.job, at.task, failure);
                let failing = || self.board.fail(at, &claimant.nonce, failure);
                self.patiently(ASKS_MAX, failing).await.map(|()| "failed")
            }
        };
        match result {
            Ok(how) => {
                let (when, fault) = (begun.until_now(), fault.map(|fault| fault.to_string()));
                self.observer.merge_ended((&at.job, at.task), (how, when.took));
                self.observer.merged((&merge.grant, claimant), (how, fault), when);
            }
            Err(error) => self.observer.store_away(&error),
        }
    }

    /// Ends only if this merge began before its turn, still waits for it, and another job's merge is at its own with
    /// no slot free for it.
    async fn until_anothers_turn(&self, merge: &Merge) {
        loop {
            self.clock().sleep(YIELD_PAUSE).await;
            match self.must_yield(merge).await {
                Ok(Yielded::Yes) => return,
                Ok(Yielded::No) => {}
                Err(error) => self.observer.store_away(&error),
            }
        }
    }

    async fn must_yield(&self, merge: &Merge) -> Result<Yielded, StoreError> {
        if !self.board.order(&merge.at).await?.is_some_and(is_before_turn) {
            return Ok(Yielded::No);
        }
        for shard in Shard::of_jobs() {
            let scan = Scan::all(rows::ready(shard, CLASS_MERGE, &Tenant::default()), MERGES_PER_SHARD);
            let ready = self.store().scan(scan).await?.entries;
            let of_job = |entry: &Entry| entry.member.parse::<TaskRef>().is_ok_and(|at| at.job == merge.at.job);
            if ready.iter().any(|entry| !is_before_turn(entry.score) && !of_job(entry)) {
                return Ok(Yielded::Yes);
            }
        }
        Ok(Yielded::No)
    }

    async fn merge(&self, merge: &Merge, running: Running<'_>) -> Result<Settlement, Fault> {
        let digest = merge.grant.task.plan.as_ref().ok_or_else(|| internal(format!("{} has no plan", merge.at)))?;
        let plan = self.effects.plan_by(&merge.grant.job, digest).await?;
        let (work, sources) = merge_work(&plan, merge.at.task.number)?;
        let to = plan.outputs.get(merge.at.task.number as usize).map(|output| output.to.clone()).unwrap_or_default();
        let work = MergeWork { folder: staging::folder(&to, &merge.claimant.nonce)?, ..work };
        let inputs = Arc::new(Inputs::new(
            Source {
                store: self.store(),
                clock: self.clock(),
                work: self.work().clone(),
                job: merge.at.job.clone(),
                index: plan.index.key.parse().map_err(|e| internal(format!("{e}")))?,
                observer: self.observer.clone(),
            },
            sources,
            running.cancel.clone(),
        ));
        let Running { scratch, progress, cancel } = running;
        let latest = progress.subscribe();
        let images = plan.images.iter().find(|images| images.output == work.output);
        let spent = Spent::default();
        let outcome = match images {
            Some(images) => {
                let from = gather::From { inputs: &inputs, work: self.work(), job: &merge.at.job };
                Outcome::Merge(gather::gather(from, images, scratch).await?)
            }
            None => {
                let attempt = Attempt { objects: inputs.clone(), scratch, progress, cancel, spent: &spent };
                self.media.run(Work::Merge(work), attempt).await?
            }
        };
        let Outcome::Merge(proof) = &outcome else {
            return Err(internal(format!("{} came back with another kind of result", merge.at)));
        };
        // Only what a row names is found again at its destination.
        let sign = Sign { plan: Some(digest.clone()), progress: *latest.borrow() };
        if self.patiently(ASKS_MAX, || self.board.keep(&merge.at, &merge.claimant, &sign)).await? != Beat::Continue {
            return Err(Fault::new(FaultKind::Cancelled, format!("{} is no longer wanted", merge.at)));
        }
        let base = images.map_or(to.clone(), |images| images.base(&to));
        let staging = self.stage(merge, &base, (proof, scratch)).await?;
        let made = Made {
            plan: Some(digest.clone()),
            staged: Some(serde_json::to_string(&staging).expect("a staged result has only string keys")),
            cpu_ms: spent.cpu_ms(),
            inputs: inputs.read().await,
            outcome,
        };
        let settling = || self.board.settle(&merge.at, &merge.claimant.nonce, &made);
        let settlement = self.patiently(ASKS_MAX, settling).await?;
        if settlement == Settlement::Lost {
            staging::discard(&self.effects, &staging).await?;
        }
        Ok(settlement)
    }

    /// Brings a result to its destination, and before that writes down what will lie there.
    async fn stage(&self, merge: &Merge, to: &str, made: (&OutputProof, &Path)) -> Result<Staging, Fault> {
        let (effects, nonce) = (&self.effects, &merge.claimant.nonce);
        let (proof, _) = made;
        let begun = staging::begin(effects, (to, nonce), proof).await?;
        let filling = async {
            let rule = publish::rule(&effects.request(&merge.grant.job).await?);
            staging::look(effects, &begun, rule).await?;
            staging::note(effects, (&merge.at, nonce), &begun).await?;
            staging::fill(effects, &begun, made).await
        };
        let filled = filling.await;
        if filled.is_err() {
            // Half a result must not stay; the fault that is told is the first one.
            drop(staging::discard(effects, &begun).await);
        }
        filled
    }

    /// Repeats what the store did not answer to.
    async fn patiently<T, F>(&self, asks_max: u32, ask: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut tries = 0;
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) if tries >= asks_max => return Err(error),
                Err(error) => self.observer.store_away(&error),
            }
            tries += 1;
            self.clock().sleep(ASK_PAUSE).await;
        }
    }
}

struct Running<'a> {
    scratch: &'a Path,
    progress: watch::Sender<Progress>,
    cancel: CancellationToken,
}

fn scratch_fault(error: &std::io::Error) -> Fault {
    Fault::new(FaultKind::ScratchFull, format!("no scratch folder can be made: {error}"))
}
