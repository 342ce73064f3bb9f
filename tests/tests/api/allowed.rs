//! Who may ask what: every route of the document, asked by everybody that there is.

use framefleet_tests::processes::until;
use serde_json::{Value, json};

use crate::scene::{Answer, Ask, Scene, Token};

/// Somebody, by what they hold.
struct Somebody {
    name: &'static str,
    token: Option<String>,
    scopes: Vec<&'static str>,
    /// Whether the job of the test is none of theirs.
    is_elsewhere: bool,
}

/// A route as the document has it.
pub(crate) struct Route {
    pub(crate) method: String,
    pub(crate) path: String,
    /// None: everybody's.
    pub(crate) scope: Option<String>,
}

/// Every route of a document.
pub(crate) fn routes(document: &Value) -> Vec<Route> {
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = &operation["security"][0];
            assert!(security.is_object(), "{method} {path} says nothing of who may ask it");
            let scope = security["token"][0].as_str().map(str::to_owned);
            routes.push(Route { method: method.to_uppercase(), path: path.clone(), scope });
        }
    }
    assert!(routes.len() >= 13, "{} routes", routes.len());
    routes
}

impl Somebody {
    fn ask(&self, scene: &Scene, route: &Route, job: &str) -> Answer {
        let path = route.path.replace("{id}", job).replace("{name}", "web");
        let body = match (route.method.as_str(), route.path.as_str()) {
            ("POST", "/v1/jobs") => Some(json!({ "tenant": "news", "version": 1, "source": "file:///nowhere/film.mov",
                "outputs": [{ "to": "file:///nowhere/film.mp4" }] })),
            ("POST", _) => Some(json!({})),
            _ => None,
        };
        scene.ask_briefly(&Ask {
            method: &route.method,
            path: &path,
            token: self.token.as_deref(),
            headers: vec![("content-type", "application/json")],
            body: body.map(|body| body.to_string()),
        })
    }

    /// What the document promises to this one.
    fn check(&self, route: &Route, answer: &Answer) {
        let who = format!("{}, {} {}: {answer:?}", self.name, route.method, route.path);
        let Some(scope) = &route.scope else {
            assert!(answer.status.is_success(), "{who}");
            return;
        };
        if self.scopes.is_empty() {
            let problem = answer.problem(401);
            assert_eq!((problem.code, problem.title.as_str()), (1032, "Unauthenticated"), "{who}");
            assert!(answer.header("www-authenticate").starts_with("Bearer realm=\"framefleet\""), "{who}");
            assert_eq!(answer.header("www-authenticate").contains("invalid_token"), self.token.is_some(), "{who}");
        } else if !self.scopes.contains(&scope.as_str()) && !self.scopes.contains(&"admin") {
            let problem = answer.problem(403);
            assert!(problem.detail.contains(&format!("scope {scope}")), "{who}");
            assert!(answer.header("www-authenticate").contains("insufficient_scope"), "{who}");
        } else if self.is_elsewhere {
            match route.path.as_str() {
                path if path.starts_with("/v1/jobs/") => assert_eq!(answer.problem(404).code, 1030, "{who}"),
                path if path.starts_with("/v1/dead") => assert_eq!(answer.problem(403).code, 1033, "{who}"),
                "/v1/jobs" if route.method == "POST" => assert_eq!(answer.problem(403).code, 1033, "{who}"),
                "/v1/jobs" => assert_eq!(answer.json(), json!({ "jobs": [] }), "{who}"),
                _ => assert!(!matches!(answer.status.as_u16(), 401 | 403), "{who}"),
            }
        } else {
            assert!(!matches!(answer.status.as_u16(), 401 | 403 | 405), "{who}");
        }
    }
}

