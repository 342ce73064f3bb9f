//! `framefleet doctor` against servers that are well, and against each fault that it should find.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};

use framefleet_tests::place;
use framefleet_tests::processes::servers::{Buckets, Servers};
use framefleet_tests::processes::until;
use framefleet_tests::product::{Ran, bare};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const SERVERS: i32 = 69;
const DESTINATION: i32 = 73;
const SETTINGS: i32 = 64;
const CANCELLED: i32 = 130;

/// What a doctor is called to, and where it looks.
struct Patient {
    home: tempfile::TempDir,
}

impl Patient {
    fn new() -> Self {
        Self { home: place::scratch() }
    }

    fn see(&self, config: &str) -> Ran {
        let ran = Ran::of(&self.call(config).output().unwrap());
        assert!(!format!("{ran:?}").contains("s3cr3t"), "nobody sees a password: {ran:?}");
        ran
    }

    fn call(&self, config: &str) -> Command {
        let file = self.home.path().join("framefleet.toml");
        std::fs::write(&file, config).unwrap();
        let mut command = bare(self.home.path());
        command.args(["doctor", "-o", "json", "--config"]).arg(file);
        command
    }

    fn try_conformance(&self, config: &str) -> Ran {
        Ran::of(&self.call(config).arg("--conformance").output().unwrap())
    }

    /// A fleet's configuration, with folders of its own for work and films.
    fn fleet(&self, (redis, amqp): (&str, &str), more: &str) -> String {
        let home = self.home.path();
        for folder in ["work", "films", "scratch"] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        let home = home.display();
        format!(
            "[store]\nurl = \"{redis}\"\n[broker]\nurl = \"{amqp}\"\ndeclare = true\n[work]\nurl = \"file://{home}/work\"\n\
             [worker]\nscratch = \"{home}/scratch\"\nslots = {{ light = 1, standard = 1 }}\n\
             [coordinator]\nscratch = \"{home}/scratch\"\n[api]\nconnections = 64\nwatchers = 8\n\
             [[storage]]\nurl = \"file://{home}/films\"\n{more}"
        )
    }
}

/// The checks of this name, as `of state: says`.
fn checks(ran: &Ran, name: &str) -> Vec<String> {
    let report = ran.json();
    let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["check"] == name);
    let told = |check: &Value| {
        let of = check["of"].as_str().unwrap_or_default();
        format!("{of} {}: {}", check["state"].as_str().unwrap(), check["says"].as_str().unwrap())
    };
    checks.map(told).collect()
}

