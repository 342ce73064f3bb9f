//! What many open tasks cost: the memory of a coordinator, in a process of its own, and of Redis, and how soon a short
//! task is claimed beside them.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use framefleet_common::ports::broker::Class;
use framefleet_model::job::JobState;
use tokio_util::sync::CancellationToken;

use super::Size;
use super::nothing::Nothing;
use super::rig::{Place, Rig, median};
use super::table::Table;
use crate::processes::servers::Servers;

/// The word by which this program becomes a coordinator.
pub const COORDINATOR: &str = "coordinator";
const SEGMENTS: usize = 1500;
const TRIES: usize = 20;
/// Long enough for every loop of the coordinator to have looked at everything again.
const SETTLING: Duration = Duration::from_secs(12);

struct Process(Child);

impl Process {
    fn start(place: &Place) -> Self {
        let own = std::env::current_exe().expect("a running program has a path");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(own).arg(COORDINATOR);
        command.args([&place.redis, &place.amqp, &place.prefix]).arg(&place.folder);
        Self(command.stdin(Stdio::null()).spawn().expect("this program starts again"))
    }

    /// Kibibytes as the kernel has them.
    fn figure(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.0.id());
        let status = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).expect("every process has it")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The coordinator's own process, until it is killed.
pub async fn coordinate(words: &[String]) {
    let [redis, amqp, prefix, folder] = words else { panic!("four words are needed, not {words:?}") };
    let place =
        Place { redis: redis.clone(), amqp: amqp.clone(), prefix: prefix.clone(), folder: PathBuf::from(folder) };
    let coordinator = place.coordinator(Arc::new(Nothing::default())).await;
    coordinator.run(CancellationToken::new()).await;
}

pub async fn measure(servers: &Servers, size: Size, table: &mut Table) {
    let jobs = match size {
        Size::Whole => 300,
        Size::Short => 30,
    };
    let mut rig = Rig::new((servers.redis(), servers.amqp()), "backlog").await;
    let coordinator = Process::start(&rig.place);
    let worker = rig.start_worker("light", (Class::light(), 1)).await;
    let film = rig.film("film.mov", SEGMENTS);
    let begun = Instant::now();
    let mut ids = Vec::new();
    for number in 0..jobs {
        ids.push(rig.submit(&film, &format!("{number}.mp4")).await);
    }
    let mut open = 0;
    for id in &ids {
        let view = rig.until(id, |view| matches!(view.job.state, JobState::Encoding(_))).await;
        open += view.segments.total - view.segments.done;
    }
    let planned = begun.elapsed();
    tokio::time::sleep(SETTLING).await;
    table.row(
        &format!("{open} open tasks of {jobs} jobs: the coordinator's resident memory"),
        &format!("{} MiB, {} MiB at most", coordinator.figure("VmRSS") / 1024, coordinator.figure("VmHWM") / 1024),
        "≤ 150 MiB",
    );
    let memory = redis_memory(servers);
    table.row("the same: memory that Redis uses", &format!("{} MiB", memory >> 20), "≤ 1024 MiB");
    table.row("the same: submitting and planning all of it", &format!("{:.0} s", planned.as_secs_f64()), "");
    let mut waits = Vec::new();
    for number in 0..TRIES {
        let short = rig.film(&format!("{number}.mov"), 3);
        let (before, begun) = (rig.media.indexes(), Instant::now());
        let id = rig.submit(&short, &format!("short{number}.mp4")).await;
        waits.push(rig.media.index_after(before).await - begun);
        rig.until(&id, |view| matches!(view.job.state, JobState::Encoding(_))).await;
    }
    let worst = waits.iter().max().copied().unwrap_or_default();
    let shown = |wait: Duration| format!("{:.1} ms", wait.as_secs_f64() * 1e3);
    let what = format!("the same: from submitting a job to the claim of its light task, median of {TRIES}");
    table.row(&what, &format!("{}, {} at most", shown(median(waits)), shown(worst)), "≤ 200 ms");
    worker.stop().await;
}

fn redis_memory(servers: &Servers) -> u64 {
    let told = servers.redis_command(&["INFO", "memory"]);
    let line = told.lines().find_map(|line| line.strip_prefix("used_memory:"));
    line.and_then(|line| line.trim().parse().ok()).expect("Redis says what it uses")
}
