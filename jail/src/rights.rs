//! Capabilities: by them root does what owners, users and clocks forbid. A child keeps none but those of files, for its
//! scratch folder and what it reads may be another user's; Landlock says which files it comes to at all.

use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

pub(crate) const KEPT: CapabilitySet = CapabilitySet::DAC_OVERRIDE.union(CapabilitySet::DAC_READ_SEARCH);

/// For this thread, those that it begins, and whatever it becomes. Nobody who is not root had any.
pub(crate) fn give_up() -> Result<(), String> {
    let told = |what: &'static str| move |e: Errno| format!("{what}: {e}");
    let held = capabilities(None).map_err(told("they cannot be asked for"))?;
    // First of all, for it takes one that is about to go. Whoever lacks that one got it from nobody, and by no_new_privs
    // gets it from no program.
    if held.effective.contains(CapabilitySet::SETPCAP) {
        bound().map_err(told("they cannot be bounded"))?;
    }
    match clear_ambient_capability_set() {
        // A kernel that knows of none has none.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(e) => return Err(told("those of programs cannot be given up")(e)),
    }
    let kept = held.permitted & KEPT;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(told("they cannot be given up"))
}

/// What no program can bring back.
fn bound() -> Result<(), Errno> {
    for one in (0..u64::BITS).map(|number| CapabilitySet::from_bits_retain(1 << number)) {
        match capability_is_in_bounding_set(one) {
            Ok(true) if !KEPT.contains(one) => remove_capability_from_bounding_set(one)?,
            Ok(_) => {}
            // The kernel's last one was the one before.
            Err(Errno::INVAL) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Output, Stdio};

    use super::*;

    const NOBODY: u32 = 65_534;

    /// In a thread that has given up its rights, which are each thread's own.
    fn without<T: Send>(call: impl FnOnce() -> T + Send) -> T {
        let tried = || {
            give_up().unwrap();
            call()
        };
        std::thread::scope(|scope| scope.spawn(tried).join().unwrap())
    }

    fn run(words: &[&str]) -> Output {
        Command::new(words[0]).args(&words[1..]).env("LC_ALL", "C").stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn is_refused(words: &[&str]) {
        let ran = without(|| run(words));
        let told = String::from_utf8_lossy(&ran.stderr).to_lowercase();
        let denied = ["not permitted", "permission denied", "must be superuser", "must be root"];
        assert!(!ran.status.success() && denied.iter().any(|words| told.contains(words)), "{words:?}: {ran:?}");
    }

    #[test]
    fn none_but_those_of_files_are_left_to_this_thread_and_to_programs() {
        let before = capabilities(None).unwrap();
        let (held, status) = without(|| (capabilities(None).unwrap(), run(&["cat", "/proc/self/status"])));
        let kept = before.permitted & KEPT;
        let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
        assert_eq!(held, sets);
        let status = String::from_utf8(status.stdout).unwrap();
        for line in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
            let set = status.lines().find_map(|text| text.strip_prefix(line)).unwrap().trim();
            let set = CapabilitySet::from_bits_retain(u64::from_str_radix(set, 16).unwrap());
            assert!(KEPT.contains(set), "{status}");
        }
        assert_eq!(capabilities(None).unwrap(), before, "others keep theirs");
    }

    /// As root, who could do all of it before: another user's process is told to end, files are given away, the clock is set,
    /// something is mounted.
    #[test]
    fn a_child_of_root_cannot_do_what_root_can() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        let is_root = capabilities(None).unwrap().effective.contains(CapabilitySet::CHOWN);
        let mut other = Command::new("sleep");
        other.arg("600").stdout(Stdio::null());
        if is_root {
            chown(&file, Some(NOBODY), None).unwrap();
            other.uid(NOBODY);
        }
        let mut other = other.spawn().unwrap();
        let given = without(|| chown(&file, Some(NOBODY - 1), None)).unwrap_err();
        assert_eq!(given.raw_os_error(), Some(Errno::PERM.raw_os_error()));
        let (path, place) = (file.to_str().unwrap(), folder.path().to_str().unwrap());
        is_refused(&["chown", "65533", path]);
        is_refused(&["mount", "-t", "tmpfs", "none", place]);
        let now = run(&["date", "+%s"]);
        is_refused(&["date", &format!("--set=@{}", String::from_utf8_lossy(&now.stdout).trim())]);
        if is_root {
            let pid = other.id().to_string();
            is_refused(&["kill", "-TERM", &pid]);
            assert!(other.try_wait().unwrap().is_none());
            assert!(run(&["kill", "-TERM", &pid]).status.success(), "whoever has all rights may");
            // A film that is another's is read, and a scratch folder that is another's is written.
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let read = without(|| fs::read(&file).and_then(|read| fs::write(&file, [read, b"y".to_vec()].concat())));
            read.unwrap();
            assert_eq!(fs::read(&file).unwrap(), b"xy");
        } else {
            other.kill().unwrap();
        }
        other.wait().unwrap();
    }
}
