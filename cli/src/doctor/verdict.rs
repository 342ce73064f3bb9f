//! One finding of the doctor's: what was looked at, how it is, and what mends it.

use std::time::Duration;

use framefleet_common::adapters::blob::root::STEP;
use framefleet_model::fault::{Fault, FaultKind};
use serde::Serialize;

/// No check takes longer, whatever it asks: longer than what is written to a place, read, deleted and listed, a step each.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// It works, and somebody should know.
    Warning,
    Bad,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    pub(super) check: &'static str,
    /// What was looked at, where there may be several.
    pub(super) of: Option<String>,
    pub(super) state: State,
    pub(super) says: String,
    pub(super) fix: Option<String>,
    /// What the command ends with if nothing before it is bad.
    #[serde(skip)]
    pub(super) kind: Option<FaultKind>,
}

impl Verdict {
    pub(super) fn ok(check: &'static str, says: impl Into<String>) -> Self {
        Self { check, of: None, state: State::Ok, says: says.into(), fix: None, kind: None }
    }

    pub(super) fn warning(check: &'static str, says: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { state: State::Warning, fix: Some(fix.into()), ..Self::ok(check, says) }
    }

    pub(super) fn bad(check: &'static str, fault: Fault, fix: impl Into<String>) -> Self {
        let kind = Some(fault.kind);
        Self { state: State::Bad, fix: Some(fix.into()), kind, ..Self::ok(check, fault.message) }
    }

    /// `storage s3://films`
    pub(super) fn named(&self) -> String {
        self.of.as_ref().map_or_else(|| self.check.to_owned(), |of| format!("{} {of}", self.check))
    }

    pub(super) fn of(self, what: impl Into<String>) -> Self {
        Self { of: Some(what.into()), ..self }
    }
}

/// What the check finds, or that it found nothing in time.
pub(super) async fn in_time(
    (check, of, kind): (&'static str, Option<&str>, FaultKind),
    found: impl Future<Output = Vec<Verdict>>,
) -> Vec<Verdict> {
    let late = |_| {
        let fault = Fault::new(kind, format!("no answer within {PATIENCE:?}"));
        let of = of.map(str::to_owned);
        vec![Verdict { of, ..Verdict::bad(check, fault, "look whether it runs, and what stands between") }]
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(late)
}

/// What a file system says, or nothing in time: one whose server is away keeps a thread for as long as it is.
pub(super) async fn on_disk<T: Send + 'static>(look: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let looked = tokio::time::timeout(STEP, tokio::task::spawn_blocking(look)).await.ok()?;
    Some(looked.expect("a look at a folder does not panic"))
}

/// Of what says nothing.
pub(super) fn silent(what: &str) -> String {
    format!("{what} does not answer within {STEP:?}")
}
