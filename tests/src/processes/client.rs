//! What programs ask coordinators and probes: HTTP, one question at a time, with an end to every wait.

use std::time::Duration;

use framefleet_coordinator::ops::wire::{JobJson, LetterJson, LettersJson, ListJson, SubmittedJson, ViewJson};
use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::until;

/// A coordinator that waits for its store answers later, or not at all.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(20);

pub struct Client {
    runtime: Runtime,
    http: reqwest::Client,
}

/// An answer, whatever it says.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub text: String,
}

impl Answer {
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Default for Client {
    fn default() -> Self {
        framefleet_common::process::tls::install();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let http = reqwest::Client::builder().timeout(ANSWER_TIME_MAX).pool_max_idle_per_host(0).build();
        Self { runtime, http: http.expect("an HTTP client of plain settings") }
    }
}

impl Client {
    /// `None`: nobody is there, or nobody answers.
    pub fn ask(&self, (method, port, path): (Method, u16, &str), body: &str) -> Option<Answer> {
        self.runtime.block_on(async {
            let request = self.http.request(method, format!("http://127.0.0.1:{port}{path}"));
            let request = if body.is_empty() { request } else { request.header(CONTENT_TYPE, "application/json") };
            let answer = request.body(body.to_owned()).send().await.ok()?;
            Some(Answer { status: answer.status(), text: answer.text().await.ok()? })
        })
    }

    pub fn get(&self, port: u16, path: &str) -> Option<Answer> {
        self.ask((Method::GET, port, path), "")
    }

    /// Asks one coordinator after the other, round and round, until one has an answer that is no trouble of its own.
    pub fn ask_any(&self, ports: &[u16], (method, path): (Method, &str), body: &str) -> Answer {
        let mut found = None;
        until(&format!("a coordinator answers {method} {path}"), || {
            let mut answers = ports.iter().filter_map(|port| self.ask((method.clone(), *port, path), body));
            found = answers.find(|answer| !answer.status.is_server_error());
            found.is_some()
        });
        found.expect("waited for")
    }

    /// A job's id.
    pub fn submit(&self, ports: &[u16], job: &Value) -> String {
        let answer = self.ask_any(ports, (Method::POST, "/v1/jobs"), &job.to_string());
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
        answer.json::<SubmittedJson>().job
    }

    pub fn show(&self, ports: &[u16], job: &str) -> ViewJson {
        let answer = self.ask_any(ports, (Method::GET, &format!("/v1/jobs/{job}")), "");
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json()
    }

    /// The youngest hundred.
    pub fn jobs(&self, ports: &[u16]) -> Vec<JobJson> {
        self.ask_any(ports, (Method::GET, "/v1/jobs"), "").json::<ListJson>().jobs
    }

    pub fn cancel(&self, ports: &[u16], job: &str) {
        let answer = self.ask_any(ports, (Method::POST, &format!("/v1/jobs/{job}/cancel")), "");
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{answer:?}");
    }

    pub fn dead(&self, ports: &[u16]) -> Vec<LetterJson> {
        self.ask_any(ports, (Method::GET, "/v1/dead"), "").json::<LettersJson>().letters
    }

    /// A figure of a process; `None` where it does not answer.
    pub fn figure(&self, ops: u16, series: &str) -> Option<u64> {
        let answer = self.get(ops, "/metrics")?;
        let line = answer.text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(Some(0), |figure| figure.trim().parse().ok())
    }
}
