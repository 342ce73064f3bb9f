//! What this process may use: the machine's cores and memory, or less where its cgroup says so.

use std::fs;
use std::num::NonZero;
use std::path::Path;

use rustix::fs::statvfs;
use rustix::system::{sysinfo, uname};

const CGROUPS: &str = "/sys/fs/cgroup";

/// A limit of cgroups: the controller that keeps it in version 1, its file in version 2 and in version 1.
struct Limit {
    controller: &'static str,
    unified: &'static str,
    legacy: &'static str,
}

const MEMORY: Limit = Limit { controller: "memory", unified: "memory.max", legacy: "memory.limit_in_bytes" };
const QUOTA: Limit = Limit { controller: "cpu", unified: "cpu.max", legacy: "cpu.cfs_quota_us" };
/// Of a quota in version 1; that of version 2 stands beside it in the same file.
const PERIOD: &str = "cpu.cfs_period_us";

/// Whole cores by affinity and by the cgroup's quota, at least one.
pub fn cores() -> NonZero<usize> {
    let here = std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    // The library looks for a quota under the path that the process is told, which is not where a container without a
    // cgroup namespace finds its own.
    let quota = lowest(&memberships(), Path::new(CGROUPS), &QUOTA, cores_of);
    quota.and_then(|cores| NonZero::new(usize::try_from(cores).ok()?.max(1))).map_or(here, |quota| quota.min(here))
}

/// What the file system of a folder has free, in MiB; `None` where it does not say.
pub fn free_mib(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let found = statvfs(there).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize) >> 20)
}

/// Bytes of memory that may be resident before the kernel acts.
pub fn memory_bytes() -> u64 {
    let machine = sysinfo();
    let physical = u64::from(machine.mem_unit) * machine.totalram;
    lowest(&memberships(), Path::new(CGROUPS), &MEMORY, number).map_or(physical, |limit| limit.min(physical))
}

/// What the host calls itself.
pub fn host_name() -> String {
    uname().nodename().to_string_lossy().into_owned()
}

fn memberships() -> String {
    fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

/// The lowest limit of the process's cgroup and of all above it, as `read` from their files. `memberships` is
/// `/proc/self/cgroup`: `0::/path` for version 2, `n:controllers:/path` for version 1.
fn lowest(memberships: &str, mount: &Path, limit: &Limit, read: fn(&Path) -> Option<u64>) -> Option<u64> {
    memberships
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            match controllers {
                "" => lowest_above(mount, path, &|folder| read(&folder.join(limit.unified))),
                _ if controllers.split(',').any(|c| c == limit.controller) => {
                    lowest_above(&mount.join(limit.controller), path, &|folder| read(&folder.join(limit.legacy)))
                }
                _ => None,
            }
        })
        .min()
}

fn lowest_above(mount: &Path, path: &str, read: &dyn Fn(&Path) -> Option<u64>) -> Option<u64> {
    let own = mount.join(path.trim_start_matches('/'));
    // A container may see its own cgroup as the mount's root, under another path than it is told: what is not there
    // sets no limit.
    own.ancestors().take_while(|folder| folder.starts_with(mount)).filter_map(read).min()
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Whole cores, rounded down: `max 100000` or `150000 100000` in one file, or -1 or 150000 with its period beside it.
fn cores_of(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let mut words = text.split_whitespace();
    let quota: u64 = words.next()?.parse().ok()?;
    let period = match words.next() {
        Some(period) => period.parse().ok()?,
        None => number(&file.with_file_name(PERIOD))?,
    };
    quota.checked_div(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cgroups(files: &[(&str, &str)]) -> tempfile::TempDir {
        let mount = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = mount.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        mount
    }

    fn memory(memberships: &str, mount: &Path) -> Option<u64> {
        lowest(memberships, mount, &MEMORY, number)
    }

    fn quota(memberships: &str, mount: &Path) -> Option<u64> {
        lowest(memberships, mount, &QUOTA, cores_of)
    }

    #[test]
    fn quotas_of_both_versions_are_whole_cores() {
        let mount = cgroups(&[("a/cpu.max", "350000 100000\n"), ("a/b/cpu.max", "max 100000\n")]);
        assert_eq!(quota("0::/a/b\n", mount.path()), Some(3));
        assert_eq!(quota("0::/\n", mount.path()), None);
        let mount = cgroups(&[("cpu.max", "50000 100000\n")]);
        assert_eq!(quota("0::/kubepods/pod1/c1\n", mount.path()), Some(0), "less than one: rounded up by the caller");
        let mount = cgroups(&[("cpu/job/cpu.cfs_quota_us", "250000\n"), ("cpu/job/cpu.cfs_period_us", "100000\n")]);
        assert_eq!(quota("4:cpu,cpuacct:/job\n3:memory:/x\n", mount.path()), Some(2));
        let mount = cgroups(&[("cpu/job/cpu.cfs_quota_us", "-1\n"), ("cpu/job/cpu.cfs_period_us", "100000\n")]);
        assert_eq!(quota("4:cpu,cpuacct:/job\n", mount.path()), None);
    }

    #[test]
    fn the_lowest_limit_on_the_way_up_counts() {
        let mount = cgroups(&[("a/memory.max", "1000\n"), ("a/b/memory.max", "max\n"), ("a/b/c/memory.max", "3000\n")]);
        assert_eq!(memory("0::/a/b/c\n", mount.path()), Some(1000));
        assert_eq!(memory("0::/elsewhere\n", mount.path()), None);
    }

    #[test]
    fn a_container_finds_its_limit_at_the_mounts_root() {
        let mount = cgroups(&[("memory.max", "2000\n")]);
        assert_eq!(memory("0::/kubepods/pod1/c1\n", mount.path()), Some(2000));
    }

    #[test]
    fn version_one_is_understood() {
        let mount = cgroups(&[("memory/job/memory.limit_in_bytes", "500\n")]);
        assert_eq!(memory("4:cpu,cpuacct:/x\n3:memory:/job\n1:name=systemd:/y\n", mount.path()), Some(500));
    }

    #[test]
    fn this_machine_has_cores_and_memory() {
        assert!(cores().get() >= 1);
        assert!(memory_bytes() > 64 << 20);
        assert!(!host_name().is_empty());
    }
}
