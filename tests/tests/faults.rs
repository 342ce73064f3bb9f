//! Whole fleets under seeded misfortune: coordinators and workers are killed anywhere, the store loses calls and
//! answers, attempts crash and stall. Whatever happens, every job ends once, whole, and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::memory::broker::MemoryBroker;
use framefleet_common::adapters::memory::store::MemoryStore;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::store::Store;
use framefleet_coordinator::inbox::Submission;
use framefleet_coordinator::ops::Ops as _;
use framefleet_model::job::JobState;
use framefleet_tests::fleet::chaos::{Dice, FlakyStore, Misfortune};
use framefleet_tests::fleet::media::TextMedia;
use framefleet_tests::fleet::{Rig, Role, mint, request};

const SEEDS: u64 = 5;
const JOBS: usize = 3;
const KILLS: u64 = 14;
/// Of workers and of coordinators so many die without a word: a task that is lost once more, all by chance, is rightly
/// given up as one that kills its workers.
const DEATHS_MAX: [u64; 2] = [3, 3];

/// What the film of this many pictures must come out as.
fn expected(pictures: i64) -> String {
    let shown: String = (0..pictures).map(|n| format!("0 {}\n", n * 40_000_000)).collect();
    format!("{shown}sound 0 {}\n", pictures * 1920)
}

struct Run {
    rig: Rig,
    dice: Dice,
    roles: Vec<Role>,
    started: usize,
}

impl Run {
    /// Roles see the store as it answers; the test itself asks one that always does.
    fn new(seed: u64) -> (Self, Arc<MemoryBroker>, Rig) {
        let dice = Dice::new(seed);
        let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
        let sound: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
        let flaky = Arc::new(FlakyStore { store: sound.clone(), dice: dice.clone(), out_of: 60 });
        let media = Arc::new(TextMedia::new(Misfortune::new(dice.clone())));
        let mut rig = Rig::over(flaky, clock.clone(), media.clone());
        let broker = Arc::new(MemoryBroker::default());
        rig.fleet = Fleet { broker: broker.clone(), mint: mint(seed), ..rig.fleet };
        let mut calm = Rig::over(sound, clock, media);
        calm.fleet.work = rig.fleet.work.clone();
        (Self { rig, dice, roles: Vec::new(), started: 0 }, broker, calm)
    }

    fn start(&mut self, place: usize) -> Role {
        self.started += 1;
        let name = format!("r{}", self.started);
        if place < 2 { self.rig.start_coordinator(&name) } else { self.rig.start_worker(&name) }
    }

    /// Kills one role after another, each somewhere, and starts it again.
    async fn disturb(&mut self) {
        let mut left = DEATHS_MAX;
        for _ in 0..KILLS {
            // the moment of the death, in time that does not pass for real
            tokio::time::sleep(Duration::from_millis(self.dice.roll(12_000))).await;
            let place = usize::try_from(self.dice.roll(self.roles.len() as u64)).unwrap();
            let fresh = self.start(place);
            let old = std::mem::replace(&mut self.roles[place], fresh);
            let left = &mut left[usize::from(place < 2)];
            if self.dice.roll(3) == 0 || *left == 0 {
                old.stop().await;
            } else {
                *left -= 1;
                old.kill().await;
            }
        }
    }
}

async fn live_through(seed: u64) {
    let (mut run, broker, calm) = Run::new(seed);
    let mut events = broker.events();
    let mut jobs = Vec::new();
    for n in 0..JOBS {
        let pictures = 150 + 50 * i64::try_from(n).unwrap();
        let out: PathBuf = run.rig.path(&format!("out-{n}.mp4"));
        let film = run.rig.film(&format!("film-{n}.mov"), &format!("pictures={pictures} gop=25"));
        let (id, _) = calm.ops().submit(&Submission::of(request(&film, std::slice::from_ref(&out)))).await.unwrap();
        jobs.push((id, out, pictures));
    }
    for place in 0..5 {
        let role = run.start(place);
        run.roles.push(role);
    }
    run.disturb().await;
    for (id, out, pictures) in &jobs {
        let view = calm.end_of(id).await.unwrap();
        assert!(matches!(view.job.state, JobState::Completed(_)), "seed {seed}: {:?}", view.job.state);
        assert_eq!(std::fs::read_to_string(out).unwrap(), expected(*pictures), "seed {seed}");
    }
    // Events are relayed after the end; the next poll brings the last.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let mut told = BTreeSet::new();
    while let Ok(event) = events.try_recv() {
        told.insert((event.id, event.body));
    }
    assert_eq!(told.len(), JOBS, "seed {seed}: each end has one event, the same each time: {told:?}");
    assert_eq!(run.rig.hidden_in(run.rig.folder.path()), Vec::<PathBuf>::new(), "seed {seed}");
    for role in run.roles {
        role.kill().await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_job_ends_once_and_whole_whatever_dies() {
    for seed in 0..SEEDS {
        live_through(seed).await;
    }
}
