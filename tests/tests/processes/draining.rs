//! Processes that are told to stop.

use std::time::{Duration, Instant};

use framefleet_tests::processes::fleet::{Fleet, Special};
use framefleet_tests::processes::jobs::Load;
use framefleet_tests::processes::pause;
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::Servers;
use rustix::process::Signal;

/// The least that may be configured.
const GRACE: Duration = Duration::from_secs(20);
const ROUNDS: usize = 15;

fn hasty() -> Special {
    let flags = ["--grace", "20s"].map(str::to_owned).to_vec();
    Special { flags, ..Special::default() }
}

#[test]
fn a_storm_of_stops_fails_nothing_and_loses_nothing() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "storm");
    let names = ["w1", "w2", "w3", "c2"];
    for name in names {
        let kind = if name == "c2" { Kind::Coordinator } else { Kind::Worker };
        fleet.add_special((kind, name), hasty());
    }
    fleet.start(1, 0);
    let load = Load::new(&fleet, &["mp4", "ts"]);
    for round in 0..ROUNDS {
        load.keep(&mut fleet, 6);
        let role = fleet.role(names[round % names.len()]);
        let begun = Instant::now();
        let status = role.stop();
        assert!(status.success() && begun.elapsed() < GRACE, "{}: {status:?}, {:?}", role.name(), begun.elapsed());
        role.run();
        pause(Duration::from_secs(1).saturating_sub(begun.elapsed()));
    }
    fleet.until_ready();
    fleet.completed(&servers);
    for how in ["failed", "lost", "unwanted"] {
        let lines = fleet.worker_lines(&format!("outcome={how}"));
        assert!(lines.is_empty(), "{lines:?}");
    }
    // Nobody's lease ran out: whoever stopped had given back what it held.
    assert_eq!(fleet.figure("c1", "framefleet_swept_total{what=\"lease\"}"), 0);
}

#[test]
fn a_worker_that_is_told_to_stop_says_so_finishes_what_it_has_and_takes_nothing_more() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "stop");
    fleet.add_special((Kind::Worker, "idle"), hasty());
    fleet.until_ready();
    let begun = Instant::now();
    assert!(fleet.role("idle").stop().success());
    assert!(begun.elapsed() < GRACE, "an idle worker needed {:?}", begun.elapsed());
    fleet.start(1, 1);
    let load = Load::new(&fleet, &["mp4"]);
    load.one(&mut fleet);
    let held = fleet.hold_up_a_segment();
    fleet.role("w1").signal(Signal::TERM);
    let said = fleet.until_it_says("w1", |status, _| status == 503);
    assert!(said.contains("draining"), "{said}");
    held.let_go();
    assert!(fleet.role("w1").end().success());
    let handed_back = fleet.worker_lines("outcome=handed_back");
    assert!(handed_back.is_empty(), "within a grace of ten minutes: {handed_back:?}");
    fleet.role("w1").run();
    fleet.completed(&servers);
}
