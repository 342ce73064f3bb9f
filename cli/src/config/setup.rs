//! What a machine is set up for, by what its configuration says: whoever looks at one does not know beforehand.

use framefleet_common::adapters::blob::url;
use framefleet_model::fault::Fault;

use super::layers::Merged;
use super::{BridgeRole, Config, CoordinatorRole, ServeRole, Told, checked};
use crate::folders;

/// What a machine is set up for, and which key, of which layer, says so.
#[derive(Debug)]
pub struct Judged {
    pub setup: Setup,
    pub by: Option<String>,
}

#[derive(Debug)]
pub enum Setup {
    /// Commands alone.
    Nothing,
    /// One process with everything.
    Serve(Box<ServeRole>),
    /// What OSS tells in queues, and nothing else.
    Bridge(Box<BridgeRole>),
    /// Coordinators and workers.
    Fleet(Box<Fleet>),
}

#[derive(Debug)]
pub struct Fleet {
    pub config: Config,
    pub coordinator: Coordinator,
}

/// Whether a coordinator could begin here.
#[derive(Debug)]
pub enum Coordinator {
    Here(Box<CoordinatorRole>),
    /// Files with its secrets are not here, as they should not be on a worker's machine.
    Elsewhere(Fault),
    Nowhere(Fault),
}

impl Coordinator {
    fn of(merged: &Merged) -> Self {
        match checked::coordinator_role(merged) {
            Ok(role) => Self::Here(Box::new(role)),
            Err(fault) if merged.lacks_a_file() => Self::Elsewhere(fault),
            Err(fault) => Self::Nowhere(fault),
        }
    }

    pub fn role(&self) -> Option<&CoordinatorRole> {
        match self {
            Self::Here(role) => Some(role),
            Self::Elsewhere(_) | Self::Nowhere(_) => None,
        }
    }
}

impl Setup {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Serve(_) => "serve",
            Self::Bridge(_) => "bridge",
            Self::Fleet(_) => "fleet",
        }
    }
}

/// Sections that whatever runs here heeds, commands among it.
const OF_ALL: [&str; 2] = ["sandbox", "telemetry"];

/// A store, or a place for work objects, is what only a fleet has; queues of OSS what only a bridge has.
pub fn load_setup(told: &Told) -> Result<Judged, Fault> {
    let merged = Merged::of(told)?;
    let written = |section| merged.written(|path| section_of(path) == section);
    let (broker, bridge) = (written("broker"), written("bridge"));
    let of_fleet = written("store").or_else(|| written("work"));
    let of_fleet = of_fleet.or_else(|| broker.filter(|_| bridge.is_none()));
    if of_fleet.is_some() {
        match (checked::config(&merged), &bridge) {
            (Ok(config), _) => {
                let setup = Setup::Fleet(Box::new(Fleet { config, coordinator: Coordinator::of(&merged) }));
                return Ok(Judged { setup, by: of_fleet });
            }
            // One file may be everybody's; the store's secrets are not on a bridge's machine.
            (Err(_), Some(_)) if merged.lacks_a_file() => {}
            (Err(fault), _) => return Err(fault),
        }
    }
    if bridge.is_some() {
        return Ok(Judged { setup: Setup::Bridge(Box::new(checked::bridge_role(&merged)?)), by: bridge });
    }
    let by = merged.written(|path| !OF_ALL.contains(&section_of(path)));
    if by.is_none() {
        return Ok(Judged { setup: Setup::Nothing, by });
    }
    let work = url::of_path(&folders::state(None)?);
    Ok(Judged { setup: Setup::Serve(Box::new(checked::serve_role(&merged, &work)?)), by })
}

/// `storage` of `storage[0].url`.
fn section_of(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(variables: &[(&str, &str)]) -> (&'static str, Option<String>) {
        let environment = variables.iter().map(|(name, value)| (format!("FRAMEFLEET__{name}"), (*value).to_owned()));
        let system = "/nowhere".into();
        let told = Told { system, file: None, environment: environment.collect(), flags: Vec::new() };
        let judged = load_setup(&told).unwrap();
        (judged.setup.name(), judged.by)
    }

    #[test]
    fn a_machine_is_set_up_for_what_its_configuration_alone_can_mean() {
        let by = |key: &str, name: &str| Some(format!("{key} (environment FRAMEFLEET__{name})"));
        let sandbox = ("SANDBOX__MODE", "enforce");
        assert_eq!(judged(&[]), ("nothing", None));
        assert_eq!(judged(&[sandbox, ("TELEMETRY__FILTER", "info")]), ("nothing", None), "commands heed them, too");
        let slots = ("COORDINATOR__MERGE_SLOTS", "3");
        assert_eq!(judged(&[sandbox, slots]), ("serve", by("coordinator.merge_slots", "COORDINATOR__MERGE_SLOTS")));
        let fleet = [("STORE__URL", "redis://r"), ("BROKER__URL", "amqp://b"), ("WORK__URL", "file:///w"), slots];
        assert_eq!(judged(&fleet), ("fleet", by("store.url", "STORE__URL")));
        let queue = [
            ("BRIDGE__QUEUES__0__NAME", "films"),
            ("BRIDGE__QUEUES__0__ENDPOINT", "https://1.mns.cn-hangzhou.aliyuncs.com"),
        ];
        let elsewhere = [("STORE__URL_FILE", "/nowhere/url"), ("BROKER__URL", "amqp://b"), ("BRIDGE__NAME", "b")];
        let elsewhere = [&elsewhere[..], &queue].concat();
        assert_eq!(
            judged(&elsewhere),
            ("bridge", by("bridge.name", "BRIDGE__NAME")),
            "one file for all, not all secrets"
        );
    }

    #[test]
    fn a_coordinators_secrets_may_be_elsewhere_and_its_mistakes_are_mistakes_everywhere() {
        let told = |more: (&str, &str)| {
            let fleet = [("STORE__URL", "redis://r"), ("BROKER__URL", "amqp://b"), ("WORK__URL", "file:///w"), more];
            let environment = fleet.map(|(name, value)| (format!("FRAMEFLEET__{name}"), value.to_owned())).into();
            let told = Told { system: "/nowhere".into(), file: None, environment, flags: Vec::new() };
            let Setup::Fleet(fleet) = load_setup(&told).unwrap().setup else { panic!("no fleet") };
            fleet.coordinator
        };
        assert!(matches!(told(("COORDINATOR__MERGE_SLOTS", "2")), Coordinator::Here(_)));
        assert!(matches!(told(("API__TOKENS_FILE", "/nowhere/tokens")), Coordinator::Elsewhere(_)));
        assert!(matches!(told(("API__CONNECTIONS", "0")), Coordinator::Nowhere(_)));
    }
}
