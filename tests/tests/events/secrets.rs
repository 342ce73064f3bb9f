//! Secrets stay where they are put: no log, page, answer or refusal has any of them in it, however much is logged.

use std::process::Command;
use std::time::Duration;

use framefleet_tests::mns::{KEY_ID, Mns, SECRET};
use framefleet_tests::place;
use framefleet_tests::processes::fleet::{Fleet, Special};
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::{Buckets, Servers};
use framefleet_tests::processes::{jobs, until};
use reqwest::Method;
use serde_json::{Value, json};

use super::postgres::Postgres;
use super::receiver::Receiver;

const REDIS: &str = "word-of-redis";
const RABBIT: &str = "word-of-rabbitmq";
const ELSEWHERE: &str = "word-of-a-bucket";
const TOKEN: &str = "word-of-a-session";
const WRONG: &str = "word-that-is-wrong";
const DATABASE: &str = "word-of-a-database";
const CDN: &str = "word-of-a-cdn";
/// In the path of a webhook's URL, where receivers have such.
const PATH: &str = "word-of-a-path";
/// What webhooks are signed with, less `whsec_`; the receiver knows another.
const SIGNING: &str = "d29yZC10aGF0LWV2ZW50cy1hcmUtc2lnbmVkLXdpdGg";
const SIGNING_TOO: &str = "d29yZC10aGF0LWV2ZW50cy1hcmUtc2lnbmVkLWJ5LXRvbw";
/// Every one that is set anywhere, those of the doubles among them.
const ALL: [&str; 11] = [REDIS, RABBIT, ELSEWHERE, TOKEN, WRONG, SECRET, DATABASE, CDN, PATH, SIGNING, SIGNING_TOO];
const LOUD: &str = "debug,framefleet=trace,framefleet_coordinator=trace,framefleet_worker=trace,framefleet_bridge=trace,framefleet_common=trace,lapin=debug";

/// None of them, as it is, in base64 or in the code of URLs.
fn assert_none_in(text: &str, what: &str) {
    assert!(!text.is_empty(), "{what} says nothing");
    for secret in ALL {
        // Of three places in base64, each letter but the last few is the same in one of them.
        let coded = (0..3).map(|pad| {
            use base64::Engine as _;
            let coded = base64::engine::general_purpose::STANDARD.encode(["x".repeat(pad).as_str(), secret].concat());
            coded.trim_end_matches('=').get(4..coded.len() - 4).unwrap_or_default().to_owned()
        });
        for form in coded.chain([secret.to_owned(), secret.replace('-', "%2D")]) {
            let line = text.lines().find(|line| line.contains(&form));
            assert!(line.is_none(), "{what} has {secret:?} in it as {form:?}: {line:?}");
        }
    }
}

fn env(pairs: &[(&str, &str)]) -> Special {
    let env = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Special { env: env.chain([("FRAMEFLEET_LOG".to_owned(), LOUD.to_owned())]).collect(), ..Special::default() }
}

/// Storages that nobody answers for, a trigger that looks there all the same, and a queue that wants another secret.
fn further(mns: &Mns) -> String {
    format!(
        "[[storage]]\nurl = \"s3://elsewhere\"\nendpoint = \"http://127.0.0.1:1\"\nhttp = \"plain\"\nkey_id = \"a-name\"\n\
         secret = \"{ELSEWHERE}\"\ntoken = \"{TOKEN}\"\n\
         [[pipelines]]\nname = \"web\"\nversion = \"1\"\noutputs = [{{ to = \"{{stem}}.mp4\", video = {{ preset = \"ultrafast\" }} }}]\n\
         [[triggers]]\nname = \"away\"\nbucket = \"s3://elsewhere\"\nsuffix = \".mov\"\npipeline = \"web@1\"\noutput = \"s3://made/web\"\n\
         [coordinator]\nsweep_every = \"1s\"\n{}\
         [[bridge.queues]]\nname = \"denied\"\nendpoint = \"{}\"\nhttp = \"plain\"\nkey_id = \"{KEY_ID}\"\nsecret = \"{WRONG}\"\ntoken = \"{TOKEN}\"\n",
        mns.settings(&format!("key_id = \"{KEY_ID}\"\nsecret = \"{SECRET}\"")),
        mns.endpoint()
    )
}

