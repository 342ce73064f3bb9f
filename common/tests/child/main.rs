//! The parent's side of the media child, against a child that misbehaves in every way we know. The test program is
//! its own child: called as `media` it plays the script that it finds in its folder.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::future::Future;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use framefleet_model::fault::{Fault, FaultKind};
use libtest_mimic::{Arguments, Trial};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

mod fake;
mod scene;

use scene::Scene;

/// No child of this suite may take longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("media") => fake::run(),
        Some("parent") => parent(&args.next().expect("the folder")),
        _ => libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
}

macro_rules! trials {
    ($($name:ident),* $(,)?) => { vec![$(Trial::test(stringify!($name), || { run($name()); Ok(()) })),*] };
}

fn trials() -> Vec<Trial> {
    trials![
        reads_are_answered_right_whatever_their_order,
        a_fault_of_an_object_outweighs_what_the_child_makes_of_it,
        a_slow_object_is_no_silence_of_the_child,
        a_crash_is_a_fault_with_the_signal_and_the_last_lines,
        a_child_that_its_jail_ends_is_a_fault_that_says_so,
        an_exit_without_a_result_is_no_success,
        garbage_on_standard_output_is_a_fault,
        endless_silence_is_a_hang,
        an_overrun_of_the_deadline_is_a_hang,
        a_memory_hog_is_killed,
        a_failed_allocation_is_out_of_memory,
        a_fault_of_the_child_is_passed_on_printable,
        a_child_that_does_not_exit_is_killed,
        named_files_are_looked_at,
        only_listed_variables_reach_the_child,
        a_loud_child_is_drained,
        a_cancelled_child_dies_at_once,
        a_stubborn_child_is_killed_after_its_grace,
        an_orphan_dies_with_its_parent,
        a_program_that_is_not_there_is_a_fault,
    ]
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, test).await.expect("within the patience of this suite") });
}

#[track_caller]
fn check(fault: &Fault, kind: FaultKind, says: &str) {
    let text = format!("{fault}\n{}", fault.evidence.join("\n"));
    assert!(fault.kind == kind && text.contains(says), "wanted {kind:?} saying {says:?}, got:\n{text}");
}

async fn reads_are_answered_right_whatever_their_order() {
    let scene = Scene::of("read");
    scene.play().await.unwrap();
    let made = scene.made();
    assert!(made[..scene::SOURCE_BYTES] == scene::source()[..]);
    assert_eq!(&made[scene::SOURCE_BYTES..], b"index");
}

async fn a_fault_of_an_object_outweighs_what_the_child_makes_of_it() {
    let fault = Scene::of("read missing").fault().await;
    check(&fault, FaultKind::StorageAway, "object 404 is away");
    check(&fault, FaultKind::StorageAway, "cannot go on");
}

async fn a_slow_object_is_no_silence_of_the_child() {
    let scene = Scene::of("wait").limited(|l| l.silence = Duration::from_millis(300));
    scene.play().await.unwrap();
    assert_eq!(scene.made(), b"late");
}

async fn a_crash_is_a_fault_with_the_signal_and_the_last_lines() {
    let fault = Scene::of("crash").fault().await;
    check(&fault, FaultKind::Crashed, "signal SIGILL");
    check(&fault, FaultKind::Crashed, "stderr: fall over");
}

async fn a_child_that_its_jail_ends_is_a_fault_that_says_so() {
    let fault = Scene::of("forbidden").fault().await;
    check(&fault, FaultKind::Crashed, "the jail ended the media child");
    check(&fault, FaultKind::Crashed, "signal SIGSYS");
}

async fn an_exit_without_a_result_is_no_success() {
    check(&Scene::of("exit").fault().await, FaultKind::Crashed, "exit code 3");
}

async fn garbage_on_standard_output_is_a_fault() {
    check(&Scene::of("garbage").fault().await, FaultKind::Internal, "hello, I am no protocol");
}

async fn endless_silence_is_a_hang() {
    let scene = Scene::of("silent").limited(|l| l.silence = Duration::from_millis(300));
    let fault = scene.fault().await;
    check(&fault, FaultKind::Hung, "for 300ms");
    check(&fault, FaultKind::Hung, "signal SIGKILL");
}

