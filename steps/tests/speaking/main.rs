//! What steps say, to servers that listen closely: a receiver of webhooks, a PostgreSQL, a double of Alibaba's CDN.
#![allow(clippy::unwrap_used, reason = "a test program")]

mod cdn;
mod sql;
mod webhook;

#[path = "../../../common/tests/servers/postgres.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with programs that use other parts of it")]
mod postgres;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::ports::clock::Clock;
use framefleet_model::step::life::Answer;

/// One request, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Heard {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

type Answering = Arc<dyn Fn(&Heard) -> Response + Send + Sync>;

/// An HTTP server that keeps what it hears.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Server {
    pub(crate) async fn start(answer: impl Fn(&Heard) -> Response + Send + Sync + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let answering: Answering = Arc::new(answer);
        let router = Router::new().fallback(hear).with_state((server.clone(), answering));
        tokio::spawn(axum::serve(listener, router).into_future());
        server
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

async fn hear(State((server, answer)): State<(Server, Answering)>, headers: HeaderMap, body: Bytes) -> Response {
    let heard = Heard { headers, body: String::from_utf8(body.to_vec()).unwrap() };
    server.heard.lock().unwrap().push(heard.clone());
    answer(&heard)
}

pub(crate) fn says(status: u16, text: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), text.to_owned()).into_response()
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(HostClock::start())
}

#[track_caller]
pub(crate) fn why(answer: Answer) -> String {
    match answer {
        Answer::Again { why, .. } | Answer::Never { why } | Answer::NotYet { why, .. } => why,
        Answer::Done | Answer::More { .. } => panic!("{answer:?}"),
    }
}
