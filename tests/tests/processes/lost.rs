//! What is lost at the worst moment: a coordinator between a merge and its publication, and the whole store.

use std::collections::{BTreeMap, BTreeSet};

use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs::{self, Load};
use framefleet_tests::processes::servers::{Buckets, Servers};
use framefleet_tests::processes::until;
use framefleet_tests::{place, product};

#[test]
fn what_a_dead_coordinator_merged_is_published_by_another() {
    let servers = Servers::start();
    let buckets = Buckets::start();
    let mut fleet = Fleet::on_buckets(&servers, "merger", &buckets);
    std::fs::copy(jobs::film(), buckets.path("films/film.mov")).unwrap();
    fleet.start(2, 2);
    // Nothing is published for as long as this is refused.
    buckets.refuse("POST /made/film.mp4?uploadId=", usize::MAX);
    let job = fleet.ask(&jobs::job("s3://films/film.mov", "s3://made/film.mp4"));
    fleet.due.insert(job.clone(), (buckets.path("made/film.mp4"), jobs::golden(&jobs::film(), "mp4")));
    until("the merge is settled", || fleet.show(&job).job.state == "publishing");
    let merged =
        |log: String| log.lines().any(|line| line.contains("merge ended") && line.contains(" outcome=settled"));
    let mergers: Vec<&str> = ["c1", "c2"].into_iter().filter(|name| merged(fleet.role(name).log())).collect();
    let [merger] = mergers[..] else { panic!("merged by {mergers:?}") };
    fleet.role(merger).kill();
    buckets.calm();
    assert_eq!(fleet.over(&job).job.state, "completed", "by the other alone");
    fleet.role(merger).run();
    fleet.until_ready();
    fleet.completed(&servers);
    assert_eq!(buckets.uploads(), 0, "uploads that nobody ends");
}

#[test]
fn a_lost_store_is_built_anew_and_no_finished_segment_is_encoded_again() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "flushed");
    fleet.start(2, 3);
    let load = Load::new(&fleet, &["mp4", "mkv", "ts"]);
    load.keep(&mut fleet, 6);
    until("much is finished", || tasks(&fleet, "outcome=settled").len() >= 24);
    load.keep(&mut fleet, 6);
    let finished: BTreeSet<String> = tasks(&fleet, "outcome=settled").into_keys().collect();
    let before = tasks(&fleet, "claimed");
    servers.forget_everything();
    let home = place::scratch();
    let config = fleet.config();
    let ran = product::run(home.path(), ["recover", "--config", config.to_str().unwrap()]).done().unwrap();
    println!("{}", ran.out);
    fleet.completed(&servers);
    let after = tasks(&fleet, "claimed");
    let again: Vec<_> = finished.iter().filter(|task| after.get(*task) != before.get(*task)).collect();
    assert!(again.is_empty(), "finished, and begun again: {again:?} of {}", finished.len());
}

/// Tasks in log lines of workers that say this, and how often.
fn tasks(fleet: &Fleet, what: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for line in fleet.worker_lines(what) {
        let Some((_, rest)) = line.split_once(" job=") else { continue };
        *found.entry(rest.split(" attempt=").next().unwrap().to_owned()).or_default() += 1;
    }
    found
}
