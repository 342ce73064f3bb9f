//! One process with everything: jobs by command and by HTTP, on a store of its own, through any death.

use std::process::Command;

use framefleet_tests::place;
use framefleet_tests::processes::serve::Serve;
use framefleet_tests::processes::settled::assert_same;
use framefleet_tests::processes::{jobs, until};
use reqwest::Method;
use rustix::process::Signal;

const CUT: [&str; 4] = ["--preset", "ultrafast", "--segment-duration", jobs::CUT];
/// So that a film takes a while.
const ONE_AT_A_TIME: [&str; 2] = ["--slots", "light=1,standard=1,long=1"];

fn job_of(said: &str) -> String {
    said.trim().to_owned()
}

#[test]
fn whoever_waits_for_a_job_ends_as_it_does() {
    let serve = Serve::start("");
    let film = jobs::film();
    let wait = [&CUT[..], &["--wait"]].concat();
    let ran = serve.submit((&film, &serve.path("film.mp4")), &wait);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.ends_with("completed: 16/16 segments, 1/1 outputs, 0 running\n"), "{}", ran.out);
    assert_same(&serve.path("film.mp4"), &jobs::golden(&film, "mp4"));

    let broken = serve.path("broken.mov");
    std::fs::write(&broken, "no film at all, but some text that is long enough to be looked at").unwrap();
    let ran = serve.submit((&broken, &serve.path("broken.mp4")), &["--wait"]);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.err.starts_with("framefleet: ") && ran.err.contains("input; not retried"), "{}", ran.err);
    assert!(!serve.path("broken.mp4").exists());
    let ran = serve.submit((&serve.path("none.mov"), &serve.path("none.mp4")), &["--wait"]);
    assert_eq!(ran.code, Some(66), "{ran:?}");
    let ran = serve.submit((&film, &serve.path("film.mp4")), &["--wait"]);
    assert_eq!(ran.code, Some(73), "another job's output: {ran:?}");
}

#[test]
fn the_state_folder_is_one_processs_own() {
    let mut serve = Serve::start("");
    let second = |state: &std::path::Path| {
        let mut command = Command::new(place::framefleet());
        command.args(["serve", "--listen", "127.0.0.1:1", "--ops-listen", "127.0.0.1:1", "--state-dir"]);
        command.arg(state).env("FRAMEFLEET_LOG", "off").output().unwrap()
    };
    let refused = second(&serve.path("state"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    let holder = serve.role.pid().as_raw_nonzero();
    assert_eq!(refused.status.code(), Some(69), "{said}");
    let state = serve.path("state");
    assert!(said.contains(&format!("the state folder {} is in use by process {holder}", state.display())), "{said}");
    assert!(serve.role.stop().success());
}

#[test]
fn jobs_go_on_after_the_process_died_with_all_its_hints() {
    let mut serve = Serve::start_with("", &ONE_AT_A_TIME);
    let film = jobs::film();
    let ids: Vec<String> = ["a", "b"]
        .iter()
        .map(|name| {
            let ran = serve.submit((&film, &serve.path(&format!("{name}.mp4"))), &CUT);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            job_of(&ran.out)
        })
        .collect();
    until("some segments are done", || serve.show(&ids[0]).segments.done >= 2);
    serve.role.kill();
    serve.role.run();
    serve.until_ready();
    let view = serve.show(&ids[0]);
    assert!(view.over || view.segments.done >= 2, "what was done stays done: {view:?}");
    let golden = jobs::golden(&film, "mp4");
    for (id, name) in ids.iter().zip(["a", "b"]) {
        let view = serve.over(id);
        assert_eq!((view.job.state.as_str(), view.job.generation), ("completed", 1), "{view:?}");
        assert_same(&serve.path(&format!("{name}.mp4")), &golden);
    }
    // A task whose hint was only waited for would have taken its minute.
    assert!(!serve.role.log().contains("unanswered"), "{}", serve.role.log());
}

#[test]
fn told_to_stop_it_puts_down_its_work_and_the_next_goes_on() {
    let mut serve = Serve::start_with("", &[&ONE_AT_A_TIME[..], &["--events", "DIR/events"]].concat());
    let film = jobs::film();
    let id = job_of(&serve.submit((&film, &serve.path("a.mp4")), &CUT).out);
    until("some segments are done", || serve.show(&id).segments.done >= 2);
    serve.role.signal(Signal::TERM);
    assert!(serve.role.end().success(), "{}", serve.role.log());
    let ran = serve.run(["jobs", "list"]);
    assert_eq!(ran.code, Some(69), "nobody is there: {ran:?}");
    serve.role.run();
    serve.until_ready();
    assert_eq!(serve.over(&id).job.state, "completed");
    assert_same(&serve.path("a.mp4"), &jobs::golden(&film, "mp4"));
    // Over both lives each event once, in order: no death came between a line and its record.
    let told = || std::fs::read_to_string(serve.path("events")).unwrap();
    until("its end is told", || told().lines().count() == 3);
    let ids = told()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].clone())
        .collect::<Vec<_>>();
    assert_eq!(ids, ["accepted", "started", "completed"].map(|what| format!("{id}:1:{what}")));
}

