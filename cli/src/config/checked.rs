//! From what is written to what is meant, but for the servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::ports::broker::Class;
use framefleet_common::process::machine;
use framefleet_common::process::telemetry::{Format, Telemetry};
use framefleet_coordinator::bucket_sweep::Pace;
use framefleet_model::fault::Fault;
use framefleet_model::task::Sandbox;

use super::layers::Merged;
use super::pipelines::Rules;
use super::raw::{Raw, RawApi, RawBridge, RawCoordinator, RawLimits, RawSandbox, RawTelemetry, RawWorker};
use super::reading::{Reading, text};
use super::triggers::Places;
use super::{
    BridgeConfig, BridgeRole, Config, CoordinatorConfig, CoordinatorRole, LimitsConfig, ScratchBound, ServeRole,
    WorkerConfig, api, queues, servers, targets, traces, triggers,
};

const AUTO: &str = "auto";
/// What whoever starts one process for themselves may do with it: what they may do without it.
const EVERY_FILE: &str = "file:///";
const MERGE_SLOTS_MAX: u32 = 64;
const WINDOW_PERCENT: std::ops::RangeInclusive<u32> = 100..=400;
const SLOTS_MAX: u32 = 256;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The end of a grace belongs to handing back: none is shorter than that and a little.
const GRACE_MIN: Duration = Duration::from_secs(20);
/// A lease outlives two lost beats.
const BEATS_IN_A_LEASE: u32 = 3;

pub(super) fn config(merged: &Merged) -> Result<Config, Fault> {
    let reading = Reading { merged };
    let raw = merged.raw()?;
    let way_out = targets::way_out(&reading, &raw)?;
    let Raw { store, broker, work, storage, coordinator, api, worker, sandbox, telemetry, limits, .. } = raw;
    let (storage, folders) = servers::storage(&reading, &storage)?;
    let limits = limits_of(&reading, &limits)?;
    Ok(Config {
        store: servers::store(&reading, &store)?,
        broker: servers::broker(&reading, &broker)?,
        work: servers::work(&reading, &work, &storage)?,
        storage,
        folders,
        way_out,
        coordinator: coordinator_of(&reading, &coordinator, (&limits, &api))?,
        worker: worker_of(&reading, &worker)?,
        sandbox: sandbox_of(&reading, &sandbox)?,
        telemetry: telemetry_of(&reading, &telemetry)?,
        traces: traces::of(&reading, &telemetry)?,
        limits,
    })
}

pub(super) fn coordinator_role(merged: &Merged) -> Result<CoordinatorRole, Fault> {
    let config = config(merged)?;
    let raw = merged.raw()?;
    let reading = Reading { merged };
    let targets = targets::of(&reading, &raw)?;
    let names = targets.names();
    let places = Places { work: &config.work, storage: &config.storage, folders: &config.folders, names: &names };
    let (triggers, made) = triggers::of(&reading, (&raw.pipelines, &raw.triggers), places)?;
    let rules = Arc::new(Rules::of(merged, (&triggers, made), places));
    let api = api::api(&reading, &raw.api)?;
    Ok(CoordinatorRole { triggers: triggers.into(), rules, targets, api, config })
}

/// `work` is where the process keeps its work objects.
pub(super) fn serve_role(merged: &Merged, work: &str) -> Result<ServeRole, Fault> {
    let raw = merged.raw()?;
    let reading = Reading { merged };
    let (targets, way_out) = (targets::of(&reading, &raw)?, targets::way_out(&reading, &raw)?);
    let Raw { storage, pipelines, triggers, coordinator, api, worker, sandbox, telemetry, limits, .. } = raw;
    let (storage, mut folders) = servers::storage(&reading, &storage)?;
    let limits = limits_of(&reading, &limits)?;
    let coordinator = coordinator_of(&reading, &coordinator, (&limits, &api))?;
    if storage.is_empty() && folders.is_empty() {
        if !coordinator.listen.ip().is_loopback() {
            // Whoever asks from elsewhere is somebody else, whatever they may ask for.
            let why = "is not on loopback, and no [[storage]] says which files others may use";
            return Err(reading.refuse_key("coordinator.listen", why));
        }
        folders.push(EVERY_FILE.to_owned());
    }
    let names = targets.names();
    let places = Places { work, storage: &storage, folders: &folders, names: &names };
    let (triggers, made) = triggers::of(&reading, (&pipelines, &triggers), places)?;
    let rules = Arc::new(Rules::of(merged, (&triggers, made), places));
    Ok(ServeRole {
        way_out,
        triggers: triggers.into(),
        rules,
        targets,
        coordinator,
        api: api::api(&reading, &api)?,
        worker: worker_of(&reading, &worker)?,
        sandbox: sandbox_of(&reading, &sandbox)?,
        telemetry: telemetry_of(&reading, &telemetry)?,
        traces: traces::of(&reading, &telemetry)?,
        storage,
        folders,
        limits,
    })
}

pub(super) fn bridge_role(merged: &Merged) -> Result<BridgeRole, Fault> {
    let Raw { broker, bridge, telemetry, .. } = merged.raw()?;
    let reading = Reading { merged };
    if bridge.queues.is_empty() {
        return Err(reading.refuse_key("bridge.queues", "is not set: a bridge needs one [[bridge.queues]] at least"));
    }
    Ok(BridgeRole {
        broker: servers::broker(&reading, &broker)?,
        bridge: bridge_of(&reading, &bridge)?,
        telemetry: telemetry_of(&reading, &telemetry)?,
    })
}

fn bridge_of(reading: &Reading<'_>, raw: &RawBridge) -> Result<BridgeConfig, Fault> {
    Ok(BridgeConfig {
        ops_listen: reading.address(text("bridge.ops_listen", &raw.ops_listen))?,
        grace: reading.duration(text("bridge.grace", &raw.grace), GRACE_MIN..=DAY)?,
        name: name(reading, "bridge.name", &raw.name)?,
        queues: queues::queues(reading, &raw.queues)?,
    })
}

