//! Coordinators and services die while uploads are told of, and the configuration changes.

use framefleet_model::event::Format;
use framefleet_tests::processes::{jobs, settled::assert_same};

use super::scene::{Scene, rules};

const FILMS: [&str; 4] = ["a.mov", "b.mov", "c.mov", "d.mov"];

/// Each event twice, its coordinators killed wherever they happen to be, the servers restarted: each film once.
#[test]
fn uploads_outlive_their_coordinators_and_the_services() {
    let mut scene = Scene::new("killed", "1h");
    scene.fleet.start(2, 1);
    for (number, film) in FILMS.iter().enumerate() {
        scene.drop_film(film);
        let coordinator = if number % 2 == 0 { "c1" } else { "c2" };
        for _ in 0..2 {
            scene.tell(&format!("in/{film}"), Format::Minio);
        }
        scene.fleet.role(coordinator).kill();
        if number == 1 {
            scene.servers.crash_redis();
        }
        if number == 2 {
            scene.servers.restart_rabbit();
        }
        scene.fleet.role(coordinator).run();
    }
    scene.fleet.until_ready();
    let ended = scene.ended(FILMS.len());
    assert!(ended.iter().all(|job| job.state == "completed" && job.generation == 1), "{ended:?}");
    let golden = jobs::golden(&jobs::film(), "mp4");
    FILMS.iter().for_each(|film| assert_same(&scene.made(&film.replace(".mov", "-v1.mp4")), &golden));
    scene.heeded();
    scene.fleet.clean(&scene.servers);
}

#[test]
fn a_job_keeps_the_version_that_it_was_accepted_with() {
    let mut scene = Scene::new("versions", "2s");
    scene.fleet.start(1, 0);
    scene.drop_film("first.mov");
    scene.tell("in/first.mov", Format::S3);
    scene.heeded();
    assert_eq!(scene.jobs().len(), 1);
    // No worker yet: the job is under way while the fleet learns of another version.
    scene.configure(&rules(2));
    scene.fleet.role("c1").stop();
    scene.fleet.role("c1").run();
    scene.fleet.add(framefleet_tests::processes::role::Kind::Worker, "w1");
    scene.fleet.until_ready();
    scene.tell("in/first.mov", Format::S3);
    scene.drop_film("second.mov");
    scene.tell("in/second.mov", Format::S3);
    let mut ended = scene.ended(2);
    ended.sort_by_key(|job| job.source.clone());
    let versions: Vec<Option<&str>> = ended.iter().map(|job| job.pipeline.as_deref()).collect();
    assert_eq!(versions, [Some("web@1"), Some("web@2")]);
    assert!(scene.made("first-v1.mp4").exists() && scene.made("second-v2.mp4").exists());
    assert!(!scene.made("first-v2.mp4").exists());
    scene.heeded();
    scene.fleet.clean(&scene.servers);
}
