//! Workers that come and go with the figure that the shipped autoscaler asks for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use framefleet_tests::place;
use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs::Load;
use framefleet_tests::processes::pause;
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::{PATIENCE, until};

const WORKERS_MAX: u64 = 6;
const BURST: usize = 12;
/// Between two looks, and with nothing wanted for so many of them the last worker goes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const COOL_LOOKS: u32 = 4;

/// The series that the scaler of workers asks Prometheus for, as a process shows them: the namespace is Prometheus's.
fn series() -> Vec<String> {
    let path = place::top().join("k8s/components/keda/scaled-objects.yaml");
    let manifest = std::fs::read_to_string(path).unwrap();
    let of_workers = manifest.split("\n---\n").find(|object| object.contains("    name: framefleet-worker\n")).unwrap();
    let queries = of_workers.lines().filter_map(|line| line.trim().strip_prefix("query: max(")?.split_once('}'));
    queries.map(|(series, _)| [&series.replace("namespace=\"framefleet\",", ""), "}"].concat()).collect()
}

/// As a horizontal pod autoscaler finds replicas of an average value: the most that any metric wants. A worker of this
/// fleet has one slot of each class.
fn wanted(fleet: &Fleet, series: &[String]) -> u64 {
    let demand = series.iter().map(|series| fleet.figure("c1", series));
    demand.max().unwrap_or(0).min(WORKERS_MAX)
}

#[test]
fn workers_come_with_a_burst_and_go_after_it_to_the_last_and_nothing_is_lost() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "scaler");
    fleet.start(1, 0);
    let series = series();
    let class = |class: &str| format!("framefleet_demand_slots{{class=\"{class}\"}}");
    assert_eq!(series, ["standard", "light"].map(class));
    let load = Load::new(&fleet, &["mp4", "ts"]);
    assert_eq!(wanted(&fleet, &series), 0, "nothing is to be done");
    load.keep(&mut fleet, BURST);
    until("the burst is seen", || wanted(&fleet, &series) == WORKERS_MAX);
    let (mut begun, mut most, mut cool) = (0, 0, 0);
    let mut running = BTreeSet::new();
    let end = Instant::now() + PATIENCE;
    // Whoever is quick to take workers away may take the last one while something is left to do: then one comes again.
    while cool < COOL_LOOKS || !running.is_empty() || fleet.open() > 0 {
        assert!(Instant::now() < end, "{running:?} are still there, {} jobs open", fleet.open());
        let want = usize::try_from(wanted(&fleet, &series)).unwrap();
        cool = if want == 0 { cool + 1 } else { 0 };
        // One at least stays until nothing was wanted for a while.
        let floor = usize::from(cool < COOL_LOOKS && !running.is_empty());
        let want = want.max(floor);
        while running.len() < want {
            begun += 1;
            fleet.add(Kind::Worker, &format!("w{begun}"));
            running.insert(begun);
        }
        // Which one goes is not the scaler's choice, and it may be at work.
        while running.len() > want {
            let oldest = running.pop_first().unwrap();
            let role = fleet.role(&format!("w{oldest}"));
            assert!(role.stop().success(), "w{oldest}");
        }
        most = most.max(running.len());
        pause(LOOK_EVERY);
    }
    println!("{begun} workers were there, {most} at once, for {} films", fleet.due.len());
    assert_eq!(most, usize::try_from(WORKERS_MAX).unwrap());
    fleet.completed(&servers);
    for how in ["failed", "lost", "unwanted", "handed_back"] {
        let lines = fleet.worker_lines(&format!("outcome={how}"));
        assert!(lines.is_empty(), "{lines:?}");
    }
}
