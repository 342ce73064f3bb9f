//! What the API bears: rates, slow and long requests, changed tokens, foreign pages; and that it says so in one form.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use framefleet_tests::processes::until;
use serde_json::{Value, json};

use crate::scene::{Answer, Ask, Scene, Token};

#[test]
fn whoever_asks_too_much_waits_and_nobody_else_does() {
    let mut scene = Scene::new("bounds");
    let [greedy, other, late] = ["greedy", "other", "late"].map(|name| Token::make(name, &["--scopes", "admin"]));
    scene.know(&[&greedy.line, &other.line]);
    let file = scene.tokens().display().to_string();
    let tokens = ("FRAMEFLEET__API__TOKENS_FILE", file.as_str());
    scene.coordinator("c1", &[tokens, ("FRAMEFLEET__API__REQUESTS_PER_SECOND", "1000")]);
    let origin = ("FRAMEFLEET__API__CORS_ORIGINS", "https://films.example");
    let few = [("FRAMEFLEET__API__REQUESTS_PER_SECOND", "2"), ("FRAMEFLEET__API__WATCHERS", "1")];
    scene.coordinator("c2", &[tokens, origin, few[0], few[1]]);
    let slow = slow_head(&scene);
    rates(&scene, (&greedy, &other));
    tokens_change(&scene, (&greedy, &other, &late));
    problems(&scene, &other.secret);
    pages(&scene, &other.secret);
    keys(&scene, &other.secret);
    lists(&scene, &other.secret);
    watchers(&scene, &other.secret);
    cut_off(slow);
}

fn rates(scene: &Scene, (greedy, other): (&Token, &Token)) {
    let ask = |token: &Token| scene.ask_of("c2", &Ask::get("/v1/workers", &token.secret));
    let mut refused: Option<Answer> = None;
    until("a token has asked too often", || {
        refused = Some(ask(greedy)).filter(|answer| answer.status == 429);
        refused.is_some()
    });
    let refused = refused.unwrap();
    assert_eq!((refused.problem(429).code, refused.header("retry-after")), (3032, "1"));
    assert_eq!(ask(other).status, 200, "another token's requests are another's");
    until("time makes up for it", || ask(greedy).status == 200);
}

fn tokens_change(scene: &Scene, (gone, stays, new): (&Token, &Token, &Token)) {
    let status = |token: &Token| scene.ask(&Ask::get("/v1/workers", &token.secret)).status.as_u16();
    assert_eq!([gone, stays, new].map(status), [200, 200, 401]);
    scene.know(&[&stays.line, &new.line]);
    assert_eq!([gone, stays, new].map(status), [401, 200, 200], "the file is read again at once");
    scene.know(&["new scopes=everything"]);
    assert_eq!([gone, stays, new].map(status), [401, 200, 200], "a wrong file leaves what was known");
    until("the log says what is wrong with it", || {
        scene.log("c1").contains("line 1 has a scope that is none of submit, read and admin")
    });
    assert_eq!(scene.fleet.figure("c1", "framefleet_api_token_files_wrong_total"), 1, "and says so once");
    scene.know(&[&gone.line, &stays.line]);
    assert_eq!([gone, stays, new].map(status), [200, 200, 401]);
}

