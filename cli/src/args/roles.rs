//! The command lines of the roles: a configuration file, and flags for the keys that differ from process to process.

#![allow(rustdoc::broken_intra_doc_links, reason = "brackets name a key of the configuration in what --help prints")]

use std::path::PathBuf;

use clap::Args;
use framefleet_model::fault::Fault;

use crate::config::{Flag, Told};
use crate::settings::refused;

#[derive(Debug, Args)]
pub struct CoordinatorArgs {
    #[command(flatten)]
    pub configured: ConfiguredArgs,
    /// Declare the broker's exchanges and queues, instead of only looking whether they are right
    #[arg(long, help_heading = "Settings")]
    pub declare: bool,
    /// Where the API answers, on loopback [coordinator.listen]
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Settings")]
    pub listen: Option<String>,
    /// How many outputs are joined at once [coordinator.merge_slots]
    #[arg(long, value_name = "N", help_heading = "Settings")]
    pub merge_slots: Option<String>,
    #[command(flatten)]
    pub process: ProcessArgs,
}

#[derive(Debug, Args)]
pub struct WorkerArgs {
    #[command(flatten)]
    pub configured: ConfiguredArgs,
    /// Tasks of a class at once, such as light=1,standard=auto [worker.slots]
    #[arg(long, value_name = "CLASS=N,...", help_heading = "Settings")]
    pub slots: Option<String>,
    #[command(flatten)]
    pub process: ProcessArgs,
}

#[derive(Debug, Args)]
pub struct BridgeArgs {
    #[command(flatten)]
    pub configured: ConfiguredArgs,
    /// RabbitMQ, without a password: others can read this line [broker.url]
    #[arg(long, value_name = "URL", help_heading = "Settings")]
    pub broker: Option<String>,
    /// Where probes and metrics answer [bridge.ops_listen]
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Settings")]
    pub ops_listen: Option<String>,
    /// What logs call this process [bridge.name]
    #[arg(long, value_name = "NAME", help_heading = "Settings")]
    pub name: Option<String>,
    /// From the first signal to stop until the process ends [bridge.grace]
    #[arg(long, value_name = "DUR", help_heading = "Settings")]
    pub grace: Option<String>,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub configured: ConfiguredArgs,
    /// Keep jobs, segments and all else in DIR [default: $XDG_STATE_HOME/framefleet/serve]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Append every event to FILE, a line of JSON each; at 64 MiB it becomes FILE.1, that one FILE.2, up to FILE.4
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// Where the API answers [coordinator.listen]
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Settings")]
    pub listen: Option<String>,
    /// Where probes and metrics answer [coordinator.ops_listen]
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Settings")]
    pub ops_listen: Option<String>,
    /// Tasks of a class at once, such as light=1,standard=auto [worker.slots]
    #[arg(long, value_name = "CLASS=N,...", help_heading = "Settings")]
    pub slots: Option<String>,
    /// What leases and logs call this process [coordinator.name]
    #[arg(long, value_name = "NAME", help_heading = "Settings")]
    pub name: Option<String>,
    /// From the first signal to stop until the process ends [coordinator.grace]
    #[arg(long, value_name = "DUR", help_heading = "Settings")]
    pub grace: Option<String>,
}

#[derive(Debug, Args)]
pub struct RecoverArgs {
    #[command(flatten)]
    pub configured: ConfiguredArgs,
    /// Redis, without a password: others can read this line [store.url]
    #[arg(long, value_name = "URL", help_heading = "Settings")]
    pub store: Option<String>,
    /// The folder of segments and other results [work.url]
    #[arg(long, value_name = "URL", help_heading = "Settings")]
    pub work: Option<String>,
}

