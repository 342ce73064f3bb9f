//! The configuration of a role: read once, checked once, then values that need no second look.
//!
//! ```text
//! defaults < file < environment < flags ──▶ Merged ──▶ Raw ──▶ Config, or what a bridge needs of it
//!   keys          layers.rs                            raw.rs   checked.rs, servers.rs, queues.rs, targets.rs, triggers.rs
//! ```
//!
//! One file serves all roles of a machine. Unknown keys are refused wherever they stand; a refusal names the key, the
//! value, the bound and where the value came from, and ends the process with code 64.

mod api;
mod api_keys;
mod checked;
mod effective;
/// Every key with its default, unit and sentence.
pub mod keys;
mod layers;
/// docs/CONFIG.md.
pub mod manual;
/// Pipelines as they are shown, and rules that are looked at.
pub mod pipelines;
mod queues;
mod raw;
mod reading;
/// What must not be seen.
pub mod secret;
mod servers;
mod setup;
mod target_keys;
/// Those that steps speak to.
pub mod targets;
mod telemetry_keys;
/// Where traces go.
pub mod traces;
mod triggers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use self::traces::TracesConfig;
use framefleet_bridge::bridge::Signature;
use framefleet_common::adapters::blob::url;
use framefleet_common::ports::broker::Class;
use framefleet_common::process::telemetry::Telemetry;
use framefleet_coordinator::bucket_sweep::Pace;
use framefleet_coordinator::ops::http::ApiSettings;
use framefleet_model::event::Provider;
use framefleet_model::fault::Fault;
use framefleet_model::task::Sandbox;
use framefleet_model::trigger::Trigger;

use layers::Merged;
pub use layers::{Flag, Told};
use pipelines::Rules;
use secret::{Secret, ServerUrl};
pub use setup::{Coordinator, Fleet, Judged, Setup, load_setup};
use targets::{TargetsConfig, WayOut};

/// What a worker needs: store, broker, storages. It speaks to nobody else, so no secret of others is read for it.
#[derive(Clone, Debug)]
pub struct Config {
    pub store: StoreConfig,
    pub broker: BrokerConfig,
    /// The folder of work objects, `file:///…`, `s3://…` or `oss://…`; a bucket is one of the `storage`.
    pub work: String,
    pub storage: Vec<StorageConfig>,
    /// Folders, as `file:///…`, below which films may lie and outputs may go.
    pub folders: Vec<String>,
    pub way_out: WayOut,
    pub coordinator: CoordinatorConfig,
    pub worker: WorkerConfig,
    pub sandbox: Sandbox,
    pub telemetry: Telemetry,
    /// Where traces go, if anywhere.
    pub traces: Option<TracesConfig>,
    pub limits: LimitsConfig,
}

/// What a coordinator needs beside it.
#[derive(Clone, Debug)]
pub struct CoordinatorRole {
    pub config: Config,
    /// Those that may stand beside one another.
    pub triggers: Arc<[Trigger]>,
    /// The same as they are written, with their pipelines.
    pub rules: Arc<Rules>,
    pub targets: TargetsConfig,
    pub api: ApiSettings,
}

/// What one process with everything needs: its store, its broker and its work objects are its own.
#[derive(Clone, Debug)]
pub struct ServeRole {
    pub storage: Vec<StorageConfig>,
    /// All of this machine's where no storage is set up.
    pub folders: Vec<String>,
    pub way_out: WayOut,
    pub triggers: Arc<[Trigger]>,
    pub rules: Arc<Rules>,
    pub targets: TargetsConfig,
    pub coordinator: CoordinatorConfig,
    pub api: ApiSettings,
    pub worker: WorkerConfig,
    pub sandbox: Sandbox,
    pub telemetry: Telemetry,
    /// Where traces go, if anywhere.
    pub traces: Option<TracesConfig>,
    pub limits: LimitsConfig,
}

/// What a bridge needs: it knows no store and no storage.
#[derive(Clone, Debug)]
pub struct BridgeRole {
    pub broker: BrokerConfig,
    /// With one queue at least.
    pub bridge: BridgeConfig,
    pub telemetry: Telemetry,
}

#[derive(Clone, Debug)]
pub struct StoreConfig {
    pub server: StoreServer,
    pub prefix: String,
    pub replicas: u32,
    pub durability: Durability,
}

#[derive(Clone, Debug)]
pub enum StoreServer {
    Known(ServerUrl),
    /// Whichever the Sentinels call the primary now.
    Elected {
        /// At least one, each with the login that all ask for, if they do.
        sentinels: Vec<ServerUrl>,
        primary: String,
        /// User, password, database and TLS of the servers; its host is not used.
        url: ServerUrl,
    },
}

/// What a store must promise before a process is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Required,
    Waived,
}

#[derive(Clone, Debug)]
pub struct BrokerConfig {
    pub url: ServerUrl,
    pub prefix: String,
    pub topology: Topology,
}

/// What is done about exchanges and queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// They must be there.
    Expected,
    Declared,
}

/// How a bucket, or the part of it that begins with a prefix, is reached.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    pub provider: Provider,
    pub bucket: String,
    /// Without slashes at its ends; empty for the whole bucket.
    pub prefix: String,
    pub endpoint: Endpoint,
    pub region: String,
    pub credentials: Credentials,
    pub addressing: Addressing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The provider's own for the region.
    Provider,
    /// `https://…`
    Tls(String),
    /// `http://…`
    Plain(String),
}

