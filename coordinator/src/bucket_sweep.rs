//! The bucket sweep: looks into every trigger's place for what appeared and has no job. An event that never came costs
//! minutes, not a film; a folder, of which no storage tells, is read by this alone.
//!
//! ```text
//! due ─▶ page of names ─▶ the trigger's, new ─▶ without a job ─▶ (a file: stood still) ─▶ arrivals ─▶ next page
//! ```
//! How far a sweep is lies in the trigger's row; whoever moves it on does so by compare-and-set, and every step may be
//! done twice. A page is left behind only once all of its sources have a job.

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::blob::Facts;
use framefleet_common::adapters::blob::listing::{Below, Listed, Listing};
use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows;
use framefleet_common::ports::store::RowKey;
use framefleet_common::process::traces::Traces;
use framefleet_model::event::{UploadKey, WallTime};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::plan::SourceFacts;
use framefleet_model::trigger::Trigger;
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::arrivals::{Arrival, Arrivals, Arrived, job_ids};
use crate::flow::sweeping::Watch;
use crate::inbox::{Asker, Inbox, Origin, Submitted};
use crate::observe::Observer;
use crate::rounds::until;

/// A round leaves off after so many pages; the next goes on from there.
const PAGES_PER_ROUND: usize = 64;
const ROWS_AT_ONCE: usize = 1000;
const LOOKS_AT_ONCE: usize = 16;
/// How long a file must have been left alone.
const STILL: Duration = Duration::from_secs(30);

pub struct BucketSweep {
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) storages: Storages,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Observer,
    pub(crate) pace: Pace,
}

/// An object that a trigger takes, as it was seen.
struct Source {
    key: UploadKey,
    facts: Facts,
}

/// How often triggers' places are swept, and how far each pass looks back beyond the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub every: Duration,
    pub overlap: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { every: Duration::from_secs(5 * 60), overlap: Duration::from_secs(24 * 3600) }
    }
}

/// What older objects without a job come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    pub objects: u64,
    pub bytes: u64,
    /// Of these so many became jobs.
    pub submitted: u64,
}

/// What is done about what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Counting,
    Submitting,
}

impl BucketSweep {
    /// For those who look by hand.
    pub fn new(fleet: &Fleet, (triggers, pace): (Arc<[Trigger]>, Pace), traces: Traces) -> Self {
        let Fleet { store, work, storages, clock, .. } = fleet.clone();
        let mut observer = Observer::new(&Registry::new(), &[]);
        observer.traces = traces;
        let inbox = Inbox { store, work, storages: storages.clone(), clock: clock.clone(), observer: observer.clone() };
        Self { arrivals: Arc::new(Arrivals { inbox, triggers }), storages, clock, observer, pace }
    }

    pub(crate) async fn run(&self, stop: CancellationToken) {
        let sweeps: FuturesUnordered<_> = self.arrivals.triggers.iter().map(|one| self.sweep(one, &stop)).collect();
        sweeps.collect::<Vec<()>>().await;
    }

