//! A process that holds credentials leaves no core dump and lets no other of its user read its memory.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// For a parent that holds credentials. Children start afresh with their exec.
pub fn seal() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn a_sealed_process_is_not_dumpable_and_still_knows_itself() {
        seal().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert!(std::env::current_exe().unwrap().exists());
        assert!(std::fs::read_dir("/proc/self/fd").is_ok());
    }
}
