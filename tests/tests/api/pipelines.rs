//! Jobs that are asked for by the name of a pipeline.

use framefleet_tests::processes::jobs;
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::settled::assert_same;
use framefleet_tests::processes::until;
use serde_json::{Value, json};

use crate::scene::{Ask, Scene, Token};

/// Two versions of one, and another of which there is one.
fn pipelines() -> String {
    let pipeline = |name: &str, version: &str, to: &str| {
        let video = "video = { preset = \"ultrafast\" }";
        format!(
            "[[pipelines]]\nname = \"{name}\"\nversion = \"{version}\"\nsegment_duration = \"{}\"\noutputs = [{{ to = \"{to}\", {video} }}]\n",
            jobs::CUT
        )
    };
    [
        pipeline("web", "1", "{stem}.mp4"),
        pipeline("web", "2", "{date}/{job}.mkv"),
        pipeline("solo", "1", "of-{stem}.mp4"),
    ]
    .concat()
}

#[test]
fn a_job_may_name_a_pipeline_and_where_its_outputs_go() {
    let mut scene = Scene::new("pipelines");
    let token = Token::make("caller", &["--scopes", "submit,read", "--tenants", "news"]);
    scene.know(&[&token.line]);
    scene.fleet.configure(&pipelines());
    let file = scene.tokens().display().to_string();
    scene.coordinator("c1", &[("FRAMEFLEET__API__TOKENS_FILE", &file)]);
    ["out/web", "out/command"].iter().for_each(|name| std::fs::create_dir(scene.fleet.path(name)).unwrap());
    refusals(&scene, &token.secret);
    let job = keys(&scene, &token.secret);
    looks(&scene, &token.secret);
    commands(&scene, &token.secret);
    scene.fleet.add(Kind::Worker, "w1");
    scene.fleet.until_ready();
    let path = format!("/v1/jobs/{job}");
    let shown = |key: &str| scene.ask(&Ask::get(&path, &token.secret)).json()[key].clone();
    until("the job is over", || shown("over") == json!(true));
    assert_eq!(
        (shown("state"), shown("pipeline"), shown("tenant")),
        (json!("completed"), json!("web@1"), json!("news"))
    );
    assert_eq!(shown("trigger"), Value::Null, "no trigger wanted it");
    assert_same(&scene.fleet.path("out/web/film.mp4"), &jobs::golden(&jobs::film(), "mp4"));
}

fn wish(scene: &Scene, pipeline: &str) -> Value {
    let source = scene.wish("x.mp4")["source"].clone();
    let into = jobs::url(&scene.fleet.path("out/web"));
    json!({ "version": 1, "source": source, "pipeline": pipeline, "into": into })
}

fn refusals(scene: &Scene, token: &str) {
    let wish = |pipeline: &str| wish(scene, pipeline);
    let without = |key: &str| {
        let mut wish = wish("web@1");
        wish.as_object_mut().unwrap().remove(key);
        wish
    };
    let outputs = scene.wish("x.mp4")["outputs"].clone();
    for (asked, why) in [
        (wish("film"), "pipeline \"film\" is in no [[pipelines]], there are: solo@1, web@1, web@2"),
        (wish("web@3"), "pipeline \"web@3\" is in no [[pipelines]], there are: solo@1, web@1, web@2"),
        (wish("web"), "pipeline \"web\" is not one version of: web@1, web@2"),
        (without("into"), "pipeline \"web@1\" makes outputs, and `into` does not say where they go"),
        (without("pipeline"), "is for jobs that a coordinator makes of its pipelines"),
        (jobs::with(wish("web@1"), "outputs", outputs), "outputs contradicts pipeline \"web@1\""),
        (jobs::with(wish("web@1"), "damaged", json!("keep")), "damaged contradicts pipeline \"web@1\""),
        (jobs::with(wish("web@1"), "into", json!("out")), "into: \"out\" is no place such as s3://bucket/folder"),
        (jobs::with(wish("web@1"), "into", json!("https://films.example/out")), "where films are read from"),
        (jobs::with(wish("web@1"), "into", json!("file:///out/../etc")), "has nothing, . or .. between slashes"),
        (jobs::with(wish("web@1"), "on_existing", json!("keep")), "on_existing \"keep\" is not one of"),
    ] {
        for path in ["/v1/jobs", "/v1/plans"] {
            let problem = scene.ask(&Ask::post(path, token, &asked)).problem(400);
            assert!(problem.code == 1020 && problem.detail.contains(why), "{path} {asked}: {problem:?}");
        }
    }
    let others = scene.ask(&Ask::post("/v1/jobs", token, &jobs::with(wish("web@1"), "tenant", json!("sport"))));
    assert_eq!(others.problem(403).code, 1033);
}

