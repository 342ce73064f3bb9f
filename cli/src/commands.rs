//! Which command is which function. A child at work starts no runtime and inherits no manners of ours.

use std::process::ExitCode;

use framefleet_common::process::privacy;
use framefleet_common::process::telemetry::{Format, Telemetry, VARIABLE};
use framefleet_model::fault::{Fault, FaultKind};

use crate::args::Command;
use crate::args::roles::ConfiguredArgs;
use crate::config::Told;
use crate::{config, doctor, exit, plan, render, sample, transcode};

pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Media => framefleet_media::child::run(),
        Command::MediaRegistry => framefleet_media::child::scan_registry(),
        Command::Transcode(args) => exit::code_of(parent(transcode::run(&args))),
        Command::Sample(args) => exit::code_of(parent(sample::run(&args))),
        Command::Doctor(args) => exit::code_of(doctor::run(&args)),
        Command::Plan(args) => exit::code_of(parent(plan::run(&args))),
        Command::Coordinator(args) => exit::code_of(args.told().and_then(|told| role(&told, &args.configured))),
        Command::Worker(args) => exit::code_of(args.told().and_then(|told| role(&told, &args.configured))),
    }
}

/// Runs a role of a fleet, or only says how it is configured.
fn role(told: &Told, configured: &ConfiguredArgs) -> Result<(), Fault> {
    let loaded = config::load(told)?;
    if configured.check_config {
        return render::write(&loaded.effective);
    }
    Err(Fault::new(FaultKind::Internal, "not wired"))
}

/// Runs a command that children may belong to.
fn parent(command: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    let ours = |what: &str, e: String| Fault::new(FaultKind::Internal, format!("{what}: {e}"));
    privacy::seal().map_err(|e| ours("this process cannot be sealed", e.to_string()))?;
    // A command ends with its one line; the log is for those who ask for it.
    let quiet = std::env::var_os(VARIABLE).is_none().then(|| "off".to_owned());
    let logs = Telemetry::new(Format::Text, quiet).start();
    logs.map_err(|e| Fault::new(FaultKind::Settings, e.to_string()))?;
    let runtime = tokio::runtime::Runtime::new().map_err(|e| ours("no runtime", e.to_string()))?;
    let ended = runtime.block_on(command);
    // What still blocks has been told to stop and is not waited for.
    runtime.shutdown_background();
    ended
}
