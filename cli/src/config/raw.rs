//! The configuration as it is written: every key of the table, nothing else, nothing checked but the kind of value.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::asked::AskedOutput;
use crate::asked::steps::AskedStep;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) store: RawStore,
    pub(super) broker: RawBroker,
    pub(super) work: RawWork,
    #[serde(default)]
    pub(super) storage: Vec<RawStorage>,
    #[serde(default)]
    pub(super) pipelines: Vec<RawPipeline>,
    #[serde(default)]
    pub(super) triggers: Vec<RawTrigger>,
    #[serde(default)]
    pub(super) webhooks: Vec<RawWebhook>,
    #[serde(default)]
    pub(super) databases: Vec<RawDatabase>,
    #[serde(default)]
    pub(super) cdns: Vec<RawCdn>,
    pub(super) steps: RawSteps,
    pub(super) egress: RawEgress,
    pub(super) sources: RawSources,
    pub(super) coordinator: RawCoordinator,
    pub(super) api: RawApi,
    pub(super) worker: RawWorker,
    pub(super) bridge: RawBridge,
    pub(super) sandbox: RawSandbox,
    pub(super) telemetry: RawTelemetry,
    pub(super) limits: RawLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStore {
    pub(super) url: String,
    pub(super) url_file: String,
    pub(super) prefix: String,
    pub(super) replicas: i64,
    pub(super) sentinels: Vec<String>,
    pub(super) sentinel_user: String,
    pub(super) sentinel_password: String,
    pub(super) sentinel_password_file: String,
    pub(super) primary: String,
    pub(super) durability: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBroker {
    pub(super) url: String,
    pub(super) url_file: String,
    pub(super) prefix: String,
    pub(super) declare: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWork {
    pub(super) url: String,
}

/// Complete once the layers have filled in its defaults, as all others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStorage {
    pub(super) url: String,
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) key_id: String,
    pub(super) key_id_file: String,
    pub(super) secret: String,
    pub(super) secret_file: String,
    pub(super) token: String,
    pub(super) token_file: String,
    pub(super) addressing: String,
    pub(super) http: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPipeline {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) outputs: Vec<AskedOutput>,
    pub(super) steps: Vec<AskedStep>,
    pub(super) segment_duration: String,
    pub(super) damaged: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) on_existing: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrigger {
    pub(super) name: String,
    pub(super) bucket: String,
    pub(super) event_bucket: String,
    pub(super) prefix: String,
    pub(super) suffix: String,
    pub(super) events: Vec<String>,
    pub(super) quiet: String,
    pub(super) pipeline: String,
    pub(super) canary: String,
    pub(super) canary_percent: i64,
    pub(super) tenant: String,
    pub(super) priority: String,
    pub(super) deadline: String,
    pub(super) output: String,
}

/// Complete once the layers have filled in its defaults, as the next two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWebhook {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) url_file: String,
    pub(super) http: String,
    pub(super) secret: String,
    pub(super) secret_file: String,
    pub(super) other_secret: String,
    pub(super) other_secret_file: String,
    pub(super) timeout: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDatabase {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) url_file: String,
    pub(super) migrate: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCdn {
    pub(super) name: String,
    pub(super) endpoint: String,
    pub(super) http: String,
    pub(super) key_id: String,
    pub(super) key_id_file: String,
    pub(super) secret: String,
    pub(super) secret_file: String,
    pub(super) token: String,
    pub(super) token_file: String,
    pub(super) origin: String,
    pub(super) url: String,
    pub(super) area: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSteps {
    pub(super) tries: i64,
    pub(super) first_wait: String,
    pub(super) longest_wait: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEgress {
    pub(super) allow: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSources {
    pub(super) http: bool,
    pub(super) http_bytes_max: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCoordinator {
    pub(super) listen: String,
    pub(super) ops_listen: String,
    pub(super) merge_slots: i64,
    pub(super) window_percent: i64,
    pub(super) scratch: String,
    pub(super) name: String,
    pub(super) sweep_every: String,
    pub(super) sweep_overlap: String,
    pub(super) grace: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApi {
    pub(super) tokens_file: String,
    pub(super) requests_per_second: i64,
    pub(super) connections: i64,
    pub(super) watchers: i64,
    pub(super) cors_origins: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWorker {
    pub(super) ops_listen: String,
    pub(super) slots: BTreeMap<String, String>,
    pub(super) scratch: String,
    pub(super) scratch_bytes_max: String,
    pub(super) memory_bytes_max: String,
    pub(super) grace: String,
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBridge {
    pub(super) ops_listen: String,
    pub(super) grace: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) queues: Vec<RawQueue>,
}

/// Complete once the layers have filled in its defaults.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQueue {
    pub(super) name: String,
    pub(super) endpoint: String,
    pub(super) http: String,
    pub(super) key_id: String,
    pub(super) key_id_file: String,
    pub(super) secret: String,
    pub(super) secret_file: String,
    pub(super) token: String,
    pub(super) token_file: String,
    pub(super) wait: String,
    pub(super) signature: String,
    pub(super) region: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSandbox {
    pub(super) mode: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTelemetry {
    pub(super) format: String,
    pub(super) filter: String,
    pub(super) traces_url: String,
    pub(super) traces_headers_file: String,
    pub(super) traces_share: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLimits {
    pub(super) keep_attempts: String,
    pub(super) keep_jobs: String,
    pub(super) lease: String,
    pub(super) beat: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::keys::SECTIONS;
    use super::*;

    /// The names that a type takes, as its refusal of another lists them.
    fn taken<T: for<'de> Deserialize<'de>>() -> BTreeSet<String> {
        let refusal = serde_json::from_str::<T>("{\"?\": 0}").err().unwrap().to_string();
        refusal.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    /// `queues` for `bridge`.
    fn sections_in(outer: &str) -> impl Iterator<Item = String> {
        SECTIONS.iter().filter_map(move |section| Some(section.name.strip_prefix(outer)?.strip_prefix('.')?.to_owned()))
    }

    #[test]
    fn every_key_of_the_table_is_read_and_no_other() {
        let read = [
            taken::<RawStore>(),
            taken::<RawBroker>(),
            taken::<RawWork>(),
            taken::<RawStorage>(),
            taken::<RawPipeline>(),
            taken::<RawTrigger>(),
            taken::<RawWebhook>(),
            taken::<RawDatabase>(),
            taken::<RawCdn>(),
            taken::<RawSteps>(),
            taken::<RawEgress>(),
            taken::<RawSources>(),
            taken::<RawCoordinator>(),
            taken::<RawApi>(),
            taken::<RawWorker>(),
            taken::<RawBridge>(),
            taken::<RawQueue>(),
            taken::<RawSandbox>(),
            taken::<RawTelemetry>(),
            taken::<RawLimits>(),
        ];
        for (section, read) in SECTIONS.iter().zip(&read) {
            let keys = section.keys.iter().map(|key| key.name.to_owned());
            assert_eq!(read, &keys.chain(sections_in(section.name)).collect(), "[{}]", section.name);
        }
        let top = SECTIONS.iter().map(|section| section.name.to_owned()).filter(|name| !name.contains('.'));
        assert_eq!(taken::<Raw>(), top.collect());
    }
}
