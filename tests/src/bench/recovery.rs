//! How soon a dead worker's task runs elsewhere, with the leases and heartbeats that a fleet has by default.

use std::time::{Duration, Instant};

use framefleet_coordinator::ops::wire::{RunningJson, ViewJson};
use serde_json::{Value, json};

use super::Size;
use super::rig::median;
use super::table::Table;
use crate::clip;
use crate::processes::fleet::{Fleet, Special};
use crate::processes::jobs;
use crate::processes::role::Kind;
use crate::processes::servers::Servers;
use crate::processes::{pause, until};

const WORKERS: [&str; 2] = ["w1", "w2"];
/// A worker dies at any moment between two heartbeats.
const DIES_WITHIN: Duration = Duration::from_secs(5);

pub fn measure(servers: &Servers, size: Size, table: &mut Table) {
    let rounds = match size {
        Size::Whole => 10,
        Size::Short => 2,
    };
    let mut fleet = Fleet::new(servers, "recovery");
    for (kind, name) in [(Kind::Coordinator, "c1"), (Kind::Worker, WORKERS[0]), (Kind::Worker, WORKERS[1])] {
        fleet.add_special((kind, name), Special { env: usual_leases(), ..Special::default() });
    }
    fleet.until_ready();
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 25";
    let film = clip::numbered("bench-90s.mov", &["--seconds", "90", "--fps", "25", "--vargs", coding]);
    let source = fleet.path("in").join("film.mov");
    std::fs::copy(film, &source).expect("a folder of our own");
    let mut waits = Vec::new();
    for round in 0..rounds {
        let job = slow(&fleet, &source, round);
        waits.push(killed(&mut fleet, &job));
    }
    let shown = |wait: Option<Duration>| format!("{:.1} s", wait.unwrap_or_default().as_secs_f64());
    let (least, most) = (waits.iter().min().copied(), waits.iter().max().copied());
    table.row(
        &format!("from `kill -9` of a worker to its task running elsewhere, default leases, median of {rounds}"),
        &format!("{}, from {} to {}", shown(Some(median(waits))), shown(least), shown(most)),
        "≤ 15 s",
    );
}

fn usual_leases() -> Vec<(String, String)> {
    [("LEASE", "30s"), ("BEAT", "5s")]
        .map(|(key, value)| (format!("FRAMEFLEET__LIMITS__{key}"), value.to_owned()))
        .to_vec()
}

/// One task that takes longer than a worker lives here.
fn slow(fleet: &Fleet, source: &std::path::Path, round: usize) -> Value {
    let out = fleet.path("out").join(format!("{round}.mp4"));
    let job = jobs::job(&jobs::url(source), &jobs::url(&out));
    let outputs = json!([{ "to": jobs::url(&out), "video": { "preset": "veryslow" }, "audio": "none" }]);
    jobs::with(jobs::with(job, "outputs", outputs), "segment", json!({ "duration": "90s" }))
}

/// Kills whoever runs the job's one encode.
fn killed(fleet: &mut Fleet, job: &Value) -> Duration {
    let id = fleet.ask(job);
    let mut holder = String::new();
    until("the encode runs", || {
        holder = encode(&fleet.show(&id)).map(|running| running.worker.clone()).unwrap_or_default();
        !holder.is_empty()
    });
    pause(DIES_WITHIN.mul_f64(rand::random::<f64>()));
    fleet.role(&holder).kill();
    let died = Instant::now();
    until("the encode runs elsewhere", || {
        let view = fleet.show(&id);
        assert!(!view.over, "the encode was over before its worker died: {view:?}");
        encode(&view).is_some_and(|running| running.worker != holder)
    });
    let wait = died.elapsed();
    fleet.client.cancel(&fleet.apis(), &id);
    fleet.over(&id);
    // Whoever took it over hears of the end with its next heartbeat; the next round must find a free slot there.
    let heir = WORKERS.into_iter().find(|name| *name != holder).expect("one of two");
    until("the slots of whoever took it over are free", || busy(fleet, heir) == 0);
    fleet.role(&holder).run();
    fleet.until_ready();
    wait
}

fn busy(fleet: &Fleet, name: &str) -> u64 {
    let slots = |class: &str| fleet.figure(name, &format!("framefleet_worker_busy_slots{{class=\"{class}\"}}"));
    ["light", "standard", "long"].map(slots).iter().sum()
}

fn encode(view: &ViewJson) -> Option<&RunningJson> {
    view.running.iter().find(|running| running.task.starts_with("encode"))
}
