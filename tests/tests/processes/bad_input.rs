//! Services that are not as they should be, and messages that nobody of ours wrote.

use framefleet_tests::processes::fleet::{Fleet, Special};
use framefleet_tests::processes::jobs::Load;
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::until;

fn with(key: &str, value: &str) -> Special {
    Special { env: vec![(key.to_owned(), value.to_owned())], ..Special::default() }
}

#[test]
fn a_role_says_what_is_wrong_with_its_services_and_goes_on_once_it_is_right() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "wrong");
    fleet.start(1, 0);
    refused_by_redis(&servers, &mut fleet);
    refused_by_rabbitmq(&servers, &mut fleet);
    forgetful(&servers, &fleet);
    fleet.add(Kind::Worker, "w1");
    fleet.until_ready();
    Load::new(&fleet, &["ts"]).one(&mut fleet);
    fleet.completed(&servers);
}

/// No waiting helps: the process ends and says why.
fn refused_by_redis(servers: &Servers, fleet: &mut Fleet) {
    servers.redis_command(&["ACL", "SETUSER", "somebody", "on", ">right", "~*", "&*", "+@all"]);
    let url = servers.redis().replace("redis://", "redis://somebody:wrong@");
    for (kind, name) in [(Kind::Coordinator, "stranger-c"), (Kind::Worker, "stranger-w")] {
        fleet.add_special((kind, name), with("FRAMEFLEET__STORE__URL", &url));
        let role = fleet.role(name);
        let code = role.end().code();
        let log = role.log();
        assert!(matches!(code, Some(64 | 69)), "{name} ends with {code:?}: {log}");
        assert!(log.contains("refuses the login") && log.contains("password") && !log.contains("wrong@"), "{log}");
    }
}

fn refused_by_rabbitmq(servers: &Servers, fleet: &mut Fleet) {
    let url = servers.amqp();
    let key = "FRAMEFLEET__BROKER__URL";
    fleet.add_special((Kind::Worker, "password"), with(key, &url.replace("guest:guest", "guest:wrong")));
    let said = says_of_the_broker(fleet, "password");
    assert!(said.contains("refuses user \"guest\"") && said.contains("correct the name or the password"), "{said}");

    fleet.add_special((Kind::Worker, "vhost"), with(key, &url.replace("%2f", "nowhere")));
    let said = says_of_the_broker(fleet, "vhost");
    assert!(said.contains("no virtual host \"nowhere\": rabbitmqctl add_vhost"), "{said}");
    servers.rabbitmqctl(&["add_vhost", "nowhere"]);
    servers.rabbitmqctl(&["set_permissions", "-p", "nowhere", "guest", ".*", ".*", ".*"]);

    servers.declare_classic("classic.tasks.light");
    fleet.add_special((Kind::Worker, "queue"), with("FRAMEFLEET__BROKER__PREFIX", "classic"));
    let said = says_of_the_broker(fleet, "queue");
    assert!(said.contains("queue classic.tasks.light is not as needed") && said.contains("--declare"), "{said}");
    servers.rabbitmqctl(&["delete_queue", "classic.tasks.light"]);

    fleet.role("password").kill();
    for name in ["vhost", "queue"] {
        fleet.until_it_says(name, |status, _| status == 200);
    }
}

fn says_of_the_broker(fleet: &Fleet, name: &str) -> String {
    fleet.until_it_says(name, |status, text| {
        status == 503
            && text.contains("broker: ")
            && !text.contains("not connected yet")
            && !text.contains("has been made yet")
    })
}

fn forgetful(servers: &Servers, fleet: &Fleet) {
    servers.redis_command(&["CONFIG", "SET", "appendonly", "no"]);
    let said = fleet.until_it_says("c1", |status, _| status == 503);
    assert!(said.contains("keeps nothing on disk (appendonly no): set appendonly yes"), "{said}");
    servers.redis_command(&["CONFIG", "SET", "appendonly", "yes"]);
}

#[test]
fn messages_that_are_no_hints_become_dead_letters_and_hints_of_nothing_are_dropped() {
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "strange");
    fleet.start(1, 1);
    let long = format!("{{\"v\":1,\"film\":\"{}\"}}", "x".repeat(5000));
    for body in ["<xml>encode this</xml>", "{\"v\":2,\"work\":[]}", &long] {
        servers.post("strange.tasks", "standard", body);
    }
    let job = "0123456789abcdef0123456789abcdef";
    servers.post("strange.tasks", "standard", &format!("{{\"v\":1,\"job\":\"{job}\",\"task\":\"encode-00001\"}}"));
    let mut letters = Vec::new();
    until("there are three letters", || {
        letters = fleet.client.dead(&fleet.apis());
        letters.len() == 3
    });
    for reason in ["foreign", "unknown-version", "oversized"] {
        let of_reason = |why: &str| why.starts_with(reason);
        let letter = letters.iter().find(|letter| of_reason(&letter.why)).unwrap_or_else(|| panic!("{letters:?}"));
        assert!(letter.what == "strange.tasks.standard" && letter.body.is_some(), "{letter:?}");
    }
    let dropped = "framefleet_hints_dropped_total{answer=\"over\"}";
    until("the hint of nothing is dropped", || fleet.figure("w1", dropped) == 1);
    assert_eq!(fleet.figure("c1", "framefleet_dead_letters_total"), 3);
    Load::new(&fleet, &["ts"]).one(&mut fleet);
    fleet.completed(&servers);
    assert_eq!((fleet.figure("w1", dropped), fleet.client.dead(&fleet.apis()).len()), (1, 3), "nothing comes again");
}
