//! Coordinators and workers in this process, each with its own connections to private servers.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use framefleet_common::adapters::amqp::{AmqpBroker, AmqpSettings, Declare};
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::adapters::blob::url;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::memory::steps::MemorySteps;
use framefleet_common::adapters::redis::RedisStore;
use framefleet_common::adapters::redis::settings::RedisSettings;
use framefleet_common::child::Media;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::Class;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::drain::Halt;
use framefleet_common::process::machine;
use framefleet_coordinator::bucket_sweep::Pace;
use framefleet_coordinator::coordinator::{Coordinator, CoordinatorSettings};
use framefleet_coordinator::flow::dispatching::WINDOW_PERCENT;
use framefleet_coordinator::inbox::Submission;
use framefleet_coordinator::ops::fleet::FleetOps;
use framefleet_coordinator::ops::{JobView, Ops as _};
use framefleet_coordinator::steps::run::Stepping;
use framefleet_model::id::{JobId, Nonce};
use framefleet_model::pipeline::{Request, SegmentDuration};
use framefleet_model::step::life::Patience;
use framefleet_model::task::{Need, SourceLimits};
use framefleet_model::time::MediaTime;
use framefleet_worker::slots::{Worker, WorkerSettings};
use prometheus::Registry;

use super::nothing::Nothing;
use crate::fleet::Role;
use crate::fleet::request;
use crate::place;

/// Three pictures of twenty-five a second.
const SEGMENT: MediaTime = MediaTime::from_millis(120);
const PICTURES_PER_SEGMENT: usize = 3;
const LEASE: Duration = Duration::from_secs(30);
const BEAT: Duration = Duration::from_secs(5);
const KEEP: Duration = Duration::from_secs(24 * 3600);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// A file system in memory: what is measured is not how fast a disk makes small files.
const MEMORY: &str = "/dev/shm";
const MEMORY_MIB_MIN: u64 = 2048;
/// What takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(900);

/// Where servers and work are.
#[derive(Clone, Debug)]
pub struct Place {
    pub redis: String,
    pub amqp: String,
    pub prefix: String,
    pub folder: PathBuf,
}

pub struct Rig {
    pub place: Place,
    pub media: Arc<Nothing>,
    pub ops: FleetOps,
    figures: Vec<Registry>,
    _folder: tempfile::TempDir,
}

impl Place {
    /// Connected, by connections of its own.
    pub async fn fleet(&self) -> Fleet {
        let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
        let redis = RedisSettings { prefix: self.prefix.clone(), ..RedisSettings::new(self.redis.clone()) };
        let store = RedisStore::open(redis, clock.clone()).await.expect("Redis runs");
        let amqp = AmqpSettings {
            url: self.amqp.clone(),
            prefix: self.prefix.clone(),
            declare: Declare::Declare,
            classes: classes(),
            confirms_max: AmqpSettings::CONFIRMS_MAX,
        };
        let broker = AmqpBroker::start(&amqp, clock.clone()).expect("these settings are right");
        Fleet {
            store: Arc::new(store),
            broker: Arc::new(broker),
            clock,
            work: Root::folder(&self.folder.join("work")),
            storages: Storages::local(),
            mint: Arc::new(|| Nonce::from_bytes(rand::random())),
        }
    }

    pub async fn coordinator(&self, media: Arc<dyn Media>) -> Coordinator {
        let settings = CoordinatorSettings {
            name: "coordinator".to_owned(),
            merge_slots: 2,
            window_percent: WINDOW_PERCENT,
            classes: classes(),
            scratch: self.folder.join("merge"),
            beat: BEAT,
            lease: LEASE,
            keep_attempts: KEEP,
            triggers: Arc::default(),
            pace: Pace::default(),
            steps: Stepping { targets: Arc::new(MemorySteps::default()), patience: Patience::USUAL },
            keep_jobs: KEEP * 30,
            metrics: Registry::new(),
        };
        Coordinator::new(self.fleet().await, media, settings)
    }
}

