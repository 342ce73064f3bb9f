//! `framefleet doctor`: which plugins and encoders are here, and what to install.

use std::collections::BTreeSet;

use framefleet_media::doctor::{Finding, Need, State, inspect};
use framefleet_model::fault::{Fault, FaultKind};
use serde::Serialize;

use crate::args::DoctorArgs;
use crate::render::{Table, or_dash, print};

#[derive(Serialize)]
struct Report {
    framefleet: &'static str,
    /// Debian and Ubuntu packages to install.
    packages_missing: Vec<String>,
    findings: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    factory: String,
    needed_for: String,
    need: &'static str,
    state: &'static str,
    version: Option<String>,
    package: String,
}

pub fn run(args: &DoctorArgs) -> Result<(), Fault> {
    let report = report(inspect());
    print(args.output, &report, table)?;
    let lacking = |row: &&Row| row.need == REQUIRED && row.state == MISSING;
    let lacking: Vec<&str> = report.findings.iter().filter(lacking).map(|row| row.factory.as_str()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let packages = report.packages_missing.join(" ");
    let message = format!("required and not here: {} (apt-get install {packages})", lacking.join(", "));
    Err(Fault::new(FaultKind::PluginMissing, message))
}

const REQUIRED: &str = "required";
const OPTIONAL: &str = "optional";
const MISSING: &str = "missing";

fn report(findings: Vec<Finding>) -> Report {
    let findings: Vec<Row> = findings.into_iter().map(row).collect();
    let missing = findings.iter().filter(|row| row.state == MISSING).map(|row| row.package.clone());
    let packages_missing = missing.collect::<BTreeSet<String>>().into_iter().collect();
    Report { framefleet: env!("CARGO_PKG_VERSION"), packages_missing, findings }
}

fn row(finding: Finding) -> Row {
    let Finding { factory, needed_for, package, state, required } = finding;
    let need = match required {
        Need::Required => REQUIRED,
        Need::Optional => OPTIONAL,
    };
    let (state, version) = match state {
        State::Found(version) => ("ok", Some(version)),
        State::Missing => (MISSING, None),
    };
    Row { factory, needed_for, need, state, version, package }
}

fn table(report: &Report) -> String {
    let mut table = Table::new(["PLUGIN", "STATE", "VERSION", "NEED", "FOR", "PACKAGE"]);
    for row in &report.findings {
        let (state, need) = (row.state.to_owned(), row.need.to_owned());
        let version = or_dash(row.version.as_ref());
        table.row([row.factory.clone(), state, version, need, row.needed_for.clone(), row.package.clone()]);
    }
    if report.packages_missing.is_empty() {
        return table.to_string();
    }
    format!("{table}\nto install what is missing: apt-get install {}\n", report.packages_missing.join(" "))
}