/// It ended with this code, and one line on standard error; the check of this name says these words, and how to mend it.
#[track_caller]
fn found(ran: &Ran, (code, name, words): (i32, &str, &[&str])) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    let report = ran.json();
    let bad = report["checks"].as_array().unwrap().iter().find(|c| c["check"] == name && c["state"] == "bad");
    let bad = bad.unwrap_or_else(|| panic!("{name} is not bad: {ran:?}"));
    for word in words {
        assert!(bad["says"].as_str().unwrap().contains(word), "{word:?} is not in {bad}");
    }
    assert!(bad["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{bad}");
    assert!(ran.err.lines().count() == 1 && ran.err.contains(name), "{ran:?}");
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn without_a_configuration_it_looks_at_this_machine() {
    let patient = Patient::new();
    let ran = Ran::of(&bare(patient.home.path()).args(["doctor", "-o", "json"]).output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report = ran.json();
    let names = ["checks", "configured", "findings", "framefleet", "gstreamer", "packages_missing"];
    assert_eq!(keys(&report), names.into());
    assert_eq!(report["configured"], "nothing");
    let looked_at: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(looked_at, ["plugins", "configuration", "jail", "open files", "scratch"]);
    assert_eq!(keys(&report["checks"][0]), ["check", "fix", "of", "says", "state"].into());
    assert_eq!(keys(&report["findings"][0]), ["factory", "need", "needed_for", "package", "state", "version"].into());
    let ran = Ran::of(&bare(patient.home.path()).arg("doctor").output().unwrap());
    assert!(ran.code == Some(0) && ran.out.starts_with("ok       plugins: all "), "{ran:?}");
    let jail =
        bare(patient.home.path()).args(["doctor", "-o", "json"]).env("FRAMEFLEET__SANDBOX__MODE", "off").output();
    let ran = Ran::of(&jail.unwrap());
    assert_eq!(ran.json()["configured"], "nothing", "a variable that commands heed makes no server of a machine");
    assert!(checks(&ran, "jail")[0].contains("sandbox.mode is off"), "{ran:?}");
}

/// One process with everything, whose trigger watches the folder `films` for what is called so.
fn serve(patient: &Patient, called: &str) -> Ran {
    let home = patient.home.path();
    for folder in ["films", "made"] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
    }
    let home = home.display();
    patient.see(&format!(
        "[[storage]]\nurl = \"file://{home}/films\"\n[[storage]]\nurl = \"file://{home}/made\"\n\
         [[pipelines]]\nname = \"web\"\nversion = \"1\"\noutputs = [{{ to = \"{{stem}}.mp4\" }}]\n\
         [[triggers]]\nname = \"films\"\nbucket = \"file://{home}/films\"\npipeline = \"web@1\"\n\
         output = \"file://{home}/made\"\n{called}\n"
    ))
}

#[test]
fn nothing_is_written_to_a_folder_where_a_trigger_would_take_it() {
    let patient = Patient::new();
    let ran = serve(&patient, "");
    assert_eq!((ran.code, &ran.json()["configured"]), (Some(0), &"serve".into()), "{ran:?}");
    assert!(checks(&ran, "configuration")[0].contains(" ok: of serve, by pipelines[0].name ("), "{ran:?}");
    let storage = checks(&ran, "storage");
    assert!(storage[0].ends_with("films ok: can be listed; not written, for a trigger might take it"), "{storage:?}");
    assert!(storage[1].ends_with("made ok: written, read back, and emptied again"), "{storage:?}");
    assert!(!patient.home.path().join("films/probe").exists());
    for called in ["suffix = \".mov\"", "prefix = \"in/\""] {
        let storage = checks(&serve(&patient, called), "storage");
        assert!(storage[0].ends_with("films ok: written, read back, and emptied again"), "{called}: {storage:?}");
    }
    assert_eq!(files(&patient.home.path().join("films")), 0);
}

#[test]
fn servers_that_are_well_are_said_to_be_and_nothing_is_left_on_them() {
    let (servers, buckets, patient) = (Servers::start(), Buckets::start(), Patient::new());
    let ran = patient.see(&patient.fleet((&servers.redis(), &servers.amqp()), &buckets.settings()));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let report = ran.json();
    assert_eq!(report["configured"], "fleet");
    let states: BTreeSet<&str> =
        report["checks"].as_array().unwrap().iter().map(|check| check["state"].as_str().unwrap()).collect();
    assert!(!states.contains("bad"), "{ran:?}");
    assert!(checks(&ran, "store")[0].starts_with(" ok: Redis "), "{ran:?}");
    assert_eq!(checks(&ran, "broker"), [" ok: lets us in; exchanges and queues are declared"]);
    assert_eq!(checks(&ran, "storage").len(), 4, "three buckets and a folder: {ran:?}");
    assert!(checks(&ran, "storage").iter().all(|check| check.ends_with(" ok: written, read back, and emptied again")));
    assert_eq!(checks(&ran, "work").len(), 1);
    assert!(checks(&ran, "clock").iter().all(|check| check.contains(" ok: ")), "{ran:?}");
    assert_eq!(checks(&ran, "clock").len(), 2, "the store's and that of the one server of buckets: {ran:?}");
    assert_eq!(servers.keys("*probe*"), Vec::<String>::new());
    for bucket in [Buckets::FILMS, Buckets::WORK, Buckets::MADE] {
        assert_eq!(files(&buckets.path(bucket)), 0, "{bucket}");
    }
    assert_eq!(files(&patient.home.path().join("work")) + files(&patient.home.path().join("films")), 0);
}

fn files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[test]
fn each_fault_of_store_and_broker_is_found_and_ends_in_its_code() {
    let servers = Servers::start_with(&["--appendfsync", "always", "--maxmemory-policy", "allkeys-lru"]);
    let patient = Patient::new();
    let see = |redis: &str, amqp: &str| patient.see(&patient.fleet((redis, amqp), ""));
    let (redis, amqp) = (servers.redis(), servers.amqp());
    found(&see(&redis, &amqp), (SERVERS, "store", &["allkeys-lru", "noeviction"]));
    servers.redis_command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let stranger = redis.replace("redis://", "redis://stranger:s3cr3t@");
    found(&see(&stranger, &amqp), (SERVERS, "store", &["refuses the login"]));
    servers.redis_command(&[
        "ACL",
        "SETUSER",
        "reader",
        "on",
        ">s3cr3t",
        "~*",
        "&*",
        "+@read",
        "+@connection",
        "+info",
    ]);
    let reader = redis.replace("redis://", "redis://reader:s3cr3t@");
    found(&see(&reader, &amqp), (SERVERS, "store", &["permission"]));
    found(&see("redis://127.0.0.1:1", &amqp), (SERVERS, "store", &["127.0.0.1:1"]));

    let (_, place) = amqp.rsplit_once('@').unwrap();
    found(&see(&redis, &format!("amqp://guest:s3cr3t@{place}")), (SERVERS, "broker", &["refuses user", "guest"]));
    servers.rabbitmqctl(&["add_user", "worker", "s3cr3t"]);
    let worker = format!("amqp://worker:s3cr3t@{place}");
    found(&see(&redis, &worker), (SERVERS, "broker", &["may not enter"]));
    servers.rabbitmqctl(&["set_permissions", "worker", "^$", "^$", ".*"]);
    found(&see(&redis, &worker), (SERVERS, "broker", &["may not declare"]));
    let looking = patient.fleet((&redis, &worker), "").replace("declare = true", "declare = false");
    let elsewhere = looking.replace("[broker]", "[broker]\nprefix = \"elsewhere\"");
    found(&patient.see(&elsewhere), (SERVERS, "broker", &["is missing"]));
    assert_eq!(patient.see(&looking).code, Some(0), "what the doctor declared before is as it should be");
    found(&see(&redis, "amqp://127.0.0.1:1"), (SERVERS, "broker", &["127.0.0.1:1"]));
}

#[test]
fn each_fault_of_a_place_is_found_and_ends_in_its_code() {
    let (servers, buckets, patient) = (Servers::start(), Buckets::start(), Patient::new());
    let see = |more: &str| patient.see(&patient.fleet((&servers.redis(), &servers.amqp()), more));
    let films = buckets.settings().split("[[storage]]").nth(1).map(|one| format!("[[storage]]{one}")).unwrap();
    found(
        &see(&films.replace("s3://films", "s3://nobodys")),
        (DESTINATION, "storage", &["s3://nobodys", "does not exist"]),
    );
    let stolen = films.lines().map(|line| if line.starts_with("secret") { "secret = \"s3cr3t\"" } else { line });
    found(&see(&stolen.collect::<Vec<_>>().join("\n")), (DESTINATION, "storage", &["SignatureDoesNotMatch"]));
    let missing = format!("[[storage]]\nurl = \"file://{}/nowhere\"\n", patient.home.path().display());
    found(&see(&missing), (DESTINATION, "storage", &["no such folder"]));
    // Nobody, not even root, makes files there.
    let ran = see("[[storage]]\nurl = \"file:///sys/kernel\"\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(checks(&ran, "storage").iter().any(|says| says.contains("/sys/kernel warning: can be listed")), "{ran:?}");
    let work = patient.fleet((&servers.redis(), &servers.amqp()), "");
    let work = work
        .replace(&format!("url = \"file://{}/work\"", patient.home.path().display()), "url = \"file:///sys/kernel\"");
    found(&patient.see(&work), (DESTINATION, "work", &["/sys/kernel"]));
    let fleet = patient.fleet((&servers.redis(), &servers.amqp()), "");
    let scratch = format!("[worker]\nscratch = \"{}/scratch\"", patient.home.path().display());
    let ran = patient.see(&fleet.replace(&scratch, "[worker]\nscratch = \"/proc/version/scratch\""));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(checks(&ran, "scratch")[0].ends_with("matters only where a worker runs"), "{ran:?}");
    let nowhere = format!("scratch = \"{}/scratch\"", patient.home.path().display());
    let ran = patient.see(&fleet.replace(&nowhere, "scratch = \"/proc/version/scratch\""));
    found(&ran, (SETTINGS, "scratch", &["cannot be written"]));
    let late = films.replace(&endpoint(&films), &a_server_of_the_last_century());
    let ran = see(&late);
    assert!(checks(&ran, "clock").iter().any(|says| says.contains(" bad: ") && says.contains("behind")), "{ran:?}");
}

#[test]
fn a_configuration_that_is_wrong_is_refused_before_anything_is_asked() {
    let ran = Patient::new().see("[store]\nurl = 7\n");
    assert_eq!((ran.code, ran.out.as_str()), (Some(SETTINGS), ""), "{ran:?}");
    let serve = Patient::new().see("[worker]\nslots = { light = 1, standard = 4096 }\n");
    assert_eq!(serve.code, Some(SETTINGS), "{serve:?}");
}

/// Facts that stores and brokers on servers are held to.
const FACTS: (usize, usize) = (18, 13);

#[test]
fn servers_are_tried_with_every_fact_and_nothing_is_left_on_them() {
    let (servers, patient) = (Servers::start(), Patient::new());
    let config = patient.fleet((&servers.redis(), &servers.amqp()), "");
    assert_eq!(patient.see(&config).code, Some(0), "what a fleet needs is declared");
    let ran = patient.try_conformance(&config);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let (store, broker) = (checks(&ran, "store conformance"), checks(&ran, "broker conformance"));
    assert_eq!((store.len(), broker.len()), FACTS);
    assert!(store.iter().chain(&broker).all(|fact| fact.contains(" ok: holds, shown in ")), "{ran:?}");
    assert_eq!(left(&servers), Vec::<String>::new());

    // Interrupted in the middle, it takes away what it made.
    let mut trying = patient.call(&config);
    let mut child = trying.arg("--conformance").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until("a fact is being tried", || servers.keys("framefleet:try-*").len() > 1);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(CANCELLED));
    assert_eq!(left(&servers), Vec::<String>::new());
}

#[test]
fn a_server_that_does_not_hold_to_a_fact_is_found_by_it() {
    let (servers, patient) = (Servers::start(), Patient::new());
    let (redis, amqp) = (servers.redis(), servers.amqp());
    let (_, place) = amqp.rsplit_once('@').unwrap();
    let tried = |amqp: &str| patient.try_conformance(&patient.fleet((&redis, amqp), ""));
    assert_eq!(patient.see(&patient.fleet((&redis, &amqp), "")).code, Some(0), "what a fleet needs is declared");
    // Whoever runs a fleet need not configure; whoever tries a broker must.
    servers.rabbitmqctl(&["add_user", "worker", "s3cr3t"]);
    servers.rabbitmqctl(&["set_permissions", "worker", "^framefleet\\.(dead|ingest|out|tasks|unrouted)", ".*", ".*"]);
    let ran = tried(&format!("amqp://worker:s3cr3t@{place}"));
    found(&ran, (SERVERS, "broker conformance", &["may not declare", "framefleet.try-"]));
    assert_eq!(checks(&ran, "store conformance").len(), FACTS.0, "the store was tried all the same");
    // Takes one message, and no more, of whatever somebody publishes.
    servers.rabbitmqctl(&["set_policy", "narrow", "^framefleet\\.try-.*standard$", "{\"max-length\":1}"]);
    let ran = tried(&amqp);
    found(&ran, (SERVERS, "broker conformance", &["does not hold", "conformance/src/broker/"]));
    let facts = checks(&ran, "broker conformance");
    assert_eq!(facts.len(), FACTS.1, "{facts:?}");
    assert!(
        facts.iter().any(|fact| fact.starts_with("an_event_published_twice_comes_twice_under_one_id ok")),
        "{facts:?}"
    );
    assert_eq!(left(&servers), Vec::<String>::new());
}

#[test]
fn of_a_server_that_goes_away_meanwhile_no_fact_is_said_not_to_hold() {
    let (mut servers, patient) = (Servers::start(), Patient::new());
    let config = patient.fleet((&servers.redis(), &servers.amqp()), "");
    let mut trying = patient.call(&config);
    let child = trying.arg("--conformance").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("a fact is being tried", || servers.keys("framefleet:try-*").len() > 1);
    let mut ended = None;
    servers.without_redis(|| ended = Some(child.wait_with_output().unwrap()));
    let ran = Ran::of(&ended.unwrap());
    found(&ran, (SERVERS, "store conformance", &["not known", "nothing after it was tried"]));
    assert!(!checks(&ran, "store conformance").iter().any(|fact| fact.contains("does not hold")), "{ran:?}");
    assert_eq!(checks(&ran, "broker conformance").len(), FACTS.1, "the broker was tried all the same");
}

#[test]
fn without_servers_there_is_nothing_to_try() {
    let patient = Patient::new();
    let ran = Ran::of(&bare(patient.home.path()).args(["doctor", "--conformance"]).output().unwrap());
    assert_eq!((ran.code, ran.out.as_str()), (Some(SETTINGS), ""), "{ran:?}");
    assert!(ran.err.contains("set store.url and broker.url"), "{ran:?}");
}

/// Whatever a trial made that is still on the servers.
fn left(servers: &Servers) -> Vec<String> {
    let queues = servers.queues("framefleet").into_iter().map(|(queue, _)| queue);
    let exchanges = servers.rabbitmqctl(&["-q", "list_exchanges", "name"]);
    let exchanges = exchanges.lines().map(str::to_owned);
    let all = queues.chain(exchanges).chain(servers.keys("*"));
    all.filter(|name| name.contains("framefleet.try-") || name.contains("framefleet:try-")).collect()
}

fn endpoint(settings: &str) -> String {
    settings.lines().find_map(|line| line.strip_prefix("endpoint = \"")?.strip_suffix('"')).unwrap().to_owned()
}

/// Refuses everything, and tells the time as it has it.
fn a_server_of_the_last_century() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let head = BufReader::new(connection.try_clone().unwrap());
            let _ = head.lines().take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty())).count();
            let answer = "HTTP/1.1 403 Forbidden\r\nDate: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = connection.write_all(answer.as_bytes());
        }
    });
    url
}
