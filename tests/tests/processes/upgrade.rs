//! An upgrade under load: two builds are at work at once whose segments cannot be joined.

use std::collections::BTreeMap;

use framefleet_tests::place;
use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs::{self, FLAGS, Load};
use framefleet_tests::processes::servers::Servers;

const KINDS: [&str; 2] = ["mp4", "ts"];
const DIFFER: &str = "headers differ";

#[test]
fn a_fleet_is_upgraded_under_load_and_no_job_fails_and_no_output_is_of_two_builds() {
    let (servers, newer) = (Servers::start(), place::with_other_headers());
    let golden = |kind: &&'static str| (*kind, jobs::golden_of(&newer, (&jobs::film(), kind), &FLAGS));
    let newer_goldens: BTreeMap<&str, Vec<u8>> = KINDS.iter().map(golden).collect();
    let mut fleet = Fleet::new(&servers, "upgrade");
    fleet.start(2, 3);
    let load = Load::new(&fleet, &KINDS);
    let first = load.one(&mut fleet);
    fleet.over(&first);
    for name in ["w1", "c1", "w2", "c2", "w3"] {
        let role = fleet.role(name);
        assert!(role.stop().success(), "{name} of the older build");
        role.upgrade(newer.clone());
        role.run();
        fleet.until_ready();
        load.goes_on(&mut fleet);
    }
    load.one(&mut fleet);
    let (mut of_older, mut of_newer) = (0, 0);
    for (job, (out, older)) in &fleet.due {
        let view = fleet.over(job);
        assert_eq!(view.job.state, "completed", "{view:?}");
        let kind = out.extension().unwrap().to_str().unwrap();
        let (made, newer) = (std::fs::read(out).unwrap(), &newer_goldens[kind]);
        assert!(made == *older || made == *newer, "{} is as neither build makes it", out.display());
        assert_ne!(older, newer, "the builds differ");
        *(if made == *older { &mut of_older } else { &mut of_newer }) += 1;
    }
    let again = ["c1", "c2"].map(|name| fleet.role(name).log().matches(DIFFER).count()).iter().sum::<usize>();
    println!(
        "{of_older} outputs of the older build, {of_newer} of the newer; {again} times segments were encoded again"
    );
    assert!(of_older > 0 && of_newer > 0 && again > 0, "{of_older}, {of_newer}, {again}");
    fleet.clean(&servers);
}
