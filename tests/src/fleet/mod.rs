//! A whole fleet in one process: real coordinators and workers, over whatever store and media a test gives them.

/// What one role meets at its store.
pub mod between;
/// Whoever asks for films.
pub mod caller;
/// Numbers that follow from a seed.
pub mod dice;
/// How attempts fare.
pub mod fate;
/// Media work without media.
pub mod media;
/// A runtime that does the same things in the same order.
pub mod orderly;
/// What one role meets at its ports.
pub mod peril;
/// The broker in between.
pub mod post;
/// Whoever steps speak to.
pub mod receiver;
/// What goes wrong, how often.
pub mod storm;
/// The store in between.
pub mod truth;
/// Whoever uploads films.
pub mod uploader;
/// What must hold.
pub mod verdict;
/// One fleet from one seed.
pub mod world;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::adapters::blob::url;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::memory::broker::MemoryBroker;
use framefleet_common::adapters::memory::steps::MemorySteps;
use framefleet_common::adapters::memory::store::MemoryStore;
use framefleet_common::child::Media;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::Class;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::Store;
use framefleet_common::process::drain::Halt;
use framefleet_coordinator::bucket_sweep::Pace;
use framefleet_coordinator::coordinator::{Coordinator, CoordinatorSettings};
use framefleet_coordinator::flow::dispatching::WINDOW_PERCENT;
use framefleet_coordinator::ops::fleet::FleetOps;
use framefleet_coordinator::ops::{JobView, Ops as _};
use framefleet_coordinator::steps::run::Stepping;
use framefleet_model::board::Task;
use framefleet_model::fault::Fault;
use framefleet_model::id::{JobId, Nonce, TaskId};
use framefleet_model::media::{AudioCodec, Container, VideoCodec};
use framefleet_model::picture::Shape;
use framefleet_model::pipeline::{
    AudioSettings, Coding, Damaged, OnExisting, OutputRequest, Preset, Range, RateControl, Request, SegmentDuration,
    SoundTracks, VideoSettings,
};
use framefleet_model::sound::Treatment;
use framefleet_model::step::life::Patience;
use framefleet_model::task::{Need, SourceLimits};
use framefleet_model::time::MediaTime;
use framefleet_model::trigger::Trigger;
use framefleet_worker::slots::{Worker, WorkerSettings};
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What attempts made is kept so long.
const KEEP: Duration = Duration::from_secs(24 * 3600);
const LEASE: Duration = Duration::from_secs(30);
const BEAT: Duration = Duration::from_secs(5);
/// Enough for whatever these tests ask for.
pub const CAPACITY: Need = Need { memory_mib: 1 << 16, scratch_mib: 1 << 16 };
/// No job of these tests takes so long, by the fleet's own clock.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// A fleet's shared parts in a folder of its own.
pub struct Rig {
    pub folder: tempfile::TempDir,
    pub fleet: Fleet,
    pub broker: Arc<MemoryBroker>,
    pub media: Arc<dyn Media>,
    pub triggers: Vec<Trigger>,
    pub pace: Pace,
    /// Whom steps speak to.
    pub steps: Arc<MemorySteps>,
    pub patience: Patience,
    /// How long what attempts made is kept; jobs are remembered thirty times as long.
    pub keep: Duration,
}

/// A role that runs until it is stopped or killed.
pub struct Role {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Rig {
    pub fn new(media: Arc<dyn Media>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
        Self::over(Arc::new(MemoryStore::new(clock.clone())), clock, media)
    }

    pub fn over(store: Arc<dyn Store>, clock: Arc<dyn Clock>, media: Arc<dyn Media>) -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder takes a folder");
        let work = Root::folder(&folder.path().join("work"));
        let (broker, storages) = (Arc::new(MemoryBroker::default()), Storages::local());
        let fleet = Fleet { store, broker: broker.clone(), clock, work, storages, mint: mint(1) };
        let (steps, patience, keep) = (Arc::default(), Patience::USUAL, KEEP);
        Self { folder, fleet, broker, media, triggers: Vec::new(), pace: Pace::default(), steps, patience, keep }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn film(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        std::fs::write(&path, text).expect("the temporary folder takes a film");
        url::of_path(&path)
    }

    pub fn coordinator(&self, name: &str) -> Coordinator {
        self.coordinator_over(self.fleet.store.clone(), name)
    }

    /// One that sees the fleet's store through another.
    pub fn coordinator_over(&self, store: Arc<dyn Store>, name: &str) -> Coordinator {
        let settings = CoordinatorSettings {
            name: name.to_owned(),
            merge_slots: 2,
            window_percent: WINDOW_PERCENT,
            classes: vec![Class::light(), Class::standard(), Class::long()],
            scratch: self.path("merge"),
            beat: BEAT,
            lease: LEASE,
            keep_attempts: self.keep,
            triggers: self.triggers.clone().into(),
            pace: self.pace,
            steps: Stepping { targets: self.steps.clone(), patience: self.patience },
            keep_jobs: self.keep * 30,
            metrics: Registry::default(),
        };
        Coordinator::new(Fleet { store, ..self.fleet.clone() }, self.media.clone(), settings)
    }

    pub fn worker(&self, name: &str) -> Worker {
        self.worker_over(self.fleet.store.clone(), name, CAPACITY)
    }

