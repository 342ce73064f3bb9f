//! What every role of a fleet is wired to: Redis, RabbitMQ, the storages. The adapters of a fleet are named in this folder
//! and nowhere else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::adapters::amqp::{AmqpBroker, AmqpSettings, Declare};
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::storages::{self, Http, StorageSettings, Storages};
use framefleet_common::adapters::blob::web::Web;
use framefleet_common::adapters::egress::Egress;
use framefleet_common::adapters::memory::broker::MemoryBroker;
use framefleet_common::adapters::redis::RedisStore;
use framefleet_common::adapters::redis::readiness::Readiness;
use framefleet_common::adapters::redis::settings::{self, RedisSettings, SentinelSettings};
use framefleet_common::adapters::timed_store::TimedStore;
use framefleet_common::board::Mint;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::Class;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::store::StoreError;
use framefleet_common::process::drain::Drain;
use framefleet_common::process::metrics;
use framefleet_common::process::probes::{BoundProbes, Check};
use framefleet_common::process::shutdown::{Ended, signals};
use framefleet_coordinator::steps::run::Stepping;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use framefleet_steps::cdn::{Cdn, CdnSettings};
use framefleet_steps::sql::Database;
use framefleet_steps::targets::Targets;
use framefleet_steps::webhook::{Webhook, WebhookSettings};
use prometheus::{IntGauge, Registry};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::targets::{CdnConfig, DatabaseConfig, TargetsConfig, WayOut, WebhookConfig};
use crate::config::{
    Addressing, BrokerConfig, Config, Credentials, Durability, Endpoint, StorageConfig, StoreServer, Topology,
};
use crate::roles::traces::Way;

/// Between two tries at a store that does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(2);

/// How long a work store that could be written is believed to be well, and one that could not to be ill: each try is
/// two requests.
const WORK_GOOD: Duration = Duration::from_secs(60);
const WORK_BAD: Duration = Duration::from_secs(5);

/// The services of a fleet, connected.
pub struct Services {
    pub fleet: Fleet,
    pub store: Arc<RedisStore>,
    pub broker: Arc<AmqpBroker>,
}

/// Whether the services are there: asked while they are being connected to, and from then on.
pub struct Ready {
    known: watch::Receiver<Option<Known>>,
    why: watch::Receiver<String>,
}

/// What `Ready` watches.
pub struct Connecting {
    known: watch::Sender<Option<Known>>,
    why: watch::Sender<String>,
}

#[derive(Clone)]
struct Known {
    store: Arc<RedisStore>,
    broker: Arc<AmqpBroker>,
    work: Root,
}

pub struct StoreCheck {
    ready: Arc<Ready>,
    /// What was warned of last: each thing is said once, however often somebody asks.
    warned: Mutex<Vec<String>>,
    warnings: IntGauge,
}

pub struct BrokerCheck(pub Arc<Ready>);

/// Whether the work store can be written, by writing: an object that is removed again.
pub struct WorkCheck {
    ready: Arc<Ready>,
    clock: Arc<dyn Clock>,
    name: String,
    /// When it was tried last, and with what outcome.
    tried: tokio::sync::Mutex<Option<(Duration, Result<(), String>)>>,
}

pub fn connecting() -> (Connecting, Arc<Ready>) {
    let (known, is_known) = watch::channel(None);
    let (why, is_why) = watch::channel("not connected yet".to_owned());
    (Connecting { known, why }, Arc::new(Ready { known: is_known, why: is_why }))
}

impl Ready {
    /// The broker, once it is there.
    pub fn broker(&self) -> Option<Arc<AmqpBroker>> {
        self.known.borrow().as_ref().map(|known| known.broker.clone())
    }
}

/// The same fleet, whose store says how long it takes.
pub fn timed(fleet: &Fleet, registry: &Registry) -> Fleet {
    let store = TimedStore::new(fleet.store.clone(), fleet.clock.clone(), registry);
    Fleet { store: Arc::new(store), ..fleet.clone() }
}

impl Connecting {
    /// Waits for a store that does not answer yet; what only people can mend ends the process. `None`: told to stop.
    pub async fn connect(
        &self,
        config: &Config,
        (clock, classes): (Arc<dyn Clock>, Vec<Class>),
        stop: &CancellationToken,
    ) -> Result<Option<Services>, Fault> {
        let (storages, work) = storages_of((&config.storage, &config.folders), &config.way_out, &config.work)?;
        let Some(store) = self.store(config, &clock, stop).await? else { return Ok(None) };
        let broker = AmqpBroker::start(&broker_of(&config.broker, classes), clock.clone());
        let broker = Arc::new(broker.map_err(|e| Fault::new(FaultKind::Settings, e.to_string()))?);
        self.known.send_replace(Some(Known { store: store.clone(), broker: broker.clone(), work: work.clone() }));
        let mint: Mint = Arc::new(|| Nonce::from_bytes(rand::random()));
        let fleet = Fleet { store: store.clone(), broker: broker.clone(), clock, storages, work, mint };
        Ok(Some(Services { fleet, store, broker }))
    }

