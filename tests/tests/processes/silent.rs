//! Workers that nobody hears: stopped by a signal, or behind a line that swallows everything.

use framefleet_tests::processes::fleet::{Fleet, Special};
use framefleet_tests::processes::jobs::Load;
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::until;
use rustix::process::Signal;

const ENDED: &str = "framefleet_attempts_total";

fn ended(fleet: &Fleet, name: &str, how: &str) -> u64 {
    fleet.figure(name, &format!("{ENDED}{{outcome=\"{how}\"}}"))
}

/// Waits until a worker holds a task of an open job.
fn until_it_holds(fleet: &Fleet, name: &str) {
    until(&format!("{name} is at work"), || {
        let views = fleet.due.keys().map(|job| fleet.show(job));
        views.filter(|view| !view.over).any(|view| view.running.iter().any(|running| running.worker == name))
    });
}

#[test]
fn a_stopped_worker_loses_its_tasks_and_its_late_result_harms_nobody() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "stopped");
    fleet.start(1, 3);
    let load = Load::new(&fleet, &["mp4", "ts"]);
    let mut late = 0;
    while late == 0 {
        load.keep(&mut fleet, 4);
        until_it_holds(&fleet, "w1");
        fleet.role("w1").signal(Signal::STOP);
        let jobs: Vec<_> = fleet.due.keys().cloned().collect();
        for job in jobs {
            assert_eq!(fleet.over(&job).job.state, "completed", "without w1");
        }
        fleet.role("w1").signal(Signal::CONT);
        fleet.until_ready();
        until("w1 holds nothing any more", || {
            fleet.figure("w1", "framefleet_worker_busy_slots{class=\"standard\"}") == 0
        });
        late = ["lost", "unwanted"].iter().map(|how| ended(&fleet, "w1", how)).sum();
    }
    fleet.completed(&servers);
}

#[test]
fn a_worker_behind_a_line_that_swallows_everything_is_done_without_until_it_is_heard_again() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "lines");
    let (store, broker) = (servers.redis_line(), servers.amqp_line());
    let env = [("FRAMEFLEET__STORE__URL", &store.url), ("FRAMEFLEET__BROKER__URL", &broker.url)];
    let env = env.map(|(key, url)| (key.to_owned(), url.clone())).to_vec();
    fleet.add_special((Kind::Worker, "far"), Special { env, ..Special::default() });
    fleet.start(1, 2);
    let load = Load::new(&fleet, &["mp4", "ts"]);
    for line in [&store, &broker] {
        load.keep(&mut fleet, 4);
        until_it_holds(&fleet, "far");
        line.swallow();
        let said = fleet.until_it_says("far", |status, _| status == 503);
        let jobs: Vec<_> = fleet.due.keys().cloned().collect();
        for job in jobs {
            assert_eq!(fleet.over(&job).job.state, "completed", "without far, which says {said}");
        }
        line.pass();
        fleet.until_ready();
        let before = ended(&fleet, "far", "settled");
        until("far settles again", || {
            load.keep(&mut fleet, 4);
            ended(&fleet, "far", "settled") > before
        });
    }
    fleet.completed(&servers);
}
