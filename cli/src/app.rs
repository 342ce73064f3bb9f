//! The wiring of the command in one process: every concrete adapter is named here and nowhere else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::adapters::blob::{self, Object, Side};
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::memory::broker::MemoryBroker;
use framefleet_common::adapters::sqlite::SqliteStore;
use framefleet_common::child::limits::Limits;
use framefleet_common::child::registry;
use framefleet_common::child::run::ChildMedia;
use framefleet_common::child::{Media, Objects};
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::Class;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::drain::Halt;
use framefleet_common::process::machine;
use framefleet_coordinator::bucket_sweep::Pace;
use framefleet_coordinator::coordinator::{Coordinator, CoordinatorSettings};
use framefleet_coordinator::flow::dispatching::WINDOW_PERCENT;
use framefleet_coordinator::ops::fleet::FleetOps;
use framefleet_coordinator::steps::run::Stepping;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use framefleet_model::plan::SourceFacts;
use framefleet_model::step::life::Patience;
use framefleet_model::task::{Need, Sandbox, SourceLimits, object};
use framefleet_steps::targets::Targets;
use framefleet_worker::slots::{Worker, WorkerSettings};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

use crate::folders;
use crate::location::Location;
use crate::roles::sandbox;

const NAME: &str = "framefleet";
/// Between heartbeats: nobody else waits for their leases, people wait for what they say.
const BEAT: Duration = Duration::from_secs(1);
/// A sign of life may be late on a busy machine.
const LEASE: Duration = Duration::from_secs(30);
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Outputs that are joined at once; the joining of one waits for its segments, not for cores.
const MERGES_MAX: usize = 2;

/// A fleet of one process, its state in one folder.
pub struct Embedded {
    pub clock: Arc<dyn Clock>,
    coordinator: Coordinator,
    worker: Worker,
}

/// How large a fleet of one process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crew {
    pub workers: usize,
    pub outputs: usize,
}

impl Embedded {
    /// Takes the folder for this process alone.
    pub async fn open(folder: &Path, crew: Crew) -> Result<Self, Fault> {
        let media: Arc<dyn Media> = Arc::new(media(sandbox::of_command()?).await?);
        let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
        let fleet = Fleet {
            store: Arc::new(SqliteStore::open(folder, clock.clone())?),
            broker: Arc::new(MemoryBroker::default()),
            clock: clock.clone(),
            work: Root::folder(&folder.join("work")),
            storages: Storages::local(),
            mint: Arc::new(|| Nonce::from_bytes(rand::random())),
        };
        let scratch = folder.join("scratch");
        let coordinator = coordinator(&fleet, &media, (crew, scratch.clone()));
        let slots = vec![(Class::light(), 1), (Class::standard(), crew.workers), (Class::long(), crew.workers)];
        let limits = SourceLimits::DEFAULT;
        let settings = WorkerSettings {
            name: NAME.to_owned(),
            slots,
            scratch,
            beat: BEAT,
            lease: LEASE,
            limits,
            // Nobody else could do what this process has no room for: it may try.
            capacity: Need { memory_mib: u32::MAX, scratch_mib: u32::MAX },
            build: framefleet_media::doctor::build(),
            metrics: Registry::default(),
            pulse: None,
        };
        Ok(Self { clock, coordinator, worker: Worker::new(fleet, media, settings) })
    }

    pub fn ops(&self) -> FleetOps {
        self.coordinator.ops()
    }

    /// Takes over what an earlier life left. The folder is ours, so nobody is at work on any of it.
    pub async fn adopt(&self) -> Result<(), Fault> {
        self.worker.clear_scratch().await;
        self.coordinator.adopt().await
    }

    /// Until told to stop: what is under way is then handed back, to be found by the next life.
    pub async fn run(&self, stop: CancellationToken) {
        // The next life goes on with what is handed back: there is no grace to wait for.
        tokio::join!(self.coordinator.run(stop.clone()), self.worker.run(Halt::at_once(stop)));
    }
}

fn coordinator(fleet: &Fleet, media: &Arc<dyn Media>, (crew, scratch): (Crew, PathBuf)) -> Coordinator {
    let settings = CoordinatorSettings {
        name: NAME.to_owned(),
        merge_slots: crew.outputs.clamp(1, MERGES_MAX),
        window_percent: WINDOW_PERCENT,
        classes: vec![Class::light(), Class::standard(), Class::long()],
        scratch,
        beat: BEAT,
        lease: LEASE,
        // The state folder goes when the job is done.
        keep_attempts: FOR_EVER,
        triggers: Arc::default(),
        pace: Pace::default(),
        // A job that has any is refused: nobody has a name here.
        steps: Stepping { targets: Arc::new(Targets::default()), patience: Patience::USUAL },
        keep_jobs: FOR_EVER,
        metrics: Registry::default(),
    };
    Coordinator::new(fleet.clone(), media.clone(), settings)
}

/// Media work in children of this very program.
pub async fn media(sandbox: Sandbox) -> Result<ChildMedia, Fault> {
    let lost = |e| Fault::new(FaultKind::Internal, format!("this program's own file is not found: {e}"));
    let program = std::env::current_exe().map_err(lost)?;
    let registry = registry::prepare(&program, &folders::cache()?).await?;
    let started = ChildMedia::new((program, registry), Limits::of_memory(machine::memory_bytes()), sandbox);
    started.map_err(|e| Fault::new(FaultKind::Internal, format!("no thread for children: {e}")))
}

/// A film as the only object that a child may read.
pub struct Film {
    reader: blob::Reader,
    bytes_read: AtomicU64,
}

impl Film {
    pub async fn open(source: &Location) -> Result<Arc<Self>, Fault> {
        let reader = Object::file(source.path(), Side::Source).reader().await?;
        Ok(Arc::new(Self { reader, bytes_read: AtomicU64::new(0) }))
    }

    pub fn facts(&self, source: &Location) -> SourceFacts {
        let facts = self.reader.facts();
        SourceFacts { url: source.url(), size: facts.size, version: facts.version.clone() }
    }

    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Objects for Film {
    async fn size(&self, number: u32) -> Result<u64, Fault> {
        only_the_source(number)?;
        Ok(self.reader.facts().size)
    }

    async fn read(&self, number: u32, offset: u64, len: u32) -> Result<Bytes, Fault> {
        only_the_source(number)?;
        let bytes = self.reader.read(offset, len).await?;
        self.bytes_read.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}

fn only_the_source(number: u32) -> Result<(), Fault> {
    if matches!(number, object::SOURCE | object::GLANCE) {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Internal, format!("object {number} is not the source, which is all there is")))
}