#[derive(Clone, Debug)]
pub enum Credentials {
    /// Those that the environment, files or the machine's own role give.
    Machine,
    Key {
        id: String,
        secret: Secret,
    },
    Temporary {
        id: String,
        secret: Secret,
        token: Secret,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// `https://endpoint/bucket/key`
    Path,
    /// `https://endpoint/key`, where the endpoint's host begins with the bucket.
    Virtual,
}

#[derive(Clone, Debug)]
pub struct CoordinatorConfig {
    pub listen: SocketAddr,
    pub ops_listen: SocketAddr,
    pub merge_slots: usize,
    pub window_percent: usize,
    pub scratch: PathBuf,
    pub name: String,
    pub pace: Pace,
    pub grace: Duration,
}

#[derive(Clone, Debug)]
pub struct WorkerConfig {
    pub ops_listen: SocketAddr,
    /// Classes with at least one slot, at least one of them.
    pub slots: Vec<(Class, usize)>,
    pub scratch: PathBuf,
    pub scratch_bytes_max: ScratchBound,
    pub memory_bytes_max: u64,
    pub grace: Duration,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScratchBound {
    /// What the file system has free.
    Free,
    Bytes(u64),
}

#[derive(Clone, Debug)]
pub struct BridgeConfig {
    pub ops_listen: SocketAddr,
    pub grace: Duration,
    pub name: String,
    pub queues: Vec<QueueConfig>,
}

#[derive(Clone, Debug)]
pub struct QueueConfig {
    pub name: String,
    /// `https://…` or `http://…`, without a slash at its end.
    pub endpoint: String,
    pub signature: Signature,
    pub credentials: Credentials,
    pub wait: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    pub keep_attempts: Duration,
    pub keep_jobs: Duration,
    pub lease: Duration,
    pub beat: Duration,
}

/// What every role's configuration says of its log.
pub trait Logged {
    fn telemetry(&self) -> &Telemetry;
}

impl Logged for Config {
    fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }
}

impl Logged for CoordinatorRole {
    fn telemetry(&self) -> &Telemetry {
        &self.config.telemetry
    }
}

impl Logged for ServeRole {
    fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }
}

impl Logged for BridgeRole {
    fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }
}

impl Config {
    /// The classes that have a queue: those that the planner uses, and those that any slot here is for.
    pub fn classes(&self) -> Vec<Class> {
        self.worker.classes()
    }
}

impl WorkerConfig {
    /// Those that the planner uses, and those that its slots are for.
    pub fn classes(&self) -> Vec<Class> {
        let mut classes = vec![Class::light(), Class::standard(), Class::long()];
        classes.extend(self.slots.iter().map(|(class, _)| class.clone()));
        classes.sort_unstable();
        classes.dedup();
        classes
    }
}

impl StorageConfig {
    pub fn url(&self) -> String {
        url::of_key(self.provider, (&self.bucket, &self.prefix))
    }
}

/// What keys that leave it to the machine come to here.
struct Here<'a> {
    coordinator: &'a CoordinatorConfig,
    worker: &'a WorkerConfig,
}

impl Here<'_> {
    fn meaning(&self, path: &str, text: &str) -> Option<String> {
        let worker = self.worker;
        match (path, text) {
            ("coordinator.name", "") => Some(self.coordinator.name.clone()),
            ("worker.name", "") => Some(worker.name.clone()),
            ("worker.memory_bytes_max", "auto") => Some(worker.memory_bytes_max.to_string()),
            (path, "auto") => {
                let class = path.strip_prefix("worker.slots.")?;
                Some(worker.slots.iter().find(|(known, _)| known.to_string() == class)?.1.to_string())
            }
            _ => None,
        }
    }
}

/// A configuration, and all of it that may be shown, as TOML.
#[derive(Debug)]
pub struct Loaded<C> {
    pub config: C,
    pub effective: String,
}

/// For a worker, and whoever needs store, broker and storages alone.
pub fn load(told: &Told) -> Result<Loaded<Config>, Fault> {
    let merged = Merged::of(told)?;
    let config = checked::config(&merged)?;
    let here = Here { coordinator: &config.coordinator, worker: &config.worker };
    let effective = effective::text(&merged, &|path, text| here.meaning(path, text));
    Ok(Loaded { config, effective })
}

/// For a coordinator.
pub fn load_coordinator(told: &Told) -> Result<Loaded<CoordinatorRole>, Fault> {
    let merged = Merged::of(told)?;
    let config = checked::coordinator_role(&merged)?;
    let here = Here { coordinator: &config.config.coordinator, worker: &config.config.worker };
    let effective = effective::text(&merged, &|path, text| here.meaning(path, text));
    Ok(Loaded { config, effective })
}

/// For one process with everything, whose work objects lie at `work`.
pub fn load_serve(told: &Told, work: &str) -> Result<Loaded<ServeRole>, Fault> {
    let merged = Merged::of(told)?;
    let config = checked::serve_role(&merged, work)?;
    let here = Here { coordinator: &config.coordinator, worker: &config.worker };
    let effective = effective::text(&merged, &|path, text| here.meaning(path, text));
    Ok(Loaded { config, effective })
}

/// For a bridge: what it does not need is not asked for.
pub fn load_bridge(told: &Told) -> Result<Loaded<BridgeRole>, Fault> {
    let merged = Merged::of(told)?;
    let config = checked::bridge_role(&merged)?;
    let name = config.bridge.name.clone();
    let effective =
        effective::text(&merged, &|path, text| (path == "bridge.name" && text.is_empty()).then(|| name.clone()));
    Ok(Loaded { config, effective })
}