    async fn store(
        &self,
        config: &Config,
        clock: &Arc<dyn Clock>,
        stop: &CancellationToken,
    ) -> Result<Option<Arc<RedisStore>>, Fault> {
        loop {
            match RedisStore::open(store_of(config)?, clock.clone()).await {
                Ok(store) => {
                    info!("store is connected");
                    return Ok(Some(Arc::new(store)));
                }
                Err(error @ StoreError::Unavailable(_)) => {
                    warn!(%error, "store does not answer, trying again");
                    self.why.send_replace(error.to_string());
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = clock.sleep(STORE_PAUSE) => {}
                () = stop.cancelled() => return Ok(None),
            }
        }
    }
}

#[async_trait]
impl Check for StoreCheck {
    fn name(&self) -> &str {
        "store"
    }

    async fn check(&self) -> Result<String, String> {
        let known = self.ready.known.borrow().clone();
        let Some(Known { store, .. }) = known else { return Err(self.ready.why.borrow().clone()) };
        let readiness = store.readiness().await.map_err(|e| e.to_string())?;
        self.warn(&readiness);
        readiness.ready.map(|()| readiness.guarantee.to_string())
    }
}

impl StoreCheck {
    pub fn new(ready: Arc<Ready>, registry: &Registry) -> Self {
        let help = "what the store's own report leaves to be desired or does not say, when it was last asked";
        let warnings = metrics::gauge(registry, ("framefleet_store_warnings", help));
        Self { ready, warned: Mutex::default(), warnings }
    }

    fn warn(&self, readiness: &Readiness) {
        // A whole list is put in place of another: what is behind the lock is whole.
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        for warning in readiness.warnings.iter().filter(|warning| !warned.contains(warning)) {
            warn!(warning, guarantee = %readiness.guarantee, "store");
        }
        self.warnings.set(i64::try_from(readiness.warnings.len()).unwrap_or(i64::MAX));
        warned.clone_from(&readiness.warnings);
    }
}

#[async_trait]
impl Check for BrokerCheck {
    fn name(&self) -> &str {
        "broker"
    }

    async fn check(&self) -> Result<String, String> {
        let known = self.0.known.borrow().clone();
        let Some(Known { broker, .. }) = known else { return Err("not connected yet".to_owned()) };
        broker.readiness().map(|()| String::new())
    }
}

#[async_trait]
impl Check for WorkCheck {
    fn name(&self) -> &str {
        "work"
    }

