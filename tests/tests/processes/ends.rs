//! Jobs that end before their time: cancelled, or overdue.

use std::time::{Duration, Instant};

use framefleet_tests::processes::fleet::{Fleet, Special};
use framefleet_tests::processes::jobs::{self, Load};
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::until;
use serde_json::{Value, json};

/// What is promised: an end reaches a child within a heartbeat of five seconds, and a second.
const REACHED: Duration = Duration::from_secs(6);
/// What a machine that does other things beside may add.
const SLACK: Duration = Duration::from_secs(10);
const DEADLINE: Duration = Duration::from_secs(8);

/// Minutes of work in one task.
fn endless(fleet: &Fleet, name: &str) -> Value {
    let mut job = jobs::job(&jobs::url(&fleet.film(name)), &jobs::url(&fleet.path("out").join(name)));
    job["outputs"][0]["video"] = json!({ "preset": "veryslow", "size": "1920x1080" });
    jobs::with(job, "segment", json!({ "duration": "60s" }))
}

fn until_encoded(fleet: &Fleet, job: &str) {
    until("the segment is being made", || {
        fleet.children().iter().any(|child| child.job == job && child.task.starts_with("encode"))
    });
}

fn until_free(fleet: &Fleet, job: &str) {
    let busy = "framefleet_worker_busy_slots{class=\"standard\"}";
    until("the slot is free", || fleet.children().iter().all(|child| child.job != job) && fleet.figure("w", busy) == 0);
}

#[test]
fn an_end_reaches_a_running_child_and_frees_its_slot() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "ends");
    // As they are where nothing is configured.
    let env = [("FRAMEFLEET__LIMITS__BEAT", "5s"), ("FRAMEFLEET__LIMITS__LEASE", "30s")];
    let env = env.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
    fleet.add_special((Kind::Worker, "w"), Special { env, ..Special::default() });
    fleet.start(1, 0);

    let job = fleet.ask(&endless(&fleet, "cancelled.mp4"));
    until_encoded(&fleet, &job);
    let begun = Instant::now();
    fleet.client.cancel(&fleet.apis(), &job);
    until_free(&fleet, &job);
    let took = begun.elapsed();
    println!("a cancelled child was gone, and its slot free, after {took:?}");
    assert!(took < REACHED + SLACK, "{took:?}");
    assert_eq!(fleet.over(&job).job.state, "cancelled");
    for _ in 0..5 {
        let again = fleet.ask(&endless_again(&fleet, "cancelled.mp4"));
        assert_eq!((again.as_str(), fleet.show(&again).job.state.as_str()), (job.as_str(), "cancelled"));
    }

    let begun = Instant::now();
    let deadline = format!("{}s", DEADLINE.as_secs());
    let job = fleet.ask(&jobs::with(endless(&fleet, "overdue.mp4"), "deadline", json!(deadline)));
    until_encoded(&fleet, &job);
    until_free(&fleet, &job);
    let took = begun.elapsed();
    println!("an overdue child was gone, and its slot free, {:?} after its deadline", took.saturating_sub(DEADLINE));
    assert!(took < DEADLINE + REACHED + SLACK, "{took:?}");
    let view = fleet.over(&job);
    let fault = view.job.fault.as_ref().unwrap_or_else(|| panic!("{view:?}"));
    assert_eq!((view.job.state.as_str(), fault.code), ("failed", 3041));

    Load::new(&fleet, &["ts"]).one(&mut fleet);
    fleet.completed(&servers);
}

/// The same job, of the same film as it was.
fn endless_again(fleet: &Fleet, name: &str) -> Value {
    let film = fleet.path("in").join(name);
    let mut job = jobs::job(&jobs::url(&film), &jobs::url(&fleet.path("out").join(name)));
    job["outputs"][0]["video"] = json!({ "preset": "veryslow", "size": "1920x1080" });
    jobs::with(job, "segment", json!({ "duration": "60s" }))
}
