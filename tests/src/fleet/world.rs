//! One simulated fleet, all of it from one seed: coordinators and workers that die, freeze and are stopped and started
//! again, callers who submit twice and cancel, a store that goes back in time, a broker that forgets.
//!
//! ```text
//! storm: places keep roles alive ─ callers submit, cancel ─ time goes by          calm: all must end ─▶ verdict
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::adapters::blob::url;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::Class;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::drain::Halt;
use framefleet_coordinator::bucket_sweep::Pace;
use framefleet_coordinator::coordinator::{Coordinator, CoordinatorSettings};
use framefleet_coordinator::flow::dispatching::WINDOW_PERCENT;
use framefleet_coordinator::steps::run::Stepping;
use framefleet_model::id::JobId;
use framefleet_model::task::SourceLimits;
use framefleet_model::trigger::Trigger;
use framefleet_worker::slots::{Worker, WorkerSettings};
use prometheus::Registry;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fleet::caller::Caller;
use crate::fleet::dice::Dice;
use crate::fleet::fate::{POISON_PICTURES, Rolled};
use crate::fleet::media::TextMedia;
use crate::fleet::peril::{Mortal, Peril};
use crate::fleet::post::{Post, RoleBroker};
use crate::fleet::receiver::{self, Receiver, RoleSteps};
use crate::fleet::storm::{Storm, Temper, Voice, Weather};
use crate::fleet::truth::{RoleStore, Truth};
use crate::fleet::uploader::{self, Uploader};
use crate::fleet::verdict;
use crate::fleet::{CAPACITY, KEEP, LEASE, mint};

const STORM: Duration = Duration::from_secs(90);
const SWEEP_EVERY: Duration = Duration::from_secs(40);
const SECOND: Duration = Duration::from_secs(1);
const BEAT: Duration = Duration::from_secs(5);
/// A role that is told to stop is done with it by then.
const STOPPED_IN: Duration = Duration::from_secs(60);
/// 2026-01-01, in every run.
const EPOCH_MS: i64 = 1_767_225_600_000;

pub struct World {
    pub folder: PathBuf,
    pub dice: Dice,
    pub storm: Arc<Storm>,
    pub truth: Arc<Truth>,
    pub post: Arc<Post>,
    pub receiver: Arc<Receiver>,
    pub films: Vec<Film>,
    /// What makes a job of a film that nobody asks for, if there is one.
    pub trigger: Option<Trigger>,
    /// Jobs that a caller was told are accepted, with their films.
    accepted: Mutex<Vec<(JobId, usize)>>,
    clock: Arc<dyn Clock>,
}

/// A film, and what must become of it.
#[derive(Clone, Debug)]
pub struct Film {
    pub number: usize,
    pub kind: FilmKind,
    pub source: String,
    pub out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilmKind {
    Good {
        pictures: i64,
    },
    /// It is none.
    Corrupt,
    /// It kills whoever encodes its second segment.
    Poison,
}

impl Film {
    /// Its output is a master and the files that it leads to.
    pub fn is_package(&self) -> bool {
        self.out.extension().is_some_and(|extension| extension == "m3u8")
    }

    /// How many sound tracks it has.
    pub fn sounds(&self) -> usize {
        sounds(self.number)
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub wrongs: Vec<String>,
    pub counts: std::collections::BTreeMap<&'static str, u64>,
    pub digest: u64,
    pub weather: Weather,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Coordinator(u64),
    Worker(u64),
}

/// The simulated time, from a date that is the same in every run.
struct StormClock {
    start: Instant,
}

#[async_trait]
impl Clock for StormClock {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn epoch_ms(&self) -> i64 {
        EPOCH_MS + i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Lives through one seed, in a folder that is there and empty.
pub async fn live_through(seed: u64, folder: &Path, voice: Voice) -> Outcome {
    let world = Arc::new(World::new(seed, folder, voice));
    let over = CancellationToken::new();
    let mut keepers = JoinSet::new();
    for place in world.places() {
        let (world, over) = (world.clone(), over.clone());
        keepers.spawn(async move { world.keep(place, &over).await });
    }
    let mut callers = JoinSet::new();
    for film in world.films.clone() {
        if world.is_uploaded(&film) {
            let uploader = Uploader::new(world.clone(), film);
            callers.spawn(async move { uploader.upload().await });
        } else {
            let caller = Caller::new(world.clone(), film);
            callers.spawn(async move { caller.call().await });
        }
    }
    world.blow().await;
    world.storm.calm_down();
    for called in callers.join_all().await.into_iter().flatten() {
        world.accepted.lock().unwrap_or_else(PoisonError::into_inner).push(called);
    }
    verdict::when_quiet(&world).await;
    over.cancel();
    keepers.join_all().await;
    verdict::when_stopped(&world);
    let storm = &world.storm;
    Outcome { wrongs: storm.wrongs(), counts: storm.counts(), digest: storm.digest(), weather: storm.weather.clone() }
}

impl World {
    fn new(seed: u64, folder: &Path, voice: Voice) -> Self {
        let dice = Dice::new(seed);
        let films = films(&dice, folder);
        let poisoned = films.iter().any(|film| film.kind == FilmKind::Poison);
        let storm = Arc::new(Storm::new(Weather::drawn(&dice), if poisoned { 1 } else { 3 }, voice));
        storm.tell("weather", format_args!("seed {seed}: {:?}", storm.weather));
        let clock: Arc<dyn Clock> = Arc::new(StormClock { start: Instant::now() });
        let truth = Arc::new(Truth::new(clock.clone(), storm.clone()));
        let post = Arc::new(Post::new(storm.clone(), truth.clone()));
        let receiver = Arc::new(Receiver::new(storm.clone(), truth.clone()));
        let uploaded = dice.of("uploads").one_of(&[None, Some(0), Some(1)]);
        let trigger = uploaded.map(|number: usize| uploader::trigger(folder, &films[number]));
        let (accepted, folder) = (Mutex::default(), folder.to_owned());
        Self { folder, dice, storm, truth, post, receiver, films, trigger, accepted, clock }
    }

