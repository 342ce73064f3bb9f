//! What the fleet costs beside media: tasks a second, and how soon a job that comes to an idle fleet is begun.

use std::time::{Duration, Instant};

use framefleet_common::ports::broker::Class;
use framefleet_coordinator::ops::JobView;
use framefleet_model::job::JobState;

use super::Size;
use super::rig::{Rig, median};
use super::table::Table;
use crate::processes::servers::Servers;

const WORKERS: usize = 4;
const SEGMENTS: usize = 1500;
const TRIES: usize = 20;

pub async fn measure(servers: &Servers, size: Size, table: &mut Table) {
    let (jobs, slots): (usize, &[usize]) = match size {
        Size::Whole => (6, &[32, 64]),
        Size::Short => (2, &[32]),
    };
    for slots in slots {
        let (rate, tasks, ground) = throughput(servers, *slots, jobs).await;
        let what = format!(
            "control plane: {tasks} tasks of {jobs} jobs, {slots} slots of {WORKERS} workers, media that does nothing, \
             objects on {ground}"
        );
        table.row(&what, &format!("{rate:.0} tasks/s"), "≥ 400 tasks/s");
    }
    let latency = latency(servers).await;
    let what = format!("idle fleet: from submitting a job to its first claim, median of {TRIES}");
    table.row(&what, &format!("{:.1} ms", latency.as_secs_f64() * 1e3), "≤ 50 ms");
}

/// From the first claim of an encode to the last settle. The jobs must come to a good end.
async fn throughput(servers: &Servers, slots: usize, jobs: usize) -> (f64, usize, &'static str) {
    let mut rig = Rig::new((servers.redis(), servers.amqp()), &format!("through{slots}")).await;
    let mut roles = vec![rig.start_coordinator().await, rig.start_worker("light", (Class::light(), 1)).await];
    let film = rig.film("film.mov", SEGMENTS);
    let mut ids = Vec::new();
    for number in 0..jobs {
        ids.push(rig.submit(&film, &format!("{number}.mp4")).await);
    }
    for id in &ids {
        rig.until(id, |view| matches!(view.job.state, JobState::Encoding(_))).await;
    }
    let before = rig.settled();
    for number in 0..WORKERS {
        roles.push(rig.start_worker(&format!("w{number}"), (Class::standard(), slots / WORKERS)).await);
    }
    let tasks = jobs * SEGMENTS;
    let last = rig.until_settled(before + tasks as u64).await;
    let first = rig.media.first_encode().expect("they were encoded");
    for id in &ids {
        let view = rig.until(id, JobView::is_over).await;
        assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    }
    for role in roles {
        role.stop().await;
    }
    (tasks as f64 / (last - first).as_secs_f64(), tasks, rig.ground())
}

async fn latency(servers: &Servers) -> Duration {
    let mut rig = Rig::new((servers.redis(), servers.amqp()), "idle").await;
    let roles = [
        rig.start_coordinator().await,
        rig.start_worker("light", (Class::light(), 1)).await,
        rig.start_worker("standard", (Class::standard(), 2)).await,
    ];
    let film = rig.film("film.mov", 3);
    let mut waits = Vec::new();
    for number in 0..=TRIES {
        let (before, begun) = (rig.media.indexes(), Instant::now());
        let id = rig.submit(&film, &format!("{number}.mp4")).await;
        waits.push(rig.media.index_after(before).await - begun);
        rig.until(&id, JobView::is_over).await;
    }
    // The first finds consumers that are still being opened.
    waits.remove(0);
    for role in roles {
        role.stop().await;
    }
    median(waits)
}
