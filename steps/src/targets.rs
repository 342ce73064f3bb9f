//! All targets of a fleet. Steps name them; what they are is the configuration's to say.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::ports::steps::{Call, Steps};
use framefleet_model::step::Step;
use framefleet_model::step::life::Answer;

use crate::cdn::Cdn;
use crate::sql::Database;
use crate::webhook::Webhook;

#[derive(Default)]
pub struct Targets {
    pub webhooks: BTreeMap<String, Webhook>,
    pub databases: BTreeMap<String, Database>,
    pub cdns: BTreeMap<String, Cdn>,
}

#[async_trait]
impl Steps for Targets {
    async fn run(&self, call: &Call<'_>) -> Answer {
        match call.step {
            Step::Webhook { target, .. } => match self.webhooks.get(target) {
                Some(webhook) => webhook.post(call).await,
                None => unknown("webhooks", target),
            },
            Step::Sql { target, .. } => match self.databases.get(target) {
                Some(database) => database.write(call).await,
                None => unknown("databases", target),
            },
            Step::CdnPrefetch { target, .. } => match self.cdns.get(target) {
                Some(cdn) => cdn.prefetch(call).await,
                None => unknown("cdns", target),
            },
        }
    }

    fn time_max(&self, step: &Step) -> Duration {
        let known = match step {
            Step::Webhook { target, .. } => self.webhooks.get(target).map(Webhook::time_max),
            Step::Sql { target, .. } => self.databases.get(target).map(|_| Database::TIME_MAX),
            Step::CdnPrefetch { target, .. } => self.cdns.get(target).map(|_| Cdn::TIME_MAX),
        };
        known.unwrap_or(Duration::from_secs(1))
    }
}

/// It was known when the job was accepted: another coordinator may know it still, or people put it back.
fn unknown(section: &str, target: &str) -> Answer {
    Answer::Again { why: format!("{target} is in no [[{section}]] of this coordinator"), not_before_ms: None }
}