    pub fn accepted(&self) -> Vec<(JobId, Film)> {
        let accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.iter().map(|(id, film)| (id.clone(), self.films[*film].clone())).collect()
    }

    /// Whether a film comes by upload; nobody submits it.
    pub fn is_uploaded(&self, film: &Film) -> bool {
        self.trigger.as_ref().is_some_and(|trigger| film.source.ends_with(&trigger.prefix))
    }

    pub fn is_mild(&self) -> bool {
        self.storm.weather.temper == Temper::Mild
    }

    pub fn peril(&self, name: &str, mortal: Mortal) -> Arc<Peril> {
        Arc::new(Peril::new(name, self.storm.clone(), &self.dice, mortal))
    }

    pub fn fleet(&self, peril: &Arc<Peril>) -> Fleet {
        Fleet {
            store: Arc::new(RoleStore::new(self.truth.clone(), peril.clone())),
            broker: Arc::new(RoleBroker { post: self.post.clone(), peril: peril.clone() }),
            clock: self.clock.clone(),
            storages: Storages::local(),
            work: Root::folder(&self.work()),
            mint: mint(peril.dice.seed()),
        }
    }

    pub fn coordinator(&self, peril: &Arc<Peril>, scratch: PathBuf) -> Coordinator {
        let name = peril.name.clone();
        let settings = CoordinatorSettings {
            name,
            merge_slots: 2,
            window_percent: WINDOW_PERCENT,
            classes: vec![Class::light(), Class::standard(), Class::long()],
            scratch,
            beat: BEAT,
            lease: LEASE,
            // What attempts left is swept only once nobody can be late any more.
            keep_attempts: STORM * 2,
            triggers: self.trigger.iter().cloned().collect(),
            pace: Pace { every: SWEEP_EVERY, ..Pace::default() },
            steps: Stepping {
                targets: Arc::new(RoleSteps { receiver: self.receiver.clone(), peril: peril.clone() }),
                patience: receiver::PATIENCE,
            },
            keep_jobs: KEEP,
            metrics: Registry::default(),
        };
        Coordinator::new(self.fleet(peril), Arc::new(TextMedia::new(Rolled(peril.clone()))), settings)
    }