fn coordinator_of(
    reading: &Reading<'_>,
    raw: &RawCoordinator,
    (limits, api): (&LimitsConfig, &RawApi),
) -> Result<CoordinatorConfig, Fault> {
    let listen = text("coordinator.listen", &raw.listen);
    let address = reading.address(listen)?;
    if !address.ip().is_loopback() && api.tokens_file.is_empty() {
        let why = "is not on loopback, such as 127.0.0.1:8080: without api.tokens_file nobody is asked who they are";
        return Err(reading.refuse(listen, why));
    }
    let merge_slots = reading.number("coordinator.merge_slots", raw.merge_slots, 0..=MERGE_SLOTS_MAX)?;
    let window = reading.number("coordinator.window_percent", raw.window_percent, WINDOW_PERCENT)?;
    Ok(CoordinatorConfig {
        listen: address,
        ops_listen: reading.address(text("coordinator.ops_listen", &raw.ops_listen))?,
        merge_slots: usize::try_from(merge_slots).expect("a number of merges is small"),
        window_percent: usize::try_from(window).expect("a percentage is small"),
        scratch: reading.folder(text("coordinator.scratch", &raw.scratch))?,
        name: name(reading, "coordinator.name", &raw.name)?,
        pace: Pace {
            every: reading.duration(text("coordinator.sweep_every", &raw.sweep_every), SECOND..=DAY)?,
            // What a job is forgotten of must not be taken for new.
            overlap: reading.duration(
                text("coordinator.sweep_overlap", &raw.sweep_overlap),
                MINUTE..=limits.keep_jobs.saturating_sub(SECOND).max(MINUTE),
            )?,
        },
        grace: reading.duration(text("coordinator.grace", &raw.grace), GRACE_MIN..=DAY)?,
    })
}

fn worker_of(reading: &Reading<'_>, raw: &RawWorker) -> Result<WorkerConfig, Fault> {
    Ok(WorkerConfig {
        ops_listen: reading.address(text("worker.ops_listen", &raw.ops_listen))?,
        slots: slots(reading, &raw.slots)?,
        scratch: reading.folder(text("worker.scratch", &raw.scratch))?,
        scratch_bytes_max: match raw.scratch_bytes_max.as_str() {
            AUTO => ScratchBound::Free,
            bytes => ScratchBound::Bytes(reading.bytes(text("worker.scratch_bytes_max", bytes))?),
        },
        memory_bytes_max: match raw.memory_bytes_max.as_str() {
            AUTO => machine::memory_bytes(),
            bytes => reading.bytes(text("worker.memory_bytes_max", bytes))?,
        },
        grace: reading.duration(text("worker.grace", &raw.grace), GRACE_MIN..=DAY)?,
        name: name(reading, "worker.name", &raw.name)?,
    })
}

fn slots(reading: &Reading<'_>, raw: &BTreeMap<String, String>) -> Result<Vec<(Class, usize)>, Fault> {
    let mut slots = Vec::new();
    for (class, count) in raw {
        let key = format!("worker.slots.{class}");
        let class = Class::new(class).map_err(|e| reading.refuse_key(&key, e))?;
        let count = match (count.as_str(), count.parse()) {
            (AUTO, _) => machine::cores().get(),
            (_, Ok(number)) => {
                let count = reading.number(&key, number, 0..=SLOTS_MAX)?;
                usize::try_from(count).expect("a number of slots is small")
            }
            (_, Err(_)) => return Err(reading.refuse(text(&key, count), "is neither a whole number nor auto")),
        };
        slots.extend((count > 0).then_some((class, count)));
    }
    if slots.is_empty() {
        let last = raw.keys().next_back().map(|class| format!("worker.slots.{class}")).unwrap_or_default();
        return Err(reading.refuse_key(&last, "leaves no class with a slot, one at least is needed"));
    }
    Ok(slots)
}

/// What is set, else the host's name with anything unusual in it made a dash.
fn name(reading: &Reading<'_>, key: &str, set: &str) -> Result<String, Fault> {
    if !set.is_empty() {
        return reading.word(text(key, set));
    }
    let host: String = machine::host_name().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    reading.word(text(key, &host))
}

fn sandbox_of(reading: &Reading<'_>, raw: &RawSandbox) -> Result<Sandbox, Fault> {
    reading.one_of(text("sandbox.mode", &raw.mode), Sandbox::NAMED)
}

fn telemetry_of(reading: &Reading<'_>, raw: &RawTelemetry) -> Result<Telemetry, Fault> {
    let known = [("text", Format::Text), ("json", Format::Json)];
    let format = reading.one_of(text("telemetry.format", &raw.format), known)?;
    let telemetry = Telemetry { format, filter: Some(raw.filter.clone()) };
    telemetry.check().map_err(|e| reading.refuse_key("telemetry.filter", e))?;
    Ok(telemetry)
}

fn limits_of(reading: &Reading<'_>, raw: &RawLimits) -> Result<LimitsConfig, Fault> {
    let lease = reading.duration(text("limits.lease", &raw.lease), 5 * SECOND..=HOUR / 6)?;
    Ok(LimitsConfig {
        keep_attempts: reading.duration(text("limits.keep_attempts", &raw.keep_attempts), SECOND..=365 * DAY)?,
        keep_jobs: reading.duration(text("limits.keep_jobs", &raw.keep_jobs), SECOND..=3650 * DAY)?,
        lease,
        beat: reading.duration(text("limits.beat", &raw.beat), SECOND / 2..=lease / BEATS_IN_A_LEASE)?,
    })
}
