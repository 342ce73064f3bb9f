//! Events that never come, and messages that are none.

use std::process::Command;

use framefleet_model::event::Format;
use framefleet_tests::place;
use framefleet_tests::processes::{jobs, settled::assert_same, until};

use super::scene::{Scene, rules};

#[test]
fn a_lost_event_costs_a_sweep_and_what_is_no_message_leaves_a_letter() {
    let mut scene = Scene::new("lost", "2s");
    scene.drop_film("old.mov");
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = std::fs::File::options().write(true).open(scene.buckets.path("films/in/old.mov")).unwrap();
    file.set_modified(old).unwrap();
    scene.fleet.start(1, 1);
    let passes = "framefleet_bucket_sweeps_total{what=\"pass\"}";
    until("a first pass is over", || scene.fleet.figure("c1", passes) > 0);

    scene.post("{\"no\": \"message of ours\"}");
    scene.post("{\"Records\":[{\"eventName\":\"ObjectCreated:Put\",\"s3\":{\"bucket\":{\"name\":\"films\"},\"object\":{\"key\":\"../a.mov\"}}}]}");
    scene.tell("out/of/any/rule.mov", Format::S3);
    scene.heeded();
    let dead = scene.fleet.client.dead(&scene.fleet.apis());
    let whys: Vec<&str> = dead.iter().map(|letter| letter.why.as_str()).collect();
    assert_eq!(whys.len(), 2, "{whys:?}");
    assert!(whys.iter().any(|why| why.starts_with("JSON of no known kind of event")), "{whys:?}");
    assert!(whys.iter().any(|why| why.contains("has a key with . or .. between slashes")), "{whys:?}");
    let told = |what: &str| scene.uploads(what);
    assert_eq!([told("malformed"), told("refused"), told("unmatched"), told("matched")], [1, 1, 1, 0]);

    scene.drop_film("new.mov");
    let ended = scene.ended(1);
    assert!(ended[0].source.ends_with("/in/new.mov") && ended[0].state == "completed", "{ended:?}");
    assert_same(&scene.made("new-v1.mp4"), &jobs::golden(&jobs::film(), "mp4"));

    let size = std::fs::metadata(jobs::film()).unwrap().len();
    let counted = format!("1 objects of {size} bytes have appeared since 2001-01-01T00:00:00.000Z and have no job\n");
    assert_eq!(sweep(&scene, &["--from", "2001-01-01", "--dry-run"]), counted);
    assert_eq!(scene.jobs().len(), 1, "a look is no more than that");
    assert_eq!(sweep(&scene, &["--from", "2001-01-01"]), [&counted, "1 jobs were submitted\n"].concat());
    scene.ended(2);
    assert_eq!(sweep(&scene, &["--from", "2001-01-01"]).lines().next_back(), Some("0 jobs were submitted"));
}

fn sweep(scene: &Scene, words: &[&str]) -> String {
    let mut command = Command::new(place::framefleet());
    command.args(["sweep", "--trigger", "films", "--config"]).arg(scene.fleet.config()).args(words);
    let ran = command.env("NO_COLOR", "1").env("FRAMEFLEET_LOG", "off").output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// A bucket that does not answer holds up nobody else, and nothing of it is lost.
#[test]
fn a_bucket_that_is_away_is_waited_for() {
    let mut scene = Scene::new("away", "1h");
    scene.configure(&rules(1));
    scene.fleet.start(1, 1);
    scene.drop_film("late.mov");
    scene.drop_film("other.mov");
    scene.buckets.refuse("HEAD /films/in/late.mov", usize::MAX);
    scene.tell("in/late.mov", Format::S3);
    scene.tell("in/other.mov", Format::S3);
    let ended = scene.ended(1);
    assert!(ended[0].source.ends_with("/in/other.mov"), "{ended:?}");
    scene.heeded();
    scene.buckets.calm();
    scene.ended(2);
    scene.fleet.clean(&scene.servers);
}