async fn an_overrun_of_the_deadline_is_a_hang() {
    let scene = Scene::of("silent").limited(|l| l.deadline = Duration::from_millis(200));
    check(&scene.fault().await, FaultKind::Hung, "its deadline of 200ms");
}

async fn a_memory_hog_is_killed() {
    let scene = Scene::of("grow").limited(|l| l.resident_bytes_max = 128 << 20);
    check(&scene.fault().await, FaultKind::OutOfMemory, "the bound is 134217728");
}

async fn a_failed_allocation_is_out_of_memory() {
    check(&Scene::of("starved").fault().await, FaultKind::OutOfMemory, "SIGABRT");
}

async fn a_fault_of_the_child_is_passed_on_printable() {
    check(&Scene::of("fault").fault().await, FaultKind::Encrypted, "it is  [1mencrypted [F1012, input");
}

async fn a_child_that_does_not_exit_is_killed() {
    let scene = Scene::of("linger").limited(|l| l.end_grace = Duration::from_millis(200));
    check(&scene.fault().await, FaultKind::Hung, "did not exit");
}

async fn named_files_are_looked_at() {
    check(&Scene::of("lie").fault().await, FaultKind::Internal, "no file name");
    check(&Scene::of("exaggerate").fault().await, FaultKind::Internal, "of 5 bytes, it has 4");
}

async fn only_listed_variables_reach_the_child() {
    let scene = Scene::of("environment");
    scene.play().await.unwrap();
    let text = String::from_utf8(scene.made()).unwrap();
    let has = |name: &str| text.lines().any(|line| line.split_once('=').is_some_and(|(n, _)| n == name));
    assert!(has("PATH") && has("GST_REGISTRY") && text.contains("GST_REGISTRY_UPDATE=no"), "{text}");
    assert!(!has("HOME") && !has("CARGO_MANIFEST_DIR"), "{text}");
}

async fn a_loud_child_is_drained() {
    Scene::of("loud").play().await.unwrap();
}

async fn a_cancelled_child_dies_at_once() {
    let scene = Scene::of("alive");
    let mut heard = scene.progress.subscribe();
    let cancelled = async {
        heard.wait_for(|progress| progress.steps == 7).await.unwrap();
        scene.cancel.cancel();
        Instant::now()
    };
    let (fault, since) = tokio::join!(scene.fault(), cancelled);
    check(&fault, FaultKind::Cancelled, "the child ended with");
    assert!(since.elapsed() < scene.limits.end_grace);
}

async fn a_stubborn_child_is_killed_after_its_grace() {
    let scene = Scene::of("stubborn").limited(|l| l.end_grace = Duration::from_millis(200));
    let mut heard = scene.progress.subscribe();
    let cancelled = async {
        heard.wait_for(|progress| progress.steps == 1).await.unwrap();
        scene.cancel.cancel();
    };
    let (fault, ()) = tokio::join!(scene.fault(), cancelled);
    check(&fault, FaultKind::Cancelled, "signal SIGKILL");
}

async fn a_program_that_is_not_there_is_a_fault() {
    use framefleet_common::child::registry::prepare;
    let folder = tempfile::tempdir().unwrap();
    let fault = prepare("/nonexistent/framefleet".as_ref(), folder.path()).await.unwrap_err();
    check(&fault, FaultKind::Internal, "cannot start");
}

async fn an_orphan_dies_with_its_parent() {
    let scene = Scene::of("orphan");
    let fifo = scene.scratch.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let mut life = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
    let mut parent = tokio::process::Command::new(std::env::current_exe().unwrap())
        .arg("parent")
        .arg(scene.scratch.path())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    life.readable().await.unwrap();
    let mut born = [0; 5];
    life.read_exact(&mut born).await.unwrap();
    parent.kill().await.unwrap();
    // The end of file comes when nobody holds the other end any more: the orphan is dead.
    assert_eq!(life.read(&mut born).await.unwrap(), 0);
}

/// A parent that waits for an orphan-to-be.
fn parent(scratch: &str) -> ExitCode {
    run(async { drop(Scene::of("").play_in(scratch.as_ref()).await) });
    ExitCode::SUCCESS
}