#[test]
fn storages_that_are_named_are_all_that_may_be_used() {
    let serve = Serve::start("[[storage]]\nurl = 'file://DIR/films'\n");
    std::fs::create_dir(serve.path("films")).unwrap();
    std::fs::copy(jobs::film(), serve.path("films/a.mov")).unwrap();
    let inside = serve.path("films/a.mov");
    for (source, out) in [(&inside, serve.path("a.mp4")), (&jobs::film(), serve.path("films/a.mp4"))] {
        let ran = serve.submit((source, &out), &["--wait"]);
        assert_eq!(ran.code, Some(64), "{ran:?}");
        assert!(ran.err.contains("lies in no storage of this fleet, which may use file://"), "{}", ran.err);
    }
    let ran = serve.submit((&inside, &serve.path("films/a.mp4")), &["--wait", "--preset", "ultrafast"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// Whatever its storages are: nobody reads jobs of others through a job.
#[test]
fn the_state_folder_is_no_place_for_films() {
    let serve = Serve::start("");
    let ran = serve.submit((&jobs::film(), &serve.path("state/work/a.mp4")), &["--wait"]);
    assert_eq!(ran.code, Some(64), "{ran:?}");
    assert!(ran.err.contains("lies in the work store"), "{}", ran.err);
}

#[test]
fn a_dry_run_shows_the_plan_that_a_job_would_get() {
    let serve = Serve::start("");
    let film = jobs::film();
    let words = [film.to_str().unwrap(), serve.path("a.mp4").to_str().unwrap(), CUT[0], CUT[1], CUT[2], CUT[3]]
        .map(str::to_owned);
    let ask = |command: &[&str]| serve.run(command.iter().map(|word| (*word).to_owned()).chain(words.clone()));
    let (dry, local) = (ask(&["submit", "--dry-run"]), ask(&["plan"]));
    assert_eq!((dry.code, local.code), (Some(0), Some(0)), "{dry:?} {local:?}");
    assert_eq!(dry.out, local.out);
    assert!(
        dry.out.contains("key picture") && dry.out.contains("16 encode (standard), 1 merge (merge)"),
        "{}",
        dry.out
    );
    let digest = |ran: &framefleet_tests::product::Ran| ran.json()["digest"].clone();
    let json = ask(&["submit", "--dry-run", "-o", "json"]);
    assert_eq!(digest(&json), digest(&ask(&["plan", "-o", "json"])));
    // No job, no output, no work object.
    assert_eq!(serve.run(["jobs", "list", "-o", "json"]).json()["jobs"], serde_json::json!([]));
    let kept = std::fs::read_dir(serve.path("state/work"))
        .map_or(0, |entries| entries.filter(|entry| entry.as_ref().unwrap().file_name() != "probe").count());
    assert!(kept == 0 && !serve.path("a.mp4").exists());

    let refused = |source: &std::path::Path| serve.submit((source, &serve.path("b.mp4")), &["--dry-run"]);
    let gone = refused(&serve.path("none.mov"));
    assert_eq!(gone.code, Some(66), "{gone:?}");
    std::fs::write(serve.path("broken.mov"), "no film at all, but some text that is long enough").unwrap();
    let broken = refused(&serve.path("broken.mov"));
    assert_eq!(broken.code, Some(65), "{broken:?}");
    let answer =
        serve.ask(Method::POST, "/v1/plans", "version: 1\nsource: s3://in/a.mov\noutputs: [{ to: s3://out/a.mp4 }]\n");
    assert_eq!(answer.status.as_u16(), 400, "{answer:?}");
    assert!(answer.text.contains("lies in no storage of this fleet"), "{answer:?}");
}

const RULES: &str = "[[storage]]\nurl = 'file://DIR/films'\n
[[pipelines]]\nname = 'web'\nversion = 1\noutputs = [{ to = '{stem}.mp4', video = { crf = 20 } }]
[[pipelines]]\nname = 'web'\nversion = '2'\nsegment_duration = '5s'\noutputs = [{ to = '{stem}.mkv' }, { to = '{stem}.jpg', thumbnails = { at = '1s' } }]
[[pipelines]]\nname = 'sound'\nversion = '1'\noutputs = [{ to = '{stem}.mp3' }]
[[triggers]]\nname = 'films'\nbucket = 'file://DIR/films/in'\nsuffix = '.mov'\npipeline = 'web@1'\ncanary = 'web@2'\ncanary_percent = 5
output = 'file://DIR/films/out'\n";

#[test]
fn pipelines_are_shown_as_they_are_configured() {
    let serve = Serve::start(RULES);
    let ran = serve.run(["pipelines", "list"]);
    let rows: Vec<Vec<&str>> = ran.out.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows,
        [vec!["sound", "1", "1"], vec!["web", "1", "1", "films"], vec!["web", "2", "2", "films"]],
        "{ran:?}"
    );
    let web = serve.run(["pipelines", "show", "web", "-o", "json"]).json();
    assert_eq!(web.as_array().unwrap().len(), 2);
    let second = serve.run(["pipelines", "show", "web@2", "-o", "json"]).json();
    assert_eq!(second.as_array().unwrap().as_slice(), &web.as_array().unwrap()[1..]);
    let definition = &second[0]["definition"];
    assert_eq!(definition["segment_duration"], "5s");
    assert_eq!(definition["outputs"][1]["thumbnails"]["at"], "1s");
    assert!(definition.get("damaged").is_none(), "what nobody set is not shown: {definition}");
    let gone = serve.run(["pipelines", "show", "web@3"]);
    assert_eq!(gone.code, Some(64), "{gone:?}");
    // What is shown would be taken as it is.
    let shown = serde_json::json!({ "pipelines": [definition] }).to_string();
    let answer = serve.ask(Method::POST, "/v1/pipelines/validate", &shown);
    assert_eq!(
        answer.json::<serde_json::Value>(),
        serde_json::json!({ "valid": true, "pipelines": ["web@2"], "triggers": [] })
    );
}

#[test]
fn rules_that_would_be_refused_are_refused_in_the_words_of_a_start() {
    let serve = Serve::start(RULES);
    let here = serve.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let bad: [(&str, &str); 4] = [
        (
            "[[pipelines]]\nname = 'tv'\nversion = '1'\noutputs = [{ to = '{stem}.mp4', video = { crf = 99 } }]\n",
            "pipelines[0].outputs crf 99 is not within 0 to 51",
        ),
        (
            "[[triggers]]\nname = 'more'\nbucket = 'file://DIR/films/in/new'\nsuffix = '.mov'\npipeline = 'web@1'\noutput = 'file://DIR/films/out'\n",
            "triggers contradict each other: triggers more and films overlap",
        ),
        (
            "[[triggers]]\nname = 'more'\nbucket = 'file://DIR/films/out'\nsuffix = '.mkv'\npipeline = 'sound@1'\noutput = 'file://DIR/films/sound'\n",
            "that would be a loop",
        ),
        (
            "[[triggers]]\nname = 'more'\nbucket = 'file://DIR/films/new'\nsuffix = '.mov'\npipeline = 'tv@1'\noutput = 'file://DIR/films/out'\n",
            "triggers[0].pipeline \"tv@1\" is in no [[pipelines]], there are: sound@1, web@1, web@2",
        ),
    ];
    for (rules, expected) in bad {
        let rules = rules.replace("DIR", &here);
        std::fs::write(serve.path("rules.toml"), &rules).unwrap();
        let ran = serve.run(["pipelines", "validate", serve.path("rules.toml").to_str().unwrap()]);
        assert_eq!(ran.code, Some(64), "{ran:?}");
        assert!(ran.err.contains(expected), "{ran:?}");
        // The same as a process says that begins with them, but for where they stand in the file.
        std::fs::write(serve.path("all.toml"), [rules, RULES.replace("DIR", &here)].concat()).unwrap();
        let config = serve.path("all.toml").to_str().unwrap().to_owned();
        let start = serve.run([
            "serve",
            "--check-config",
            "--config",
            &config,
            "--state-dir",
            serve.path("state").to_str().unwrap(),
        ]);
        assert_eq!(start.code, Some(64), "{start:?}");
        let words = |text: &str| text.rsplit_once(" (").unwrap().0.to_owned();
        assert_eq!(words(&ran.err), words(&start.err));
    }
    // A new version beside the old one; a trigger in place of the one of its name.
    let good = "pipelines:\n- { name: web, version: 3, outputs: [{ to: '{stem}.mp4' }] }\ntriggers:\n- { name: films, \
        bucket: 'file://DIR/films/in', suffix: .mov, pipeline: web@3, output: 'file://DIR/films/out' }\n"
        .replace("DIR", &here);
    std::fs::write(serve.path("rules.yaml"), good).unwrap();
    let ran = serve.run(["pipelines", "validate", serve.path("rules.yaml").to_str().unwrap()]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (Some(0), "pipeline web@3 would be taken\ntrigger films would be taken\n"),
        "{ran:?}"
    );
    for (body, expected) in
        [("{", "rules: "), ("{}", "neither a pipeline nor a trigger"), ("{\"storage\": []}", "unknown field")]
    {
        let answer = serve.ask(Method::POST, "/v1/pipelines/validate", body);
        assert!(answer.status == 400 && answer.text.contains(expected), "{answer:?}");
    }
    let unknown = serve.ask(Method::POST, "/v1/pipelines/validate", "{\"pipelines\": [{\"colour\": 1}]}");
    assert!(unknown.status == 200 && unknown.text.contains("pipelines[0].colour is no key"), "{unknown:?}");
}
