//! How much more many small workers do than one: each in a control group of its own that gets a tenth of a core; the
//! broker, the store and the coordinator are outside.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::Size;
use super::table::Table;
use crate::clip;
use crate::processes::fleet::{Fleet, Special};
use crate::processes::role::Kind;
use crate::processes::servers::Servers;
use crate::processes::{comes_true, jobs};

const PERIOD_US: u32 = 100_000;
const QUOTA_US: u32 = PERIOD_US / 10;
const GROUPS: &str = "/sys/fs/cgroup";
/// Where the first version of control groups has its one for processors.
const LEGACY: [&str; 2] = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"];
/// The dead are counted for a moment.
const EMPTY_WITHIN: Duration = Duration::from_secs(10);

/// A tenth of a core for all that runs within. Gone with its value.
struct Tenth(PathBuf);

impl Tenth {
    fn new(name: &str) -> Result<Self, String> {
        let legacy = LEGACY.map(Path::new).into_iter().find(|folder| folder.join("cpu.cfs_quota_us").exists());
        let folder =
            legacy.unwrap_or(Path::new(GROUPS)).join(format!("framefleet-bench-{}-{name}", std::process::id()));
        let put = |path: PathBuf, text: String| {
            std::fs::write(&path, text).map_err(|e| format!("{} cannot be written: {e}", path.display()))
        };
        if legacy.is_none() {
            put(Path::new(GROUPS).join("cgroup.subtree_control"), "+cpu".to_owned())?;
        }
        std::fs::create_dir(&folder).map_err(|e| format!("no control group at {}: {e}", folder.display()))?;
        let group = Self(folder);
        if legacy.is_some() {
            put(group.0.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
            put(group.0.join("cpu.cfs_quota_us"), QUOTA_US.to_string())?;
        } else {
            put(group.0.join("cpu.max"), format!("{QUOTA_US} {PERIOD_US}"))?;
        }
        Ok(group)
    }

    /// Words before a program that then runs within.
    fn wrapper(&self) -> Vec<String> {
        let script = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        ["sh", "-c", script, &self.0.display().to_string()].map(str::to_owned).to_vec()
    }
}

impl Drop for Tenth {
    fn drop(&mut self) {
        if !comes_true(EMPTY_WITHIN, || std::fs::remove_dir(&self.0).is_ok()) {
            eprintln!("{} is not empty and stays", self.0.display());
        }
    }
}

pub fn measure(servers: &Servers, size: Size, table: &mut Table) {
    if let Err(why) = Tenth::new("probe") {
        println!("scaling: not measured, for it needs root and control groups for processors: {why}");
        return;
    }
    let (seconds, counts): (u32, &[usize]) = match size {
        Size::Whole => (89, &[1, 2, 5, 10]),
        Size::Short => (18, &[1, 5]),
    };
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 25";
    let settings = ["--seconds", &seconds.to_string(), "--fps", "25", "--vargs", coding];
    let film = clip::numbered(&format!("bench-{seconds}s.mov"), &settings);
    let mut alone = None;
    for count in counts {
        let Run { whole, encoding, segments } = run(servers, &film, *count);
        let (whole_of_one, encoding_of_one) = *alone.get_or_insert((whole, encoding));
        let times = |one: Duration, many: Duration| one.as_secs_f64() / many.as_secs_f64();
        table.row(
            &format!("{count} workers at 0.1 core: {seconds} s film, 320x180, ultrafast, {segments} segments"),
            &format!(
                "{:.1} s: {:.2} ×; from the plan to the last segment {:.1} s: {:.2} ×",
                whole.as_secs_f64(),
                times(whole_of_one, whole),
                encoding.as_secs_f64(),
                times(encoding_of_one, encoding),
            ),
            if *count == 10 { "≥ 8.5 ×" } else { "" },
        );
    }
}

struct Run {
    /// From submitting the job to its end.
    whole: Duration,
    encoding: Duration,
    segments: u32,
}

fn run(servers: &Servers, film: &Path, count: usize) -> Run {
    let prefix = format!("scaling{count}");
    let groups: Result<Vec<Tenth>, String> =
        (0..count).map(|number| Tenth::new(&format!("{count}-{number}"))).collect();
    let groups = groups.unwrap_or_else(|why| panic!("{why}"));
    let mut fleet = Fleet::new(servers, &prefix);
    fleet.add(Kind::Coordinator, "c1");
    for (number, group) in groups.iter().enumerate() {
        let special = Special { wrapper: group.wrapper(), ..Special::default() };
        fleet.add_special((Kind::Worker, &format!("w{number}")), special);
    }
    fleet.until_ready();
    let source = fleet.path("in").join("film.mov");
    std::fs::copy(film, &source).expect("a folder of our own");
    let job = jobs::job(&jobs::url(&source), &jobs::url(&fleet.path("out").join("out.mp4")));
    let job = jobs::with(job, "segment", json!({ "duration": "1400ms" }));
    let begun = Instant::now();
    let id = fleet.ask(&job);
    let planned = wait(&fleet, &id, |total, _| total > 0);
    let encoded = wait(&fleet, &id, |total, done| done == total);
    let view = fleet.over(&id);
    let whole = begun.elapsed();
    assert_eq!(view.job.state, "completed", "{view:?}");
    fleet.all().iter_mut().for_each(crate::processes::role::Role::kill);
    Run { whole, encoding: encoded - planned, segments: view.segments.total }
}

/// When the segments of a job are so many, and so many of them done.
fn wait(fleet: &Fleet, id: &str, fact: impl Fn(u32, u32) -> bool) -> Instant {
    crate::processes::until("segments are done", || {
        let view = fleet.show(id);
        view.over || fact(view.segments.total, view.segments.done)
    });
    Instant::now()
}
