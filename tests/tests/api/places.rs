//! A token that is bound to places names no other, however it is spelt, by whichever route and key.

use framefleet_tests::processes::jobs;
use serde_json::{Value, json};

use crate::scene::{Ask, Scene, Token};

const FORBIDDEN: u16 = 1033;

#[test]
fn a_token_that_is_bound_to_places_names_no_other() {
    let mut scene = Scene::new("places");
    let folder = scene.fleet.path("");
    let url = |name: &str| jobs::url(&folder.join(name));
    let places =
        [url("in"), url("out/news") + "/", "s3://media/news".to_owned(), "https://films.example/in/".to_owned()];
    let places = places.join(",");
    let bound = Token::make("bound", &["--scopes", "submit,read", "--places", &places]);
    assert!(bound.line.contains(&format!(" places={}/,", url("in"))), "{}", bound.line);
    let admin = Token::make("both", &["--scopes", "admin", "--tenants", "news", "--places", &url("in")]);
    let free = Token::make("free", &["--scopes", "submit"]);
    scene.know(&[&bound.line, &admin.line, &free.line]);
    scene
        .fleet
        .configure("[[pipelines]]\nname = \"web\"\nversion = \"1\"\noutputs = [{ to = \"{dir}/{stem}.mp4\" }]\n");
    let file = scene.tokens().display().to_string();
    scene.coordinator("c1", &[("FRAMEFLEET__API__TOKENS_FILE", &file)]);
    let wish = scene.wish("news/a.mp4");

    let taken = scene.ask(&Ask::post("/v1/jobs", &bound.secret, &wish));
    assert_eq!(taken.status, 202, "{taken:?}");
    let by_pipeline = |into: &str| json!({ "version": 1, "source": wish["source"], "pipeline": "web", "into": into });
    let taken = scene.ask(&Ask::post("/v1/plans", &bound.secret, &by_pipeline(&url("out/news/{ext}"))));
    assert_eq!(taken.status, 200, "{taken:?}");

    let others = others(&scene, &wish, &by_pipeline);
    for (asked, place) in &others {
        for path in ["/v1/jobs", "/v1/plans"] {
            let problem = scene.ask(&Ask::post(path, &bound.secret, asked)).problem(403);
            assert_eq!(problem.code, FORBIDDEN, "{problem:?}");
            assert!(
                problem.detail.starts_with(place) && problem.detail.contains("of token bound: "),
                "{asked}: {problem:?}"
            );
        }
        let free = scene.ask(&Ask::post("/v1/jobs", &free.secret, asked));
        assert_ne!(free.status, 403, "whoever is bound to nothing is told of something else, if of anything: {free:?}");
    }
    // A scope that is all of it makes no place larger, and no tenant either.
    let refused = scene.ask(&Ask::post("/v1/jobs", &admin.secret, &wish)).problem(403);
    assert!(refused.detail.contains("out/news/a.mp4 does not lie below a place of token both: "), "{refused:?}");
    let sport = jobs::with(wish.clone(), "tenant", json!("sport"));
    for path in ["/v1/jobs", "/v1/plans"] {
        let refused = scene.ask(&Ask::post(path, &admin.secret, &sport)).problem(403);
        assert!(refused.detail.contains("asks for jobs of: news, not of sport"), "{refused:?}");
    }
    let elsewhere = scene.fleet.path("out/else.mp4").display().to_string();
    let film = scene.fleet.path("in/film.mov").display().to_string();
    let ran = scene.command(&["submit", &film, &elsewhere], &[("FRAMEFLEET__TOKEN", &bound.secret)]);
    assert_eq!(ran.status.code(), Some(77), "{ran:?}");
    let asked = scene.ask(&Ask::get("/v1/jobs", &bound.secret)).json();
    let made: Vec<&Value> = asked["jobs"].as_array().unwrap().iter().collect();
    assert!(!made.is_empty() && made.iter().all(|job| job["source"] == wish["source"]), "{asked}");
}

/// Wishes, each with a place that is none of the token's, as it is told of.
fn others(scene: &Scene, wish: &Value, by_pipeline: &dyn Fn(&str) -> Value) -> Vec<(Value, String)> {
    let url = |name: &str| jobs::url(&scene.fleet.path(name));
    let from = |source: &str| (jobs::with(wish.clone(), "source", json!(source)), source.to_owned());
    let to = |to: &str| {
        let mut wish = wish.clone();
        wish["outputs"][0]["to"] = json!(to);
        (wish, to.to_owned())
    };
    let second = {
        let mut wish = wish.clone();
        let other = jobs::with(wish["outputs"][0].clone(), "to", json!("s3://media/sport/b.mp4"));
        wish["outputs"].as_array_mut().unwrap().push(other);
        (wish, "s3://media/sport/b.mp4".to_owned())
    };
    let marked = {
        let mut wish = wish.clone();
        wish["outputs"][0]["watermarks"] = json!([{ "image": "s3://media/logo.png" }]);
        (wish, "s3://media/logo.png".to_owned())
    };
    let playlist = {
        let (mut wish, to) = to(&url("out/index.m3u8"));
        wish["outputs"][0]["hls"] = json!({ "time": "4s" });
        (wish, to)
    };
    let into = |into: &str, folder: &str| (by_pipeline(into), folder.to_owned());
    let secret = "https://films.example/in-2/a.mov?token=s3cr3t";
    let hidden =
        (jobs::with(wish.clone(), "source", json!(secret)), "https://films.example/in-2/a.mov does".to_owned());
    vec![
        from("s3://media/news-2/a.mov"),
        from("s3://media/a.mov"),
        from("oss://media/news/a.mov"),
        from("https://films.example:8443/in/a.mov"),
        hidden,
        to(&url("out/a.mp4")),
        to(&url("out/news-2/a.mp4")),
        // Said again as it is told of: a dot of a URL's may be written in percent signs.
        (to(&url("out/news/%2e%2e/a.mp4")).0, url("out/news/../a.mp4")),
        to(&url("out/news/../a.mp4")),
        second,
        marked,
        playlist,
        into(&url("out"), &(url("out") + "/")),
        into(&url("out/{stem}"), &(url("out") + "/")),
        into(&url("out/news{ext}"), &(url("out") + "/")),
        into("s3://media/{dir}", "s3://media/"),
    ]
}
