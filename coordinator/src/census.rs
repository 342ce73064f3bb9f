//! The census: what of the fleet is to be seen in the store, counted every few seconds for whoever watches or scales it.
//! Every coordinator counts the same, so its figures are of scope fleet: of several coordinators the greatest is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows;
use framefleet_common::ports::store::{Entry, Peek, RowKey, Scan, Shard, Store, StoreError};
use framefleet_common::process::machine::free_mib;
use framefleet_common::process::metrics::{self, Gauges};
use framefleet_common::roster::{Phase, Roster, Seen};
use framefleet_model::id::JobId;
use framefleet_model::job::Job;
use framefleet_model::time::StoreTime;
use prometheus::{IntGauge, Registry};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::observe::Observer;
use crate::rounds::Rounds;

const EVERY: Duration = Duration::from_secs(15);
/// A change that nobody was told of is seen after this.
const ALL_EVERY: Duration = Duration::from_secs(60);
/// What is beyond a page is not counted: a figure that large says enough.
const PAGE: usize = 1024;
const JOBS_PER_LOAD: usize = 128;
const OPEN: [&str; 5] = ["accepted", "indexing", "encoding", "merging", "publishing"];
const WORKERS: [&str; 3] = ["working", "draining", "silent"];

pub(crate) struct Census {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Observer,
    pub(crate) figures: Figures,
    /// Where merges put their files: the process's own, and counted with the rest.
    pub(crate) scratch: PathBuf,
}

/// What is counted.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    open_jobs: Gauges,
    oldest_open_job: IntGauge,
    outbox_messages: IntGauge,
    outbox_oldest: IntGauge,
    letters: IntGauge,
    parked: IntGauge,
    merge_scratch: IntGauge,
    slots: Gauges,
    slots_busy: Gauges,
    workers: Gauges,
}

/// What was last seen in a shard, in moments rather than ages: only shards that changed are looked at again.
#[derive(Clone, Default)]
struct Look {
    open: BTreeMap<&'static str, i64>,
    oldest_job: Option<StoreTime>,
    messages: usize,
    oldest_message: Option<StoreTime>,
    letters: usize,
}

/// Of what lies in the outbox, when it happened.
#[derive(Deserialize)]
struct Told {
    body: String,
}

#[derive(Deserialize)]
struct Happened {
    time: chrono::DateTime<chrono::Utc>,
}

impl Figures {
    pub(crate) fn new(registry: &Registry, classes: &[&str]) -> Self {
        let gauge = |name: &str, sentence: &str| metrics::gauge(registry, (name, sentence));
        let by_class = |name: &str, sentence: &str| Gauges::new(registry, (name, sentence), ("class", classes));
        Self {
            open_jobs: Gauges::new(
                registry,
                ("framefleet_open_jobs", "Jobs that have not ended, by state; scope: fleet."),
                ("state", &OPEN),
            ),
            oldest_open_job: gauge(
                "framefleet_oldest_open_job_seconds",
                "How long the oldest job that has not ended has been there; scope: fleet.",
            ),
            outbox_messages: gauge(
                "framefleet_outbox_messages",
                "Events that no broker has confirmed yet; scope: fleet.",
            ),
            outbox_oldest: gauge(
                "framefleet_outbox_oldest_seconds",
                "How long the oldest of them waits; scope: fleet.",
            ),
            letters: gauge("framefleet_letters", "Dead letters that are kept; scope: fleet."),
            parked: gauge("framefleet_parked_uploads", "Uploads that wait for their storage; scope: fleet."),
            merge_scratch: gauge(
                "framefleet_merge_scratch_free_bytes",
                "What the file system has free that a coordinator joins outputs on.",
            ),
            slots: by_class("framefleet_slots", "Slots of live workers that take tasks, by class; scope: fleet."),
            slots_busy: by_class(
                "framefleet_slots_busy",
                "Slots of live workers that are at work, by class; scope: fleet.",
            ),
            workers: Gauges::new(
                registry,
                ("framefleet_workers", "Workers that were heard within the hour, by state; scope: fleet."),
                ("state", &WORKERS),
            ),
        }
    }
}

impl Figures {
    /// In MiB; what does not say how much there is has none for anybody.
    fn room(&self, free: Option<u64>) {
        self.merge_scratch.set(free.map_or(0, |mib| i64::try_from(mib << 20).unwrap_or(i64::MAX)));
    }
}

