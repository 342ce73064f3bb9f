//! What docs/API.md shows: requests, one after the other, and their real answers, less what differs from run to run.

use framefleet_tests::processes::jobs;
use framefleet_tests::processes::until;
use serde_json::{Value, json};

use crate::scene::{Answer, Ask, Scene};

/// What stands for a moment, a job, the folder of films, and hashes.
const MOMENT: i64 = 1_795_809_600_000;
const JOB: &str = "5f0c9d6be0a34c1f8e1d2b7a90c3f4d2";
const LETTER: &str = "c1b7e2f4905d4a6e8d3f7a1b2c3d4e5f";
const FOLDER: &str = "/srv/films";
const VERSION: &str = "00000000000000a7";
const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
/// Of a list, so many are shown.
const SHOWN_MAX: usize = 2;

/// A request as the document shows it, with what is answered.
pub(crate) struct Example {
    pub(crate) operation: &'static str,
    pub(crate) text: String,
}

/// A request before it is asked: `{job}`, `{letter}` and `{folder}` stand for what they name.
struct Draft {
    operation: &'static str,
    ask: (&'static str, &'static str),
    headers: Vec<(&'static str, &'static str)>,
    body: Option<String>,
    /// Of a long answer, only these parts.
    parts: &'static [&'static str],
}

/// What the drafts' words stand for.
struct Meant {
    job: String,
    letter: String,
    folder: String,
    token: String,
}

fn draft(operation: &'static str, method: &'static str, path: &'static str) -> Draft {
    Draft { operation, ask: (method, path), headers: Vec::new(), body: None, parts: &[] }
}

impl Draft {
    fn body(mut self, body: &str) -> Self {
        self.headers.push(("content-type", "application/json"));
        Self { body: Some(body.to_owned()), ..self }
    }
}

/// In this order, for each makes what the next one shows.
fn drafts() -> Vec<Draft> {
    let wish = "{ \"version\": 1, \"source\": \"file://{folder}/in/film.mov\", \"tenant\": \"news\",\n  \"outputs\": \
                [{ \"to\": \"file://{folder}/out/{stem}.mp4\", \"video\": { \"preset\": \"ultrafast\" } }] }";
    let submit = draft("submit", "POST", "/v1/jobs").body(wish);
    let submit = Draft { headers: [submit.headers.clone(), vec![("idempotency-key", "order-17")]].concat(), ..submit };
    let reused = Draft { body: Some(wish.replace("ultrafast", "medium")), ..draft("submit", "POST", "/v1/jobs") };
    let reused = Draft { headers: submit.headers.clone(), ..reused };
    let by_pipeline = "{ \"version\": 1, \"source\": \"file://{folder}/in/film.mov\", \"tenant\": \"news\",\n  \"pipeline\": \
                       \"web@1\", \"into\": \"file://{folder}/out/web\" }";
    let rules =
        "{ \"pipelines\": [{ \"name\": \"web\", \"version\": \"2\", \"outputs\": [{ \"to\": \"{stem}.webm\" }] }] }";
    vec![
        submit,
        draft("submit", "POST", "/v1/jobs").body(by_pipeline),
        reused,
        draft("preview", "POST", "/v1/plans").body(wish),
        draft("pipelines", "GET", "/v1/pipelines"),
        draft("pipeline", "GET", "/v1/pipelines/web@1"),
        draft("validate", "POST", "/v1/pipelines/validate").body(rules),
        draft("list", "GET", "/v1/jobs?state=completed&tenant=news&limit=20"),
        draft("show", "GET", "/v1/jobs/{job}"),
        draft("events", "GET", "/v1/jobs/{job}/events"),
        Draft { parts: &["version", "segments", "renditions"], ..draft("plan", "GET", "/v1/jobs/{job}/plan") },
        draft("ledger", "GET", "/v1/jobs/{job}/ledger"),
        draft("cancel", "POST", "/v1/jobs/{job}/cancel").body("{ \"reason\": \"not wanted\" }"),
        draft("retry", "POST", "/v1/jobs/{job}/retry"),
        draft("dead", "GET", "/v1/dead?limit=20"),
        draft("letter", "GET", "/v1/dead/{letter}"),
        draft("retry_letter", "POST", "/v1/dead/{letter}/retry"),
        draft("drop_letter", "DELETE", "/v1/dead/{letter}"),
        draft("workers", "GET", "/v1/workers"),
        Draft { parts: &["openapi", "info"], ..draft("openapi", "GET", "/openapi.json") },
    ]
}

