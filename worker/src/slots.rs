//! The slots of a worker: each consumes hints of one class and sees one attempt through at a time.
//!
//! ```text
//! running ──stop──▶ draining: nothing more is taken, what fits the grace goes on ──abandon──▶ handed back ──▶ ended
//! ```
//! A worker whose scratch runs full takes nothing more until there is room again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::child::Media;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::{BrokerError, Class};
use framefleet_common::process::drain::Halt;
use framefleet_common::process::machine;
use framefleet_common::process::traces::Traces;
use framefleet_common::roster::{Phase, Roster, WORKER_VERSION, WorkerRow};
use framefleet_common::tending::Pulse;
use framefleet_model::task::{Need, SourceLimits};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use prometheus::Registry;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, RwLock};

use crate::attempt::Bench;
use crate::brief::Briefing;
use crate::observe::Observer;
use crate::room::Room;
use crate::scratch;

/// Between two tries at a broker that does not answer.
const BROKER_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks for room.
const ROOM_PAUSE: Duration = Duration::from_secs(5);
const REPORT_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct WorkerSettings {
    /// How the board names it.
    pub name: String,
    /// How many slots of each class.
    pub slots: Vec<(Class, usize)>,
    /// Where attempts write their files; best on the file system of the work store.
    pub scratch: PathBuf,
    /// Between heartbeats.
    pub beat: Duration,
    /// How long an attempt is waited for after it was last heard.
    pub lease: Duration,
    pub limits: SourceLimits,
    /// What all attempts together may use.
    pub capacity: Need,
    /// Which framefleet, GStreamer and encoders it has.
    pub build: String,
    /// Where it counts what happens.
    pub metrics: Registry,
    /// Where heartbeats run, and over which store, if not here.
    pub pulse: Option<Pulse>,
}

pub struct Worker {
    fleet: Fleet,
    bench: Bench,
    slots: Vec<(Class, usize)>,
}

/// What a scratch folder's file system has free.
pub fn scratch_mib(folder: &Path) -> u32 {
    machine::free_mib(folder).map_or(u32::MAX, |free| u32::try_from(free).unwrap_or(u32::MAX))
}

impl Worker {
    /// Within a runtime: heartbeats run there unless the settings say where.
    pub fn new(fleet: Fleet, media: Arc<dyn Media>, settings: WorkerSettings) -> Self {
        let WorkerSettings { name, slots, scratch, beat, lease, limits, capacity, build, metrics, pulse } = settings;
        let here =
            || Pulse { board: fleet.board(), clock: fleet.clock.clone(), runtime: Handle::current(), every: beat };
        let mut classes: Vec<&str> = slots.iter().map(|(class, _)| class.as_str()).collect();
        classes.sort_unstable();
        classes.dedup();
        let observer = Observer::new(&metrics, &classes);
        let bench = Bench {
            name,
            build,
            board: fleet.board(),
            clock: fleet.clock.clone(),
            work: fleet.work.clone(),
            media,
            mint: fleet.mint.clone(),
            briefing: Briefing::new((fleet.work.clone(), fleet.storages.clone()), limits),
            pulse: pulse.unwrap_or_else(here),
            lease_ms: i64::try_from(lease.as_millis()).unwrap_or(i64::MAX),
            room: Room::new(capacity, &scratch),
            scratch,
            roster: Roster::new(fleet.store.clone()),
            seen: Mutex::default(),
            observer,
            company: RwLock::default(),
        };
        Self { fleet, bench, slots }
    }

    /// The same, whose spans go there.
    pub fn traced(mut self, traces: Traces) -> Self {
        self.bench.observer.traces = traces;
        self
    }

    /// Removes what attempts of an earlier life left in the scratch folder, which must be this worker's own.
    pub async fn clear_scratch(&self) {
        scratch::clear(&self.bench.scratch).await;
    }

    /// Whether it could begin a task; else what is wrong.
    pub fn readiness(&self) -> Result<(), String> {
        self.bench.room.check()
    }

    /// Runs until it is told to stop and has ended or handed back what it held.
    pub async fn run(&self, halt: Halt) {
        let classes = self.slots.iter().flat_map(|(class, count)| std::iter::repeat_n(class, *count));
        let slots: FuturesUnordered<_> = classes.map(|class| self.slot(class, &halt)).collect();
        let slots = async {
            slots.collect::<Vec<()>>().await;
        };
        tokio::select! {
            () = slots => {}
            () = self.report(&halt) => {}
        }
    }

    async fn slot(&self, class: &Class, halt: &Halt) {
        while !halt.stop.is_cancelled() {
            if let Err(error) = self.consume(class, halt).await {
                self.bench.observer.broker_away(class, &error);
                tokio::select! {
                    biased;
                    () = halt.stop.cancelled() => {}
                    () = self.fleet.clock.sleep(BROKER_PAUSE) => {}
                }
            }
        }
    }

    /// Ends well only when told to stop, or while there is no room.
    async fn consume(&self, class: &Class, halt: &Halt) -> Result<(), BrokerError> {
        if let Err(why) = self.bench.room.check() {
            self.bench.observer.no_room(&why);
            tokio::select! {
                () = self.fleet.clock.sleep(ROOM_PAUSE) => {}
                () = halt.stop.cancelled() => {}
            }
            return Ok(());
        }
        let mut hints = self.fleet.broker.consume(class).await?;
        loop {
            let delivery = tokio::select! {
                biased;
                () = halt.stop.cancelled() => return hints.close().await,
                delivery = hints.next() => delivery?,
            };
            self.bench.take(class, delivery, halt).await;
            if self.bench.room.check().is_err() {
                return hints.close().await;
            }
        }
    }

    /// Says every few seconds that it is there, for as long as it is, and says goodbye: ends only by being dropped.
    async fn report(&self, halt: &Halt) {
        let mut phase = None;
        loop {
            let now = if halt.stop.is_cancelled() || self.bench.room.check().is_err() {
                Phase::Draining
            } else {
                Phase::Working
            };
            if phase != Some(now) && halt.stop.is_cancelled() {
                self.bench.observer.draining();
            }
            phase = Some(now);
            self.bench.observer.room(self.bench.room.free_mib(), self.bench.room.reserved());
            if let Err(error) = self.bench.roster.report(&self.row(now)).await {
                self.bench.observer.store_away(&error);
            }
            tokio::select! {
                () = self.fleet.clock.sleep(REPORT_EVERY) => {}
                () = halt.stop.cancelled(), if now == Phase::Working => {}
                () = halt.abandon.cancelled() => break,
            }
        }
        self.bench.observer.abandoning();
        std::future::pending().await
    }

    /// It will not be heard again.
    pub async fn leave(&self) {
        if let Err(error) = self.bench.roster.remove(&self.bench.name).await {
            self.bench.observer.store_away(&error);
        }
    }

    fn row(&self, phase: Phase) -> WorkerRow {
        let mut slots = BTreeMap::new();
        for (class, count) in &self.slots {
            *slots.entry(class.to_string()).or_insert(0) += u32::try_from(*count).unwrap_or(u32::MAX);
        }
        WorkerRow {
            version: WORKER_VERSION,
            name: self.bench.name.clone(),
            build: self.bench.build.clone(),
            slots,
            busy: self.bench.observer.busy(),
            phase,
            capacity: self.bench.room.total(),
        }
    }
}
