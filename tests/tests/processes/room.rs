//! A worker whose disk is full, and a film that eats memory.

use framefleet_tests::processes::confined::{MemoryBound, fill, seen_by, small_disk};
use framefleet_tests::processes::fleet::{Fleet, Special};
use framefleet_tests::processes::jobs::{self, Load};
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::until;
use serde_json::json;

const MIB: u64 = 1 << 20;

#[test]
fn a_worker_whose_disk_is_full_hands_back_and_waits_for_room() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "full");
    let scratch = fleet.path("scratch/small");
    let special = Special { wrapper: small_disk(&scratch, 256), ..Special::default() };
    fleet.add_special((Kind::Worker, "small"), special);
    fleet.start(1, 0);
    let load = Load::new(&fleet, &["mp4"]);
    let filler = seen_by(fleet.role("small").pid(), &scratch.join("filler"));
    let handed_back = "framefleet_attempts_total{outcome=\"handed_back\"}";
    // A child that had written all it had to write does not notice.
    while fleet.figure("small", handed_back) == 0 {
        load.keep(&mut fleet, 3);
        let held = fleet.hold_up_a_segment();
        fill(&filler);
        held.let_go();
        let said = fleet.until_it_says("small", |status, _| status == 503);
        assert!(said.contains("scratch") && said.contains("MiB free"), "{said}");
        let busy = ["light", "standard"].map(|class| format!("framefleet_worker_busy_slots{{class=\"{class}\"}}"));
        until("nothing is at work any more", || busy.iter().all(|busy| fleet.figure("small", busy) == 0));
        if fleet.figure("small", handed_back) == 0 {
            std::fs::remove_file(&filler).unwrap();
            fleet.until_ready();
        }
    }
    fleet.add(Kind::Worker, "large");
    let open: Vec<_> = fleet.due.keys().cloned().collect();
    for job in &open {
        assert_eq!(fleet.over(job).job.state, "completed");
    }
    assert_eq!(fleet.figure("small", "framefleet_attempts_total{outcome=\"failed\"}"), 0);
    std::fs::remove_file(&filler).unwrap();
    fleet.until_ready();
    fleet.completed(&servers);
}

/// The eater is tried three times.
mod at_length {
    use super::*;

    /// The operator promised more memory than the control group has: the watch on the children must see it.
    #[test]
    fn a_film_that_eats_memory_fails_alone() {
        let servers = Servers::start();
        let mut fleet = Fleet::new(&servers, "memory");
        let bound = MemoryBound::of(1024 * MIB);
        let flags = ["--slots", "light=1,standard=4"].map(str::to_owned).to_vec();
        let env = vec![("FRAMEFLEET__WORKER__MEMORY_BYTES_MAX".to_owned(), "64GiB".to_owned())];
        fleet.add_special((Kind::Worker, "w"), Special { flags, env, wrapper: bound.wrapper() });
        fleet.start(1, 0);
        let load = Load::new(&fleet, &["mp4", "ts"]);
        let mut eater = jobs::job(&jobs::url(&fleet.film("eater.mov")), &jobs::url(&fleet.path("out/eater.mp4")));
        eater["outputs"][0]["video"] = json!({ "preset": "medium", "size": "7680x4320" });
        eater["segment"] = json!({ "duration": "60s" });
        let eater = fleet.ask(&eater);
        let mut view = fleet.show(&eater);
        until("the eater is over", || {
            load.keep(&mut fleet, 3);
            view = fleet.show(&eater);
            view.over
        });
        let fault = view.job.fault.as_ref().unwrap_or_else(|| panic!("{view:?}"));
        assert_eq!((view.job.state.as_str(), fault.code), ("failed", 3012), "{view:?}");
        let letters = fleet.client.dead(&fleet.apis());
        assert!(
            letters.iter().any(|letter| letter.what.starts_with(&eater) && !letter.evidence.is_empty()),
            "{letters:?}"
        );
        fleet.completed(&servers);
        fleet.role("w").kill();
    }
}
