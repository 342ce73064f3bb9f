//! What happens once a job has ended, in a fleet of real processes: receivers, a database and coordinators fail, and the
//! film is made once.

use std::net::TcpListener;

use framefleet_coordinator::ops::wire::{LetterJson, StepJson, ViewJson};
use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::servers::Servers;
use framefleet_tests::processes::settled::assert_same;
use framefleet_tests::processes::{jobs, until};
use reqwest::Method;
use serde_json::{Value, json};

use super::postgres::Postgres;
use super::receiver::{Receiver, SECRET};

const PATIENCE: &str = "[steps]\ntries = 4\nfirst_wait = \"200ms\"\nlongest_wait = \"1s\"\n[egress]\nallow = [\"127.0.0.1/32\"]\n[sources]\nhttp = true\n";

fn webhook(name: &str, url: &str) -> String {
    format!(
        "[[webhooks]]\nname = \"{name}\"\nurl = \"{url}\"\nhttp = \"plain\"\nsecret = \"{SECRET}\"\ntimeout = \"1s\"\n"
    )
}

fn submit(fleet: &Fleet, name: &str, steps: Value) -> String {
    let (film, out) = (fleet.film(&format!("{name}.mov")), fleet.path("out").join(format!("{name}.mp4")));
    fleet.ask(&jobs::with(jobs::job(&jobs::url(&film), &jobs::url(&out)), "steps", steps))
}

/// Waits until none of its steps waits, or those that may are `still`.
fn steps_of(fleet: &Fleet, job: &str, is_so: impl Fn(&StepJson) -> bool) -> ViewJson {
    let mut view = None;
    until("steps are as they should be", || {
        view = Some(fleet.show(job)).filter(|view| !view.steps.is_empty() && view.steps.iter().all(&is_so));
        view.is_some()
    });
    view.unwrap()
}

fn made_once(fleet: &Fleet, view: &ViewJson, name: &str) {
    assert_eq!((view.job.state.as_str(), view.job.generation), ("completed", 1), "{view:?}");
    assert_same(&fleet.path("out").join(format!("{name}.mp4")), &jobs::golden(&jobs::film(), "mp4"));
}

#[test]
fn receivers_fail_hang_answer_late_and_lead_astray_and_the_film_is_made_once() {
    let inside = TcpListener::bind("127.0.0.2:0").unwrap();
    let inside_url = format!("http://{}/latest/meta-data", inside.local_addr().unwrap());
    let receiver = Receiver::start(&inside_url, std::fs::read(jobs::film()).unwrap());
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "steps");
    let moods = ["fails", "late", "hangs", "gone", "redirects"];
    let mut targets: Vec<String> =
        moods.iter().map(|mood| webhook(mood, &format!("http://127.0.0.1:{}/{mood}", receiver.port))).collect();
    targets.push(webhook("inside", &inside_url));
    fleet.configure(&[PATIENCE, &targets.concat()].concat());
    fleet.start(2, 1);

    let names: Vec<&str> = moods.iter().copied().chain(["inside"]).collect();
    let steps: Vec<Value> = names.iter().map(|name| json!({ "webhook": { "name": name } })).collect();
    let stranger =
        jobs::with(jobs::job("file:///in", "file:///out.mp4"), "steps", json!([{ "webhook": { "name": "who" } }]));
    let refused = fleet.client.ask_any(&fleet.apis(), (Method::POST, "/v1/jobs"), &stranger.to_string());
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.text.contains("step webhook who speaks to"), "{refused:?}");

    // The film lies with others as well.
    let (film, out) = (format!("http://127.0.0.1:{}/film.mov", receiver.port), fleet.path("out").join("a.mp4"));
    let stolen = jobs::job(&inside_url.replace("latest", "film"), &jobs::url(&out));
    let refused = fleet.client.ask_any(&fleet.apis(), (Method::POST, "/v1/jobs"), &stolen.to_string());
    assert!(refused.status == 422 && refused.text.contains("127.0.0.2 is loopback"), "{refused:?}");
    let job = fleet.ask(&jobs::with(jobs::job(&film, &jobs::url(&out)), "steps", json!(steps)));
    let view = steps_of(&fleet, &job, |step| step.state != "waiting");
    made_once(&fleet, &view, "a");
    let states: Vec<(&str, &str)> = view.steps.iter().map(|s| (&s.name[8..], s.state.as_str())).collect();
    let [fails, late, hangs, gone, redirects, within] = ["done", "done", "dead", "dead", "dead", "dead"];
    let wanted = [
        ("fails", fails),
        ("late", late),
        ("hangs", hangs),
        ("gone", gone),
        ("redirects", redirects),
        ("inside", within),
    ];
    assert_eq!(states, wanted, "{:?}", view.steps);
    let counts: Vec<usize> = moods.iter().map(|mood| receiver.told(&format!("/{mood}")).len()).collect();
    assert_eq!(counts, [3, 2, 4, 1, 4]);
    let all: Vec<_> = moods.iter().flat_map(|mood| receiver.told(&format!("/{mood}"))).collect();
    assert!(all.iter().all(|told| told.id == format!("{job}:1:completed") && told.body == all[0].body), "{all:?}");
    assert!(all[0].body.contains("\"pictures\":200"), "{}", all[0].body);
    inside.set_nonblocking(true).unwrap();
    assert!(inside.accept().is_err(), "nobody was to come inside");

    let dead: Vec<LetterJson> = fleet.client.dead(&fleet.apis());
    let why = |name: &str| {
        let letter = dead.iter().find(|letter| letter.what == format!("{job}/1 webhook {name}")).unwrap();
        (letter.why.clone(), letter.evidence.len())
    };
    assert_eq!(dead.len(), 4, "{dead:?}");
    assert_eq!(why("gone"), ("status 410 Gone".to_owned(), 1));
    assert_eq!(why("redirects").0, "status 307 Temporary Redirect: redirects are not followed");
    assert_eq!(why("inside"), ("127.0.0.2 is loopback, and in no network of egress.allow".to_owned(), 4));
    assert!(why("hangs").0.contains("timed out"), "{:?}", why("hangs"));

    receiver.open();
    let letter = dead.iter().find(|letter| letter.what.ends_with("webhook gone")).unwrap();
    let path = format!("/v1/dead/{}/retry", letter.id);
    assert_eq!(fleet.client.ask_any(&fleet.apis(), (Method::POST, &path), "").status, 202);
    until("what was given up is done", || receiver.told("/gone").len() == 2);
    let view = steps_of(&fleet, &job, |step| step.name != "webhook gone" || step.state == "done");
    made_once(&fleet, &view, "a");
    assert_eq!(fleet.client.dead(&fleet.apis()).len(), 3);
}

