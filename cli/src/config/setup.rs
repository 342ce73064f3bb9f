//! What a machine is set up for, by what its configuration says: whoever looks at one does not know beforehand.

use framefleet_common::adapters::blob::url;
use framefleet_model::fault::Fault;

use super::layers::Merged;
use super::{BridgeRole, Config, CoordinatorRole, ServeRole, Told, checked};
use crate::folders;

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
    /// Or why none could begin: its secrets are not on every machine.
    pub coordinator: Result<CoordinatorRole, Fault>,
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

/// A store, or a place for work objects, is what only a fleet has.
pub fn load_setup(told: &Told) -> Result<Setup, Fault> {
    let merged = Merged::of(told)?;
    let says = |key| merged.below(key).any(|(_, leaf)| !leaf.is_default());
    if says("store") || says("work") || (says("broker") && merged.count("bridge.queues") == 0) {
        let (config, coordinator) = (checked::config(&merged)?, checked::coordinator_role(&merged));
        return Ok(Setup::Fleet(Box::new(Fleet { config, coordinator })));
    }
    if says("broker") {
        return Ok(Setup::Bridge(Box::new(checked::bridge_role(&merged)?)));
    }
    if !merged.says_anything() {
        return Ok(Setup::Nothing);
    }
    let work = url::of_path(&folders::state(None)?);
    Ok(Setup::Serve(Box::new(checked::serve_role(&merged, &work)?)))
}
