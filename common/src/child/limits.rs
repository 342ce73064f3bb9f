//! How much a child may use, and how long.

use std::time::Duration;

use framefleet_model::task::ChildLimits;
use framefleet_model::time::MediaTime;

const GIB: u64 = 1 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest that one attempt may take.
    pub deadline: Duration,
    /// A child that for so long reads nothing, steps nowhere and computes nothing hangs.
    pub silence: Duration,
    /// CPU time within one silence that still counts as nothing.
    pub silence_cpu: Duration,
    /// A child that for so long reads nothing and steps nowhere runs in circles, however busy it is.
    pub spin: Duration,
    /// CPU time that every attempt may use, however little was estimated.
    pub cpu_floor: Duration,
    /// So many times the estimate is bounded CPU time, whatever the child says of its progress.
    pub cpu_factor: u32,
    /// How often it is looked at.
    pub watch_interval: Duration,
    /// Resident memory of all children together beyond which the heaviest is killed, before the kernel chooses.
    pub resident_bytes_max: u64,
    /// From SIGTERM to SIGKILL when it is cancelled, and from its last word to its exit.
    pub end_grace: Duration,
    /// What it puts on itself.
    pub own: ChildLimits,
}

impl Limits {
    /// For a machine, or a control group, of this much memory (`process::machine::memory_bytes`).
    pub fn of_memory(bytes: u64) -> Self {
        let resident_bytes_max = bytes / 10 * 9;
        Self {
            deadline: Duration::from_secs(48 * 3600),
            silence: Duration::from_secs(60),
            silence_cpu: Duration::from_secs(1),
            spin: Duration::from_secs(20 * 60),
            cpu_floor: Duration::from_secs(20 * 60),
            cpu_factor: 20,
            watch_interval: Duration::from_millis(250),
            resident_bytes_max,
            end_grace: Duration::from_secs(5),
            own: ChildLimits {
                // Thread stacks and freed heaps count as data without ever being resident.
                data_bytes_max: (2 * resident_bytes_max).max(4 * GIB),
                file_bytes_max: 1024 * GIB,
                open_files_max: 1024,
            },
        }
    }
}

impl Limits {
    /// The CPU time beyond which an attempt at work of this cost must run in circles.
    pub(crate) fn cpu_max(&self, estimate: Option<MediaTime>) -> Duration {
        let estimate = estimate.and_then(|estimate| u64::try_from(estimate.ns()).ok());
        let bound = |ns| Duration::from_nanos(ns).saturating_mul(self.cpu_factor).max(self.cpu_floor);
        estimate.map_or(Duration::MAX, bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_never_gets_the_whole_machine() {
        let limits = Limits::of_memory(8 * GIB);
        assert!(limits.resident_bytes_max < 8 * GIB);
        assert!(limits.own.data_bytes_max > limits.resident_bytes_max);
    }
}
