//! What must hold of a simulated fleet: while the storm blows, once all is quiet, and when every role has stopped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use framefleet_common::adapters::memory::store::Snapshot;
use framefleet_common::ports::rows;
use framefleet_model::fault::FaultKind;
use framefleet_model::job::{Closing, Job, JobState};
use tokio::time::Instant;

use crate::fleet::media::unpacked;
use crate::fleet::storm::Temper;
use crate::fleet::world::{Film, FilmKind, World};

/// Nothing takes longer to end, by the fleet's own clock, once nothing goes wrong any more.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
const LOOK: Duration = Duration::from_secs(1);

/// Nothing is visible that the store may yet forget.
pub fn as_it_goes(world: &World) {
    for film in world.films.iter().filter(|film| film.out.exists()) {
        let known = world.truth.durable_jobs().into_iter().filter(|job| job.source.url == film.source);
        let stands = |job: &Job| matches!(job.state, JobState::Publishing(_) | JobState::Completed(_));
        if !known.into_iter().any(|job| stands(&job)) {
            world.storm.wrong(format!("output {} is visible and its job may yet be forgotten", film.number));
        }
    }
}

/// Waits until nothing is left to do, then looks at what it came to.
pub async fn when_quiet(world: &World) {
    let began = Instant::now();
    loop {
        let left = unread(world);
        if left.is_empty() {
            break;
        }
        if began.elapsed() > PATIENCE {
            world.storm.wrong(format!("after {PATIENCE:?} of calm is left: {}", left.join(", ")));
            break;
        }
        tokio::time::sleep(LOOK).await;
        world.post.deliver_late(&world.dice).await;
    }
    world.storm.tell("quiet", format_args!("quiet after {:?}", began.elapsed()));
    for (id, film) in world.accepted() {
        match world.truth.job(&id) {
            Some(job) => judge(world, &job, &film),
            None => world.storm.wrong(format!("accepted job {id} of film {} is lost", film.number)),
        }
    }
    uploaded_once(world);
    told_once(world);
}

fn jobs_of(world: &World, film: &Film) -> Vec<Job> {
    jobs(&world.truth.now()).into_iter().filter(|job| job.source.url == film.source).collect()
}

/// However often an upload was told of or found, it is one job, and none that ended begins again of it.
fn uploaded_once(world: &World) {
    for film in world.films.iter().filter(|film| world.is_uploaded(film)) {
        let jobs = jobs_of(world, film);
        if jobs.len() != 1 || jobs[0].generation != 1 {
            let generations: Vec<u32> = jobs.iter().map(|job| job.generation).collect();
            world.storm.wrong(format!("upload {} became jobs of generations {generations:?}", film.number));
        }
    }
}

/// News that nobody read, turns, tasks that wait, leases, hints.
fn unread(world: &World) -> Vec<String> {
    let snapshot = world.truth.now();
    let mut left: Vec<String> = snapshot.queues().map(|(queue, _)| format!("queue {}", queue.name)).collect();
    for (index, entries) in snapshot.indexes().filter(|(index, _)| !is_memory(&index.name)) {
        left.extend(entries.map(|entry| format!("{} in {}", entry.member, index.name)));
    }
    let untaken = world.films.iter().filter(|film| world.is_uploaded(film) && jobs_of(world, film).is_empty());
    left.extend(untaken.map(|film| format!("film {} that was uploaded", film.number)));
    if world.post.uploads_waiting() > 0 {
        left.push(format!("{} messages of uploads", world.post.uploads_waiting()));
    }
    if world.post.depth() > 0 {
        left.push(format!("{} hints", world.post.depth()));
    }
    left
}

/// What a store remembers for as long as it lives, or until a day long after.
fn is_memory(index: &str) -> bool {
    matches!(index, "jobs" | "retired" | "dead" | "workers")
        || index.starts_with("tenants/")
        || index.starts_with("steps/")
}

/// The same, and jobs that have not ended.
fn left_to_do(world: &World) -> Vec<String> {
    let all = jobs(&world.truth.now()).into_iter();
    let open = all.filter(|job| job.state.closing() != Some(Closing::Closed));
    open.map(|job| format!("job {} {}", job.id, job.state.name())).chain(unread(world)).collect()
}

pub fn jobs(snapshot: &Snapshot) -> Vec<Job> {
    let of_jobs = snapshot.rows().filter(|(key, _)| key.name.starts_with("job/"));
    let mut jobs: Vec<Job> = of_jobs.map(|(key, row)| rows::from_row(key, row).expect("job rows parse")).collect();
    jobs.sort_by(|a, b| a.id.cmp(&b.id));
    jobs
}

