//! The jail from inside: a child that goes into it and then tries to get out, each way refused, and each way open to the
//! same child without it, so that it is the jail that refuses. The test program is its own child.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};

use framefleet_jail::jail::{Held, offered};
use libtest_mimic::{Arguments, Trial};

mod attempts;

use attempts::{ATTEMPTS, End};

const SIGSYS: i32 = 31;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("child") => attempts::child(args.collect()),
        _ => libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
}

fn trials() -> Vec<Trial> {
    let attempts = ATTEMPTS.iter().map(|attempt| {
        Trial::test(format!("{}_is_refused_and_without_a_jail_is_not", attempt.name), || {
            is_refused(attempt.name, attempt.end);
            Ok(())
        })
    });
    let others: [(&str, fn()); 4] = [
        ("a_child_of_root_keeps_no_right_but_those_of_files", a_child_of_root_keeps_no_right_but_those_of_files),
        ("the_work_of_media_is_not_refused", the_work_of_media_is_not_refused),
        ("threads_are_in_the_jail_of_who_began_them", threads_are_in_the_jail_of_who_began_them),
        ("enforce_is_as_strict_as_the_kernel_lets_it", enforce_is_as_strict_as_the_kernel_lets_it),
    ];
    let others = others.into_iter().map(|(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    attempts.chain(others).collect()
}

/// A child's surroundings: a secret beside its scratch, somebody who listens.
struct Scene {
    folder: tempfile::TempDir,
    tcp: TcpListener,
    _unix: UnixListener,
}

impl Scene {
    fn new() -> Self {
        // Whoever asks may trace this process, where Yama would otherwise have a say; without Yama there is nothing to set.
        let _ = rustix::process::set_ptracer(rustix::process::PTracer::Any);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("scratch")).unwrap();
        std::fs::write(folder.path().join("token"), "s3cr3t").unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let unix = UnixListener::bind(folder.path().join("socket")).unwrap();
        Self { folder, tcp, _unix: unix }
    }

    fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    fn run(&self, mode: &str, attempt: &str) -> Output {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("child").args([mode, attempt]).arg(self.folder.path());
        command.arg(self.tcp.local_addr().unwrap().port().to_string());
        command.current_dir(self.scratch()).stdin(Stdio::null()).output().unwrap()
    }
}

#[track_caller]
fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.code().is_some(), "{}\n{out}\n{err}", output.status);
    out.trim_end().to_owned()
}

fn is_refused(attempt: &str, end: End) {
    let free = said(&Scene::new().run("off", attempt));
    assert_eq!(free, "done", "{attempt} works where there is no jail");
    let jailed = Scene::new().run("best-effort", attempt);
    match (end, offered()) {
        (End::Landlock, Held { landlock: Ok(_), .. }) => assert_eq!(said(&jailed), "refused: EACCES"),
        // A kernel without Landlock: nobody may believe that files are guarded.
        (End::Landlock, Held { landlock: Err(_), .. }) => assert_eq!(said(&jailed), "done"),
        (End::Refused, _) => assert_eq!(said(&jailed), "refused: EPERM"),
        (End::Unknown, _) => assert_eq!(said(&jailed), "refused: ENOSYS"),
        (End::Death, _) => assert_eq!(jailed.status.signal(), Some(SIGSYS), "{jailed:?}"),
    }
}

fn the_work_of_media_is_not_refused() {
    let scene = Scene::new();
    assert_eq!(said(&scene.run("best-effort", "work")), "done");
    assert_eq!(std::fs::read(scene.scratch().join("made")).unwrap(), b"by a thread");
}

fn threads_are_in_the_jail_of_who_began_them() {
    assert_eq!(said(&Scene::new().run("best-effort", "connect_from_a_thread")), "refused: EPERM");
    assert_eq!(said(&Scene::new().run("off", "connect_from_a_thread")), "done");
}

fn a_child_of_root_keeps_no_right_but_those_of_files() {
    assert_eq!(said(&Scene::new().run("best-effort", "count_its_rights")), "done");
    let has_more = rustix::thread::capabilities(None).unwrap().permitted.bits().count_ones() > 2;
    let free = said(&Scene::new().run("off", "count_its_rights"));
    assert_eq!(free, if has_more { "refused: more than those of files" } else { "done" });
}

/// Where all is there it works, else it refuses and says what is missing; seccomp is there wherever these tests run.
fn enforce_is_as_strict_as_the_kernel_lets_it() {
    let offered = offered();
    assert_eq!((&offered.seccomp, &offered.rights), (&Ok(()), &Ok(())));
    let said = said(&Scene::new().run("enforce", "work"));
    match offered.lacking() {
        None => assert_eq!(said, "done"),
        Some(lacking) => {
            assert!(lacking.starts_with("Landlock: "), "{lacking}");
            assert_eq!(said, format!("no jail: {lacking}"));
        }
    }
}
