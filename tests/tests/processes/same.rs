//! A fleet gives the bytes that one process gives.

use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs;
use framefleet_tests::processes::servers::{Buckets, Servers};

const KINDS: [&str; 3] = ["mp4", "mkv", "ts"];

#[test]
fn three_workers_and_two_coordinators_give_the_bytes_of_one_process() {
    let servers = Servers::start();
    let golden = KINDS.map(|kind| (kind, jobs::golden(&jobs::film(), kind)));
    let mut fleet = Fleet::new(&servers, "folders");
    fleet.start(2, 3);
    let film = fleet.film("film.mov");
    for (kind, golden) in &golden {
        fleet.submit(&film, &format!("film.{kind}"), golden);
    }
    fleet.completed(&servers);
    drop(fleet);
    between_buckets(&servers, &golden);
}

fn between_buckets(servers: &Servers, golden: &[(&str, Vec<u8>)]) {
    let buckets = Buckets::start();
    let mut fleet = Fleet::on_buckets(servers, "buckets", &buckets);
    std::fs::copy(jobs::film(), buckets.path("films/film.mov")).unwrap();
    fleet.start(2, 3);
    for (what, times) in [("PUT /work/", 3), ("GET /films/", 3), ("POST /made/film.mp4?uploadId=", 2)] {
        buckets.refuse(what, times);
    }
    for (kind, golden) in golden {
        let id = fleet.ask(&jobs::job("s3://films/film.mov", &format!("s3://made/film.{kind}")));
        fleet.due.insert(id, (buckets.path(&format!("made/film.{kind}")), golden.clone()));
    }
    fleet.completed(servers);
    assert_eq!(buckets.uploads(), 0, "uploads that nobody ends");
}
