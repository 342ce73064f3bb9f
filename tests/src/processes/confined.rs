//! A process with less than the machine has: a disk of its own that is small, or a bound on its memory. Both need root,
//! and a test that does not get them fails.

use std::path::{Path, PathBuf};

use rustix::process::{Pid, geteuid};

const MEMORY_CGROUPS: &str = "/sys/fs/cgroup/memory";
const CGROUPS: &str = "/sys/fs/cgroup";
const FILL_BYTES: usize = 1 << 16;

/// Words before a program that then has a file system of so many MiB, seen by nobody else, at this folder.
pub fn small_disk(folder: &Path, mib: u32) -> Vec<String> {
    assert!(geteuid().is_root(), "a file system of a process's own can only be mounted by root");
    let script = format!("mkdir -p \"$0\" && mount -t tmpfs -o size={mib}m tmpfs \"$0\" && exec \"$@\"");
    ["unshare", "--mount", "sh", "-c", &script, &folder.display().to_string()].map(str::to_owned).to_vec()
}

/// Words before a program at whose folder a file system is mounted that never answers, as one whose server is gone. Seen
/// by nobody else, and gone with the program.
pub fn hung_disk(folder: &Path) -> Vec<String> {
    assert!(geteuid().is_root(), "a file system of a process's own can only be mounted by root");
    // Whoever should answer is this shell, which does not.
    let mount = "mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hung \"$0\"";
    let script = format!("mkdir -p \"$0\" && exec 3<>/dev/fuse && {mount} && \"$@\" 3<&-");
    ["unshare", "--mount", "sh", "-c", &script, &folder.display().to_string()].map(str::to_owned).to_vec()
}

/// A path as the process sees it.
pub fn seen_by(pid: Pid, path: &Path) -> PathBuf {
    let root = format!("/proc/{}/root", pid.as_raw_nonzero());
    Path::new(&root).join(path.strip_prefix("/").expect("an absolute path"))
}

/// Writes a file until no room is left.
pub fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    while file.write(&[0; FILL_BYTES]).is_ok_and(|written| written > 0) {}
}

/// A control group with a bound on memory. Gone with its value, once nobody is in it.
pub struct MemoryBound(PathBuf);

impl MemoryBound {
    pub fn of(bytes: u64) -> Self {
        assert!(geteuid().is_root(), "control groups can only be made by root");
        let legacy = Path::new(MEMORY_CGROUPS).is_dir();
        let (mount, file) = if legacy { (MEMORY_CGROUPS, "memory.limit_in_bytes") } else { (CGROUPS, "memory.max") };
        let folder = Path::new(mount).join(format!("framefleet-test-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap_or_else(|e| panic!("no control group at {}: {e}", folder.display()));
        let bound = Self(folder);
        let file = bound.0.join(file);
        std::fs::write(&file, bytes.to_string()).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        bound
    }

    /// Words before a program that then runs within.
    pub fn wrapper(&self) -> Vec<String> {
        let script = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        ["sh", "-c", script, &self.0.display().to_string()].map(str::to_owned).to_vec()
    }
}

impl Drop for MemoryBound {
    fn drop(&mut self) {
        // Refused while the dying are still counted; an empty group harms nobody.
        let _ = std::fs::remove_dir(&self.0);
    }
}
