//! `framefleet coordinator`: takes jobs over HTTP, plans them, watches over their tasks, joins and publishes.

use std::sync::Arc;

use framefleet_common::adapters::clock::HostClock;
use framefleet_common::child::Media;
use framefleet_common::ports::broker::Class;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::drain::Drain;
use framefleet_common::process::probes::{Check, Probes};
use framefleet_common::process::traces::Traces;
use framefleet_coordinator::coordinator::{Coordinator, CoordinatorSettings};
use framefleet_coordinator::recover::{self, Recovered};
use framefleet_model::fault::{Fault, FaultKind};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::app;
use crate::config::{Config, CoordinatorRole};
use crate::figures;
use crate::render;
use crate::roles::api;
use crate::roles::sandbox;
use crate::roles::shared::{self, Connecting, StoreCheck, WorkCheck};
use crate::roles::traces;

pub async fn run(role: CoordinatorRole) -> Result<(), Fault> {
    let config = &role.config;
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    let drain = Drain::new(clock.clone(), config.coordinator.grace);
    let metrics = Registry::new();
    let (connecting, ready) = shared::connecting();
    let watched = ready.clone();
    // A lost broker stops no coordinator: hints are given again, and the store has the truth.
    let work = WorkCheck::new(ready.clone(), clock.clone(), &config.coordinator.name);
    let checks: Vec<Arc<dyn Check>> = vec![Arc::new(StoreCheck::new(ready, &metrics)), Arc::new(work)];
    figures::show(&metrics, Some(Box::new(move || watched.broker())), drain.stop());
    let probes = Probes { registry: metrics.clone(), checks, draining: drain.stop(), clock: clock.clone() };
    let probes = probes.bind(config.coordinator.ops_listen).await?;
    let address = config.coordinator.listen;
    let refused = |e| Fault::new(FaultKind::Settings, format!("listen {address} cannot be listened on: {e}"));
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    info!(api = %address, ops = %probes.address(), name = config.coordinator.name, "coordinator begins");
    let of = ("coordinator", config.coordinator.name.as_str());
    let to = (config.traces.as_ref(), traces::by_broker(&config.broker));
    let (traces, way) = traces::start(to, of, (&clock, &metrics))?;
    let work = serve(&role, (connecting, clock, metrics), (listener, drain.stop(), traces));
    shared::live(drain, probes, (work, way)).await
}

async fn serve(
    role: &CoordinatorRole,
    (connecting, clock, metrics): (Connecting, Arc<dyn Clock>, Registry),
    (listener, stop, traces): (TcpListener, CancellationToken, Traces),
) -> Result<(), Fault> {
    let CoordinatorRole { config, triggers, rules, targets, api } = role;
    let media: Arc<dyn Media> = Arc::new(app::media(sandbox::of_role(config.sandbox, &metrics)?).await?);
    let classes: Vec<Class> = config.classes();
    let connected = connecting.connect(config, (clock.clone(), classes.clone()), &stop).await?;
    let Some(services) = connected else { return Ok(()) };
    let settings = CoordinatorSettings {
        name: config.coordinator.name.clone(),
        merge_slots: config.coordinator.merge_slots,
        window_percent: config.coordinator.window_percent,
        classes,
        scratch: config.coordinator.scratch.clone(),
        beat: config.limits.beat,
        lease: config.limits.lease,
        keep_attempts: config.limits.keep_attempts,
        keep_jobs: config.limits.keep_jobs,
        triggers: triggers.clone(),
        pace: config.coordinator.pace,
        steps: shared::stepping_of(targets, &config.way_out, &clock)?,
        metrics: metrics.clone(),
    };
    let coordinator = Coordinator::new(shared::timed(&services.fleet, &metrics), media, settings).traced(traces);
    coordinator.clear_scratch().await;
    let served = api::serve((&coordinator, rules), (api, &metrics), (listener, &stop));
    let (served, ()) = tokio::join!(served, coordinator.run(stop.clone()));
    drop(coordinator);
    served
}

/// `framefleet recover`: rebuilds a lost store. A fleet may be at work beside it.
pub async fn recover(config: Config) -> Result<(), Fault> {
    let fleet = shared::without_broker(&config, Arc::new(HostClock::start())).await?;
    let found = recover::recover(&fleet).await?;
    let Recovered { resumed, ended, known, settled, unreadable } = found;
    render::write(&format!(
        "{resumed} jobs go on, with {settled} results that need not be made again; {ended} had ended, {known} were known, \
         {unreadable} cannot be read\n"
    ))
}
