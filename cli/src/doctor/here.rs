//! This machine: the jail, descriptors, cores, memory, scratch.

use std::path::{Path, PathBuf};

use framefleet_common::process::machine;
use framefleet_jail::jail;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::task::Sandbox;
use futures::future::{BoxFuture, join};
use rustix::fs::{Access, access};
use rustix::process::{Resource, getrlimit};

use super::verdict::{State, Verdict, on_disk, silent};
use crate::config::{Config, Coordinator, CoordinatorConfig, Fleet, Judged, Setup, WorkerConfig};
use crate::roles::sandbox;
use crate::{folders, render};

/// What a child may open (`Limits`): a lower bound of the process's own is in its way.
const CHILD_FILES: u64 = 1024;
/// Of a process itself, beside connections and children.
const OWN_FILES: u64 = 256;
/// Pipes, sockets and files that a child costs its parent.
const FILES_A_SLOT: u64 = 16;
/// What a slot takes for a film of 1080p at preset medium.
const MIB_A_SLOT: u64 = 590;
/// An output, or segments, of some size.
const SCRATCH_MIB: u64 = 2048;

const CONFIGURATION: &str = "configuration";
const SCRATCH: &str = "scratch";

/// What the machine says at once.
pub(super) fn checks(judged: &Judged) -> Vec<Verdict> {
    let mut checks = vec![configuration(judged)];
    match &judged.setup {
        Setup::Bridge(_) => checks.push(open_files(OWN_FILES)),
        Setup::Nothing => {
            checks.push(jailed(sandbox::of_environment()));
            checks.push(open_files(CHILD_FILES));
        }
        Setup::Serve(role) => {
            checks.push(jailed(Ok(role.sandbox)));
            checks.extend(of_roles((&role.coordinator, &role.worker), role.api.connections));
        }
        Setup::Fleet(fleet) => {
            let Fleet { config, coordinator } = fleet.as_ref();
            checks.push(jailed(Ok(config.sandbox)));
            let connections = coordinator.role().map_or(0, |role| role.api.connections);
            checks.extend(of_roles((&config.coordinator, &config.worker), connections));
        }
    }
    checks
}

/// What its folders say, if they say anything.
pub(super) fn folders(setup: &Setup) -> Option<BoxFuture<'_, Vec<Verdict>>> {
    match setup {
        Setup::Bridge(_) => None,
        Setup::Nothing | Setup::Serve(_) => {
            let folder = folders::state(None).ok()?;
            Some(Box::pin(async { vec![scratch("state", folder).await] }))
        }
        Setup::Fleet(fleet) => {
            let Config { worker, coordinator, .. } = &fleet.config;
            let both = join(
                scratch("worker.scratch", worker.scratch.clone()),
                scratch("coordinator.scratch", coordinator.scratch.clone()),
            );
            Some(Box::pin(async { of_either(both.await).into() }))
        }
    }
}

/// What it is set up for, and by what.
fn configuration(Judged { setup, by }: &Judged) -> Verdict {
    let of = |what: &str| match by {
        Some(by) => format!("of {what}, by {by}"),
        None => format!("of {what}: neither a server, a place nor a role is configured"),
    };
    match setup {
        Setup::Nothing => Verdict::ok(CONFIGURATION, of("commands alone")),
        Setup::Serve(_) => Verdict::ok(CONFIGURATION, of("serve")),
        Setup::Bridge(_) => Verdict::ok(CONFIGURATION, of("a bridge")),
        Setup::Fleet(fleet) => match &fleet.coordinator {
            Coordinator::Here(_) => {
                Verdict::ok(CONFIGURATION, of("a fleet") + ": a coordinator and a worker could begin")
            }
            // A worker has no secrets but its own: what a coordinator lacks there is as it should be.
            Coordinator::Elsewhere(fault) => {
                let says = format!("{}: a worker could begin, and no coordinator: {}", of("a fleet"), fault.message);
                Verdict::warning(CONFIGURATION, says, "nothing on a worker's machine; else mend it")
            }
            Coordinator::Nowhere(fault) => {
                let message = format!("{}: no coordinator could begin: {}", of("a fleet"), fault.message);
                Verdict::bad(CONFIGURATION, Fault { message, ..fault.clone() }, "mend it, on all machines that have it")
            }
        },
    }
}