    async fn check(&self) -> Result<String, String> {
        let known = self.ready.known.borrow().clone();
        let Some(Known { work, .. }) = known else { return Err("not connected yet".to_owned()) };
        let mut tried = self.tried.lock().await;
        let now = self.clock.elapsed();
        if let Some((when, outcome)) = &*tried {
            let age = now.saturating_sub(*when);
            if age < if outcome.is_ok() { WORK_GOOD } else { WORK_BAD } {
                return outcome.clone().map(|()| String::new());
            }
        }
        let outcome = work.probe(&self.name).await.map_err(|fault| fault.message);
        *tried = Some((now, outcome.clone()));
        outcome.map(|()| String::new())
    }
}

impl WorkCheck {
    /// `name` is the process's own: many may try at once.
    pub fn new(ready: Arc<Ready>, clock: Arc<dyn Clock>, name: &str) -> Self {
        Self { ready, clock, name: name.to_owned(), tried: tokio::sync::Mutex::default() }
    }
}

/// Does a role's work beside its probes until it has ended or was told to stop, then sends what is left of its spans.
pub async fn live(
    drain: Drain,
    probes: BoundProbes,
    (work, way): (impl Future<Output = Result<(), Fault>>, Way),
) -> Result<(), Fault> {
    let heard = signals().map_err(|e| Fault::new(FaultKind::Internal, format!("signals cannot be heard: {e}")))?;
    // Boxed: a future of futures of this depth is more than the compiler lays out.
    match drain.run(heard, probes.beside(Box::pin(work))).await {
        Ended::Finished(ended) => {
            way.close().await;
            ended
        }
        // At once: whoever tells it to stop twice waits for nothing more.
        Ended::Abandoned => Ok(()),
    }
}

/// A second connection to the store, for those who must not wait behind others.
pub async fn another_store(config: &Config, clock: Arc<dyn Clock>) -> Result<RedisStore, Fault> {
    Ok(RedisStore::open(store_of(config)?, clock).await?)
}

/// The store and the storages alone.
pub async fn without_broker(config: &Config, clock: Arc<dyn Clock>) -> Result<Fleet, Fault> {
    let (storages, work) = storages_of((&config.storage, &config.folders), &config.way_out, &config.work)?;
    let store = Arc::new(another_store(config, clock.clone()).await?);
    let mint: Mint = Arc::new(|| Nonce::from_bytes(rand::random()));
    Ok(Fleet { store, broker: Arc::new(MemoryBroker::default()), clock, storages, work, mint })
}

pub fn store_of(config: &Config) -> Result<RedisSettings, Fault> {
    let (url, sentinel) = match &config.store.server {
        StoreServer::Known(url) => (url, None),
        StoreServer::Elected { sentinels, primary, url } => {
            let urls = sentinels.iter().map(|sentinel| sentinel.expose().to_owned()).collect();
            (url, Some(SentinelSettings { urls, primary: primary.clone() }))
        }
    };
    let replicas = u8::try_from(config.store.replicas).expect("a number of replicas is small");
    let durability = match config.store.durability {
        Durability::Required => settings::Durability::Required,
        Durability::Waived => settings::Durability::Waived,
    };
    let url = url.expose().to_owned();
    Ok(RedisSettings { url, prefix: config.store.prefix.clone(), replicas, sentinel, durability })
}

pub fn broker_of(broker: &BrokerConfig, classes: Vec<Class>) -> AmqpSettings {
    let declare = match broker.topology {
        Topology::Expected => Declare::Passive,
        Topology::Declared => Declare::Declare,
    };
    AmqpSettings {
        url: broker.url.expose().to_owned(),
        prefix: broker.prefix.clone(),
        declare,
        classes,
        confirms_max: AmqpSettings::CONFIRMS_MAX,
    }
}

/// Where films and outputs may lie, and the work store, which is the fleet's own.
pub fn storages_of(
    (buckets, folders): (&[StorageConfig], &[String]),
    way_out: &WayOut,
    work: &str,
) -> Result<(Storages, Root), Fault> {
    let settings = buckets.iter().map(storage_of).chain(folders.iter().cloned().map(folder)).collect();
    let web = match way_out.source_bytes_max {
        None => None,
        Some(bytes_max) => Some(Web { client: Egress::new(way_out.allow.clone()).client()?, bytes_max }),
    };
    Ok((Storages::with_closed(settings, work)?.reading_web(web), work_of(buckets, work)?))
}

/// A folder of work objects needs no entry of its own; a bucket is reached as its entry says.
pub fn work_of(buckets: &[StorageConfig], work: &str) -> Result<Root, Fault> {
    if work.starts_with("file://") {
        return root_in(work);
    }
    Storages::new(buckets.iter().map(storage_of).collect())?.root(work)
}

/// One bucket, or what of it an entry covers.
pub fn root_of(storage: &StorageConfig) -> Result<Root, Fault> {
    Storages::new(vec![storage_of(storage)])?.root(&storage.url())
}

/// One folder.
pub fn root_in(url: &str) -> Result<Root, Fault> {
    Storages::new(vec![folder(url.to_owned())])?.root(url)
}

fn folder(url: String) -> StorageSettings {
    StorageSettings {
        url,
        endpoint: None,
        region: None,
        credentials: None,
        addressing: storages::Addressing::Path,
        http: Http::Tls,
    }
}

fn storage_of(storage: &StorageConfig) -> StorageSettings {
    let (endpoint, http) = match &storage.endpoint {
        Endpoint::Provider => (None, Http::Tls),
        Endpoint::Tls(url) => (Some(url.clone()), Http::Tls),
        Endpoint::Plain(url) => (Some(url.clone()), Http::Plain),
    };
    StorageSettings {
        url: storage.url(),
        endpoint,
        region: Some(storage.region.clone()),
        credentials: credentials_of(&storage.credentials),
        addressing: match storage.addressing {
            Addressing::Path => storages::Addressing::Path,
            Addressing::Virtual => storages::Addressing::VirtualHost,
        },
        http,
    }
}

/// None: what the machine has.
pub fn credentials_of(credentials: &Credentials) -> Option<storages::Credentials> {
    let (id, secret, token) = match credentials {
        Credentials::Machine => return None,
        Credentials::Key { id, secret } => (id, secret, None),
        Credentials::Temporary { id, secret, token } => (id, secret, Some(token.expose().to_owned())),
    };
    Some(storages::Credentials { key_id: id.clone(), secret: secret.expose().to_owned(), token })
}

/// What steps speak to, as the configuration says.
pub fn stepping_of(config: &TargetsConfig, way_out: &WayOut, clock: &Arc<dyn Clock>) -> Result<Stepping, Fault> {
    let egress = Egress::new(way_out.allow.clone());
    let mut targets = Targets::default();
    for WebhookConfig { name, url, keys, timeout } in &config.webhooks {
        let url =
            url.expose().parse().map_err(|_| Fault::new(FaultKind::Settings, format!("webhook {name} has no URL")))?;
        let settings = WebhookSettings { url, keys: keys.clone(), timeout: *timeout };
        targets.webhooks.insert(name.clone(), Webhook::new(settings, &egress, clock.clone())?);
    }
    for DatabaseConfig { name, url, schema } in &config.databases {
        targets.databases.insert(name.clone(), Database::new(url.expose(), *schema)?);
    }
    for CdnConfig { name, endpoint, credentials, origin, url, area } in &config.cdns {
        let settings = CdnSettings {
            endpoint: endpoint.clone(),
            credentials: credentials_of(credentials),
            origin: origin.clone(),
            url: url.clone(),
            area: *area,
        };
        targets.cdns.insert(name.clone(), Cdn::new(settings, clock.clone())?);
    }
    Ok(Stepping { targets: Arc::new(targets), patience: config.patience })
}