/// Asks for all of it. The first request's job is over before the next ones look at it.
pub(crate) fn run(scene: &Scene, token: &str) -> Vec<Example> {
    std::fs::copy(jobs::film(), scene.fleet.path("in/film.mov")).unwrap();
    let folder = scene.fleet.path("").display().to_string().trim_end_matches('/').to_owned();
    let mut meant = Meant { job: String::new(), letter: letter(scene, token), folder, token: token.to_owned() };
    let mut examples = Vec::new();
    for draft in drafts() {
        let answer = draft.ask(scene, &meant);
        if draft.operation == "submit" && meant.job.is_empty() {
            meant.job = answer.json()["job"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
            let path = format!("/v1/jobs/{}", meant.job);
            until("the job is over", || scene.ask(&Ask::get(&path, token)).json()["over"] == json!(true));
        }
        if draft.operation == "retry_letter" {
            // Read again, and no better than before.
            let path = format!("/v1/dead/{}", meant.letter);
            until("the letter is back", || scene.ask(&Ask::get(&path, token)).status == 200);
        }
        let text = format!("{}\n{}", draft.shown(), meant.shown(&answer, draft.parts));
        examples.push(Example { operation: draft.operation, text });
    }
    examples
}

/// A message that nobody can use leaves a letter.
fn letter(scene: &Scene, token: &str) -> String {
    scene.servers.post(&format!("{}.ingest", scene.fleet.prefix), "uploads", "no notice of any form");
    let mut letter = None;
    until("the message leaves a letter", || {
        let listed = scene.ask(&Ask::get("/v1/dead", token)).json();
        letter = listed["letters"][0]["id"].as_str().map(str::to_owned);
        letter.is_some()
    });
    letter.unwrap()
}

impl Draft {
    fn ask(&self, scene: &Scene, meant: &Meant) -> Answer {
        let path = meant.put_in(self.ask.1);
        let body = self.body.as_deref().map(|body| meant.put_in(body));
        scene.ask(&Ask {
            method: self.ask.0,
            path: &path,
            token: (self.operation != "openapi").then_some(&meant.token),
            headers: self.headers.clone(),
            body,
        })
    }

    /// As one would type it.
    fn shown(&self) -> String {
        let (method, path) = self.ask;
        let mut words = vec!["curl".to_owned()];
        if method != "GET" {
            words.push(format!("-X {method}"));
        }
        if self.operation != "openapi" {
            words.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
        }
        words.extend(self.headers.iter().map(|(name, value)| format!("-H '{name}: {value}'")));
        words.extend(self.body.iter().map(|body| format!("-d '{}'", body.replace("{folder}", FOLDER))));
        let path = path.replace("{job}", JOB).replace("{letter}", LETTER);
        words.push(format!("'http://127.0.0.1:8080{path}'"));
        format!("```sh\n{}\n```\n", words.join(" \\\n  "))
    }
}

impl Meant {
    fn put_in(&self, text: &str) -> String {
        text.replace("{job}", &self.job).replace("{letter}", &self.letter).replace("{folder}", &self.folder)
    }

    fn shown(&self, answer: &Answer, parts: &[&str]) -> String {
        let kind = answer.header("content-type");
        let body = match kind {
            "text/event-stream" => answer.text.lines().map(|line| self.event_line(line) + "\n").collect(),
            _ if answer.text.is_empty() => String::new(),
            _ => {
                let mut value = answer.json();
                if let (false, Value::Object(object)) = (parts.is_empty(), &mut value) {
                    object.retain(|key, _| parts.contains(&key.as_str()));
                }
                serde_json::to_string_pretty(&self.settled("", value)).unwrap() + "\n"
            }
        };
        let status = answer.status.as_u16();
        let told = if parts.is_empty() { "" } else { ", of which this is a part" };
        let kind = if kind.is_empty() { String::new() } else { format!(" `{kind}`{told}") };
        if body.is_empty() {
            return format!("answers {status}.\n");
        }
        format!("answers {status}{kind}:\n\n```json\n{}```\n", body.trim_start())
    }

    fn event_line(&self, line: &str) -> String {
        match (line.strip_prefix("data: "), line.strip_prefix("id: ")) {
            (Some(json), _) => {
                let view = self.settled("", serde_json::from_str(json).unwrap());
                format!("data: {view}")
            }
            (None, Some(_)) => format!("id: {VERSION}"),
            (None, None) => line.to_owned(),
        }
    }

    /// What differs from run to run becomes what the document shows; long lists are cut.
    fn settled(&self, key: &str, value: Value) -> Value {
        const MOMENTS: [&str; 6] = ["created_ms", "ended_ms", "deadline_ms", "since_ms", "at_ms", "heard_ms"];
        match value {
            // The last task is put down a moment after its job's end.
            Value::Object(_) if key == "busy" => json!({}),
            Value::Object(object) => {
                let settled = object.into_iter().map(|(key, value)| (key.clone(), self.settled(&key, value)));
                Value::Object(settled.collect())
            }
            Value::Array(values) => {
                let more = values.len().saturating_sub(SHOWN_MAX);
                let mut shown: Vec<Value> =
                    values.into_iter().take(SHOWN_MAX).map(|value| self.settled(key, value)).collect();
                shown.extend((more > 0).then(|| json!(format!("… {more} more"))));
                Value::Array(shown)
            }
            Value::Number(_) if MOMENTS.contains(&key) => json!(MOMENT),
            Value::String(_) if key == "job" => json!(JOB),
            Value::String(_) if key == "version" => json!(VERSION),
            Value::String(_) if key == "build" => json!("0.1.0"),
            Value::String(text) if is_hash(&text) => json!(HASH),
            Value::String(text) => {
                let text = text.replace(&self.folder, FOLDER).replace(&self.letter, LETTER);
                json!(if self.job.is_empty() { text } else { text.replace(&self.job, JOB) })
            }
            value => value,
        }
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == HASH.len() && text.bytes().all(|b| b.is_ascii_hexdigit())
}