fn jailed(sandbox: Result<Sandbox, Fault>) -> Verdict {
    let sandbox = match sandbox {
        Ok(sandbox) => sandbox,
        Err(fault) => return Verdict::bad("jail", fault, "correct the variable"),
    };
    let offered = jail::offered();
    let newer = "run Linux 5.13 or newer with landlock among its lsm=, and let the container's profile pass its calls";
    match (sandbox, offered.lacking()) {
        (Sandbox::Off, _) => Verdict::warning("jail", "sandbox.mode is off", "set best-effort or enforce"),
        (_, None) => Verdict::ok("jail", offered.to_string()),
        (Sandbox::BestEffort, Some(lacking)) => Verdict::warning("jail", lacking, newer),
        (Sandbox::Enforce, Some(lacking)) => {
            let message = format!("sandbox.mode is enforce, and this kernel lacks {lacking}");
            Verdict::bad("jail", Fault::new(FaultKind::Settings, message), newer)
        }
    }
}

fn of_roles((coordinator, worker): (&CoordinatorConfig, &WorkerConfig), connections: usize) -> Vec<Verdict> {
    let count = |slots: usize| u64::try_from(slots).unwrap_or(u64::MAX);
    // A light slot waits for bytes and a long one seldom has work: it is the others that compute all day.
    let encoding = worker.slots.iter().filter(|(class, _)| !matches!(class.as_str(), "light" | "long"));
    let encoding = count(encoding.map(|(_, slots)| slots).sum());
    let all = count(worker.slots.iter().map(|(_, slots)| slots).sum::<usize>() + coordinator.merge_slots);
    let cores = count(machine::cores().get());
    let files = OWN_FILES + count(connections) + all * FILES_A_SLOT;
    vec![open_files(files.max(CHILD_FILES)), of_cores(encoding, cores), memory(encoding, worker.memory_bytes_max)]
}

fn of_cores(slots: u64, cores: u64) -> Verdict {
    if slots <= cores {
        return Verdict::ok("cores", format!("{slots} encoding slots on {cores} cores"));
    }
    let says = format!("{slots} encoding slots on {cores} cores: each film takes longer, none is made sooner");
    Verdict::warning("cores", says, "worker.slots = { standard = \"auto\" }")
}

fn memory(slots: u64, bytes: u64) -> Verdict {
    let needed = (slots * MIB_A_SLOT) << 20;
    if needed <= bytes {
        return Verdict::ok("memory", format!("{} for {slots} encoding slots", render::bytes(bytes)));
    }
    let (needed, there) = (render::bytes(needed), render::bytes(bytes));
    let says = format!("{there} for {slots} encoding slots, which take {needed} of 1080p: some will wait");
    Verdict::warning("memory", says, "fewer worker.slots, or more memory")
}

fn open_files(needed: u64) -> Verdict {
    let limit = getrlimit(Resource::Nofile);
    descriptors(limit.current.unwrap_or(u64::MAX), needed)
}

/// What is needed at most seldom is; without what a child needs, nothing works.
fn descriptors(there: u64, needed: u64) -> Verdict {
    if there >= needed {
        return Verdict::ok("open files", format!("{there} allowed, {needed} needed at most"));
    }
    let message = format!("{there} allowed, {needed} needed at most");
    let fix = format!("ulimit -n {needed}, or LimitNOFILE={needed} of its service");
    if there >= CHILD_FILES {
        return Verdict::warning("open files", message, fix);
    }
    Verdict::bad("open files", Fault::new(FaultKind::Settings, message), fix)
}