/// Whether a job ended as its film deserves, and left what it should.
fn judge(world: &World, job: &Job, film: &Film) {
    let wild = world.storm.weather.temper == Temper::Wild;
    let kind = match &job.state {
        JobState::Failed(end) => Some(end.fault.kind),
        _ => None,
    };
    let deserved = match (&job.state, film.kind) {
        // whether it was asked for is the caller's to know; that it ends is what counts
        (JobState::Cancelled(_), _) => true,
        (JobState::Completed(_), FilmKind::Good { .. }) => true,
        (JobState::Failed(_), FilmKind::Corrupt) => kind == Some(FaultKind::Corrupt) || wild,
        (JobState::Failed(_), FilmKind::Poison) => kind == Some(FaultKind::Crashed) || wild,
        (JobState::Failed(_), FilmKind::Good { .. }) => {
            wild && matches!(kind, Some(FaultKind::Crashed | FaultKind::Hung | FaultKind::OutOfMemory))
        }
        _ => false,
    };
    if !deserved {
        world.storm.wrong(format!("film {} ({:?}) came to {:?}", film.number, film.kind, job.state));
    }
    let found = if film.is_package() { unpacked(&film.out).ok() } else { std::fs::read_to_string(&film.out).ok() };
    let wanted = match (&job.state, film.kind) {
        (JobState::Completed(_), FilmKind::Good { pictures }) => Some(expected(pictures, film.sounds())),
        _ => None,
    };
    if found != wanted {
        let lengths = (found.map(|text| text.len()), wanted.map(|text| text.len()));
        world.storm.wrong(format!("output {} of a job that is {}: {lengths:?}", film.number, job.state.name()));
    }
}

/// What the film of this many pictures and sound tracks must come out as.
pub fn expected(pictures: i64, sounds: usize) -> String {
    let shown = (0..pictures).map(|n| format!("0 {}\n", n * 40_000_000));
    shown.chain((0..sounds).map(|track| format!("sound {track} {}\n", pictures * 1920))).collect()
}

/// Each generation of each job was accepted and has one end, and the world was told of both.
fn told_once(world: &World) {
    let mut told = [BTreeSet::new(), BTreeSet::new()];
    for event in world.post.told() {
        let mut parts = event.id.rsplitn(2, ':');
        let (state, job) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let kind = match state {
            "started" => continue,
            "accepted" => 0,
            _ => 1,
        };
        if !told[kind].insert(job.to_owned()) {
            world.storm.wrong(format!("the world was told of two ends: {}", event.id));
        }
    }
    for job in jobs(&world.truth.now()) {
        for generation in 1..=job.generation {
            let name = format!("{}:{generation}", job.id);
            for (told, what) in told.iter().zip(["acceptance", "end"]) {
                if !told.contains(&name) {
                    world.storm.wrong(format!("nobody was told of the {what} of job {name}"));
                }
            }
        }
        let id = format!("{}:{}:{}", job.id, job.generation, job.state.name());
        if !world.receiver.has_heard(&id) {
            world.storm.wrong(format!("no step told of {id}"));
        }
        if !world.post.told().iter().any(|event| event.id == id) {
            world.storm.wrong(format!("the world was told of another end than {id}"));
        }
    }
}

/// Nothing half-made is left anywhere.
pub fn when_stopped(world: &World) {
    let hidden = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
    let scratch = files_in(&world.scratches());
    for path in files_in(&world.folder).iter().filter(|path| hidden(path)).chain(&scratch) {
        world.storm.wrong(format!("{} is left", path.display()));
    }
    for film in &world.films {
        stray_folders(world, film);
    }
    // A hint that a slot had in its hands when it was told to stop is back in its queue.
    world.post.wipe();
    let left = left_to_do(world);
    if !left.is_empty() {
        world.storm.wrong(format!("after all has stopped is left: {}", left.join(", ")));
    }
    for job in jobs(&world.truth.now()) {
        for nonce in attempts(&world.work().join(job.id.as_str())) {
            world.storm.wrong(format!("attempt {nonce} of job {} left an object", job.id));
        }
    }
}

/// Beside a package's master stands the folder that it leads to, and no other attempt's.
fn stray_folders(world: &World, film: &Film) {
    let master = std::fs::read_to_string(&film.out).unwrap_or_default();
    let led_to = master.lines().next().and_then(|line| line.split('/').next());
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let own = format!("{}-", film.out.with_extension("").file_name().unwrap_or_default().to_string_lossy());
    let listed = std::fs::read_dir(&world.folder).expect("the world's folder is there");
    for path in listed.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(|path| path.is_dir()) {
        let stray = name(&path).starts_with(&own) && !(film.is_package() && Some(name(&path).as_str()) == led_to);
        if stray {
            world.storm.wrong(format!("folder {} is left", path.display()));
        }
    }
}

/// Every attempt that left an object: `<job>/index/<nonce>`, `<job>/<task>/<nonce>/<file>`.
fn attempts(job: &Path) -> BTreeSet<String> {
    let of_attempts = files_in(job).into_iter().filter_map(|path| {
        let parts: Vec<String> =
            path.strip_prefix(job).ok()?.iter().map(|p| p.to_string_lossy().into_owned()).collect();
        match parts.as_slice() {
            [place, nonce] if place == "index" => Some(nonce.clone()),
            [_task, nonce, _file] => Some(nonce.clone()),
            _ => None,
        }
    });
    of_attempts.collect()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(listed) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in listed.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        if path.is_dir() { files.extend(files_in(&path)) } else { files.push(path) }
    }
    files
}
