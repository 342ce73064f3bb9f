//! `kill -9`, again and again.

use std::collections::BTreeMap;
use std::time::Duration;

use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs::Load;
use framefleet_tests::processes::pause;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::running::Chance;

const KILLS: u32 = 24;
const JOBS_AT_WORK: usize = 6;
/// A task that is lost four times is given up by design: nobody is killed so often over the same one.
const HITS_MAX: u32 = 2;
const PAUSE_MS: u64 = 900;

#[test]
fn processes_killed_at_any_moment_cost_time_and_no_job() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "killed");
    fleet.start(2, 3);
    let load = Load::new(&fleet, &["mp4", "ts", "mkv"]);
    let mut chance = Chance::new(20_261_124);
    let (mut kills, mut hits) = (BTreeMap::<String, u32>::new(), BTreeMap::<String, u32>::new());
    while kills.values().sum::<u32>() < KILLS {
        load.keep(&mut fleet, JOBS_AT_WORK);
        pause(Duration::from_millis(chance.below(PAUSE_MS)));
        let victim = usize::try_from(chance.below(5)).unwrap();
        let name = fleet.roles()[victim].name().to_owned();
        let held = held_by(&fleet, &name);
        if held.iter().any(|task| hits.get(task).is_some_and(|hits| *hits >= HITS_MAX)) {
            continue;
        }
        let role = &mut fleet.all()[victim];
        role.kill();
        for task in held {
            *hits.entry(task).or_default() += 1;
        }
        pause(Duration::from_millis(chance.below(PAUSE_MS)));
        role.run();
        *kills.entry(name).or_default() += 1;
    }
    println!("killed: {kills:?}; {} tasks lost their holder, {} jobs", hits.len(), fleet.due.len());
    assert_eq!(kills.len(), 5, "somebody was never killed");
    assert!(!hits.is_empty(), "no kill hit anybody at work");
    fleet.until_ready();
    fleet.completed(&servers);
}

/// Tasks under way in a process, by all that is known.
fn held_by(fleet: &Fleet, name: &str) -> Vec<String> {
    let views = fleet.due.keys().map(|job| fleet.show(job)).filter(|view| !view.over);
    let held = views.flat_map(|view| {
        let job = view.job.id.clone();
        let running = view.running.into_iter().filter(|running| running.worker.split(' ').next() == Some(name));
        running.map(move |running| format!("{job}/{}", running.task)).collect::<Vec<_>>()
    });
    held.collect()
}
