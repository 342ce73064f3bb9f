//! The configuration of a role: read once, checked once, then values that need no second look.
//!
//! ```text
//! defaults < file < environment < flags ──▶ Merged ──▶ Raw ──▶ Config
//!   keys          layers.rs                            raw.rs   checked.rs, servers.rs, triggers.rs
//! ```
//!
//! One file serves all roles of a machine. Unknown keys are refused wherever they stand; a refusal names the key, the
//! value, the bound and where the value came from, and ends the process with code 64.

mod checked;
mod effective;
/// Every key with its default, unit and sentence.
pub mod keys;
mod layers;
/// docs/CONFIG.md.
pub mod manual;
mod raw;
mod reading;
/// What must not be seen.
pub mod secret;
mod servers;
mod triggers;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::blob::url;
use framefleet_common::ports::broker::Class;
use framefleet_common::process::telemetry::Telemetry;
use framefleet_coordinator::bucket_sweep::Pace;
use framefleet_model::fault::Fault;
use framefleet_model::trigger::Trigger;

use layers::Merged;
pub use layers::{Flag, Told};
use secret::{Secret, ServerUrl};

#[derive(Clone, Debug)]
pub struct Config {
    pub store: StoreConfig,
    pub broker: BrokerConfig,
    /// The folder of work objects, `file:///…` or `s3://…`; the latter lies in one of the `storage`.
    pub work: String,
    pub storage: Vec<StorageConfig>,
    /// Folders, as `file:///…`, below which films may lie and outputs may go.
    pub folders: Vec<String>,
    /// Those that may stand beside one another.
    pub triggers: Arc<[Trigger]>,
    pub coordinator: CoordinatorConfig,
    pub worker: WorkerConfig,
    pub telemetry: Telemetry,
    pub limits: LimitsConfig,
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
        /// As `host:port`, at least one.
        sentinels: Vec<String>,
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
    /// Amazon's own for the region.
    Amazon,
    /// `https://…`
    Tls(String),
    /// `http://…`
    Plain(String),
}

#[derive(Clone, Debug)]
pub enum Credentials {
    /// Those of the machine's own role.
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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    pub keep_attempts: Duration,
    pub keep_jobs: Duration,
    pub lease: Duration,
    pub beat: Duration,
}

impl Config {
    /// The classes that have a queue: those that the planner uses, and those that any slot here is for.
    pub fn classes(&self) -> Vec<Class> {
        let mut classes = vec![Class::light(), Class::standard(), Class::long()];
        classes.extend(self.worker.slots.iter().map(|(class, _)| class.clone()));
        classes.sort_unstable();
        classes.dedup();
        classes
    }
}

impl StorageConfig {
    pub fn url(&self) -> String {
        url::of_key(&self.bucket, &self.prefix)
    }
}

/// A configuration, and all of it that may be shown, as TOML.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub effective: String,
}

pub fn load(told: &Told) -> Result<Loaded, Fault> {
    let merged = Merged::of(told)?;
    let config = checked::config(&merged)?;
    let effective = effective::text(&merged, &config);
    Ok(Loaded { config, effective })
}
