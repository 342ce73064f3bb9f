//! docs/METRICS.md is made of the figures that the roles register: `UPDATE=1` writes it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use framefleet_bridge::bridge::{Bridge, QueueSettings, Signature};
use framefleet_cli::figures;
use framefleet_cli::roles::{sandbox, shared};
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::storages::{Credentials, Storages};
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::memory::broker::MemoryBroker;
use framefleet_common::adapters::memory::steps::MemorySteps;
use framefleet_common::adapters::memory::store::MemoryStore;
use framefleet_common::child::{Attempt, Media};
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::{BrokerError, Class, Ingest, Notice};
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::traces::Figures;
use framefleet_coordinator::coordinator::{Coordinator, CoordinatorSettings};
use framefleet_coordinator::flow::dispatching::WINDOW_PERCENT;
use framefleet_coordinator::ops::http::ApiObserver;
use framefleet_coordinator::steps::run::Stepping;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use framefleet_model::step::life::Patience;
use framefleet_model::task::{Need, Outcome, SourceLimits, Work};
use framefleet_worker::slots::{Worker, WorkerSettings};
use prometheus::Registry;
use prometheus::proto::{MetricFamily, MetricType};

const HEAD: &str = "\
# Figures

What each process shows at `/metrics` of its `ops_listen`, for Prometheus. Every figure is there, at zero, once the process is \
connected, so that a rate over the first event is right. Durations are in seconds, sizes in bytes, counters end in `_total`.

Those of scope *fleet* are read from the store and are the same at every coordinator: take `max` over them, never `sum`. \
Those of scope *process* are of one process: `sum` them. `deploy/check/rules.py` holds alerts and dashboards to this.

A label with more values than stand here takes those of the configuration (classes, queues), of API.md \
(codes of faults) or of jobs (tenants, the first hundred, then `others`).

This page is made of the code (`UPDATE=1 cargo test -p framefleet --test metrics` writes it).

| figure | kind | scope | shown by | labels | what it is |
|---|---|---|---|---|---|
";
const VALUES_SHOWN: usize = 12;
const ENOUGH: Duration = Duration::from_secs(1);

struct Nothing;

#[async_trait]
impl Media for Nothing {
    async fn run(&self, _: Work, _: Attempt<'_>) -> Result<Outcome, Fault> {
        Err(Fault::new(FaultKind::Internal, "nothing is done here"))
    }
}

#[async_trait]
impl Ingest for Nothing {
    async fn publish_notice(&self, _: &Notice) -> Result<(), BrokerError> {
        Err(BrokerError::Unavailable("nothing is done here".to_owned()))
    }

    fn readiness(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What a role registers, as its command does.
fn registered(role: &str, folder: &Path) -> Registry {
    let registry = Registry::new();
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    if role == "bridge" {
        let keys = Credentials { key_id: "a".to_owned(), secret: "b".to_owned(), token: None };
        let queue = QueueSettings {
            name: "films".to_owned(),
            endpoint: "https://1.mns.cn-hangzhou.aliyuncs.com".to_owned(),
            signature: Signature::V2,
            credentials: Some(keys),
            wait: ENOUGH,
        };
        drop(Bridge::new(&[queue], Arc::new(Nothing), (clock, &registry)).unwrap());
        return registry;
    }
    let fleet = Fleet {
        store: Arc::new(MemoryStore::new(clock.clone())),
        broker: Arc::new(MemoryBroker::default()),
        clock,
        work: Root::folder(folder),
        storages: Storages::new(Vec::new()).unwrap(),
        mint: Arc::new(|| Nonce::from_bytes([0; 16])),
    };
    let fleet = shared::timed(&fleet, &registry);
    drop(Figures::new(&registry));
    let (_, ready) = shared::connecting();
    shared::StoreCheck::new(ready, &registry);
    figures::show(&registry, Some(Box::new(|| None)), Default::default());
    sandbox::show(&registry, None);
    let classes = vec![Class::light(), Class::standard(), Class::long()];
    if role == "coordinator" {
        let settings = CoordinatorSettings {
            name: role.to_owned(),
            merge_slots: 1,
            window_percent: WINDOW_PERCENT,
            classes,
            scratch: folder.to_owned(),
            beat: ENOUGH,
            lease: ENOUGH,
            keep_attempts: ENOUGH,
            keep_jobs: ENOUGH,
            triggers: Arc::new([]),
            pace: Default::default(),
            steps: Stepping { targets: Arc::new(MemorySteps::default()), patience: Patience::USUAL },
            metrics: registry.clone(),
        };
        drop(Coordinator::new(fleet, Arc::new(Nothing), settings));
        drop(ApiObserver::new(&registry));
        return registry;
    }
    let settings = WorkerSettings {
        name: role.to_owned(),
        slots: classes.into_iter().map(|class| (class, 1)).collect(),
        scratch: folder.to_owned(),
        beat: ENOUGH,
        lease: ENOUGH,
        limits: SourceLimits::DEFAULT,
        capacity: Need::default(),
        build: "test".to_owned(),
        metrics: registry.clone(),
        pulse: None,
    };
    drop(Worker::new(fleet, Arc::new(Nothing), settings));
    registry
}

fn kind(family: &MetricFamily) -> &'static str {
    match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        other => panic!("{other:?} is no kind of ours"),
    }
}

fn labels(family: &MetricFamily) -> String {
    let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let labels = family.get_metric().iter().flat_map(|metric| metric.get_label());
    for label in labels {
        values.entry(label.name()).or_default().insert(label.value());
    }
    let shown = values.iter().map(|(name, values)| match *name {
        "class" | "queue" | "tenant" | "version" | "gstreamer" => format!("`{name}`"),
        _ if values.len() > VALUES_SHOWN => format!("`{name}`"),
        _ => format!("`{name}`: {}", values.iter().copied().collect::<Vec<_>>().join(", ")),
    });
    shown.collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn the_page_shows_what_is_registered() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows: BTreeMap<String, (MetricFamily, Vec<&str>)> = BTreeMap::new();
    for role in ["coordinator", "worker", "bridge"] {
        for family in registered(role, folder.path()).gather() {
            rows.entry(family.name().to_owned()).or_insert_with(|| (family, Vec::new())).1.push(role);
        }
    }
    let mut page = HEAD.to_owned();
    for (name, (family, roles)) in &rows {
        assert!(name.starts_with("framefleet_"), "{name}");
        assert_eq!(kind(family) == "counter", name.ends_with("_total"), "{name}");
        let help = family.help();
        let (what, scope) = help.strip_suffix("; scope: fleet.").map_or((help, "process"), |what| (what, "fleet"));
        let what = what.trim_end_matches('.');
        let row = [&format!("`{name}`"), kind(family), scope, &roles.join(", "), &labels(family), what].join(" | ");
        page.push_str(&format!("| {row} |\n"));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/METRICS.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), page, "UPDATE=1 renews it");
}
