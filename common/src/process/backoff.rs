//! Full jitter: a random wait between nothing and a bound that doubles with each failure. Those who failed together
//! do not come back together.

use std::time::Duration;

use rand::{Rng, RngExt as _};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The bound of the wait after the first failure.
    pub first: Duration,
    /// The bound never grows beyond.
    pub longest: Duration,
}

impl Backoff {
    /// Between two tries at a task.
    pub const TASK: Self = Self { first: Duration::from_secs(2), longest: Duration::from_secs(5 * 60) };
    /// Between two tries at a connection.
    pub const CONNECTION: Self = Self { first: Duration::from_millis(200), longest: Duration::from_secs(10) };

    /// The longest wait after this many earlier failures.
    pub fn bound(self, failures: u32) -> Duration {
        2_u32.checked_pow(failures).map_or(self.longest, |factor| self.first.saturating_mul(factor).min(self.longest))
    }

    pub fn wait(self, failures: u32, rng: &mut impl Rng) -> Duration {
        let bound = u64::try_from(self.bound(failures).as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(rng.random_range(0..=bound))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn the_bound_doubles_up_to_five_minutes() {
        let seconds: Vec<u64> = [0, 1, 2, 6, 7, 8, 31, 32, u32::MAX].map(|n| Backoff::TASK.bound(n).as_secs()).into();
        assert_eq!(seconds, [2, 4, 8, 128, 256, 300, 300, 300, 300]);
    }

    #[test]
    fn waits_spread_over_the_whole_range_and_repeat_with_the_seed() {
        let waits = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (0..1000).map(|_| Backoff::TASK.wait(2, &mut rng).as_millis()).collect::<Vec<_>>()
        };
        let seen = waits(1);
        assert!(seen.iter().all(|ms| *ms <= 8000));
        assert!(seen.iter().any(|ms| *ms < 400) && seen.iter().any(|ms| *ms > 7600));
        assert_eq!(seen, waits(1));
        assert_ne!(seen, waits(2));
    }
}
