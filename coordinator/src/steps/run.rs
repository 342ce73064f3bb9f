//! The runner of steps: every coordinator looks for those that are due.
//!
//! Whoever tries one moves it into the future first, so that others need not, and looks again behind a barrier: nobody is
//! told of an end that a dying store could take back. A try whose coordinator dies is made again, with the same event id.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::board::Mint;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::{self, StepRef};
use framefleet_common::ports::steps::{Call, Steps};
use framefleet_common::ports::store::{Commit, Scan, Shard, Store, StoreError, Version};
use framefleet_common::ports::txn::Txn;
use framefleet_common::spans;
use framefleet_model::key::ObjectKey;
use framefleet_model::step::life::{Answer, Patience, StepRow, StepState};
use framefleet_model::time::StoreTime;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::letters;
use crate::observe::Observer;
use crate::rounds::{Rounds, until};

const POLL: Duration = Duration::from_secs(5);
/// Where some had to be left, they are looked for again so soon.
const SOON: Duration = Duration::from_secs(1);
const STEPS_PER_SCAN: usize = 256;
const AT_ONCE: usize = 32;
/// One that does not answer must not be in the way of all others.
const AT_ONCE_EACH: usize = 4;
/// A try is left alone for so long beyond its time: for what its coordinator does around it.
const SLACK: Duration = Duration::from_secs(5);

/// Whom steps speak to, and how patiently.
#[derive(Clone)]
pub struct Stepping {
    pub targets: Arc<dyn Steps>,
    pub patience: Patience,
}

pub(crate) struct StepRunner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) work: Root,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mint: Mint,
    pub(crate) stepping: Stepping,
    pub(crate) observer: Observer,
}

/// Steps under way in this process, and how many of each target.
#[derive(Default)]
struct Busy {
    steps: BTreeMap<StepRef, String>,
}

/// What a look at a shard found.
#[derive(Default)]
struct Look {
    due: Vec<StepRow>,
    next: Option<Duration>,
}

