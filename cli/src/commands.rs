//! Which command is which function. A child at work starts no runtime and inherits no manners of ours.

use std::pin::Pin;
use std::process::ExitCode;

use framefleet_common::process::privacy;
use framefleet_common::process::telemetry::{Format, Telemetry, VARIABLE};
use framefleet_model::fault::{Fault, FaultKind};
use tokio::runtime::{Builder, Runtime};

use crate::args::Command;
use crate::args::roles::ConfiguredArgs;
use crate::asking::token;
use crate::config::{Config, Loaded, Logged, Told};
use crate::roles::{bridge, coordinator, serve, sweep, worker};
use crate::{asking, config, doctor, exit, images, pipelines, plan, probe, render, sample, transcode};

pub fn run(command: Command) -> ExitCode {
    match command {
        Command::Media => framefleet_media::child::run(),
        Command::MediaRegistry => framefleet_media::child::scan_registry(),
        Command::Transcode(args) => exit::code_of(parent(transcode::transcode(&args))),
        Command::Thumbnails(args) => exit::code_of(parent(images::thumbnails(&args))),
        Command::Sprites(args) => exit::code_of(parent(images::sprites(&args))),
        Command::Gif(args) => exit::code_of(parent(images::gif(&args))),
        Command::Sample(args) => exit::code_of(parent(sample::run(&args))),
        Command::Doctor(args) => exit::code_of(parent(doctor::run(&args))),
        Command::Plan(args) => exit::code_of(parent(plan::run(&args))),
        Command::Probe(args) => exit::code_of(parent(probe::run(&args))),
        Command::Submit(args) => exit::code_of(parent(asking::submit(&args))),
        Command::Jobs(args) => exit::code_of(parent(asking::jobs(&args.command))),
        Command::Pipelines(args) => exit::code_of(parent(pipelines::run(&args.command))),
        Command::Dead(args) => exit::code_of(parent(asking::dead(&args.command))),
        Command::Token(args) => exit::code_of(token::run(&args)),
        Command::Workers(args) => exit::code_of(parent(asking::workers(&args))),
        Command::Serve(args) => exit::code_of(serve::asked(&args).and_then(|asked| {
            let loaded = args.told().and_then(|told| config::load_serve(&told, &asked.work()));
            role(loaded, &args.configured, move |config, pulse| Box::pin(serve::run((config, asked), pulse)))
        })),
        Command::Coordinator(args) => {
            let loaded = args.told().and_then(|told| config::load_coordinator(&told));
            exit::code_of(role(loaded, &args.configured, |config, _| Box::pin(coordinator::run(config))))
        }
        Command::Worker(args) => exit::code_of(role(loaded(args.told()), &args.configured, worker_role)),
        Command::Bridge(args) => {
            let loaded = args.told().and_then(|told| config::load_bridge(&told));
            exit::code_of(role(loaded, &args.configured, |config, _| Box::pin(bridge::run(config))))
        }
        Command::Sweep(args) => exit::code_of(sweep::asked(&args).and_then(|asked| {
            let loaded = args.told().and_then(|told| config::load_coordinator(&told));
            role(loaded, &args.configured, move |config, _| Box::pin(sweep::run(config, asked)))
        })),
        Command::Recover(args) => exit::code_of(role(loaded(args.told()), &args.configured, |config, _| {
            Box::pin(coordinator::recover(config))
        })),
    }
}

type Running<'p> = Pin<Box<dyn Future<Output = Result<(), Fault>> + 'p>>;

fn worker_role(config: Config, pulse: &Runtime) -> Running<'_> {
    Box::pin(worker::run(config, pulse))
}

fn loaded(told: Result<Told, Fault>) -> Result<Loaded<Config>, Fault> {
    config::load(&told?)
}

/// Runs a role of a fleet, or only says how it is configured. The second runtime is one thread for what must not wait.
fn role<C: Logged>(
    loaded: Result<Loaded<C>, Fault>,
    configured: &ConfiguredArgs,
    run: impl for<'p> FnOnce(C, &'p Runtime) -> Running<'p>,
) -> Result<(), Fault> {
    let loaded = loaded?;
    if configured.check_config {
        return render::write(&loaded.effective);
    }
    privacy::seal().map_err(|e| ours("this process cannot be sealed", e.to_string()))?;
    let logs = loaded.config.telemetry().start();
    logs.map_err(|e| Fault::new(FaultKind::Settings, e.to_string()))?;
    let no_runtime = |e: std::io::Error| ours("no runtime", e.to_string());
    let pulse = Builder::new_multi_thread().worker_threads(1).thread_name("heartbeat").enable_all().build();
    let pulse = pulse.map_err(no_runtime)?;
    let runtime = Runtime::new().map_err(no_runtime)?;
    let ended = runtime.block_on(run(loaded.config, &pulse));
    leave(runtime);
    leave(pulse);
    ended
}

fn ours(what: &str, e: String) -> Fault {
    Fault::new(FaultKind::Internal, format!("{what}: {e}"))
}

/// Runs a command that children may belong to.
fn parent(command: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    privacy::seal().map_err(|e| ours("this process cannot be sealed", e.to_string()))?;
    // A command ends with its one line; the log is for those who ask for it.
    let quiet = std::env::var_os(VARIABLE).is_none().then(|| "off".to_owned());
    let logs = Telemetry::new(Format::Text, quiet).start();
    logs.map_err(|e| Fault::new(FaultKind::Settings, e.to_string()))?;
    let runtime = Runtime::new().map_err(|e| ours("no runtime", e.to_string()))?;
    let ended = runtime.block_on(command);
    leave(runtime);
    ended
}

/// What still blocks has been told to stop and is not waited for: it ends with the process, which is about to. Shutting the
/// runtime down would detach its threads just as they end, and glibc (2.36 does) may then look at one that is gone: a command
/// in some thousand died of SIGSEGV before it could say how it had ended.
fn leave(runtime: Runtime) {
    std::mem::forget(runtime);
}