#[derive(Debug, Args)]
pub struct SweepArgs {
    #[command(flatten)]
    pub configured: ConfiguredArgs,
    /// Whose sources are looked for [triggers.name]
    #[arg(long, value_name = "NAME")]
    pub trigger: String,
    /// How old they may be: what appeared at this moment or since, such as 2026-01-31 or 2026-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Only say how many there are and how large they are
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ConfiguredArgs {
    /// Read FILE over /etc/framefleet/framefleet.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the configuration without its secrets, or what is wrong with it, and end
    #[arg(long)]
    pub check_config: bool,
}

/// Keys that a role has in its own section or shares; each flag says which.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub struct ProcessArgs {
    /// Redis, without a password: others can read this line [store.url]
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// RabbitMQ, without a password [broker.url]
    #[arg(long, value_name = "URL")]
    pub broker: Option<String>,
    /// The folder of segments and other results [work.url]
    #[arg(long, value_name = "URL")]
    pub work: Option<String>,
    /// Where probes and metrics answer [ops_listen]
    #[arg(long, value_name = "ADDR:PORT")]
    pub ops_listen: Option<String>,
    /// The folder for files under way [scratch]
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<String>,
    /// What leases and logs call this process [name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// From the first signal to stop until the process ends [grace]
    #[arg(long, value_name = "DUR")]
    pub grace: Option<String>,
}

impl CoordinatorArgs {
    pub fn told(&self) -> Result<Told, Fault> {
        let mut flags = self.process.flags("coordinator");
        flags.extend(flag("--listen", "coordinator.listen", &self.listen));
        flags.extend(flag("--merge-slots", "coordinator.merge_slots", &self.merge_slots));
        flags.extend(flag("--declare", "broker.declare", &self.declare.then(|| "true".to_owned())));
        self.configured.told(flags)
    }
}

impl WorkerArgs {
    pub fn told(&self) -> Result<Told, Fault> {
        let mut flags = self.process.flags("worker");
        flags.extend(slots(&self.slots)?);
        self.configured.told(flags)
    }
}

impl ServeArgs {
    pub fn told(&self) -> Result<Told, Fault> {
        let flags = [
            flag("--listen", "coordinator.listen", &self.listen),
            flag("--ops-listen", "coordinator.ops_listen", &self.ops_listen),
            flag("--name", "coordinator.name", &self.name),
            flag("--grace", "coordinator.grace", &self.grace),
        ];
        self.configured.told(flags.into_iter().flatten().chain(slots(&self.slots)?).collect())
    }
}

impl BridgeArgs {
    pub fn told(&self) -> Result<Told, Fault> {
        let flags = [
            flag("--broker", "broker.url", &self.broker),
            flag("--ops-listen", "bridge.ops_listen", &self.ops_listen),
            flag("--name", "bridge.name", &self.name),
            flag("--grace", "bridge.grace", &self.grace),
        ];
        self.configured.told(flags.into_iter().flatten().collect())
    }
}

impl RecoverArgs {
    pub fn told(&self) -> Result<Told, Fault> {
        let flags = [flag("--store", "store.url", &self.store), flag("--work", "work.url", &self.work)];
        self.configured.told(flags.into_iter().flatten().collect())
    }
}

impl SweepArgs {
    pub fn told(&self) -> Result<Told, Fault> {
        self.configured.told(Vec::new())
    }
}

impl ConfiguredArgs {
    fn told(&self, flags: Vec<Flag>) -> Result<Told, Fault> {
        Ok(Told { file: self.config.clone(), flags, ..Told::here()? })
    }
}

impl ProcessArgs {
    fn flags(&self, section: &str) -> Vec<Flag> {
        let own = |name: &str| format!("{section}.{name}");
        let flags = [
            flag("--store", "store.url", &self.store),
            flag("--broker", "broker.url", &self.broker),
            flag("--work", "work.url", &self.work),
            flag("--ops-listen", &own("ops_listen"), &self.ops_listen),
            flag("--scratch", &own("scratch"), &self.scratch),
            flag("--name", &own("name"), &self.name),
            flag("--grace", &own("grace"), &self.grace),
        ];
        flags.into_iter().flatten().collect()
    }
}

fn slots(given: &Option<String>) -> Result<Vec<Flag>, Fault> {
    let all = given.iter().flat_map(|slots| slots.split(',')).map(|slot| {
        let (class, count) = slot
            .split_once('=')
            .ok_or_else(|| refused(format!("worker.slots {slot:?} is not CLASS=N, such as light=1 (flag --slots)")))?;
        Ok(flag("--slots", &format!("worker.slots.{class}"), &Some(count.to_owned())))
    });
    Ok(all.collect::<Result<Vec<_>, Fault>>()?.into_iter().flatten().collect())
}

fn flag(name: &'static str, key: &str, value: &Option<String>) -> Option<Flag> {
    Some(Flag { name, key: key.to_owned(), value: value.clone()? })
}
