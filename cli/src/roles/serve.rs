//! `framefleet serve`: coordinator, worker and API in one process, on a store of its own and without any server.
//!
//! All that must outlive the process lies in its state folder, which it has to itself: the store, work objects, scratch.
//! Hints are in memory and die with it; the next life takes over what the store says, and hints anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::url;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::memory::broker::MemoryBroker;
use framefleet_common::adapters::memory::journal::Journal;
use framefleet_common::adapters::sqlite::SqliteStore;
use framefleet_common::child::Media;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::Broker;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::store::Store;
use framefleet_common::process::drain::{Drain, Halt};
use framefleet_common::process::probes::{Check, Probes};
use framefleet_common::process::traces::Medium;
use framefleet_common::tending::Pulse;
use framefleet_coordinator::coordinator::{Coordinator, CoordinatorSettings};
use framefleet_coordinator::ops::http::ApiSettings;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use framefleet_model::task::SourceLimits;
use framefleet_worker::slots::{Worker, WorkerSettings};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tracing::info;

use crate::args::roles::ServeArgs;
use crate::config::ServeRole;
use crate::config::pipelines::Rules;
use crate::figures;
use crate::roles::{api, sandbox, shared, traces, worker};
use crate::{app, folders};

/// The folder of the state folder that is this command's, where none is named: others are jobs of `transcode`.
const OWN: &str = "serve";

/// What a configuration does not say.
pub struct Asked {
    state: PathBuf,
    events: Option<PathBuf>,
}

/// The parts of a fleet, all of which are here.
struct Crew {
    coordinator: Coordinator,
    worker: Arc<Worker>,
    rules: Arc<Rules>,
    api: ApiSettings,
    metrics: Registry,
}

/// Whether the worker has room to begin anything.
struct RoomCheck(Arc<Worker>);

/// Whether what must be kept can be.
struct StateCheck {
    store: Arc<dyn Store>,
    work: Root,
}

impl Asked {
    /// Where work objects lie, as a URL.
    pub fn work(&self) -> String {
        url::of_path(&self.state.join("work"))
    }
}

pub fn asked(args: &ServeArgs) -> Result<Asked, Fault> {
    let state = folders::state(args.state_dir.as_deref())?;
    let state = if args.state_dir.is_some() { state } else { state.join(OWN) };
    Ok(Asked { state, events: args.events.clone() })
}

pub async fn run((config, asked): (ServeRole, Asked), pulse: &Runtime) -> Result<(), Fault> {
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    let drain = Drain::new(clock.clone(), config.coordinator.grace);
    let metrics = Registry::new();
    // Before anything else: another may have it, and then nothing here is ours.
    let fleet = shared::timed(&fleet(&config, &asked, clock.clone())?, &metrics);
    figures::show(&metrics, None, drain.stop());
    let media: Arc<dyn Media> = Arc::new(app::media(sandbox::of_role(config.sandbox, &metrics)?).await?);
    let settings = coordinator(&config, (&asked.state, &metrics), &clock)?;
    let of = ("serve", config.coordinator.name.as_str());
    let (traces, way) = traces::start((config.traces.as_ref(), Medium::Within), of, (&clock, &metrics))?;
    let worker = worker_settings(&config, (&asked.state, &metrics), (&fleet, pulse));
    let crew = Crew {
        coordinator: Coordinator::new(fleet.clone(), media.clone(), settings).traced(traces.clone()),
        worker: Arc::new(Worker::new(fleet.clone(), media, worker).traced(traces)),
        rules: config.rules.clone(),
        api: config.api.clone(),
        metrics: metrics.clone(),
    };
    let state = StateCheck { store: fleet.store.clone(), work: fleet.work.clone() };
    let checks: Vec<Arc<dyn Check>> = vec![Arc::new(state), Arc::new(RoomCheck(crew.worker.clone()))];
    let probes = Probes { registry: metrics, checks, draining: drain.stop(), clock };
    let probes = probes.bind(config.coordinator.ops_listen).await?;
    let address = config.coordinator.listen;
    let refused = |e| Fault::new(FaultKind::Settings, format!("listen {address} cannot be listened on: {e}"));
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    info!(api = %address, ops = %probes.address(), state = %asked.state.display(), slots = ?config.worker.slots, "serve begins");
    let halt = drain.halt();
    shared::live(drain, probes, (crew.work(listener, halt), way)).await
}