/// The same body is the same job, another one with the same key is refused, and what differs in any word is another job.
fn keys(scene: &Scene, token: &str) -> String {
    let ask = |key: Option<&'static str>, wish: &Value| {
        let mut ask = Ask::post("/v1/jobs", token, wish);
        ask.headers.extend(key.map(|key| ("idempotency-key", key)));
        scene.ask(&ask)
    };
    let name = |wish: &Value| ask(None, wish).json()["job"].as_str().unwrap().to_owned();
    let asked = wish(scene, "web@1");
    let first = ask(Some("order-1"), &asked);
    assert_eq!((first.status.as_u16(), &first.json()["submitted"]), (202, &json!("new")), "{first:?}");
    assert_eq!(ask(Some("order-1"), &asked).json(), json!({ "job": first.json()["job"], "submitted": "joined" }));
    let elsewhere = jobs::with(asked.clone(), "into", json!(jobs::url(&scene.fleet.path("out/else/{dir}"))));
    for other in [
        wish(scene, "web@2"),
        elsewhere.clone(),
        jobs::with(asked.clone(), "priority", json!("urgent")),
        jobs::with(asked.clone(), "on_existing", json!("fail")),
        scene.wish("x.mp4"),
    ] {
        assert_eq!(ask(Some("order-1"), &other).problem(422).code, 1031, "{other}");
    }
    let solo = wish(scene, "solo");
    assert_eq!(name(&solo), name(&wish(scene, "solo@1")), "of one version the name is enough");
    assert_eq!(name(&wish(scene, "web@2")), name(&wish(scene, "web@2")));
    let names = [name(&solo), name(&wish(scene, "web@2")), name(&elsewhere)];
    let all: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(all.len(), names.len(), "{names:?}");
    first.json()["job"].as_str().unwrap().to_owned()
}

/// The plan names the outputs as the job would.
fn looks(scene: &Scene, token: &str) {
    let asked = jobs::with(wish(scene, "web@2"), "into", json!("file:///out/{dir}/"));
    let planned = scene.ask(&Ask::post("/v1/plans", token, &asked)).json();
    let to = planned["outputs"][0]["to"].as_str().unwrap_or_else(|| panic!("{planned}"));
    let folder = scene.fleet.path("in").display().to_string();
    let rest = to.strip_prefix(&format!("file:///out{folder}/")).unwrap_or_else(|| panic!("{to}"));
    let (date, name) = rest.split_once('/').unwrap();
    assert!(date.len() == 10 && date.bytes().all(|b| b.is_ascii_digit() || b == b'-'), "{to}");
    assert!(name.strip_suffix(".mkv").is_some_and(|job| job.len() == 32), "{to}");
}

fn commands(scene: &Scene, token: &str) {
    let run = |words: &[&str]| {
        let ran = scene.command(words, &[("FRAMEFLEET__TOKEN", token)]);
        let text = [&ran.stdout[..], &ran.stderr[..]].concat();
        (ran.status.code(), String::from_utf8(text).unwrap())
    };
    let source = scene.fleet.path("in/film.mov").display().to_string();
    let into = jobs::url(&scene.fleet.path("out/command"));
    let by = ["submit", source.as_str(), "--pipeline", "solo", "--into", into.as_str()];
    let (code, looked) = run(&[&by[..], &["--dry-run", "-o", "json"]].concat());
    assert!(code == Some(0) && looked.contains(&format!("{into}/of-film.mp4")), "{looked}");
    let (code, id) = run(&by);
    assert_eq!((code, id.trim().len()), (Some(0), 32), "{id}");
    let file = scene.fleet.path("job.yaml");
    let named = format!("version: 1\nsource: {source}\npipeline: solo\ninto: {into}\ntenant: news\n");
    std::fs::write(&file, named).unwrap();
    let file = file.display().to_string();
    assert_eq!(run(&["submit", "--job", &file]), (Some(0), id), "a job file says the same");
    let (code, told) = run(&["submit", &source, "--pipeline", "none", "--into", &into]);
    assert!(code == Some(64) && told.contains("there are: solo@1, web@1, web@2"), "{told}");
    for contradiction in [&["--crf", "20"][..], &["b.mp4"], &["--to", "5s"]] {
        let (code, told) = run(&[&by[..], contradiction].concat());
        assert!(code == Some(64) && told.contains("cannot be used with"), "{told}");
    }
    let (code, told) = run(&["transcode", "--job", &file]);
    assert!(code == Some(64) && told.contains("pipeline \"solo\" is for jobs that a coordinator makes"), "{told}");
}
