//! A fleet whose coordinator knows tokens.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use framefleet_coordinator::ops::wire::Problem;
use framefleet_tests::place;
use framefleet_tests::processes::fleet::{Fleet, Special};
use framefleet_tests::processes::jobs;
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::Servers;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::runtime::Runtime;

const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Scene {
    pub(crate) fleet: Fleet,
    pub(crate) servers: Servers,
    runtime: Runtime,
    http: reqwest::Client,
}

/// A token, and its line of the file.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) secret: String,
    pub(crate) line: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) token: Option<&'a str>,
    pub(crate) headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Token {
    /// As the command makes it.
    pub(crate) fn make(name: &str, words: &[&str]) -> Self {
        let made = Command::new(place::framefleet()).args(["token", name, "-o", "json"]).args(words).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        Self { secret: made["token"].as_str().unwrap().to_owned(), line: made["line"].as_str().unwrap().to_owned() }
    }

    /// What is kept of it.
    pub(crate) fn hash(&self) -> &str {
        self.line.rsplit_once("sha256=").unwrap().1
    }
}

impl<'a> Ask<'a> {
    pub(crate) fn get(path: &'a str, token: &'a str) -> Self {
        Self { method: "GET", path, token: Some(token), headers: Vec::new(), body: None }
    }

    pub(crate) fn post(path: &'a str, token: &'a str, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json")];
        Self { method: "POST", path, token: Some(token), headers, body: Some(body.to_string()) }
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// A problem, and nothing else that says so.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16) -> Problem {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let problem: Problem = serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        assert_eq!(problem.status, status, "{problem:?}");
        problem
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl Scene {
    /// Without tokens or coordinators yet.
    pub(crate) fn new(prefix: &str) -> Self {
        framefleet_common::process::tls::install();
        let servers = Servers::start();
        let fleet = Fleet::new(&servers, prefix);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let http = reqwest::Client::builder().timeout(ANSWER_TIME_MAX).pool_max_idle_per_host(0).build().unwrap();
        Self { fleet, servers, runtime, http }
    }

    /// What the tokens' file says from now on, in one step.
    pub(crate) fn know(&self, lines: &[&str]) {
        let new = self.fleet.path("tokens.new");
        std::fs::write(&new, lines.join("\n")).unwrap();
        std::fs::rename(new, self.tokens()).unwrap();
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.fleet.path("tokens")
    }

    /// A coordinator that logs all it can, with these further settings.
    pub(crate) fn coordinator(&mut self, name: &str, env: &[(&str, &str)]) {
        let mut env: Vec<(String, String)> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        env.push(("FRAMEFLEET_LOG".to_owned(), "debug".to_owned()));
        self.fleet.add_special((Kind::Coordinator, name), Special { env, ..Special::default() });
        self.fleet.until_ready();
    }

    pub(crate) fn port(&self, name: &str) -> u16 {
        self.fleet.roles().iter().find(|role| role.name() == name).unwrap().launch().api
    }

    pub(crate) fn ask(&self, ask: &Ask<'_>) -> Answer {
        self.ask_of("c1", ask)
    }

    pub(crate) fn ask_of(&self, coordinator: &str, ask: &Ask<'_>) -> Answer {
        self.runtime.block_on(async {
            let answer = self.sent(coordinator, ask).await;
            let (status, headers) = (answer.status(), answer.headers().clone());
            Answer { status, headers, text: answer.text().await.unwrap() }
        })
    }

    /// The same, of which a stream that goes on is not read.
    pub(crate) fn ask_briefly(&self, ask: &Ask<'_>) -> Answer {
        let answer = self.begin("c1", ask);
        let (status, headers) = (answer.status(), answer.headers().clone());
        let is_stream = headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
        let text = if is_stream { String::new() } else { self.runtime.block_on(answer.text()).unwrap() };
        Answer { status, headers, text }
    }

    /// An answer that may go on for ever, and is not read here.
    pub(crate) fn begin(&self, coordinator: &str, ask: &Ask<'_>) -> reqwest::Response {
        self.runtime.block_on(self.sent(coordinator, ask))
    }

    /// The next that comes of it.
    pub(crate) fn next(&self, answer: &mut reqwest::Response) -> String {
        let bytes = self.runtime.block_on(answer.chunk()).unwrap().unwrap_or_default();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    async fn sent(&self, coordinator: &str, ask: &Ask<'_>) -> reqwest::Response {
        let url = format!("http://127.0.0.1:{}{}", self.port(coordinator), ask.path);
        let mut request = self.http.request(ask.method.parse::<Method>().unwrap(), url);
        request = ask.headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        if let Some(token) = ask.token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = &ask.body {
            request = request.body(body.clone());
        }
        request.send().await.unwrap()
    }

    /// A job file of a film that lies there.
    pub(crate) fn wish(&self, name: &str) -> Value {
        let film = self.fleet.path("in").join("film.mov");
        if !film.exists() {
            std::fs::copy(jobs::film(), &film).unwrap();
        }
        jobs::job(&jobs::url(&film), &jobs::url(&self.fleet.path("out").join(name)))
    }

    /// The program, asking the first coordinator.
    pub(crate) fn command(&self, words: &[&str], env: &[(&str, &str)]) -> Output {
        let server = format!("http://127.0.0.1:{}", self.port("c1"));
        let mut command = Command::new(place::framefleet());
        command.args(words).env("FRAMEFLEET__SERVER", server).envs(env.iter().copied());
        command.output().unwrap()
    }

    pub(crate) fn log(&self, name: &str) -> String {
        self.fleet.roles().iter().find(|role| role.name() == name).unwrap().log()
    }
}
