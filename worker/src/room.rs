//! What a worker has to give: memory and scratch, reserved by each attempt before it begins.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use framefleet_common::process::machine::free_mib;
use framefleet_model::task::Need;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Below so much free scratch a worker takes nothing more.
const FLOOR_MIB: u64 = 256;

pub(crate) struct Room {
    total: Need,
    memory: Arc<Semaphore>,
    scratch: Arc<Semaphore>,
    folder: PathBuf,
}

/// An attempt's part of the room, free again when it is dropped.
pub(crate) struct Reserved {
    _memory: OwnedSemaphorePermit,
    _scratch: OwnedSemaphorePermit,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    /// Others have it.
    Now,
    /// This worker never has so much.
    Always,
}

impl Room {
    pub(crate) fn new(total: Need, folder: &Path) -> Self {
        let permits = |mib: u32| Arc::new(Semaphore::new((mib as usize).min(Semaphore::MAX_PERMITS)));
        let (memory, scratch) = (permits(total.memory_mib), permits(total.scratch_mib));
        Self { total, memory, scratch, folder: folder.to_owned() }
    }

    pub(crate) fn total(&self) -> Need {
        self.total
    }

    /// What attempts have reserved.
    pub(crate) fn reserved(&self) -> Need {
        let taken = |total: u32, left: &Semaphore| {
            total.saturating_sub(u32::try_from(left.available_permits()).unwrap_or(u32::MAX))
        };
        Need {
            memory_mib: taken(self.total.memory_mib, &self.memory),
            scratch_mib: taken(self.total.scratch_mib, &self.scratch),
        }
    }

    pub(crate) fn free_mib(&self) -> Option<u64> {
        free_mib(&self.folder)
    }

    pub(crate) fn reserve(&self, need: Need) -> Result<Reserved, Short> {
        if need.memory_mib > self.total.memory_mib || need.scratch_mib > self.total.scratch_mib {
            return Err(Short::Always);
        }
        let memory = self.memory.clone().try_acquire_many_owned(need.memory_mib).map_err(|_| Short::Now)?;
        let scratch = self.scratch.clone().try_acquire_many_owned(need.scratch_mib).map_err(|_| Short::Now)?;
        if free_mib(&self.folder).is_some_and(|free| free < u64::from(need.scratch_mib)) {
            return Err(Short::Now);
        }
        Ok(Reserved { _memory: memory, _scratch: scratch })
    }

    /// Whether anything at all can be begun; else what is wrong.
    pub(crate) fn check(&self) -> Result<(), String> {
        // Never more than a tenth of the whole: a small scratch is a choice.
        let floor = FLOOR_MIB.min(u64::from(self.total.scratch_mib) / 10);
        match free_mib(&self.folder) {
            Some(free) if free < floor => {
                Err(format!("scratch {} has {free} MiB free, at least {floor} are needed", self.folder.display()))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(memory_mib: u32, scratch_mib: u32) -> Need {
        Need { memory_mib, scratch_mib }
    }

    #[test]
    fn what_one_attempt_has_no_other_gets() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room::new(need(1000, 10), folder.path());
        let first = room.reserve(need(600, 1)).unwrap();
        assert_eq!(room.reserve(need(600, 1)).err(), Some(Short::Now));
        assert_eq!(room.reserve(need(1001, 1)).err(), Some(Short::Always));
        assert_eq!(room.reserve(need(1, 11)).err(), Some(Short::Always));
        let _small = room.reserve(need(400, 1)).unwrap();
        assert_eq!(room.reserved(), need(1000, 2));
        drop(first);
        assert!(room.reserve(need(600, 1)).is_ok());
    }

    #[test]
    fn a_scratch_that_is_there_has_room() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Room::new(need(1, 1), &folder.path().join("not yet")).check(), Ok(()));
        assert!(free_mib(folder.path()).is_some_and(|free| free > 0));
    }
}