impl Rig {
    pub async fn new((redis, amqp): (String, String), prefix: &str) -> Self {
        let folder = folder();
        let place = Place { redis, amqp, prefix: prefix.to_owned(), folder: folder.path().to_owned() };
        let media = Arc::new(Nothing::default());
        let ops = place.coordinator(media.clone()).await.ops();
        Self { place, media, ops, figures: Vec::new(), _folder: folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.folder.join(name)
    }

    /// What scratch folders and work objects lie on.
    pub fn ground(&self) -> &'static str {
        if self.place.folder.starts_with(MEMORY) { "a file system in memory" } else { "a disk" }
    }

    pub async fn start_coordinator(&self) -> Role {
        let coordinator = self.place.coordinator(self.media.clone()).await;
        Role::start(move |stop| async move { coordinator.run(stop).await })
    }

    pub async fn start_worker(&mut self, name: &str, slots: (Class, usize)) -> Role {
        let metrics = Registry::new();
        self.figures.push(metrics.clone());
        let settings = WorkerSettings {
            name: name.to_owned(),
            slots: vec![slots],
            scratch: self.path(name),
            beat: BEAT,
            lease: LEASE,
            limits: SourceLimits::DEFAULT,
            capacity: Need { memory_mib: 1 << 24, scratch_mib: 1 << 24 },
            build: "bench".to_owned(),
            metrics,
            pulse: None,
        };
        let worker = Worker::new(self.place.fleet().await, self.media.clone(), settings);
        Role::start(move |stop| async move {
            worker.run(Halt::at_once(stop)).await;
        })
    }

    /// A film of so many segments.
    pub fn film(&self, name: &str, segments: usize) -> String {
        let path = self.path(name);
        let text = format!("pictures={} gop={PICTURES_PER_SEGMENT}", segments * PICTURES_PER_SEGMENT);
        std::fs::write(&path, text).expect("the folder takes a film");
        url::of_path(&path)
    }

    pub async fn submit(&self, film: &str, out: &str) -> JobId {
        let submitted = self.ops.submit(&Submission::of(asked(film, &self.path(out)))).await;
        submitted.unwrap_or_else(|fault| panic!("{out} is not accepted: {fault}")).0
    }

    /// Attempts of this rig's workers that settled.
    pub fn settled(&self) -> u64 {
        let families = self.figures.iter().flat_map(Registry::gather);
        let attempts = families.filter(|family| family.name() == "framefleet_attempts_total");
        let settled = attempts.flat_map(|family| {
            let metrics = family.get_metric().iter();
            let settled = metrics.filter(|metric| metric.get_label().iter().any(|label| label.value() == "settled"));
            settled.map(|metric| metric.get_counter().get_value()).collect::<Vec<_>>()
        });
        settled.map(|count| count as u64).sum()
    }

    /// Waits for a fact about a job.
    pub async fn until(&self, id: &JobId, fact: impl Fn(&JobView) -> bool) -> JobView {
        let begun = Instant::now();
        let mut seen = None;
        loop {
            seen = self.ops.watch(id, seen.as_ref()).await.expect("the store answers");
            if let Some(view) = seen.as_ref().filter(|view| fact(view)) {
                return view.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "job {id} stays as it is: {seen:?}");
        }
    }

    /// Waits until workers have settled so many; says when that was.
    pub async fn until_settled(&self, count: u64) -> Instant {
        let begun = Instant::now();
        while self.settled() < count {
            assert!(begun.elapsed() < PATIENCE, "{} of {count} are settled", self.settled());
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Instant::now()
    }
}

fn asked(film: &str, out: &Path) -> Request {
    let mut request = request(film, &[out.to_owned()]);
    request.segments = SegmentDuration::Every(SEGMENT);
    request.outputs.iter_mut().for_each(|output| output.audio = None);
    request
}

fn folder() -> tempfile::TempDir {
    let has_room = machine::free_mib(Path::new(MEMORY)).is_some_and(|free| free >= MEMORY_MIB_MIN);
    let folder = has_room.then(|| tempfile::tempdir_in(MEMORY)).and_then(Result::ok);
    folder.unwrap_or_else(place::scratch)
}

fn classes() -> Vec<Class> {
    vec![Class::light(), Class::standard(), Class::long()]
}

pub fn median(mut figures: Vec<Duration>) -> Duration {
    figures.sort_unstable();
    figures[figures.len() / 2]
}
