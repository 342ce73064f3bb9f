//! A whole fleet whose films, work objects and outputs lie in buckets of a real S3 server, without media.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::blob::storages::Storages;
use framefleet_coordinator::inbox::{Submission, Submitted};
use framefleet_coordinator::ops::Ops as _;
use framefleet_model::fault::FaultKind;
use framefleet_model::job::JobState;
use framefleet_model::pipeline::Request;
use framefleet_tests::fleet::media::{Smooth, TextMedia};
use framefleet_tests::fleet::{Rig, request};

#[path = "../../common/tests/servers/s3.rs"]
mod s3;

use s3::{S3Server, Trouble};

const FILM: &str = "pictures=250 gop=25";

/// A fleet on a server of its own, and what it is asked: a film to one output.
fn scene() -> (S3Server, Rig, Request) {
    let server = S3Server::start();
    server.bucket("films");
    server.bucket("work");
    std::fs::write(server.path("films/film.mov"), FILM).unwrap();
    let storages = Storages::new(vec![server.settings("s3://films"), server.settings("s3://work/fleet")]).unwrap();
    let mut rig = Rig::new(Arc::new(TextMedia::new(Smooth(Duration::ZERO))));
    rig.fleet.work = storages.root("s3://work/fleet").unwrap();
    rig.fleet.storages = storages;
    let mut asked = request("s3://films/film.mov", &[PathBuf::from("/out.mp4")]);
    "s3://films/made/out 1.mp4".clone_into(&mut asked.outputs[0].to);
    (server, rig, asked)
}

fn expected() -> String {
    let pictures: String = (0..250_i64).map(|n| format!("0 {}\n", n * 40_000_000)).collect();
    format!("{pictures}sound 0 480000\n")
}

#[tokio::test]
async fn a_film_goes_from_bucket_to_bucket_through_passing_trouble() {
    let (server, rig, asked) = scene();
    for (trouble, what, times) in [
        (Trouble::SlowDown, "PUT /work/", 2),
        (Trouble::AnswerLost, "PUT /work/", 2),
        (Trouble::Cut, "GET /films/film.mov", 2),
        (Trouble::Short, "GET /work/", 2),
        (Trouble::SlowDown, "POST /films/made/out%201.mp4?uploads", 2),
        // More than one publication tries: the next one finds it done, though nobody was told.
        (Trouble::SlowDown, "POST /films/made/out%201.mp4?uploadId=", 7),
        (Trouble::AnswerLost, "POST /films/made/out%201.mp4?uploadId=", 2),
    ] {
        server.cause(trouble, what, times);
    }
    let (id, _) = rig.ops().submit(&Submission::of(asked.clone())).await.unwrap();
    let roles =
        [rig.start_coordinator("c1"), rig.start_coordinator("c2"), rig.start_worker("w1"), rig.start_worker("w2")];
    let view = rig.end_of(&id).await.unwrap();
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    assert_eq!(std::fs::read_to_string(server.path("films/made/out 1.mp4")).unwrap(), expected());
    assert_eq!(server.uploads(), 0);
    assert_eq!(rig.fleet.work.jobs(None).await.unwrap().found, std::slice::from_ref(&id));
    assert_eq!(rig.ops().submit(&Submission::of(asked.clone())).await.unwrap(), (id, Submitted::Done));
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test]
async fn a_film_that_is_another_by_the_time_it_is_read_fails_its_job() {
    let (server, rig, asked) = scene();
    let (id, _) = rig.ops().submit(&Submission::of(asked.clone())).await.unwrap();
    std::fs::write(server.path("films/film.mov"), "pictures=250 gop=50").unwrap();
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let view = rig.end_of(&id).await.unwrap();
    let JobState::Failed(failed) = &view.job.state else { panic!("{:?}", view.job.state) };
    assert_eq!(failed.fault.kind, FaultKind::SourceChanged, "{}", failed.fault);
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test]
async fn a_place_that_the_fleet_may_not_use_fails_before_any_work() {
    let (_server, rig, mut asked) = scene();
    "file:///etc/out.mp4".clone_into(&mut asked.outputs[0].to);
    let (id, _) = rig.ops().submit(&Submission::of(asked.clone())).await.unwrap();
    let role = rig.start_coordinator("c");
    let view = rig.end_of(&id).await.unwrap();
    let JobState::Failed(failed) = &view.job.state else { panic!("{:?}", view.job.state) };
    assert_eq!(failed.fault.kind, FaultKind::Settings);
    assert!(failed.fault.message.ends_with("which may use s3://films, s3://work/fleet"), "{}", failed.fault);
    role.stop().await;
}
