//! The `framefleet` binary.

use std::process::ExitCode;

use clap::Parser;
use framefleet_cli::args::Cli;
use framefleet_cli::{commands, exit};

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => commands::run(cli.command),
        Err(error) => exit::mistyped(&error),
    }
}
