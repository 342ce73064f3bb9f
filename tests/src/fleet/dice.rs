//! Numbers that follow from a seed, so that every misfortune can be had again.

use std::sync::atomic::{AtomicU64, Ordering};

/// One stream of numbers (splitmix64).
#[derive(Debug)]
pub struct Dice {
    seed: u64,
    rolled: AtomicU64,
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { seed: mixed(seed.wrapping_add(STEP)), rolled: AtomicU64::new(0) }
    }

    /// A stream of its own: what is rolled there moves nothing here.
    pub fn of(&self, name: &str) -> Self {
        let named = name.bytes().fold(self.seed, |sum, byte| mixed(sum.wrapping_add(u64::from(byte) + 1)));
        Self { seed: named, rolled: AtomicU64::new(0) }
    }

    /// One of `0..sides`.
    pub fn roll(&self, sides: u64) -> u64 {
        let rolled = self.rolled.fetch_add(1, Ordering::Relaxed) + 1;
        mixed(self.seed.wrapping_add(rolled.wrapping_mul(STEP))) % sides
    }

    pub fn one_of<T: Copy>(&self, of: &[T]) -> T {
        let at = self.roll(of.len() as u64);
        of[usize::try_from(at).expect("less than there are")]
    }

    /// Whether one of the `unlucky` sides of so many came up.
    pub fn falls(&self, unlucky: u64, sides: u64) -> bool {
        unlucky > 0 && self.roll(sides) < unlucky
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
