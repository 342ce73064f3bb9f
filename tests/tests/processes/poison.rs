//! Films on which the media child dies, every time.

use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs::{self, Load};
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::until;
use framefleet_tests::{place, product};
use rustix::process::{Signal, kill_process};
use serde_json::json;

const OTHERS: usize = 6;

/// Asks for a film in one piece that takes seconds to encode: time enough to meet every attempt.
pub(super) fn slow(fleet: &mut Fleet) -> String {
    let (film, out) = (fleet.film("poison.mov"), fleet.path("out/poison.mp4"));
    let mut job = jobs::job(&jobs::url(&film), &jobs::url(&out));
    job["outputs"][0]["video"] = json!({ "preset": "slow", "size": "640x360" });
    job["segment"] = json!({ "duration": "60s" });
    let flags = ["--preset", "slow", "--size", "640x360", "--segment-duration", "60s"];
    let golden = jobs::golden_by(&film, "mp4", &flags);
    let id = fleet.ask(&job);
    fleet.due.insert(id.clone(), (out, golden));
    id
}

/// Does this to every media child that encodes for the job until the job is over; others are at work beside it.
pub(super) fn befall(fleet: &mut Fleet, load: &Load, (job, signal): (&str, Signal)) {
    let mut met = Vec::new();
    until(&format!("job {job} is over"), || {
        for child in fleet.children().into_iter().filter(|child| child.job == job && child.task.starts_with("encode")) {
            if !met.contains(&child.pid) && kill_process(child.pid, signal).is_ok() {
                met.push(child.pid);
            }
        }
        if fleet.due.len() < OTHERS {
            load.one(fleet);
        }
        fleet.show(job).over
    });
}

fn framefleet(fleet: &Fleet, words: &[&str]) -> product::Ran {
    let home = place::scratch();
    let server = format!("http://127.0.0.1:{}", fleet.apis()[0]);
    product::run(home.path(), words.iter().copied().chain(["--server", &server]))
}

fn is_given_up_with_evidence(signal: Signal, code: u16, evidence: &str) {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "poison");
    fleet.start(1, 2);
    let load = Load::new(&fleet, &["mp4", "ts"]);
    let poison = slow(&mut fleet);
    befall(&mut fleet, &load, (&poison, signal));
    let view = fleet.show(&poison);
    let fault = view.job.fault.clone().unwrap_or_else(|| panic!("{view:?}"));
    assert_eq!((view.job.state.as_str(), fault.code), ("failed", code), "{view:?}");
    let listed = framefleet(&fleet, &["dead", "list"]).done().unwrap().out;
    let id =
        listed.lines().filter(|line| line.contains(&poison)).map(|line| line.split(' ').next().unwrap().to_owned());
    let [id] = &id.collect::<Vec<_>>()[..] else { panic!("one letter of {poison}: {listed}") };
    let shown = framefleet(&fleet, &["dead", "show", id]).done().unwrap().out;
    assert!(shown.contains(&poison) && shown.contains(evidence), "{shown}");
    framefleet(&fleet, &["dead", "retry", id]).done().unwrap();
    assert!(!framefleet(&fleet, &["dead", "list"]).done().unwrap().out.contains(id));
    // In its next generation nobody does anything to it.
    fleet.completed(&servers);
}

#[test]
fn a_film_that_aborts_every_child_fails_with_evidence_and_others_complete() {
    is_given_up_with_evidence(Signal::ABORT, 3010, "SIGABRT");
}

/// Each of its attempts is waited for a minute.
mod at_length {
    use super::*;

    #[test]
    fn a_film_that_hangs_every_child_fails_with_evidence_and_others_complete() {
        is_given_up_with_evidence(Signal::STOP, 3011, "computed nothing for");
    }
}
