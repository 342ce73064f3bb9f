//! The users that are shipped for RabbitMQ and Redis may do what their roles do, and nothing else.

use std::collections::BTreeSet;

use framefleet_tests::place;
use framefleet_tests::processes::fleet::{Fleet, Special};
use framefleet_tests::processes::jobs::Load;
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::until;

const DEFINITIONS: [&str; 3] = ["definitions.json", "policies.json", "users.json"];
const REFUSED: &str = "ACCESS_REFUSED";

fn shipped(path: &str) -> String {
    std::fs::read_to_string(place::top().join("deploy").join(path)).unwrap()
}

/// A mounted address, at the server of this test.
fn secret(name: &str, port: u16) -> String {
    let url = shipped(&format!("compose/secrets/{name}"));
    let (user, place) = url.trim().split_once('@').unwrap();
    let (_, path) = place.split_once('/').unwrap();
    format!("{user}@127.0.0.1:{port}/{path}")
}

fn set_up(servers: &Servers) {
    for file in DEFINITIONS {
        let path = place::top().join("deploy/rabbitmq").join(file);
        servers.rabbitmqctl(&["import_definitions", &path.display().to_string()]);
    }
    let waits = servers.redis_command(&["COMMAND", "INFO", "waitaof"]).contains("waitaof");
    // Of the shipped ones, the administrator's stays as it is: a test looks around by it.
    for line in shipped("redis/users.acl").lines().filter(|line| !line.contains("user default")) {
        let words: Vec<&str> = line.split_whitespace().skip(1).filter(|word| *word != "+waitaof" || waits).collect();
        let said = servers.redis_command(&[&["ACL", "SETUSER"], &words[..]].concat());
        assert!(said.contains("+OK"), "{line}: {said}");
    }
}

/// What nobody fetches in its time goes without a letter.
fn nobody_mourns_events(servers: &Servers, fleet: &mut Fleet, load: &Load) {
    let policy = ["set_policy", "-p", "framefleet", "--priority", "9", "--apply-to", "queues", "soon"];
    servers.rabbitmqctl(&[&policy[..], &["^framefleet\\.out\\.", "{\"message-ttl\":1}"]].concat());
    let job = load.one(fleet);
    assert_eq!(fleet.over(&job).job.state, "completed");
    until("events run out", || fleet.figure("c1", "framefleet_swept_total{what=\"event\"}") >= 3);
    assert_eq!(fleet.client.dead(&fleet.apis()).len(), 0);
}

#[test]
fn a_fleet_of_the_shipped_users_completes_jobs_and_a_worker_can_tell_nobody_anything() {
    let servers = Servers::start();
    set_up(&servers);
    let (amqp, redis) = (servers.amqp_port(), servers.redis_port());
    let worker = secret("broker_worker", amqp);
    let mut fleet = Fleet::new(&servers, "framefleet");
    for (kind, name) in [(Kind::Coordinator, "c1"), (Kind::Worker, "w1")] {
        let broker = if kind == Kind::Worker { worker.clone() } else { secret("broker_coordinator", amqp) };
        let env = [
            ("FRAMEFLEET__BROKER__URL", broker),
            ("FRAMEFLEET__BROKER__DECLARE", "false".to_owned()),
            ("FRAMEFLEET__STORE__URL", secret("store_url", redis)),
        ];
        let env = env.map(|(key, value)| (key.to_owned(), value)).to_vec();
        fleet.add_special((kind, name), Special { env, ..Special::default() });
    }
    fleet.until_ready();
    let load = Load::new(&fleet, &["mp4"]);
    let job = load.one(&mut fleet);
    let view = fleet.over(&job);
    assert_eq!(view.job.state, "completed", "{view:?}");
    for name in ["c1", "w1"] {
        let log = fleet.role(name).log();
        let errors: Vec<&str> = log.lines().filter(|line| line.contains(" ERROR ")).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    for exchange in ["framefleet.tasks", "framefleet.out", "framefleet.ingest", "framefleet.dead", ""] {
        let said = servers.try_to_post(&worker, exchange).expect_err("a worker publishes");
        assert!(said.contains(REFUSED), "{exchange:?}: {said}");
    }
    for queue in ["framefleet.ingest.uploads", "framefleet.out.events", "framefleet.dead"] {
        let said = servers.try_to_take(&worker, queue).expect_err("a worker reads what is not for it");
        assert!(said.contains(REFUSED), "{queue}: {said}");
    }
    let events = worker.replace("framefleet-worker", "framefleet-events");
    // They are relayed beside the job's own way: the last may come after its end is to be seen.
    let (wanted, mut told) =
        (["accepted", "started", "completed"].map(|state| format!("{job}:1:{state}")), BTreeSet::new());
    until("all that is told of the job is there", || {
        let taken = servers.try_to_take(&events, "framefleet.out.events").unwrap().into_iter();
        told.extend(taken.filter(|taken| taken.body.contains(&job)).map(|taken| taken.id));
        told.len() >= wanted.len()
    });
    assert_eq!(told, BTreeSet::from(wanted));
    nobody_mourns_events(&servers, &mut fleet, &load);
    let refused =
        |words: &[&str]| servers.redis_command_as(("framefleet", "fleet-on-a-laptop"), words).contains("NOPERM");
    for words in [&["FLUSHALL"][..], &["CONFIG", "SET", "maxmemory", "1"], &["GET", "other:key"], &["ACL", "LIST"]] {
        assert!(refused(words), "{words:?}");
    }
}
