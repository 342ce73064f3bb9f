//! ```text
//!  the child:  limits ─▶ capabilities ─▶ Landlock ─▶ seccomp ─▶ GStreamer, threads, the film
//!                        root's rights    files · TCP · signals    system calls
//! ```
//! None needs a privilege, all hold for all that the process becomes, and cannot be taken back. They are put on before the
//! process has a second thread: later ones inherit them, earlier ones would not.
//!
//! It does not hide which files exist (`stat` stays), and it does not bound what is used: limits and the parent's watch do.

use std::fmt;

use framefleet_model::task::Sandbox;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    Scope, make_bitflags, path_beneath_rules,
};

use crate::places::Places;
use crate::{filters, rights};

/// The newest that was tried; of an older kernel's Landlock there is less, and what there is counts.
const NEWEST: ABI = ABI::V7;
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
/// Regular files and folders, nothing that is run and nothing that somebody could listen at.
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
});

/// What of the jail is in force, or why it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whether root's rights are gone, but for those of files.
    pub rights: Result<(), String>,
    /// The version of Landlock.
    pub landlock: Result<u32, String>,
    pub seccomp: Result<(), String>,
}

/// Puts this thread, and those that it begins, into the jail. An error says what the kernel lacks.
pub fn enter(sandbox: Sandbox, places: &Places) -> Result<(), String> {
    match sandbox {
        Sandbox::Off => Ok(()),
        Sandbox::BestEffort => {
            Held::from_here_on(places);
            Ok(())
        }
        Sandbox::Enforce => Held::from_here_on(places).lacking().map_or(Ok(()), Err),
    }
}

/// What this kernel, and whatever confines this process already, let a child have: found by having a thread try it.
pub fn offered() -> Held {
    let tried = std::thread::Builder::new().spawn(|| Held::from_here_on(&Places::default()));
    let tried = tried.map_err(|e| e.to_string()).and_then(|tried| tried.join().map_err(|_| "it fell over".to_owned()));
    tried.unwrap_or_else(|why| {
        let why = format!("no thread could try it: {why}");
        Held { rights: Err(why.clone()), landlock: Err(why.clone()), seccomp: Err(why) }
    })
}

impl Held {
    /// In this order: once calls are filtered, those that Landlock needs are gone.
    fn from_here_on(places: &Places) -> Self {
        Self { rights: rights::give_up(), landlock: restrict(places), seccomp: filters::apply() }
    }

    /// `None` where nothing is.
    pub fn lacking(&self) -> Option<String> {
        let rights = self.rights.as_ref().err().map(|why| format!("capabilities: {why}"));
        let landlock = self.landlock.as_ref().err().map(|why| format!("Landlock: {why}"));
        let seccomp = self.seccomp.as_ref().err().map(|why| format!("seccomp: {why}"));
        let lacking: Vec<String> = rights.into_iter().chain(landlock).chain(seccomp).collect();
        (!lacking.is_empty()).then(|| lacking.join("; "))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.landlock {
            Ok(version) => write!(f, "Landlock {version}")?,
            Err(_) => f.write_str("no Landlock")?,
        }
        f.write_str(if self.seccomp.is_ok() { ", seccomp" } else { ", no seccomp" })?;
        f.write_str(if self.rights.is_ok() { ", root's rights given up" } else { ", root's rights kept" })
    }
}

fn restrict(places: &Places) -> Result<u32, String> {
    let refused = |e: RulesetError| e.to_string();
    let ruled = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
        .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .map_err(refused)?;
    let status = ruled
        .add_rules(path_beneath_rules(&places.readable, READ))
        .and_then(|rules| rules.add_rules(path_beneath_rules(&places.devices, READ | AccessFs::WriteFile)))
        .and_then(|rules| rules.add_rules(path_beneath_rules(&places.writable, WRITE)))
        .and_then(|rules| rules.restrict_self())
        .map_err(refused)?;
    match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            let version = kernel_abi.unwrap_or(effective_abi as i32);
            Ok(u32::try_from(version).unwrap_or_default())
        }
        LandlockStatus::NotEnabled => {
            Err("the kernel has it and does not use it (boot it with lsm=landlock in front of its list)".to_owned())
        }
        LandlockStatus::NotImplemented => {
            Err("the kernel has none (Linux 5.13 and newer do), or what confines this process refuses it".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let whole = Held { rights: Ok(()), landlock: Ok(4), seccomp: Ok(()) };
        let all = "Landlock 4, seccomp, root's rights given up";
        assert_eq!((whole.lacking(), whole.to_string()), (None, all.to_owned()));
        let half = Held { landlock: Err("there is none".to_owned()), ..whole };
        assert_eq!(half.lacking().as_deref(), Some("Landlock: there is none"));
        assert_eq!(half.to_string(), "no Landlock, seccomp, root's rights given up");
        let none = Held { rights: Err("all stay".to_owned()), seccomp: Err("nor that".to_owned()), ..half };
        assert_eq!(
            none.lacking().as_deref(),
            Some("capabilities: all stay; Landlock: there is none; seccomp: nor that")
        );
    }

    #[test]
    fn finding_out_leaves_this_process_free() {
        let first = offered();
        assert_eq!(offered(), first);
        assert!(std::fs::read_dir("/").is_ok_and(|mut found| found.next().is_some()));
        std::process::Command::new("true").status().unwrap();
    }
}
