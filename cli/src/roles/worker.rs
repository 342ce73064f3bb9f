//! `framefleet worker`: does tasks in media children, as many at once as it has slots.
//!
//! Heartbeats have a thread, a runtime and a connection of their own: nothing that a slot does can hold them up.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::board::Board;
use framefleet_common::child::Media;
use framefleet_common::ports::broker::Class;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::drain::{Drain, Halt};
use framefleet_common::process::probes::{Check, Probes};
use framefleet_common::process::traces::Traces;
use framefleet_common::tending::Pulse;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::task::{Need, SourceLimits};
use framefleet_worker::slots::{Worker, WorkerSettings};
use prometheus::Registry;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tracing::info;

use crate::app;
use crate::config::{Config, ScratchBound, WorkerConfig};
use crate::figures;
use crate::roles::sandbox;
use crate::roles::shared::{self, BrokerCheck, Connecting, StoreCheck, WorkCheck};
use crate::roles::traces;

const MIB: u64 = 1 << 20;

/// Whether the worker has room to begin anything.
struct RoomCheck(watch::Receiver<Option<Arc<Worker>>>);

#[async_trait]
impl Check for RoomCheck {
    fn name(&self) -> &str {
        "scratch"
    }

    async fn check(&self) -> Result<String, String> {
        let worker = self.0.borrow().clone();
        let Some(worker) = worker else { return Err("not begun yet".to_owned()) };
        worker.readiness().map(|()| String::new())
    }
}

pub async fn run(config: Config, pulse: &Runtime) -> Result<(), Fault> {
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    let drain = Drain::new(clock.clone(), config.worker.grace);
    let metrics = Registry::new();
    let (connecting, ready) = shared::connecting();
    let watched = ready.clone();
    let (begun, is_begun) = watch::channel(None);
    let checks: Vec<Arc<dyn Check>> = vec![
        Arc::new(StoreCheck::new(ready.clone(), &metrics)),
        Arc::new(BrokerCheck(ready.clone())),
        Arc::new(WorkCheck::new(ready, clock.clone(), &config.worker.name)),
        Arc::new(RoomCheck(is_begun)),
    ];
    figures::show(&metrics, Some(Box::new(move || watched.broker())), drain.stop());
    let probes = Probes { registry: metrics.clone(), checks, draining: drain.stop(), clock: clock.clone() };
    let probes = probes.bind(config.worker.ops_listen).await?;
    info!(ops = %probes.address(), name = config.worker.name, slots = ?config.worker.slots, "worker begins");
    let of = ("worker", config.worker.name.as_str());
    let to = (config.traces.as_ref(), traces::by_broker(&config.broker));
    let (traces, way) = traces::start(to, of, (&clock, &metrics))?;
    let work = serve(&config, (connecting, clock, metrics), (pulse, begun, drain.halt()), traces);
    shared::live(drain, probes, (work, way)).await
}

async fn serve(
    config: &Config,
    (connecting, clock, metrics): (Connecting, Arc<dyn Clock>, Registry),
    (pulse, begun, halt): (&Runtime, watch::Sender<Option<Arc<Worker>>>, Halt),
    traces: Traces,
) -> Result<(), Fault> {
    let media: Arc<dyn Media> = Arc::new(app::media(sandbox::of_role(config.sandbox, &metrics)?).await?);
    let classes: Vec<Class> = config.worker.slots.iter().map(|(class, _)| class.clone()).collect();
    let connected = connecting.connect(config, (clock.clone(), classes), &halt.stop).await?;
    let Some(services) = connected else { return Ok(()) };
    let opened = {
        let (config, clock) = (config.clone(), clock.clone());
        pulse.spawn(async move { shared::another_store(&config, clock).await }).await
    };
    let store = opened.map_err(|e| Fault::new(FaultKind::Internal, format!("the heartbeat's connection: {e}")))??;
    let settings = WorkerSettings {
        name: config.worker.name.clone(),
        slots: config.worker.slots.clone(),
        scratch: config.worker.scratch.clone(),
        beat: config.limits.beat,
        lease: config.limits.lease,
        limits: SourceLimits::DEFAULT,
        capacity: capacity((&config.worker, &config.worker.scratch)),
        build: framefleet_media::doctor::build(),
        metrics: metrics.clone(),
        pulse: Some(Pulse {
            board: Board::new(Arc::new(store)),
            clock,
            runtime: pulse.handle().clone(),
            every: config.limits.beat,
        }),
    };
    let worker = Arc::new(Worker::new(shared::timed(&services.fleet, &metrics), media, settings).traced(traces));
    worker.clear_scratch().await;
    begun.send_replace(Some(worker.clone()));
    worker.run(halt).await;
    worker.leave().await;
    info!("worker has handed back what it held and ends");
    Ok(())
}

/// What all tasks of a worker may use together, its scratch being in this folder.
pub fn capacity((config, scratch): (&WorkerConfig, &Path)) -> Need {
    let mib = |bytes: u64| u32::try_from(bytes / MIB).unwrap_or(u32::MAX);
    let scratch_mib = match config.scratch_bytes_max {
        ScratchBound::Free => framefleet_worker::slots::scratch_mib(scratch),
        ScratchBound::Bytes(bytes) => mib(bytes),
    };
    Need { memory_mib: mib(config.memory_bytes_max), scratch_mib }
}
