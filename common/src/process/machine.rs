//! What this process may use: the machine's cores and memory, or less where its cgroup says so.

use std::fs;
use std::num::NonZero;
use std::path::Path;

use rustix::system::sysinfo;

const CGROUPS: &str = "/sys/fs/cgroup";

/// Cores by affinity and by the cgroup's quota, at least one.
pub fn cores() -> NonZero<usize> {
    std::thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// Bytes of memory that may be resident before the kernel acts.
pub fn memory_bytes() -> u64 {
    let memberships = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = sysinfo();
    let physical = u64::from(machine.mem_unit) * machine.totalram;
    limit(&memberships, Path::new(CGROUPS)).map_or(physical, |limit| limit.min(physical))
}

/// The lowest limit of the process's memory cgroup and of all above it. `memberships` is `/proc/self/cgroup`:
/// `0::/path` for version 2, `n:controllers:/path` for version 1.
fn limit(memberships: &str, mount: &Path) -> Option<u64> {
    memberships
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            match controllers {
                "" => limit_above(mount, path, "memory.max"),
                _ if controllers.split(',').any(|c| c == "memory") => {
                    limit_above(&mount.join("memory"), path, "memory.limit_in_bytes")
                }
                _ => None,
            }
        })
        .min()
}

fn limit_above(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let own = mount.join(path.trim_start_matches('/'));
    // A container may see its own cgroup as the mount's root, under another path than it is told: what is not there
    // sets no limit.
    own.ancestors()
        .take_while(|folder| folder.starts_with(mount))
        .filter_map(|folder| fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok())
        .min()
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

    #[test]
    fn the_lowest_limit_on_the_way_up_counts() {
        let mount = cgroups(&[("a/memory.max", "1000\n"), ("a/b/memory.max", "max\n"), ("a/b/c/memory.max", "3000\n")]);
        assert_eq!(limit("0::/a/b/c\n", mount.path()), Some(1000));
        assert_eq!(limit("0::/elsewhere\n", mount.path()), None);
    }

    #[test]
    fn a_container_finds_its_limit_at_the_mounts_root() {
        let mount = cgroups(&[("memory.max", "2000\n")]);
        assert_eq!(limit("0::/kubepods/pod1/c1\n", mount.path()), Some(2000));
    }

    #[test]
    fn version_one_is_understood() {
        let mount = cgroups(&[("memory/job/memory.limit_in_bytes", "500\n")]);
        assert_eq!(limit("4:cpu,cpuacct:/x\n3:memory:/job\n1:name=systemd:/y\n", mount.path()), Some(500));
    }

    #[test]
    fn this_machine_has_cores_and_memory() {
        assert!(cores().get() >= 1);
        assert!(memory_bytes() > 64 << 20);
    }
}
