//! What all children of a parent weigh together: when it is too much, the heaviest of them must go, before the kernel
//! chooses for us.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::Pid;

#[derive(Clone, Default)]
pub(crate) struct Crowd(Arc<Mutex<HashMap<Pid, u64>>>);

/// A child's place on the scales, free again when it is dropped.
pub(crate) struct Member {
    crowd: Crowd,
    pid: Pid,
}

impl Crowd {
    pub(crate) fn join(&self, pid: Pid) -> Member {
        self.lock().insert(pid, 0);
        Member { crowd: self.clone(), pid }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Pid, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// What this child answers for: the weight of all if it is the heaviest, else its own.
    pub(crate) fn charge(&self, own_bytes: u64) -> u64 {
        let mut weights = self.crowd.lock();
        weights.insert(self.pid, own_bytes);
        let heaviest = weights.values().all(|bytes| *bytes <= own_bytes);
        if heaviest { weights.values().sum() } else { own_bytes }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.crowd.lock().remove(&self.pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_answers_for_all_and_the_dead_weigh_nothing() {
        let crowd = Crowd::default();
        let member = |pid| crowd.join(Pid::from_raw(pid).unwrap());
        let (light, heavy) = (member(1), member(2));
        assert_eq!(light.charge(10), 10);
        assert_eq!(heavy.charge(30), 40);
        assert_eq!(light.charge(11), 11);
        drop(heavy);
        assert_eq!(light.charge(12), 12);
    }
}
