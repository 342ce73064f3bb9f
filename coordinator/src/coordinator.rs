//! A coordinator: one engine, one outbox, one dispatcher, one sweeper, one census and some merge slots, side by side.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::child::Media;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::Class;
use framefleet_common::process::traces::Traces;
use framefleet_common::roster::Roster;
use framefleet_model::fault::Fault;
use framefleet_model::trigger::Trigger;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use prometheus::Registry;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::arrivals::Arrivals;
use crate::bucket_sweep::{BucketSweep, Pace};
use crate::census::{self, Census};
use crate::dispatcher::Dispatcher;
use crate::effects::Effects;
use crate::engine::Engine;
use crate::health::Health;
use crate::inbox::Inbox;
use crate::inspector::Inspector;
use crate::merge::MergeSlot;
use crate::observe::Observer;
use crate::ops::fleet::FleetOps;
use crate::outbox::Outbox;
use crate::preview::{PREVIEWS_MAX, Previews};
use crate::repair::Repair;
use crate::steps::run::{StepRunner, Stepping};
use crate::sweeper::Sweeper;
use crate::uploads::Uploads;

#[derive(Clone)]
pub struct CoordinatorSettings {
    /// How the board names it.
    pub name: String,
    pub merge_slots: usize,
    /// How many hints are on their way for a hundred live slots.
    pub window_percent: usize,
    /// Classes that are hinted; merges are not among them.
    pub classes: Vec<Class>,
    /// Where merges put their files before they are staged; best on the file system of the outputs.
    pub scratch: PathBuf,
    /// Between heartbeats.
    pub beat: Duration,
    /// How long an attempt is waited for after it was last heard.
    pub lease: Duration,
    /// How long what attempts made is kept after a job's end.
    pub keep_attempts: Duration,
    /// How long an ended job is remembered.
    pub keep_jobs: Duration,
    /// What makes a job of an upload.
    pub triggers: Arc<[Trigger]>,
    pub pace: Pace,
    /// Whom steps speak to, and how patiently.
    pub steps: Stepping,
    /// Where it counts what happens.
    pub metrics: Registry,
}

pub struct Coordinator {
    fleet: Fleet,
    media: Arc<dyn Media>,
    settings: CoordinatorSettings,
    health: Health,
    observer: Observer,
    /// Of all previews, whoever asks for them.
    preview_turns: Arc<Semaphore>,
    figures: census::Figures,
}

impl Coordinator {
    pub fn new(fleet: Fleet, media: Arc<dyn Media>, settings: CoordinatorSettings) -> Self {
        let classes: Vec<&str> = settings.classes.iter().map(Class::as_str).collect();
        let observer = Observer::new(&settings.metrics, &classes);
        let figures = census::Figures::new(&settings.metrics, &classes);
        drop(classes);
        let preview_turns = Arc::new(Semaphore::new(PREVIEWS_MAX));
        Self { fleet, media, settings, health: Health::new(observer.clone()), observer, figures, preview_turns }
    }

    /// The same, whose spans go there.
    pub fn traced(mut self, traces: Traces) -> Self {
        self.observer.traces = traces;
        self
    }

    /// What users ask of a fleet.
    pub fn ops(&self) -> FleetOps {
        FleetOps::new(self.effects(), (self.inbox(), self.uploads()), self.previews())
    }

    fn previews(&self) -> Previews {
        Previews {
            inbox: self.inbox(),
            media: self.media.clone(),
            clock: self.fleet.clock.clone(),
            mint: self.fleet.mint.clone(),
            scratch: self.settings.scratch.join("previews"),
            turns: self.preview_turns.clone(),
        }
    }

    fn bucket_sweep(&self) -> BucketSweep {
        BucketSweep {
            arrivals: self.arrivals(),
            storages: self.fleet.storages.clone(),
            clock: self.fleet.clock.clone(),
            observer: self.observer.clone(),
            pace: self.settings.pace,
        }
    }

    /// Gives every task back that somebody holds. Only where this process owns the store and has just begun: whoever
    /// held them is dead.
    pub async fn adopt(&self) -> Result<(), Fault> {
        Ok(self.sweeper().adopt().await?)
    }

    /// Removes what merges of an earlier life left in the scratch folder, which must be this coordinator's own.
    pub async fn clear_scratch(&self) {
        drop(tokio::fs::remove_dir_all(&self.settings.scratch).await);
    }

