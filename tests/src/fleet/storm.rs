//! What goes wrong in one run, how often, and the tale of it.
//!
//! Each run draws its own weather, in which some kinds of misfortune are frequent and others absent: a fault that only
//! shows when another is quiet gets its chance. In mild weather no task is lost or crashed so often that giving it up
//! would be right: then every job must end as its film deserves. In wild weather some may be given up, and all else
//! must hold all the same.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::fleet::dice::Dice;

/// Rates of misfortune, each zero in many runs.
#[derive(Clone, Debug)]
pub struct Weather {
    pub temper: Temper,
    /// Of 10 000 port calls: fail before they took place, and as many after; come late; are their role's last.
    pub fails: u64,
    pub delays: u64,
    pub deaths: u64,
    /// Of 100 commits, for each listener.
    pub unheard: u64,
    /// Of 100 hints: come later than others; twice; again while they are worked on.
    pub late: u64,
    pub doubled: u64,
    pub redelivered: u64,
    /// Of 100 attempts: crash, hang or run out of memory.
    pub mishaps: u64,
    /// Of 1000 seconds: the store goes back; the broker forgets.
    pub rollbacks: u64,
    pub wipes: u64,
    /// Of 100 lives of a role, by the hand of fate: killed, frozen, told to stop.
    pub kills: u64,
    pub freezes: u64,
    pub stops: u64,
    /// How many builds workers are of, each life of one.
    pub builds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temper {
    /// Nothing happens often enough to any task to give it up for.
    Mild,
    Wild,
}

/// A third failure of one task, all by chance, would rightly end its job.
const MISHAPS_MILD: u32 = 2;
const LOSSES_WILD: u32 = 30;
const PRIME: u64 = 0x100_0000_01b3;

/// What all roles of a run share.
pub struct Storm {
    pub weather: Weather,
    calm: AtomicBool,
    losses: AtomicU32,
    mishaps: AtomicU32,
    began: Instant,
    voice: Voice,
    told: Mutex<Told>,
}

/// Whether the tale is told aloud as it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    Silent,
    Aloud,
}

#[derive(Default)]
struct Told {
    counts: BTreeMap<&'static str, u64>,
    wrong: Vec<String>,
    /// Of all that was told: the same for two runs that went the same way.
    digest: u64,
}

impl Weather {
    pub fn drawn(dice: &Dice) -> Self {
        let temper = dice.one_of(&[Temper::Mild, Temper::Mild, Temper::Wild]);
        Self {
            temper,
            fails: dice.one_of(&[0, 20, 100, 300]),
            delays: dice.one_of(&[0, 100, 500]),
            deaths: dice.one_of(&[0, 5, 20]),
            unheard: dice.one_of(&[0, 10, 50, 100]),
            late: dice.one_of(&[0, 10, 40]),
            doubled: dice.one_of(&[0, 10, 40]),
            redelivered: dice.one_of(&[0, 10, 30]),
            mishaps: dice.one_of(&[0, 5, 20]),
            rollbacks: dice.one_of(&[0, 0, 10, 40]),
            wipes: dice.one_of(&[0, 10, 40]),
            kills: dice.one_of(&[0, 20, 50]),
            freezes: dice.one_of(&[0, 10, 30]),
            stops: dice.one_of(&[0, 10, 30]),
            builds: dice.of("builds").one_of(&[1, 2, 3]),
        }
    }
}

impl Storm {
    /// `losses_max`: what tasks may be lost of, in mild weather: deaths, frosts and steps back in time.
    pub fn new(weather: Weather, losses_max: u32, voice: Voice) -> Self {
        let (losses, mishaps) = match weather.temper {
            Temper::Mild => (losses_max, MISHAPS_MILD),
            Temper::Wild => (LOSSES_WILD, LOSSES_WILD),
        };
        Self {
            weather,
            calm: AtomicBool::new(false),
            losses: AtomicU32::new(losses),
            mishaps: AtomicU32::new(mishaps),
            began: Instant::now(),
            voice,
            told: Mutex::default(),
        }
    }

    /// From now on nothing goes wrong.
    pub fn calm_down(&self) {
        self.calm.store(true, Ordering::SeqCst);
        self.tell("calm", format_args!("the storm is over"));
    }

    pub fn is_calm(&self) -> bool {
        self.calm.load(Ordering::SeqCst)
    }

    /// Whether one more task may be lost; counted.
    pub fn may_lose(&self) -> bool {
        !self.is_calm() && took_one(&self.losses)
    }

    /// Whether one more attempt may fail; counted.
    pub fn may_fail(&self) -> bool {
        !self.is_calm() && took_one(&self.mishaps)
    }

    pub fn tell(&self, kind: &'static str, what: fmt::Arguments<'_>) {
        let at = self.began.elapsed();
        let mut told = self.told();
        *told.counts.entry(kind).or_default() += 1;
        let line = format!("{:>9.3} {what}", at.as_secs_f64());
        told.digest = line.bytes().fold(told.digest, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(PRIME));
        if self.voice == Voice::Aloud {
            println!("{line}");
        }
    }

    /// Whether somebody listens, and wants to hear of every task.
    pub fn is_told_aloud(&self) -> bool {
        self.voice == Voice::Aloud
    }

    /// Something that must never happen.
    pub fn wrong(&self, what: String) {
        self.tell("wrong", format_args!("WRONG: {what}"));
        self.told().wrong.push(what);
    }

    pub fn wrongs(&self) -> Vec<String> {
        self.told().wrong.clone()
    }

    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.told().counts.clone()
    }

    pub fn digest(&self) -> u64 {
        self.told().digest
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn took_one(of: &AtomicU32) -> bool {
    of.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}