impl Crew {
    async fn work(&self, listener: TcpListener, halt: Halt) -> Result<(), Fault> {
        self.worker.clear_scratch().await;
        self.coordinator.clear_scratch().await;
        // The folder is ours, so nobody is at work on what an earlier life left.
        self.coordinator.adopt().await?;
        let stop = halt.stop.clone();
        let served = api::serve((&self.coordinator, &self.rules), (&self.api, &self.metrics), (listener, &stop));
        let (served, (), ()) = tokio::join!(served, self.coordinator.run(stop.clone()), self.worker.run(halt));
        self.worker.leave().await;
        info!("serve has put down what it held and ends; the next goes on from there");
        served
    }
}

/// Takes the state folder for this process alone.
fn fleet(config: &ServeRole, asked: &Asked, clock: Arc<dyn Clock>) -> Result<Fleet, Fault> {
    let store = Arc::new(SqliteStore::open(&asked.state, clock.clone())?);
    let (storages, work) = shared::storages_of((&config.storage, &config.folders), &config.way_out, &asked.work())?;
    let broker: Arc<dyn Broker> = match &asked.events {
        None => Arc::new(MemoryBroker::default()),
        Some(path) => {
            let refused = |e| Fault::new(FaultKind::Settings, format!("events {}: {e}", path.display()));
            Arc::new(Journal::open(path).map_err(refused)?)
        }
    };
    Ok(Fleet { store, broker, clock, work, storages, mint: Arc::new(|| Nonce::from_bytes(rand::random())) })
}

fn coordinator(
    config: &ServeRole,
    (state, metrics): (&Path, &Registry),
    clock: &Arc<dyn Clock>,
) -> Result<CoordinatorSettings, Fault> {
    Ok(CoordinatorSettings {
        name: config.coordinator.name.clone(),
        merge_slots: config.coordinator.merge_slots,
        window_percent: config.coordinator.window_percent,
        classes: config.worker.classes(),
        scratch: state.join("scratch/coordinator"),
        beat: config.limits.beat,
        lease: config.limits.lease,
        keep_attempts: config.limits.keep_attempts,
        keep_jobs: config.limits.keep_jobs,
        triggers: config.triggers.clone(),
        pace: config.coordinator.pace,
        steps: shared::stepping_of(&config.targets, &config.way_out, clock)?,
        metrics: metrics.clone(),
    })
}

fn worker_settings(
    config: &ServeRole,
    (state, metrics): (&Path, &Registry),
    (fleet, pulse): (&Fleet, &Runtime),
) -> WorkerSettings {
    WorkerSettings {
        name: config.coordinator.name.clone(),
        slots: config.worker.slots.clone(),
        scratch: state.join("scratch/worker"),
        beat: config.limits.beat,
        lease: config.limits.lease,
        limits: SourceLimits::DEFAULT,
        capacity: worker::capacity((&config.worker, &state.join("scratch/worker"))),
        build: framefleet_media::doctor::build(),
        metrics: metrics.clone(),
        pulse: Some(Pulse {
            board: fleet.board(),
            clock: fleet.clock.clone(),
            runtime: pulse.handle().clone(),
            every: config.limits.beat,
        }),
    }
}

#[async_trait]
impl Check for RoomCheck {
    fn name(&self) -> &str {
        "scratch"
    }

    async fn check(&self) -> Result<String, String> {
        self.0.readiness().map(|()| String::new())
    }
}

#[async_trait]
impl Check for StateCheck {
    fn name(&self) -> &str {
        "state"
    }

    async fn check(&self) -> Result<String, String> {
        self.store.barrier().await.map_err(|e| e.to_string())?;
        self.work.probe(OWN).await.map(|()| String::new()).map_err(|fault| fault.message)
    }
}