/// Whom steps speak to, and every way in which none of them comes to anything: refused, sent elsewhere, away, unknown.
fn targets(receiver: &Receiver, database: &Postgres) -> String {
    let hears = format!("http://127.0.0.1:{}", receiver.port);
    let webhook = |name: &str, url: &str| {
        format!(
            "[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nhttp = \"plain\"\nsecret = \"whsec_{SIGNING}=\"\n\
             other_secret = \"whsec_{SIGNING_TOO}==\"\n"
        )
    };
    let nowhere = database.url().replace("hunter2", DATABASE).replace("/postgres", "/nowhere");
    let away = format!("postgres://fleet:{DATABASE}@127.0.0.1:1/jobs");
    let record = |name: &str, url: &str| format!("[[databases]]\nname = \"{name}\"\nurl = \"{url}\"\n");
    let prefetch = |name: &str, endpoint: &str| {
        format!(
            "[[cdns]]\nname = \"{name}\"\nendpoint = \"{endpoint}\"\nhttp = \"plain\"\nkey_id = \"a-name\"\nsecret = \"{CDN}\"\n\
             token = \"{TOKEN}\"\norigin = \"s3://made\"\nurl = \"https://films.example\"\n"
        )
    };
    [
        "[steps]\ntries = 2\nfirst_wait = \"100ms\"\nlongest_wait = \"1s\"\n[egress]\nallow = [\"127.0.0.1/32\"]\n",
        &webhook("refused", &format!("{hears}/{PATH}")),
        &webhook("away", &format!("http://127.0.0.1:1/{PATH}?key={PATH}")),
        &webhook("forbidden", &format!("http://127.0.0.2/{PATH}")),
        &record("nowhere", &nowhere),
        &record("away", &away),
        &prefetch("refused", &hears),
        &prefetch("away", "http://127.0.0.1:1"),
    ]
    .concat()
}

/// All of them.
fn steps() -> Value {
    let webhooks = ["refused", "away", "forbidden"].map(|name| json!({ "webhook": { "name": name } }));
    let records = ["nowhere", "away"].map(|name| json!({ "sql": { "database": name } }));
    let prefetches = ["refused", "away"].map(|name| json!({ "cdn_prefetch": { "cdn": name } }));
    webhooks.into_iter().chain(records).chain(prefetches).collect()
}

/// What a role says of its configuration, whole and wrong.
fn checked(fleet: &Fleet, role: &str, special: &Special) -> String {
    let mut said = String::new();
    for wrong in [None, Some("FRAMEFLEET__LIMITS__LEASE"), Some("FRAMEFLEET__TELEMETRY__FORMAT")] {
        let mut command = Command::new(place::framefleet());
        command.args([role, "--check-config", "--config"]).arg(fleet.config()).envs(special.env.clone());
        command.envs(wrong.map(|name| (name, "nonsense")));
        let ran = command.output().unwrap();
        assert_eq!(
            ran.status.success(),
            wrong.is_none() || role == "bridge" && wrong == Some("FRAMEFLEET__LIMITS__LEASE")
        );
        said.push_str(&[String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)].concat());
    }
    assert!(said.contains("***") && said.contains("a-name"), "{role} shows all but secrets: {said}");
    said
}

/// Everything that a coordinator answers of these jobs, and what every role says of itself.
fn pages(fleet: &Fleet, (done, away): (&str, &str)) {
    let api = fleet.apis()[0];
    for letter in fleet.client.dead(&[api]) {
        let path = ["/v1/dead/", &letter.id].concat();
        assert_none_in(&fleet.client.get(api, &path).unwrap().text, &letter.what);
    }
    for path in [
        "/v1/jobs",
        "/v1/dead",
        "/v1/workers",
        "/v1/pipelines",
        &format!("/v1/jobs/{away}"),
        &format!("/v1/jobs/{done}"),
        &format!("/v1/jobs/{done}/plan"),
    ] {
        assert_none_in(&fleet.client.get(api, path).unwrap().text, path);
    }
    let elsewhere = jobs::job("s3://elsewhere/a.mov", "s3://nowhere/a.mp4").to_string();
    assert_none_in(&fleet.client.ask((Method::POST, api, "/v1/jobs"), &elsewhere).unwrap().text, "a refusal");
    for role in fleet.roles() {
        for page in ["/metrics", "/readyz"] {
            if let Some(answer) = fleet.client.get(role.launch().ops, page) {
                assert_none_in(&answer.text, &[role.name(), page].concat());
            }
        }
    }
}