impl StepRunner {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut rounds = Rounds::new(&*self.store, self.clock.clone(), POLL);
        let (mut under_way, mut busy, mut due) = (FuturesUnordered::new(), Busy::default(), None);
        loop {
            let shards = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(ended) = under_way.next(), if !under_way.is_empty() => {
                    busy.steps.remove(&ended);
                    continue;
                }
                shards = rounds.next(due) => shards,
            };
            due = None;
            for shard in shards {
                let look = match self.look(shard).await {
                    Ok(look) => look,
                    Err(error) => {
                        self.observer.store_away(&error);
                        continue;
                    }
                };
                due = [due, look.next].into_iter().flatten().min();
                for row in look.due {
                    let at = StepRef::of(&row);
                    if busy.steps.contains_key(&at) {
                        continue;
                    }
                    if !busy.has_room(&row) {
                        due = Some(due.unwrap_or(SOON).min(SOON));
                        continue;
                    }
                    busy.steps.insert(at.clone(), row.step.to_string());
                    under_way.push(self.attempt(at));
                }
            }
        }
        // They come to an end soon; if there is no time for that, they are tried again.
        while under_way.next().await.is_some() {}
    }

    async fn look(&self, shard: Shard) -> Result<Look, StoreError> {
        let index = rows::steps(shard);
        let scanned = self.store.scan(Scan::all(index.clone(), STEPS_PER_SCAN)).await?;
        let (mut refs, mut look) = (Vec::new(), Look::default());
        for entry in &scanned.entries {
            if entry.score > scanned.now.ms() {
                look.next = Some(until(StoreTime(entry.score), scanned.now));
                break;
            }
            match StepRef::parse(&entry.member) {
                Some(at) => refs.push(at),
                None => drop(self.store.commit(Txn::new(shard).index_remove(&index, &entry.member)).await?),
            }
        }
        if refs.is_empty() {
            return Ok(look);
        }
        let keys: Vec<_> = refs.iter().map(StepRef::row).collect();
        for ((at, key), row) in refs.iter().zip(&keys).zip(self.store.load(&keys).await?.rows) {
            match row {
                Some(row) => look.due.push(rows::from_row(key, &row)?),
                None => {
                    let txn = rows::remove_step(Txn::new(shard).expect(key, None), at);
                    drop::<Commit>(self.store.commit(txn).await?);
                }
            }
        }
        Ok(look)
    }

    async fn attempt(&self, at: StepRef) -> StepRef {
        let trying = async {
            if let Err(error) = self.try_once(&at).await {
                self.observer.store_away(&error);
            }
        };
        trying.instrument(spans::job(&at.job)).await;
        at
    }

    async fn try_once(&self, at: &StepRef) -> Result<(), StoreError> {
        let Some((known, version, now)) = self.load(at).await? else { return Ok(()) };
        if known.due().is_none_or(|due| due > now) {
            return Ok(());
        }
        let time_max = self.stepping.targets.time_max(&known.step);
        let left_alone = now.after_ms(i64::try_from((time_max + SLACK).as_millis()).unwrap_or(i64::MAX));
        let claimed = known.claimed((now, left_alone), self.stepping.patience);
        let Some(version) = self.commit(&claimed, version, now).await? else { return Ok(()) };
        if claimed.due().is_none() {
            self.observer.stepped(&claimed, "dead");
            return Ok(());
        }
        // Looked at after the barrier: before it, the store may have died and forgotten that the job ended.
        self.store.barrier().await?;
        match self.load(at).await? {
            Some((_, kept, _)) if kept == version => {}
            Some(_) | None => return Ok(()),
        }
        let call = Call {
            step: &claimed.step,
            event: &claimed.event,
            body: &claimed.body,
            files: &claimed.files,
            files_done: claimed.files_done,
        };
        let answer = tokio::select! {
            answer = self.stepping.targets.run(&call) => answer,
            () = self.clock.sleep(time_max) => {
                let why = format!("nothing came of it within {} s", time_max.as_secs());
                Answer::Again { why, not_before_ms: None }
            }
        };
        self.note(&claimed, (version, answer)).await
    }

    /// Keeps what came of a try. Who took over meanwhile keeps what comes of theirs.
    async fn note(&self, claimed: &StepRow, (version, answer): (Version, Answer)) -> Result<(), StoreError> {
        let outcome = match &answer {
            Answer::Done => "done",
            Answer::More { .. } => "part",
            Answer::Again { .. } => "failed",
            Answer::NotYet { .. } => "early",
            Answer::Never { .. } => "dead",
        };
        let now = self.store.load(&[]).await?.now;
        let next = claimed.answered(answer, (now, self.draw()), self.stepping.patience);
        if matches!(next.state, StepState::Done { .. }) {
            let key = ObjectKey::step_done(&next.job, (next.generation, next.number));
            // A lost store that is built anew without it does the step once more, as anybody may.
            if let Err(fault) = self.work.object(&key).put(Bytes::from_static(b"{}")).await {
                self.observer.leftover(&next.job, &fault);
            }
        }
        if self.commit(&next, version, now).await?.is_some() {
            let is_dead = matches!(next.state, StepState::Dead { .. });
            self.observer.stepped(&next, if is_dead { "dead" } else { outcome });
        }
        Ok(())
    }

    /// `None`: somebody else was faster.
    async fn commit(&self, row: &StepRow, seen: Version, now: StoreTime) -> Result<Option<Version>, StoreError> {
        let at = StepRef::of(row);
        let txn = rows::put_step(Txn::new(at.shard()).expect(&at.row(), seen), row);
        let letter = matches!(row.state, StepState::Dead { .. }).then(|| letters::of_step(row, now));
        let txn = letter.iter().fold(txn, letters::put);
        let Commit::Committed(committed) = self.store.commit(txn).await? else { return Ok(None) };
        if let Some(letter) = letter {
            self.observer.buried(&letter.id, "step");
        }
        Ok(Some(committed.version))
    }

    async fn load(&self, at: &StepRef) -> Result<Option<(StepRow, Version, StoreTime)>, StoreError> {
        let loaded = self.store.load(&[at.row()]).await?;
        let Some(row) = loaded.rows.into_iter().next().flatten() else { return Ok(None) };
        Ok(Some((rows::from_row(&at.row(), &row)?, row.version, loaded.now)))
    }

    fn draw(&self) -> u32 {
        let nonce = (self.mint)();
        u32::from_str_radix(&nonce.as_str()[..8], 16).expect("a nonce is hexadecimal digits")
    }
}

impl Busy {
    fn has_room(&self, row: &StepRow) -> bool {
        let target = row.step.to_string();
        let same = self.steps.values().filter(|busy| **busy == target).count();
        self.steps.len() < AT_ONCE && same < AT_ONCE_EACH
    }
}