    /// One that sees the fleet's store through another and has so much for its tasks.
    pub fn worker_over(&self, store: Arc<dyn Store>, name: &str, capacity: Need) -> Worker {
        let settings = WorkerSettings {
            name: name.to_owned(),
            slots: vec![(Class::light(), 1), (Class::standard(), 2), (Class::long(), 1)],
            scratch: self.path(name),
            beat: BEAT,
            lease: LEASE,
            limits: SourceLimits::DEFAULT,
            capacity,
            build: "test".to_owned(),
            metrics: Registry::default(),
            pulse: None,
        };
        Worker::new(Fleet { store, ..self.fleet.clone() }, self.media.clone(), settings)
    }

    pub fn ops(&self) -> FleetOps {
        self.coordinator("ops").ops()
    }

    pub fn start_coordinator(&self, name: &str) -> Role {
        let coordinator = self.coordinator(name);
        Role::start(move |stop| async move { coordinator.run(stop).await })
    }

    pub fn start_worker(&self, name: &str) -> Role {
        let worker = self.worker(name);
        Role::start(move |stop| async move {
            worker.run(Halt::at_once(stop)).await;
        })
    }

    /// Waits for the job's end, all cleaned up.
    pub async fn end_of(&self, id: &JobId) -> Result<JobView, Fault> {
        let ops = self.ops();
        let waiting = async {
            let mut seen = None;
            loop {
                seen = ops.watch(id, seen.as_ref()).await?;
                if let Some(view) = seen.as_ref().filter(|view| view.is_over()) {
                    return Ok(view.clone());
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("job {id} did not end in {PATIENCE:?}"))
    }

    /// The rows of these tasks, as far as they are there.
    pub async fn tasks(&self, id: &JobId, tasks: impl IntoIterator<Item = TaskId>) -> Vec<Task> {
        let keys: Vec<_> = tasks.into_iter().map(|task| TaskRef::new(id, task).row()).collect();
        let rows = self.fleet.store.load(&keys).await.expect("the store is there").rows;
        let tasks = keys.iter().zip(rows).filter_map(|(key, row)| Some(rows::from_row::<Task>(key, &row?)));
        tasks.map(|task| task.expect("task rows parse")).collect()
    }

    /// Those of them that are settled.
    pub async fn settled(&self, id: &JobId, tasks: impl IntoIterator<Item = TaskId>) -> Vec<Task> {
        self.tasks(id, tasks).await.into_iter().filter(|task| task.settled().is_some()).collect()
    }

    /// Waits until the task is settled.
    pub async fn until_settled(&self, id: &JobId, task: TaskId) {
        let mut changes = self.fleet.store.subscribe();
        while self.settled(id, [task]).await.is_empty() {
            changes.next().await;
        }
    }

    /// Files under a folder that nobody should have left there.
    pub fn hidden_in(&self, folder: &Path) -> Vec<PathBuf> {
        let listed = std::fs::read_dir(folder).expect("the folder is there");
        let paths = listed.filter_map(|entry| entry.ok().map(|entry| entry.path()));
        paths.filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'))).collect()
    }
}

impl Role {
    pub fn start<F>(run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        Self { running: tokio::spawn(run(stop.clone())), stop }
    }

    /// As by SIGTERM: it hands back what it holds.
    pub async fn stop(self) {
        self.stop.cancel();
        self.running.await.expect("a role ends without a panic");
    }

    /// As by SIGKILL: it ends wherever it happens to be.
    pub async fn kill(self) {
        self.running.abort();
        drop(self.running.await);
    }
}

/// Nonces that are the same in every run of a test.
pub fn mint(seed: u64) -> framefleet_common::board::Mint {
    let next = AtomicU64::new(0);
    Arc::new(move || {
        let n = next.fetch_add(1, Ordering::SeqCst);
        // The first half is spread, as backoff draws from it.
        let spread = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(seed);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&spread.to_be_bytes());
        bytes[8..].copy_from_slice(&n.to_be_bytes());
        Nonce::from_bytes(bytes)
    })
}

/// Segments of a second each, to these places.
pub fn request(source: &str, to: &[PathBuf]) -> Request {
    let video = VideoSettings {
        codec: VideoCodec::H264,
        coding: Coding::Encode,
        preset: Preset::Ultrafast,
        rate: RateControl::Crf(23),
        max_bitrate: None,
        size: None,
        fps: None,
        keyframe_interval: None,
        shape: Shape::default(),
        watermarks: Vec::new(),
    };
    let audio = AudioSettings {
        codec: AudioCodec::Aac,
        coding: Coding::Encode,
        bitrate: 128_000,
        sample_rate: None,
        channels: None,
        treatment: Treatment::default(),
    };
    let outputs = to.iter().map(|path| OutputRequest {
        to: url::of_path(path),
        container: container(path),
        video: Some(video.clone()),
        audio: Some(audio.clone()),
        tracks: SoundTracks::Usual,
        package: None,
        images: None,
    });
    Request {
        source: source.to_owned(),
        outputs: outputs.collect(),
        segments: SegmentDuration::Every(MediaTime::from_secs(1)),
        damaged: Damaged::Fail,
        range: Range::default(),
        on_existing: OnExisting::Fail,
        steps: Vec::new(),
    }
}

/// Of text media, a package for a playlist and pages for a text.
fn container(path: &Path) -> Container {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("m3u8") => Container::Ts,
        Some("txt") => Container::Mkv,
        _ => Container::Mp4,
    }
}