/// Whatever is wrong, it is told in one form.
fn problems(scene: &Scene, token: &str) {
    let json = ("content-type", "application/json");
    let job = format!("/v1/jobs/{}", "0".repeat(32));
    let plan = format!("{job}/cancel");
    let long = "x".repeat((1 << 20) + 1);
    for (status, method, path, headers, body) in [
        (400, "GET", "/v1/jobs?limit=0", vec![], None),
        (400, "GET", "/v1/jobs?limit=1001", vec![], None),
        (400, "GET", "/v1/jobs?limit=many", vec![], None),
        (400, "GET", "/v1/jobs?colour=red", vec![], None),
        (400, "GET", "/v1/jobs?state=asleep", vec![], None),
        (400, "GET", "/v1/jobs?tenant=News", vec![], None),
        (400, "GET", "/v1/jobs?after=yesterday", vec![], None),
        (400, "GET", "/v1/jobs?created_from_ms=-1", vec![], None),
        (400, "GET", "/v1/jobs/%ff", vec![], None),
        (404, "GET", "/v1/jobs/1", vec![], None),
        (404, "GET", job.as_str(), vec![], None),
        (404, "GET", "/v1/dead/..%2f..", vec![], None),
        (404, "GET", "/v2/jobs", vec![], None),
        (405, "PUT", "/v1/jobs", vec![], None),
        (400, "POST", "/v1/jobs", vec![json], Some("")),
        (400, "POST", "/v1/jobs", vec![json], Some("{")),
        (400, "POST", "/v1/jobs", vec![json], Some("{\"version\": 1}")),
        (400, "POST", "/v1/jobs", vec![json, ("idempotency-key", "")], Some("{}")),
        (413, "POST", "/v1/jobs", vec![json], Some(long.as_str())),
        (415, "POST", "/v1/jobs", vec![], Some("{}")),
        (415, "POST", "/v1/jobs", vec![("content-type", "text/plain")], Some("{}")),
        (400, "POST", plan.as_str(), vec![json], Some("{\"because\": 1}")),
    ] {
        let body = body.map(str::to_owned);
        let answer = scene.ask(&Ask { method, path, token: Some(token), headers, body });
        assert!(!answer.problem(status).detail.is_empty(), "{method} {path}: {answer:?}");
    }
    let put = scene.ask(&Ask { method: "PUT", ..Ask::get("/v1/jobs", token) });
    assert_eq!(put.header("allow"), "POST,GET,HEAD");
    assert_eq!(scene.ask(&Ask { method: "HEAD", ..Ask::get("/v1/jobs", token) }).status, 200);
}

/// Pages of other origins neither ask nor read, but of those that are named.
fn pages(scene: &Scene, token: &str) {
    let from = |coordinator: &str, method: &str, origin: &str| {
        let mut ask = Ask { method, ..Ask::get("/v1/jobs", token) };
        ask.headers = vec![("origin", origin), ("access-control-request-method", "GET")];
        scene.ask_of(coordinator, &ask)
    };
    let allowed = |answer: &Answer| answer.header("access-control-allow-origin").to_owned();
    assert_eq!(allowed(&from("c1", "GET", "https://films.example")), "");
    let mut preflight = None;
    until("a page of a named origin is let in", || {
        preflight = Some(from("c2", "OPTIONS", "https://films.example"));
        preflight.as_ref().unwrap().status != 429
    });
    assert_eq!(allowed(&preflight.unwrap()), "https://films.example");
    assert_eq!(allowed(&from("c2", "OPTIONS", "https://evil.example")), "");
    assert_eq!(from("c1", "POST", "https://evil.example").problem(403).code, 1033);
    let own = format!("http://127.0.0.1:{}", scene.port("c1"));
    assert_eq!(from("c1", "POST", &own).problem(400).code, 1020, "its own pages may, and send no job file here");
}

/// The same key is the same job, and with another wish a mistake.
fn keys(scene: &Scene, token: &str) {
    let ask = |key: &str, wish: &Value| {
        let mut ask = Ask::post("/v1/jobs", token, wish);
        ask.headers.push(("idempotency-key", key));
        scene.ask(&ask)
    };
    let wish = scene.wish("keyed.mp4");
    let first = ask("order-17", &wish);
    assert_eq!((first.status.as_u16(), first.json()["submitted"].as_str()), (202, Some("new")), "{first:?}");
    let job = first.json()["job"].as_str().unwrap().to_owned();
    assert_eq!(first.header("location"), format!("/v1/jobs/{job}"));
    let again = ask("order-17", &wish).json();
    assert_eq!((again["job"].as_str(), again["submitted"].as_str()), (Some(job.as_str()), Some("joined")));
    for other in [scene.wish("other.mp4"), with(&wish, "priority", "urgent"), with(&wish, "damaged", "keep")] {
        let problem = ask("order-17", &other).problem(422);
        assert_eq!((problem.code, problem.title.as_str()), (1031, "KeyReused"), "{problem:?}");
    }
    assert_ne!(ask("order-18", &wish).json()["job"], job.as_str());
    let others = ask("order-17", &with(&wish, "tenant", "news"));
    assert_eq!(others.json()["submitted"], "new", "another tenant's keys are another's: {others:?}");
}

fn with(wish: &Value, key: &str, value: &str) -> Value {
    framefleet_tests::processes::jobs::with(wish.clone(), key, json!(value))
}

