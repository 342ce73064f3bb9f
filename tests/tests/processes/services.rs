//! RabbitMQ and Redis go away under a fleet at work, and come back.

use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs::Load;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::until;

const KINDS: [&str; 2] = ["mp4", "ts"];

/// Waits until the fleet has finished so many segments more.
fn goes_on(fleet: &mut Fleet, load: &Load) {
    load.keep(fleet, 6);
    let before = settled(fleet);
    until("the fleet goes on", || {
        load.keep(fleet, 3);
        settled(fleet) >= before + 6
    });
}

fn settled(fleet: &Fleet) -> usize {
    fleet.worker_lines("outcome=\"settled\"").len()
}

#[test]
fn a_fleet_outlives_its_rabbitmq_and_its_redis() {
    let mut servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "services");
    fleet.start(2, 3);
    let load = Load::new(&fleet, &KINDS);
    goes_on(&mut fleet, &load);
    servers.restart_rabbit();
    goes_on(&mut fleet, &load);
    servers.crash_redis();
    goes_on(&mut fleet, &load);
    servers.kill_rabbit();
    servers.crash_redis();
    servers.run_rabbit();
    goes_on(&mut fleet, &load);
    fleet.until_ready();
    fleet.completed(&servers);
}

/// What was on its way is lost with the queues, and hinted again after its minute.
#[test]
fn queues_that_are_deleted_are_declared_anew_and_what_they_held_is_hinted_again() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "deleted");
    fleet.start(2, 3);
    let load = Load::new(&fleet, &KINDS);
    goes_on(&mut fleet, &load);
    for class in ["light", "standard", "long"] {
        servers.rabbitmqctl(&["delete_queue", &format!("deleted.tasks.{class}")]);
    }
    servers.rabbitmqctl(&["delete_queue", "deleted.dead"]);
    goes_on(&mut fleet, &load);
    fleet.until_ready();
    fleet.completed(&servers);
}