#[test]
fn a_coordinator_that_dies_after_it_told_tells_again_and_a_database_that_is_away_is_waited_for() {
    let receiver = Receiver::start("", Vec::new());
    let mut database = Postgres::start();
    let servers = Servers::start();
    let mut fleet = Fleet::new(&servers, "told");
    let url = format!("http://127.0.0.1:{}/hangs", receiver.port);
    let records = format!("[[databases]]\nname = \"records\"\nurl = \"{}\"\n", database.url());
    // Longer than it takes to kill a coordinator.
    let slow = webhook("studio", &url).replace("\"1s\"", "\"10s\"");
    let patient = PATIENCE.replace("tries = 4", "tries = 100");
    fleet.configure(&[patient, slow, records].concat());
    fleet.start(1, 1);
    database.stop();

    let steps = json!([{ "webhook": { "name": "studio" } }, { "sql": { "database": "records" } }]);
    let job = submit(&fleet, "a", steps.clone());
    until("the receiver was told", || receiver.told("/hangs").len() == 1);
    fleet.role("c1").kill();
    receiver.open();
    fleet.role("c1").run();
    fleet.over(&job);
    steps_of(&fleet, &job, |step| step.name == "webhook studio" || step.error.is_some());
    database.run();
    let view = steps_of(&fleet, &job, |step| step.state == "done");
    made_once(&fleet, &view, "a");
    let told = receiver.told("/hangs");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], told[1]);
    let row = "SELECT id, generation, state, event_id, outputs->0->'video'->0->>'pictures' FROM framefleet_jobs";
    assert_eq!(database.ask(row), format!("{job}|1|completed|{job}:1:completed|200"));

    let film = jobs::url(&fleet.path("in").join("none.mov"));
    std::fs::write(fleet.path("in").join("none.mov"), "no film").unwrap();
    let out = jobs::url(&fleet.path("out").join("none.mp4"));
    let failed = fleet.ask(&jobs::with(jobs::job(&film, &out), "steps", steps));
    steps_of(&fleet, &failed, |step| step.state == "done");
    let row = format!("SELECT state, outputs, fault->>'whose' FROM framefleet_jobs WHERE id = '{failed}'");
    assert_eq!(database.ask(&row), "failed|[]|input");
    assert_eq!(receiver.told("/hangs")[2].id, format!("{failed}:1:failed"));
    // A store that is lost is built anew, and nobody is told again.
    fleet.role("c1").stop();
    servers.forget_everything();
    let program = std::process::Command::new(framefleet_tests::place::framefleet())
        .args(["recover", "--config"])
        .arg(fleet.config())
        .output()
        .unwrap();
    assert!(program.status.success(), "{program:?}");
    fleet.role("c1").run();
    for job in [&job, &failed] {
        let view = steps_of(&fleet, job, |step| step.state == "done");
        assert_eq!(view.steps.len(), 2, "{view:?}");
    }
    assert_eq!(receiver.told("/hangs").len(), 3);
}
