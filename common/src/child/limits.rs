//! How much a child may use, and how long.

use std::path::Path;
use std::time::Duration;

use framefleet_model::task::ChildLimits;

const GIB: u64 = 1 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest that one attempt may take.
    pub deadline: Duration,
    /// A child that for so long reads nothing, steps nowhere and computes nothing hangs.
    pub silence: Duration,
    /// CPU time within one silence that still counts as nothing.
    pub silence_cpu: Duration,
    /// How often it is looked at.
    pub watch_interval: Duration,
    /// Resident memory beyond which it is killed, before the kernel kills somebody else.
    pub resident_bytes_max: u64,
    /// From SIGTERM to SIGKILL when it is cancelled, and from its last word to its exit.
    pub end_grace: Duration,
    /// What it puts on itself.
    pub own: ChildLimits,
}

impl Limits {
    /// For a machine, or a control group, of this much memory.
    pub fn of_memory(bytes: u64) -> Self {
        let resident_bytes_max = bytes / 10 * 9;
        Self {
            deadline: Duration::from_secs(12 * 3600),
            silence: Duration::from_secs(60),
            silence_cpu: Duration::from_secs(1),
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

    /// For this machine, or the control group that we run in where that has less.
    pub fn of_machine() -> Self {
        let bounds = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        let bounds = bounds.iter().filter_map(|path| read_number(Path::new(path)));
        Self::of_memory(bounds.chain(physical_bytes()).min().unwrap_or(4 * GIB))
    }
}

fn read_number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn physical_bytes() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_never_gets_the_whole_machine() {
        let limits = Limits::of_memory(8 * GIB);
        assert!(limits.resident_bytes_max < 8 * GIB);
        assert!(limits.own.data_bytes_max > limits.resident_bytes_max);
        assert!(Limits::of_machine().resident_bytes_max > GIB / 8);
    }
}