/// Pages of one tell the same as one page of all, and filters hold.
fn lists(scene: &Scene, token: &str) {
    let list = |query: &str| scene.ask(&Ask::get(&format!("/v1/jobs{query}"), token)).json();
    let ids = |listed: &Value| {
        let jobs = listed["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ids(&list(""));
    assert_eq!(all.len(), 3);
    let (mut paged, mut after) = (Vec::new(), String::new());
    loop {
        let page = list(&format!("?limit=1{after}"));
        paged.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(paged, all);
    assert_eq!(ids(&list("?tenant=news")).len(), 1);
    assert_eq!(ids(&list("?tenant=weather")).len(), 0);
    assert_eq!(ids(&list("?state=completed")).len(), 0, "no worker is there");
    let first = list("")["jobs"][2].clone();
    let source = first["source"].as_str().unwrap();
    let begin = source.rsplit_once('/').unwrap().0.replace('/', "%2F");
    assert_eq!(ids(&list(&format!("?source={begin}"))), all);
    assert_eq!(ids(&list("?source=s3:%2F%2F")).len(), 0);
    let created = first["created_ms"].as_i64().unwrap();
    let before = ids(&list(&format!("?created_until_ms={created}")));
    let since = ids(&list(&format!("?created_from_ms={created}")));
    assert!(before.is_empty() && since == all, "{before:?} {since:?} {all:?}");
    let later = ids(&list(&format!("?created_from_ms={}", created + 1)));
    assert!(later.len() < all.len() && all.starts_with(&later), "{later:?} {all:?}");
}

/// A place for each who follows, and a refusal to the next; whoever comes back hears only what is new.
fn watchers(scene: &Scene, token: &str) {
    let job = scene.ask(&Ask::get("/v1/jobs?limit=1", token)).json()["jobs"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/jobs/{job}/events");
    let ask = Ask::get(&path, token);
    let mut first = scene.begin("c2", &ask);
    assert_eq!((first.status().as_u16(), first.headers()["x-accel-buffering"].to_str().unwrap()), (200, "no"));
    let mut heard = String::new();
    while !heard.contains("\n\nevent: job") && !heard.contains("data:") {
        heard += &scene.next(&mut first);
    }
    assert!(heard.starts_with("retry: 1000\n\n"), "{heard}");
    assert_eq!(scene.fleet.figure("c2", "framefleet_api_watchers"), 1);
    let mut second = None;
    until("a second one is told that all places are taken", || {
        second = Some(scene.begin("c2", &ask)).filter(|answer| answer.headers().contains_key("retry-after"));
        second.as_ref().is_some_and(|answer| answer.headers()["retry-after"] == "5")
    });
    assert_eq!(second.unwrap().status(), 429);
    drop(first);
    until("a place is free again", || {
        // The line is closed by whoever drives it.
        assert_eq!(scene.ask(&Ask::get("/v1/workers", token)).status, 200);
        scene.fleet.figure("c2", "framefleet_api_watchers") == 0
    });
    let cancelled = scene.ask(&Ask::post(&format!("/v1/jobs/{job}/cancel"), token, &json!({ "reason": "enough" })));
    assert_eq!(cancelled.status, 202);
    let events = scene.ask(&ask).text;
    let last = events.rsplit("id: ").next().unwrap().lines().next().unwrap().to_owned();
    assert!(events.contains("\"state\":\"cancelled\"") && events.contains("\"over\":true"), "{events}");
    let mut back = ask.clone();
    back.headers = vec![("last-event-id", &last)];
    assert_eq!(scene.ask(&back).status, 204, "there is nothing to come back for");
}

/// A connection whose head does not end.
fn slow_head(scene: &Scene) -> (TcpStream, Instant) {
    let mut slow = TcpStream::connect(("127.0.0.1", scene.port("c1"))).unwrap();
    slow.write_all(b"GET /v1/jobs HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slowly: ").unwrap();
    (slow, Instant::now())
}

fn cut_off((mut slow, began): (TcpStream, Instant)) {
    slow.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut rest = Vec::new();
    // A reset is an end as well; a timeout is none.
    let ended = slow.read_to_end(&mut rest);
    let is_late =
        ended.is_err_and(|e| matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
    assert!(!is_late, "after {:?} the connection is still there", began.elapsed());
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"), "{rest:?}");
}