    /// Runs until it is told to stop; merges under way are handed back.
    pub async fn run(&self, stop: CancellationToken) {
        let (engine, outbox, sweeper) = (self.engine(), self.outbox(), self.sweeper());
        let (dispatcher, inspector) = (self.dispatcher(), self.inspector());
        let (uploads, bucket_sweep, steps) = (self.uploads(), self.bucket_sweep(), self.step_runner());
        let census = self.census();
        let slots: Vec<MergeSlot> = (0..self.settings.merge_slots).map(|number| self.merge_slot(number)).collect();
        let merges: FuturesUnordered<_> = slots.iter().map(|slot| slot.run(stop.clone())).collect();
        tokio::join!(
            engine.run(engine.rounds(), stop.clone()),
            outbox.run(stop.clone()),
            sweeper.run(stop.clone()),
            dispatcher.run(stop.clone()),
            inspector.run(stop.clone()),
            uploads.run(stop.clone()),
            bucket_sweep.run(stop.clone()),
            steps.run(stop.clone()),
            census.run(stop.clone()),
            merges.collect::<Vec<()>>(),
        );
    }

    fn inbox(&self) -> Inbox {
        let Fleet { store, work, storages, clock, .. } = self.fleet.clone();
        Inbox { store, work, storages, clock, observer: self.observer.clone() }
    }

    fn arrivals(&self) -> Arc<Arrivals> {
        Arc::new(Arrivals { inbox: self.inbox(), triggers: self.settings.triggers.clone() })
    }

    fn uploads(&self) -> Uploads {
        let Fleet { broker, clock, .. } = self.fleet.clone();
        Uploads { arrivals: self.arrivals(), broker, clock, observer: self.observer.clone() }
    }

    fn effects(&self) -> Effects {
        let Fleet { store, work, storages, clock, .. } = self.fleet.clone();
        Effects { store, work, storages, clock, health: self.health.clone() }
    }

    fn engine(&self) -> Engine {
        Engine {
            store: self.fleet.store.clone(),
            effects: self.effects(),
            observer: self.observer.clone(),
            keep_attempts_ms: millis(self.settings.keep_attempts),
        }
    }

    fn outbox(&self) -> Outbox {
        let Fleet { store, broker, clock, .. } = self.fleet.clone();
        Outbox { store, broker, clock, observer: self.observer.clone() }
    }

    fn sweeper(&self) -> Sweeper {
        let Fleet { store, clock, .. } = self.fleet.clone();
        Sweeper {
            repair: Repair { store: store.clone() },
            effects: self.effects(),
            store,
            board: self.fleet.board(),
            clock,
            observer: self.observer.clone(),
            keep_jobs_ms: millis(self.settings.keep_jobs),
        }
    }

    fn inspector(&self) -> Inspector {
        let Fleet { store, broker, clock, .. } = self.fleet.clone();
        Inspector { store, broker, clock, observer: self.observer.clone() }
    }

    fn census(&self) -> Census {
        let Fleet { store, clock, .. } = self.fleet.clone();
        let (observer, figures) = (self.observer.clone(), self.figures.clone());
        Census { store, clock, observer, figures, scratch: self.settings.scratch.clone() }
    }

    fn dispatcher(&self) -> Dispatcher {
        let Fleet { store, broker, clock, .. } = self.fleet.clone();
        Dispatcher {
            roster: Roster::new(store.clone()),
            store,
            broker,
            clock,
            board: self.fleet.board(),
            classes: self.settings.classes.clone(),
            window_percent: self.settings.window_percent,
            observer: self.observer.clone(),
        }
    }

    fn step_runner(&self) -> StepRunner {
        let Fleet { store, work, clock, mint, .. } = self.fleet.clone();
        let (stepping, observer) = (self.settings.steps.clone(), self.observer.clone());
        StepRunner { store, work, clock, mint, stepping, observer }
    }

    fn merge_slot(&self, number: usize) -> MergeSlot {
        MergeSlot {
            effects: self.effects(),
            board: self.fleet.board(),
            media: self.media.clone(),
            mint: self.fleet.mint.clone(),
            name: format!("{} merge {number}", self.settings.name),
            scratch: self.settings.scratch.clone(),
            beat: self.settings.beat,
            lease_ms: millis(self.settings.lease),
            observer: self.observer.clone(),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
