//! How a command ends: one line on standard error, and the exit code of sysexits.h that its fault has.

use std::process::ExitCode;

use clap::error::ErrorKind;
use framefleet_model::fault::{Fault, FaultKind, Retry, Whose};

use crate::render::printable;

pub fn code_of(result: Result<(), Fault>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{}", line(&fault));
            evidence(&fault).iter().for_each(|seen| eprintln!("  {}", printable(seen)));
            ExitCode::from(fault.kind.exit_code())
        }
    }
}

/// Words that are no command line of ours: the parser's first sentence, without its drawing of the usage.
pub fn mistyped(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that stops reading is no fault of ours.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(FaultKind::Settings.exit_code())
        }
        _ => code_of(Err(Fault::new(FaultKind::Settings, first_sentence(&error.to_string())))),
    }
}

fn first_sentence(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}

/// `framefleet: <message> [F1001, input; not retried]`
pub fn line(fault: &Fault) -> String {
    let whose = match fault.kind.whose() {
        Whose::Input => "input",
        Whose::Destination => "destination",
        Whose::Ours => "ours",
    };
    let retry = match (fault.kind, fault.kind.retry()) {
        // Whoever ends of it asked once; only tasks ask again.
        (FaultKind::StoreAway, _) | (_, Retry::Never) => "not retried".to_owned(),
        (_, Retry::Times(times)) => format!("retried up to {times} times"),
    };
    format!("framefleet: {} [F{}, {whose}; {retry}]", printable(&fault.message), fault.kind.code())
}

/// What was seen of a fault of ours: somebody has to look into it. Others are told by their line.
fn evidence(fault: &Fault) -> &[String] {
    match fault.kind.whose() {
        Whose::Ours => &fault.evidence,
        Whose::Input | Whose::Destination => &[],
    }
}

#[cfg(test)]
mod tests {
    use framefleet_model::fault::FaultKind;

    use super::*;

    #[test]
    fn a_fault_is_one_line_whatever_its_message() {
        let fault = Fault::new(FaultKind::SourceMissing, "film.mov\nis not there");
        assert_eq!(line(&fault), "framefleet: film.mov is not there [F1001, input; not retried]");
        let fault = Fault::new(FaultKind::Crashed, "the child died");
        assert_eq!(line(&fault), "framefleet: the child died [F3010, ours; retried up to 2 times]");
    }
}