#[test]
fn every_route_is_for_those_alone_who_may() {
    let mut scene = Scene::new("allowed");
    let made = |name: &'static str, words: &[&'static str]| (name, Token::make(name, words));
    let tokens = [
        made("submitter", &["--scopes", "submit"]),
        made("reader", &["--scopes", "read"]),
        made("admin", &["--scopes", "admin"]),
        made("newsroom", &["--scopes", "submit,read", "--tenants", "news"]),
        made("elsewhere", &["--scopes", "admin", "--tenants", "sport,weather"]),
    ];
    let lines: Vec<&str> = tokens.iter().map(|(_, token)| token.line.as_str()).collect();
    scene.know(&lines);
    let file = scene.tokens().display().to_string();
    scene.coordinator("c1", &[("FRAMEFLEET__API__TOKENS_FILE", &file)]);
    let secret = |name: &str| tokens.iter().find(|(known, _)| *known == name).unwrap().1.secret.clone();
    // A job without a tenant is its sole tenant's.
    let newsroom = secret("newsroom");
    let job = scene.ask(&Ask::post("/v1/jobs", &newsroom, &scene.wish("a.mp4"))).json();
    let job = job["job"].as_str().unwrap().to_owned();
    let seen = scene.ask(&Ask::get(&format!("/v1/jobs/{job}"), &newsroom)).json();
    assert_eq!(seen["tenant"], "news", "{seen}");
    let admins = scene.ask(&Ask::post("/v1/jobs", &secret("admin"), &scene.wish("a.mp4"))).json();
    assert_ne!(admins["job"], job, "the same wish of another tenant is another job");

    let document = scene.ask(&Ask { token: None, ..Ask::get("/openapi.json", "") }).json();
    let forged = secret("admin").replace(char::is_alphabetic, "0");
    let everybody = [
        ("nobody", None, vec![], false),
        ("a forger", Some(forged), vec![], false),
        ("submitter", Some(secret("submitter")), vec!["submit"], false),
        ("reader", Some(secret("reader")), vec!["read"], false),
        ("newsroom", Some(newsroom.clone()), vec!["submit", "read"], false),
        ("elsewhere", Some(secret("elsewhere")), vec!["admin"], true),
        ("admin", Some(secret("admin")), vec!["admin"], false),
    ];
    for (name, token, scopes, is_elsewhere) in everybody {
        let somebody = Somebody { name, token, scopes, is_elsewhere };
        for route in routes(&document) {
            // Letters are not for who is bound to tenants, whatever their scopes.
            if name != "newsroom" || !route.path.starts_with("/v1/dead") {
                somebody.check(&route, &somebody.ask(&scene, &route, &job));
            }
        }
    }
    let bound = scene.ask(&Ask::get("/v1/dead", &newsroom)).problem(403);
    assert!(bound.detail.contains("bound to tenants"), "{bound:?}");
    let unnamed = scene.ask(&Ask::post("/v1/jobs", &secret("elsewhere"), &scene.wish("b.mp4"))).problem(400);
    assert!(unnamed.detail.contains("sport, weather"), "{unnamed:?}");
    commands_ask_with_tokens(&scene, &secret("reader"));
    nothing_tells_tokens(&scene, &tokens.map(|(_, token)| token));
}

fn commands_ask_with_tokens(scene: &Scene, reader: &str) {
    let file = scene.fleet.path("token");
    std::fs::write(&file, reader).unwrap();
    let file = file.display().to_string();
    let listed = scene.command(&["jobs", "list", "--token-file", &file], &[]);
    assert!(listed.status.success(), "{listed:?}");
    assert!(scene.command(&["jobs", "list"], &[("FRAMEFLEET__TOKEN_FILE", &file)]).status.success());
    assert!(scene.command(&["jobs", "list"], &[("FRAMEFLEET__TOKEN", reader)]).status.success());
    let none = scene.command(&["jobs", "list"], &[]);
    assert_eq!(none.status.code(), Some(77), "{none:?}");
    assert!(String::from_utf8_lossy(&none.stderr).contains("a token is needed"), "{none:?}");
    let refused = scene.command(&["jobs", "cancel", &"0".repeat(32)], &[("FRAMEFLEET__TOKEN", reader)]);
    assert_eq!(refused.status.code(), Some(77), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("has no scope submit"), "{refused:?}");
    // A role is not troubled by what is for commands.
    let config = scene.fleet.config().display().to_string();
    let tokens = scene.tokens().display().to_string();
    let told = [("FRAMEFLEET__TOKEN", reader), ("FRAMEFLEET__API__TOKENS_FILE", tokens.as_str())];
    let shown = scene.command(&["coordinator", "--check-config", "--config", &config], &told);
    assert!(shown.status.success(), "{shown:?}");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(&tokens) && !shown.contains(reader) && !shown.contains("sha256"), "{shown}");
}

/// Neither tokens nor their hashes are in what a coordinator tells, though it tells all it can.
fn nothing_tells_tokens(scene: &Scene, tokens: &[Token]) {
    until("the last requests are logged", || scene.log("c1").contains("DEBUG"));
    let log = scene.log("c1");
    for token in tokens {
        assert!(!log.contains(&token.secret) && !log.contains(&token.secret[4..]), "a token is in the log");
        assert!(!log.contains(token.hash()), "a hash is in the log");
    }
    assert!(!log.contains("fft_"), "something of a token is in the log");
}