    fn worker(&self, peril: &Arc<Peril>, scratch: PathBuf) -> Worker {
        let build = format!("build {}", peril.dice.of("build").roll(self.storm.weather.builds));
        let media = TextMedia::of_build(Rolled(peril.clone()), &build);
        let settings = WorkerSettings {
            name: peril.name.clone(),
            slots: vec![(Class::light(), 1), (Class::standard(), 2), (Class::long(), 1)],
            scratch,
            beat: BEAT,
            lease: LEASE,
            limits: SourceLimits::DEFAULT,
            capacity: CAPACITY,
            build,
            metrics: Registry::default(),
            pulse: None,
        };
        Worker::new(self.fleet(peril), Arc::new(media), settings)
    }

    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    pub fn scratches(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    fn places(&self) -> Vec<Place> {
        let (coordinators, workers) = (self.dice.one_of(&[1, 2, 2, 3]), self.dice.one_of(&[1, 2, 2, 3, 4]));
        (0..coordinators).map(Place::Coordinator).chain((0..workers).map(Place::Worker)).collect()
    }

    /// One second after the other: the store may go back, the broker may forget.
    async fn blow(&self) {
        let (dice, weather) = (self.dice.of("weather"), &self.storm.weather);
        let began = Instant::now();
        while began.elapsed() < STORM {
            tokio::time::sleep(SECOND).await;
            if dice.falls(weather.rollbacks, 1000) && self.storm.may_lose() {
                self.truth.go_back(&dice);
            }
            if dice.falls(weather.wipes, 1000) {
                self.post.wipe();
            }
            self.post.deliver_late(&dice).await;
            verdict::as_it_goes(self);
        }
    }

    /// Keeps a role at its place: whenever one has ended, the next begins.
    async fn keep(&self, place: Place, over: &CancellationToken) {
        let seat = match place {
            Place::Coordinator(n) => format!("c{n}"),
            Place::Worker(n) => format!("w{n}"),
        };
        let dice = self.dice.of(&seat);
        for life in 0_u32.. {
            let scratch = self.scratches().join(&seat);
            // as a role does that begins in a folder of its own
            drop(std::fs::remove_dir_all(&scratch));
            let peril = self.peril(&format!("{seat}.{life}"), Mortal::Yes);
            let stop = CancellationToken::new();
            self.storm.tell("life", format_args!("{} begins", peril.name));
            let running = async {
                match place {
                    Place::Coordinator(_) => self.coordinator(&peril, scratch).run(stop.clone()).await,
                    Place::Worker(_) => self.worker(&peril, scratch).run(Halt::at_once(stop.clone())).await,
                }
            };
            let disturbing = self.disturb(&peril, &stop, (&dice, over));
            tokio::select! {
                biased;
                () = peril.live(running) => {}
                () = disturbing => {}
            }
            if over.is_cancelled() {
                return;
            }
            if !self.storm.is_calm() {
                tokio::time::sleep(Duration::from_millis(dice.roll(8_000))).await;
            }
        }
    }

    /// Ends only if a role that was told to stop does not.
    async fn disturb(&self, peril: &Peril, stop: &CancellationToken, (dice, over): (&Dice, &CancellationToken)) {
        let weather = &self.storm.weather;
        loop {
            let pause = Duration::from_millis(1_000 + dice.roll(40_000));
            tokio::select! {
                biased;
                () = over.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            if self.storm.is_calm() {
                continue;
            }
            if dice.falls(weather.kills, 100) && self.storm.may_lose() {
                self.storm.tell("kill", format_args!("{} is killed", peril.name));
                peril.kill();
            } else if dice.falls(weather.freezes, 100) && self.storm.may_lose() {
                peril.freeze(Duration::from_secs(20 + dice.roll(60)));
            } else if dice.falls(weather.stops, 100) {
                self.storm.tell("stop", format_args!("{} is told to stop", peril.name));
                break;
            }
        }
        stop.cancel();
        tokio::time::sleep(STOPPED_IN + Duration::from_secs(90)).await;
        self.storm.wrong(format!("{} did not stop", peril.name));
    }
}

/// How many sound tracks the film of this number has.
fn sounds(number: usize) -> usize {
    number + 1
}

/// Three good films or two, and often one that must fail.
fn films(dice: &Dice, folder: &Path) -> Vec<Film> {
    let bad = dice.one_of(&[None, Some(FilmKind::Corrupt), Some(FilmKind::Poison), None]);
    let good = (0..2).map(|_| FilmKind::Good { pictures: dice.one_of(&[50, 100, 130, 200]) });
    let kinds: Vec<FilmKind> = good.chain(bad).collect();
    let sources = folder.join(uploader::SOURCES);
    std::fs::create_dir(&sources).expect("the folder takes a folder");
    let film = |(number, kind): (usize, FilmKind)| {
        let path = sources.join(format!("film-{number}.mov"));
        let text = match kind {
            FilmKind::Good { pictures } => format!("pictures={pictures} gop=25 sounds={}", sounds(number)),
            FilmKind::Poison => format!("pictures={POISON_PICTURES} gop=25"),
            FilmKind::Corrupt => "nothing".to_owned(),
        };
        std::fs::write(&path, text).expect("the folder takes a film");
        let file = std::fs::File::options().write(true).open(&path).expect("the film was just written");
        // A job's id is a hash of this time too: the same in every run.
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1)).expect("a file of ours");
        let extension = if number % 2 == 1 { "m3u8" } else { "mp4" };
        Film { number, kind, source: url::of_path(&path), out: folder.join(format!("out-{number}.{extension}")) }
    };
    kinds.into_iter().enumerate().map(film).collect()
}
