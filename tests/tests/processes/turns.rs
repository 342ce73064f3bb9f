//! Who comes first: jobs that want the same final key, and a backlog that nobody works on yet.

use framefleet_tests::clip;
use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs::{self, Load};
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::until;
use serde_json::json;

/// Hints that are given while no worker lives.
const WINDOW: u64 = 8;

#[test]
fn a_backlog_without_workers_is_hinted_a_little_and_then_done_by_three() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "backlog");
    fleet.start(1, 0);
    let load = Load::new(&fleet, &["ts"]);
    load.keep(&mut fleet, 10);
    let hinted = || servers.queues("backlog").into_iter().find(|(name, _)| name == "backlog.tasks.light").unwrap().1;
    until("hints are given", || hinted() == WINDOW);
    until("demand is told", || fleet.figure("c1", "framefleet_demand_slots{class=\"light\"}") == 10);
    assert_eq!(hinted(), WINDOW, "no more of them while nobody lives");
    (1..=3).for_each(|n| fleet.add(Kind::Worker, &format!("w{n}")));
    fleet.until_ready();
    fleet.completed(&servers);
}

#[test]
fn a_final_key_has_one_owner_and_the_newer_of_a_source_supersedes_the_older() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "owners");
    fleet.start(2, 0);
    let (mine, yours) = (fleet.film("mine.mov"), fleet.film("yours.mov"));
    let golden = jobs::golden(&jobs::film(), "mp4");
    let owner = fleet.submit(&mine, "one.mp4", &golden);
    until("the key is taken", || fleet.show(&owner).job.state == "indexing");
    let foreign = fleet.ask(&jobs::job(&jobs::url(&yours), &jobs::url(&fleet.path("out/one.mp4"))));
    let view = fleet.over(&foreign);
    let fault = view.job.fault.clone().unwrap_or_else(|| panic!("{view:?}"));
    assert_eq!((view.job.state.as_str(), fault.code), ("failed", 2005), "{view:?}");
    assert!(fault.message.contains("mine.mov") && fault.message.contains("yours.mov"), "{fault:?}");

    let film = fleet.film("again.mov");
    let job = jobs::job(&jobs::url(&film), &jobs::url(&fleet.path("out/again.mp4")));
    let job = jobs::with(job, "on_existing", json!("replace"));
    let older = fleet.ask(&job);
    until("the older is under way", || fleet.show(&older).job.state == "indexing");
    let other = clip::plain("mov");
    std::fs::copy(&other, &film).unwrap();
    let newer = fleet.ask(&job);
    assert_ne!(older, newer, "another content is another job");
    fleet.due.insert(newer.clone(), (fleet.path("out/again.mp4"), jobs::golden(&other, "mp4")));
    (1..=2).for_each(|n| fleet.add(Kind::Worker, &format!("w{n}")));
    let view = fleet.over(&older);
    let reason = view.job.reason.clone().unwrap_or_default();
    assert!(view.job.state == "cancelled" && reason.contains("superseded") && reason.contains(&newer), "{view:?}");
    fleet.completed(&servers);
}

#[test]
fn a_job_that_is_superseded_at_work_gives_way() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "reupload");
    fleet.start(2, 3);
    let film = fleet.film("film.mov");
    let job = jobs::job(&jobs::url(&film), &jobs::url(&fleet.path("out/film.mp4")));
    let job = jobs::with(job, "on_existing", json!("replace"));
    let older = fleet.ask(&job);
    fleet.segments_done(&older, 2);
    let other = clip::plain("mov");
    // As an upload does: the other is there at once.
    std::fs::copy(&other, fleet.path("in/new")).unwrap();
    std::fs::rename(fleet.path("in/new"), &film).unwrap();
    let newer = fleet.ask(&job);
    fleet.due.insert(newer, (fleet.path("out/film.mp4"), jobs::golden(&other, "mp4")));
    let view = fleet.over(&older);
    // A segment that was about to be made may see the other film first.
    let changed = view.job.fault.as_ref().is_some_and(|fault| fault.code == 1003);
    assert!(view.job.state == "cancelled" || changed || view.job.state == "completed", "{view:?}");
    fleet.completed(&servers);
}