#[test]
fn no_secret_is_logged_shown_or_told() {
    let (servers, buckets) = (Servers::start(), Buckets::start());
    let (receiver, database) = (Receiver::start("", Vec::new()), Postgres::start());
    let mns = Mns::start(&["films"], Duration::from_secs(30));
    let mut fleet = Fleet::on_buckets(&servers, "secrets", &buckets);
    fleet.configure(&[further(&mns), targets(&receiver, &database)].concat());
    servers.rabbitmqctl(&["add_user", "fleet", RABBIT]);
    servers.rabbitmqctl(&["set_permissions", "fleet", ".*", ".*", ".*"]);
    servers.redis_command(&["CONFIG", "SET", "requirepass", REDIS]);
    let redis = servers.redis().replace("redis://", &format!("redis://:{REDIS}@"));
    let rabbit = servers.amqp().replace("guest:guest", &format!("fleet:{RABBIT}"));
    std::fs::write(fleet.path("redis-url"), &redis).unwrap();
    let all = env(&[("FRAMEFLEET__STORE__URL", &redis), ("FRAMEFLEET__BROKER__URL", &rabbit)]);
    fleet.add_special((Kind::Coordinator, "c1"), all.clone());
    fleet.add_special((Kind::Worker, "w1"), all.clone());
    fleet.until_ready();
    fleet.add_special((Kind::Bridge, "b"), all.clone());
    fleet.until_it_says("b", |status, text| status == 503 && text.contains("denies access"));
    // Wrong words in every place, for what is said of them.
    let wrong = |url: &str, word: &str| url.replace(word, WRONG);
    let refused = env(&[("FRAMEFLEET__STORE__URL", &wrong(&redis, REDIS)), ("FRAMEFLEET__BROKER__URL", &rabbit)]);
    fleet.add_special((Kind::Coordinator, "no-store"), refused);
    let refused = env(&[("FRAMEFLEET__STORE__URL", &redis), ("FRAMEFLEET__BROKER__URL", &wrong(&rabbit, RABBIT))]);
    fleet.add_special((Kind::Worker, "no-broker"), refused);
    until("they are refused", || {
        let of = |name: &str| fleet.roles().iter().find(|role| role.name() == name).unwrap().log();
        of("no-store").contains("store") && of("no-broker").contains("ACCESS")
    });

    std::fs::create_dir_all(buckets.path("films/in")).unwrap();
    std::fs::copy(jobs::film(), buckets.path("films/in/a.mov")).unwrap();
    let done = fleet.ask(&jobs::with(jobs::job("s3://films/in/a.mov", "s3://made/a.mp4"), "steps", steps()));
    assert_eq!(fleet.over(&done).job.state, "completed");
    until("all of its steps are given up", || fleet.show(&done).steps.iter().all(|step| step.state == "dead"));
    let why: Vec<String> = fleet.show(&done).steps.into_iter().filter_map(|step| step.error).collect();
    assert_eq!(why.len(), steps().as_array().unwrap().len(), "each says why: {why:?}");
    let away = jobs::with(jobs::job("s3://films/in/a.mov", "s3://elsewhere/a.mp4"), "deadline", "5s".into());
    let away = fleet.ask(&away);
    assert_eq!(fleet.over(&away).job.state, "failed");
    mns.send("films", b"no message of ours");
    let letters = || fleet.client.dead(&fleet.apis()[..1]);
    until("it leaves a letter, as steps did", || letters().len() > why.len());

    pages(&fleet, (&done, &away));
    for role in fleet.all() {
        if role.is_running() {
            role.stop();
        }
        assert_none_in(&role.log(), role.name());
    }
    for (role, special) in [("coordinator", &all), ("worker", &all), ("bridge", &all)] {
        assert_none_in(&checked(&fleet, role, special), role);
    }
    let serve = env(&[]);
    assert_none_in(&checked(&fleet, "serve", &serve), "serve");
}
