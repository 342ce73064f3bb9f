//! What probes are told through a life: a start without services, the loss of each, and the end.

use std::path::Path;
use std::time::{Duration, Instant};

use framefleet_tests::place;
use framefleet_tests::processes::fleet::{Fleet, Special};
use framefleet_tests::processes::jobs::Load;
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::until;
use rustix::process::Signal;

const ROLES: [&str; 2] = ["c1", "w1"];

fn is_alive(fleet: &mut Fleet, name: &str) -> bool {
    let ops = fleet.role(name).launch().ops;
    fleet.client.get(ops, "/livez").is_some_and(|answer| answer.status == 200)
}

#[test]
fn probes_tell_what_is_missing_and_never_that_a_restart_would_help() {
    let mut servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "probes");
    let store = servers.redis_line();
    store.swallow();
    let env = vec![("FRAMEFLEET__STORE__URL".to_owned(), store.url.clone())];
    for (kind, name) in [(Kind::Coordinator, "c1"), (Kind::Worker, "w1")] {
        fleet.add_special((kind, name), Special { env: env.clone(), ..Special::default() });
    }
    let not_ready = |status: u16, _: &str| status == 503;
    for name in ROLES {
        until(&format!("{name} lives"), || is_alive(&mut fleet, name));
        let said = fleet.until_it_says(name, not_ready);
        assert!(said.contains("store"), "{name} begins without its store: {said}");
    }
    store.pass();
    fleet.until_ready();
    store.swallow();
    for name in ROLES {
        let said = fleet.until_it_says(name, not_ready);
        assert!(said.contains("store") && is_alive(&mut fleet, name), "{name} loses its store: {said}");
    }
    store.pass();
    fleet.until_ready();
    servers.stop_rabbit();
    let said = fleet.until_it_says("w1", not_ready);
    assert!(said.contains("broker") && is_alive(&mut fleet, "w1"), "a worker without hints: {said}");
    // It takes jobs, and hints and events wait: a figure and an alert say so, no probe.
    until("the figure tells of it", || fleet.figure("c1", "framefleet_broker_connected") == 0);
    assert_eq!(fleet.readiness("c1").map(|(status, _)| status), Some(200));
    assert!(is_alive(&mut fleet, "c1"));
    servers.run_rabbit();
    fleet.until_ready();
    until("the figure tells of its return", || fleet.figure("c1", "framefleet_broker_connected") == 1);
}

/// A number of seconds or a duration that stands behind a word of a shipped file.
fn shipped(file: &str, word: &str) -> String {
    let text = std::fs::read_to_string(place::top().join(Path::new("k8s/base")).join(file)).unwrap();
    let line = text.lines().rev().find_map(|line| line.trim().strip_prefix(word)).expect("it is there");
    line.trim_matches([' ', '=', ':', '"']).to_owned()
}

#[test]
fn a_worker_ends_within_the_grace_that_is_shipped_with_what_it_holds_done() {
    let grace = shipped("framefleet.toml", "grace");
    let minutes: u64 = grace.strip_suffix('m').and_then(|minutes| minutes.parse().ok()).expect("minutes");
    let killed_after: u64 = shipped("worker.yaml", "terminationGracePeriodSeconds").parse().unwrap();
    assert!(minutes * 60 + 30 <= killed_after, "{grace} and {killed_after} s");
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "grace");
    let flags = vec!["--grace".to_owned(), grace];
    fleet.add_special((Kind::Worker, "w1"), Special { flags, ..Special::default() });
    fleet.start(1, 0);
    let load = Load::new(&fleet, &["mp4"]);
    load.one(&mut fleet);
    let held = fleet.hold_up_a_segment();
    let begun = Instant::now();
    fleet.role("w1").signal(Signal::TERM);
    let said = fleet.until_it_says("w1", |status, _| status == 503);
    assert!(said.contains("draining") && is_alive(&mut fleet, "w1"), "{said}");
    held.let_go();
    assert!(fleet.role("w1").end().success());
    assert!(begun.elapsed() < Duration::from_secs(killed_after), "{:?}", begun.elapsed());
    let settled = fleet.worker_lines("outcome=settled");
    assert!(settled.iter().any(|line| held.is_of(line)), "{held:?} in {settled:?}");
    assert!(fleet.worker_lines("outcome=handed_back").is_empty());
    fleet.role("w1").run();
    fleet.completed(&servers);
}
