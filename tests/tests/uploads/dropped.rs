//! A film is dropped into a bucket.

use framefleet_model::event::Format;
use framefleet_tests::processes::settled::assert_same;
use framefleet_tests::processes::{jobs, until};

use super::scene::Scene;

#[test]
fn a_film_that_is_dropped_comes_out_once_however_often_its_event_comes() {
    let mut scene = Scene::new("dropped", "1h");
    scene.fleet.start(2, 2);
    scene.drop_film("a film.mov");
    // The same event five times, as its sender repeats it and as others pass it on.
    for format in [Format::Minio, Format::OssQueue, Format::S3, Format::CloudEvent, Format::Minio] {
        scene.tell("in/a film.mov", format);
    }
    let ended = scene.ended(1);
    let job = &ended[0];
    assert_eq!((job.state.as_str(), job.tenant.as_str(), job.generation), ("completed", "news", 1), "{job:?}");
    assert_eq!((job.trigger.as_deref(), job.pipeline.as_deref()), (Some("films"), Some("web@1")));
    assert_same(&scene.made("a film-v1.mp4"), &jobs::golden(&jobs::film(), "mp4"));
    scene.heeded();
    let told = |what: &str| scene.uploads(what);
    assert_eq!([told("received"), told("matched"), told("duplicate"), told("malformed")], [5, 1, 4, 0]);
    // Its acceptance, its start and its end; two coordinators may both tell of each, under one id.
    let events = format!("{}.out.events", scene.fleet.prefix);
    until("the world is told", || {
        scene.servers.queues(&scene.fleet.prefix).iter().any(|(name, count)| *name == events && (3..=6).contains(count))
    });
    scene.fleet.clean(&scene.servers);
}