impl Census {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut rounds = Rounds::new(&*self.store, self.clock.clone(), ALL_EVERY);
        let (mut looks, mut changed, mut told) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let mut due = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                shards = rounds.next(None) => {
                    changed.extend(shards);
                    continue;
                }
                () = self.clock.sleep(due.saturating_sub(self.clock.elapsed())) => {}
            }
            due = self.clock.elapsed() + EVERY;
            // Whatever the store says.
            self.figures.room(free_mib(&self.scratch));
            match self.round(&mut looks, &mut changed).await {
                Ok(unread) => {
                    // Each is said once, however often it is read.
                    let new = |error: &&StoreError| told.insert(error.to_string());
                    unread.iter().filter(new).for_each(|error| self.observer.unread_worker(error));
                    self.observer.rounded("census");
                }
                Err(error) => self.observer.store_away(&error),
            }
        }
    }

    /// Says which workers' rows cannot be read.
    async fn round(
        &self,
        looks: &mut BTreeMap<Shard, Look>,
        changed: &mut BTreeSet<Shard>,
    ) -> Result<Vec<StoreError>, StoreError> {
        while let Some(shard) = changed.first().copied() {
            looks.insert(shard, self.look(shard).await?);
            changed.remove(&shard);
        }
        // Of what belongs to no job no change is told.
        let general = Look { letters: self.letters(Shard::GLOBAL).await?, ..Look::default() };
        looks.insert(Shard::GLOBAL, general);
        let parked = self.store.scan(Scan::all(rows::all_parked(), PAGE)).await?;
        let workers = Roster::new(self.store.clone()).read().await?;
        self.figures.show(looks, (parked.entries.len(), parked.now), &workers.seen);
        Ok(workers.unread)
    }

    async fn look(&self, shard: Shard) -> Result<Look, StoreError> {
        let mut look = Look { letters: self.letters(shard).await?, ..Look::default() };
        self.jobs(shard, &mut look).await?;
        self.outbox(shard, &mut look).await?;
        Ok(look)
    }

    async fn letters(&self, shard: Shard) -> Result<usize, StoreError> {
        Ok(self.store.scan(Scan::all(rows::dead(shard), PAGE)).await?.entries.len())
    }

    /// Whoever has not ended has a turn.
    async fn jobs(&self, shard: Shard, look: &mut Look) -> Result<(), StoreError> {
        let scanned = self.store.scan(Scan::all(rows::turns(shard), PAGE)).await?;
        let ids = scanned.entries.iter().filter_map(|Entry { member, .. }| member.parse::<JobId>().ok());
        let keys: Vec<RowKey> = ids.map(|id| rows::job_row(&id)).collect();
        for keys in keys.chunks(JOBS_PER_LOAD) {
            for (key, row) in keys.iter().zip(self.store.load(keys).await?.rows) {
                let Some(row) = row else { continue };
                let job: Job = rows::from_row(key, &row)?;
                if job.state.has_ended() {
                    continue;
                }
                *look.open.entry(job.state.name()).or_default() += 1;
                look.oldest_job = [look.oldest_job, Some(job.created)].into_iter().flatten().min();
            }
        }
        Ok(())
    }

    async fn outbox(&self, shard: Shard, look: &mut Look) -> Result<(), StoreError> {
        let queue = rows::outbox(shard);
        let messages = self.store.peek(Peek { queue: queue.clone(), after: None, limit: PAGE }).await?;
        look.messages = messages.len();
        let Some(oldest) = messages.first() else { return Ok(()) };
        let Told { body } = rows::from_bytes(&queue.name, &oldest.bytes)?;
        let Happened { time } = rows::from_bytes(&queue.name, body.as_bytes())?;
        look.oldest_message = Some(StoreTime(time.timestamp_millis()));
        Ok(())
    }
}

impl Figures {
    fn show(&self, looks: &BTreeMap<Shard, Look>, (parked, now): (usize, StoreTime), workers: &[Seen]) {
        let age = |oldest: Option<StoreTime>| oldest.map_or(0, |at| now.ms_since(at).max(0) / 1000);
        for state in OPEN {
            self.open_jobs.set(state, looks.values().filter_map(|look| look.open.get(state)).sum());
        }
        self.oldest_open_job.set(age(looks.values().filter_map(|look| look.oldest_job).min()));
        self.outbox_messages.set(whole(looks.values().map(|look| look.messages).sum()));
        self.outbox_oldest.set(age(looks.values().filter_map(|look| look.oldest_message).min()));
        self.letters.set(whole(looks.values().map(|look| look.letters).sum()));
        self.parked.set(whole(parked));
        let state = |seen: &Seen| match seen.worker.phase {
            _ if !seen.is_live() => "silent",
            Phase::Working => "working",
            Phase::Draining => "draining",
        };
        for name in WORKERS {
            self.workers.set(name, whole(workers.iter().filter(|seen| state(seen) == name).count()));
        }
        let live = workers.iter().filter(|seen| seen.is_live());
        let (mut slots, mut busy) = (BTreeMap::<&str, i64>::new(), BTreeMap::<&str, i64>::new());
        for Seen { worker, .. } in live {
            let taking = worker.slots.iter().filter(|_| worker.phase == Phase::Working);
            taking.for_each(|(class, count)| *slots.entry(class).or_default() += i64::from(*count));
            worker.busy.iter().for_each(|(class, count)| *busy.entry(class).or_default() += i64::from(*count));
        }
        for (gauges, counted) in [(&self.slots, slots), (&self.slots_busy, busy)] {
            gauges.each(|class| counted.get(class).copied().unwrap_or_default());
        }
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
