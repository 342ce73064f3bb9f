//! What happens at the API, as typed events: each writes its line of log and counts itself.

use axum::http::StatusCode;
use framefleet_common::process::metrics::{self, Counters};
use framefleet_model::fault::Fault;
use prometheus::{IntCounter, IntGauge, Registry};
use tracing::{info, warn};

#[derive(Clone)]
pub struct ApiObserver {
    answers: Counters,
    token_files_wrong: IntCounter,
    watchers: IntGauge,
}

/// Classes of answers.
const ANSWERS: [&str; 6] = ["done", "refused", "unauthenticated", "forbidden", "limited", "failed"];

impl ApiObserver {
    /// Every figure is there from the start, at zero.
    pub fn new(registry: &Registry) -> Self {
        let wrong = "Changes of the tokens file that were wrong: what was known before held on.";
        Self {
            answers: Counters::new(
                registry,
                ("framefleet_api_answers_total", "Requests to the API, by how they were answered."),
                ("answer", &ANSWERS),
            ),
            token_files_wrong: metrics::counter(registry, ("framefleet_api_token_files_wrong_total", wrong)),
            watchers: metrics::gauge(registry, ("framefleet_api_watchers", "Jobs that are followed at this moment.")),
        }
    }

    pub(super) fn answered(&self, status: StatusCode) {
        let answer = match status {
            StatusCode::UNAUTHORIZED => "unauthenticated",
            StatusCode::FORBIDDEN => "forbidden",
            StatusCode::TOO_MANY_REQUESTS => "limited",
            status if status.is_server_error() => "failed",
            status if status.is_client_error() => "refused",
            _ => "done",
        };
        self.answers.add(answer, 1);
    }

    pub(super) fn tokens_read(&self, tokens: usize) {
        info!(tokens, "tokens file is read again");
    }

    pub(super) fn tokens_wrong(&self, fault: &Fault) {
        self.token_files_wrong.inc();
        warn!(%fault, "tokens file has changed and is wrong: the tokens from before hold on");
    }

    pub(super) fn watchers(&self) -> &IntGauge {
        &self.watchers
    }
}
