//! RabbitMQ and Redis go away under a fleet at work, and come back.

use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs::Load;
use framefleet_tests::processes::servers::Servers;

const KINDS: [&str; 2] = ["mp4", "ts"];

#[test]
fn a_fleet_outlives_its_rabbitmq_and_its_redis() {
    let mut servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "services");
    fleet.start(2, 3);
    let load = Load::new(&fleet, &KINDS);
    load.goes_on(&mut fleet);
    servers.restart_rabbit();
    load.goes_on(&mut fleet);
    servers.crash_redis();
    load.goes_on(&mut fleet);
    servers.kill_rabbit();
    servers.crash_redis();
    servers.run_rabbit();
    load.goes_on(&mut fleet);
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
    load.goes_on(&mut fleet);
    for class in ["light", "standard", "long"] {
        servers.rabbitmqctl(&["delete_queue", &format!("deleted.tasks.{class}")]);
    }
    servers.rabbitmqctl(&["delete_queue", "deleted.dead"]);
    load.goes_on(&mut fleet);
    fleet.until_ready();
    fleet.completed(&servers);
}