async fn scratch(of: &'static str, folder: PathBuf) -> Verdict {
    let name = folder.display().to_string();
    on_disk(move || writable(of, &folder)).await.unwrap_or_else(|| {
        let fault = Fault::new(FaultKind::Settings, silent(&name));
        Verdict::bad(SCRATCH, fault, "look whether its server runs, if it is mounted, or name another folder").of(of)
    })
}

/// Nobody says which roles run here, so what only one of them could not use is for people to judge.
fn of_either((worker, coordinator): (Verdict, Verdict)) -> [Verdict; 2] {
    let unless = |verdict: Verdict, role: &str| {
        let says = format!("{}: matters only where a {role} runs", verdict.says);
        Verdict { state: State::Warning, says, kind: None, ..verdict }
    };
    match (worker.state, coordinator.state) {
        (State::Bad, State::Ok | State::Warning) => [unless(worker, "worker"), coordinator],
        (State::Ok | State::Warning, State::Bad) => [worker, unless(coordinator, "coordinator")],
        (State::Bad, State::Bad) | (State::Ok | State::Warning, State::Ok | State::Warning) => [worker, coordinator],
    }
}

/// Whether a folder that is there, or the one that it would be made in, may be written and has room.
fn writable(of: &str, folder: &Path) -> Verdict {
    let name = folder.display();
    let there = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    if let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) {
        let fault = Fault::new(FaultKind::Settings, format!("{name} cannot be written: {}: {error}", there.display()));
        return Verdict::bad(SCRATCH, fault, format!("chown it to the user that framefleet runs as: {name}")).of(of);
    }
    match machine::free_mib(folder) {
        Some(mib) if mib < SCRATCH_MIB => {
            let says = format!("{name} has {mib} MiB free, less than {SCRATCH_MIB} MiB");
            Verdict::warning(SCRATCH, says, "make room, or name another folder").of(of)
        }
        Some(mib) => Verdict::ok(SCRATCH, format!("{name} has {} free", render::bytes(mib << 20))).of(of),
        None => Verdict::ok(SCRATCH, format!("{name} does not say what it has free")).of(of),
    }
}

#[cfg(test)]
mod tests {
    use super::super::verdict::State;
    use super::*;

    #[test]
    fn what_is_scarce_is_a_warning_and_too_few_descriptors_for_a_child_are_bad() {
        assert_eq!((of_cores(2, 2).state, of_cores(3, 2).state), (State::Ok, State::Warning));
        assert_eq!((memory(2, 2 << 30).state, memory(4, 2 << 30).state), (State::Ok, State::Warning));
        let states = [4096, 1024, 1023].map(|there| descriptors(there, 2048).state);
        assert_eq!(states, [State::Ok, State::Warning, State::Bad]);
    }

    #[test]
    fn a_folder_that_would_have_to_be_made_is_judged_by_the_one_above() {
        let home = tempfile::tempdir().unwrap();
        assert_ne!(writable("worker.scratch", &home.path().join("a/b")).state, State::Bad);
        let bad = writable("worker.scratch", Path::new("/proc/version/scratch"));
        assert_eq!((bad.state, bad.of.as_deref()), (State::Bad, Some("worker.scratch")));
    }

    #[test]
    fn a_scratch_of_one_role_is_bad_only_where_the_other_has_none_either() {
        let home = tempfile::tempdir().unwrap();
        let good = || writable("worker.scratch", home.path());
        let bad = |of| writable(of, Path::new("/proc/version/scratch"));
        let [worker, coordinator] = of_either((good(), bad("coordinator.scratch")));
        assert_eq!((worker, coordinator.state, coordinator.kind), (good(), State::Warning, None));
        assert!(coordinator.says.ends_with("matters only where a coordinator runs"), "{}", coordinator.says);
        let [worker, _] = of_either((bad("worker.scratch"), good()));
        assert!(worker.says.ends_with("matters only where a worker runs"), "{}", worker.says);
        assert_eq!(of_either((bad("a"), bad("b"))), [bad("a"), bad("b")], "no role could begin here");
    }
}
