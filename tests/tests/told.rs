//! What the world is told of a job, and that docs/EVENTS.md says so.
#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::memory::broker::MemoryBroker;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::Event;
use framefleet_coordinator::inbox::Submission;
use framefleet_coordinator::ops::Ops as _;
use framefleet_model::id::JobId;

use framefleet_tests::fleet::media::{Smooth, TextMedia};
use framefleet_tests::fleet::{Rig, request};
use framefleet_tests::place;
use serde_json::Value;
use tokio::sync::broadcast::Receiver;

const FILM: &str = "pictures=50 gop=25";

fn rig() -> (Rig, Receiver<Event>) {
    let broker = Arc::new(MemoryBroker::default());
    let heard = broker.events();
    let rig = Rig::new(Arc::new(TextMedia::new(Smooth(Duration::ZERO))));
    (Rig { fleet: Fleet { broker, ..rig.fleet.clone() }, ..rig }, heard)
}

/// The events of a job until its end is told, by their routing keys.
async fn told(heard: &mut Receiver<Event>) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    loop {
        let Event { id, key, body, .. } = heard.recv().await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((body["specversion"].as_str(), body["id"].as_str()), (Some("1.0"), Some(id.as_str())));
        assert_eq!(body["type"].as_str().unwrap().split('.').nth(2), key.split('.').nth(1));
        let is_end = body["data"]["timings"]["ended_ms"].is_i64();
        events.push((key, body));
        if is_end {
            return events;
        }
    }
}

/// The same event of every run: what differs from run to run becomes what the document shows.
fn shown(event: &Value, (rig, id): (&Rig, &JobId)) -> String {
    let mut event = event.clone();
    event["time"] = "2026-11-27T20:00:41.500Z".into();
    event["data"]["source"]["version"] = "1790000000000".into();
    event["data"]["timings"] = serde_json::json!({ "accepted_ms": 1_795_809_600_000_i64, "started_ms": 1_795_809_600_020_i64, "ended_ms": 1_795_809_641_500_i64 });
    let text = serde_json::to_string_pretty(&event).unwrap();
    text.replace(rig.folder.path().to_str().unwrap(), "/srv/films")
        .replace(id.as_str(), "5f0c9d6be0a34c1f8e1d2b7a90c3f4d2")
}

#[tokio::test(start_paused = true)]
async fn a_job_is_told_of_as_it_is_accepted_begins_and_ends() {
    let (rig, mut heard) = rig();
    let asked = request(&rig.film("film.mov", FILM), &[rig.path("out.mp4")]);
    let (id, _) = rig.ops().submit(&Submission::of(asked)).await.unwrap();
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let events = told(&mut heard).await;
    let keys: Vec<&str> = events.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["job.accepted.default", "job.started.default", "job.completed.default"]);
    let document = std::fs::read_to_string(place::top().join("docs/EVENTS.md")).unwrap();
    let completed = shown(&events[2].1, (&rig, &id));
    assert!(document.contains(&completed), "docs/EVENTS.md does not show this event:\n{completed}");
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn ends_that_are_none_of_success_say_why() {
    let (rig, mut heard) = rig();
    std::fs::write(rig.path("there.mp4"), "x").unwrap();
    let film = rig.film("film.mov", FILM);
    let refused = rig.ops().submit(&Submission::of(request(&film, &[rig.path("there.mp4")]))).await.unwrap().0;
    let coordinator = rig.start_coordinator("c");
    let events = told(&mut heard).await;
    let (key, failed) = events.last().unwrap();
    assert_eq!((key.as_str(), failed["subject"].as_str()), ("job.failed.default", Some(refused.as_str())));
    let fault = &failed["data"]["fault"];
    assert_eq!(
        (fault["name"].as_str(), fault["whose"].as_str()),
        (Some("DestinationExists"), Some("destination")),
        "{fault}"
    );
    assert!(failed["data"].get("outputs").is_none(), "{failed}");
    let waits = rig.ops().submit(&Submission::of(request(&film, &[rig.path("new.mp4")]))).await.unwrap().0;
    rig.ops().cancel(&waits, "nobody wants it").await.unwrap();
    let events = told(&mut heard).await;
    let (key, cancelled) = events.last().unwrap();
    assert_eq!(
        (key.as_str(), cancelled["data"]["reason"].as_str()),
        ("job.cancelled.default", Some("nobody wants it"))
    );
    coordinator.stop().await;
}