    async fn sweep(&self, trigger: &Trigger, stop: &CancellationToken) {
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(wait) => {}
            }
            wait = match self.round(trigger, stop).await {
                Ok(next) => next,
                Err(fault) => {
                    self.observer.bucket_not_swept(&trigger.name, &fault);
                    self.pace.every
                }
            };
        }
    }

    /// Goes on with a trigger's pass if it is due; says how long until it is again.
    async fn round(&self, trigger: &Trigger, stop: &CancellationToken) -> Result<Duration, Fault> {
        let (watch, row) = self.arrivals.watch(trigger).await?;
        let now = self.arrivals.now().await?;
        let every_ms = millis(self.pace.every);
        let Some(watch) = watch.begin(now, every_ms) else {
            return Ok(watch.due(every_ms).map_or(Duration::ZERO, |due| until(due, now)));
        };
        let mut kept = (watch.clone(), self.arrivals.keep(trigger, (&watch, &row)).await?);
        self.observer.bucket_swept(&trigger.name, "round");
        for _ in 0..PAGES_PER_ROUND {
            // A conflict: somebody else goes on with it.
            let (watch, Some(row)) = kept else { break };
            let listing = match self.page(trigger, watch.cursor()).await {
                Ok(listing) => listing,
                Err(fault) => {
                    self.arrivals.keep(trigger, (&watch.stalled(), &row)).await?;
                    return Err(fault);
                }
            };
            let next = listing.next.clone();
            let is_new = |listed: &Listed| watch.is_new(listed.appeared, millis(self.pace.overlap));
            let sources = self.sources(trigger, (listing, &watch), is_new).await?;
            let Some(sources) = self.still(trigger, sources, stop).await? else { break };
            for source in &sources {
                self.submit(trigger, source).await?;
            }
            let watch = watch.turned(next);
            kept = (watch.clone(), self.arrivals.keep(trigger, (&watch, &row)).await?);
            if !watch.is_passing() {
                self.observer.bucket_swept(&trigger.name, "pass");
                break;
            }
        }
        Ok(self.pace.every)
    }

    /// Everything that appeared at or after a moment and has no job, whenever the trigger was first seen.
    pub async fn survey(&self, name: &str, (from, doing): (WallTime, Doing)) -> Result<Survey, Fault> {
        let trigger = self.arrivals.triggers.iter().find(|trigger| trigger.name == name);
        let known: Vec<&str> = self.arrivals.triggers.iter().map(|trigger| trigger.name.as_str()).collect();
        let trigger = trigger.ok_or_else(|| {
            Fault::new(FaultKind::Settings, format!("{name:?} is no trigger, those are: {}", known.join(", ")))
        })?;
        let (mut survey, mut cursor) = (Survey::default(), None::<String>);
        loop {
            let (watch, _) = self.arrivals.watch(trigger).await?;
            let listing = self.page(trigger, cursor.as_deref()).await?;
            cursor = listing.next.clone();
            let mut sources = self.sources(trigger, (listing, &watch), |listed| listed.appeared >= from).await?;
            if doing == Doing::Submitting {
                let going_on = CancellationToken::new();
                sources = self.still(trigger, sources, &going_on).await?.unwrap_or_default();
                for source in &sources {
                    survey.submitted += u64::from(self.submit(trigger, source).await?);
                }
            }
            survey.objects += sources.len() as u64;
            survey.bytes += sources.iter().map(|source| source.facts.size).sum::<u64>();
            if cursor.is_none() {
                return Ok(survey);
            }
        }
    }

    async fn page(&self, trigger: &Trigger, after: Option<&str>) -> Result<Listing, Fault> {
        let url = trigger.place.url();
        let listing = self.storages.list(Below { url: &url, prefix: &trigger.prefix }, after).await?;
        self.observer.sweep_saw("listed", listing.found.len());
        self.observer.sweep_saw("refused", listing.refused);
        Ok(listing)
    }

    /// Those of a page that the trigger takes, that are new, and that have no job.
    async fn sources(
        &self,
        trigger: &Trigger,
        (listing, watch): (Listing, &Watch),
        is_new: impl Fn(&Listed) -> bool,
    ) -> Result<Vec<Source>, Fault> {
        let takes = |one: &Listed| trigger.covers(&one.key) && one.size > 0 && is_new(one);
        let listed = listing.found.into_iter().filter(takes);
        let mut sources: Vec<Source> = futures::stream::iter(listed)
            .map(|one| self.source(trigger, one))
            .buffered(LOOKS_AT_ONCE)
            .try_filter_map(|source| async { Ok(source) })
            .try_collect()
            .await?;
        let rows = |source: &Source| {
            let Facts { size, version } = source.facts.clone();
            let source = SourceFacts { url: trigger.url(&source.key), size, version };
            job_ids(trigger, watch, &source).iter().map(rows::job_row).collect::<Vec<RowKey>>()
        };
        let keys: Vec<Vec<RowKey>> = sources.iter().map(rows).collect();
        let mut loaded = Vec::new();
        for some in keys.concat().chunks(ROWS_AT_ONCE) {
            loaded.extend(self.arrivals.inbox.store.load(some).await?.rows);
        }
        let mut loaded = loaded.into_iter();
        let known: Vec<bool> = keys.iter().map(|keys| loaded.by_ref().take(keys.len()).flatten().count() > 0).collect();
        let (before, mut known) = (sources.len(), known.into_iter());
        sources.retain(|_| known.next() == Some(false));
        self.observer.sweep_saw("known", before - sources.len());
        Ok(sources)
    }

    /// What the list does not tell, the object does. `None`: it is gone, or nothing that can be read.
    async fn source(&self, trigger: &Trigger, listed: Listed) -> Result<Option<Source>, Fault> {
        let Listed { key, size, version, .. } = listed;
        if let Some(version) = version {
            return Ok(Some(Source { key, facts: Facts { size, version } }));
        }
        match self.arrivals.stat(&trigger.url(&key)).await {
            Ok(stat) => Ok(Some(Source { key, facts: stat.facts })),
            Err(fault) if fault.kind == FaultKind::StorageAway => Err(fault),
            Err(_) => Ok(None),
        }
    }

    /// Those files whose size and time are the same after a while; objects are whole as soon as they are there. `None`:
    /// told to stop.
    async fn still(
        &self,
        trigger: &Trigger,
        sources: Vec<Source>,
        stop: &CancellationToken,
    ) -> Result<Option<Vec<Source>>, Fault> {
        if !trigger.place.is_folder() || sources.is_empty() {
            return Ok(Some(sources));
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            () = self.clock.sleep(STILL) => {}
        }
        let mut still = Vec::with_capacity(sources.len());
        for source in sources {
            match self.arrivals.stat(&trigger.url(&source.key)).await {
                Ok(stat) if stat.facts == source.facts => still.push(source),
                Ok(_) => self.observer.sweep_saw("unsettled", 1),
                Err(fault) if fault.kind == FaultKind::StorageAway => return Err(fault),
                // Gone, or nothing that can be read: the next pass sees what it is then.
                Err(_) => {}
            }
        }
        Ok(Some(still))
    }

    /// Whether a job began.
    async fn submit(&self, trigger: &Trigger, source: &Source) -> Result<bool, Fault> {
        let arrival = Arrival { trigger, key: &source.key, kind: None, origin: Origin::Sweep, asked: &Asker::Unsaid };
        match self.arrivals.arrive(arrival).await? {
            Arrived::Job(id, Submitted::New) => {
                self.observer.swept_up(&id, (&trigger.name, &trigger.url(&source.key)));
                Ok(true)
            }
            Arrived::Job(..) => {
                self.observer.sweep_saw("known", 1);
                Ok(false)
            }
            Arrived::Gone | Arrived::Unquiet { .. } => Ok(false),
            Arrived::Unfit(_) => {
                self.observer.sweep_saw("refused", 1);
                Ok(false)
            }
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
