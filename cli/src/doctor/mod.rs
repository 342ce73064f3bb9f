//! `framefleet doctor`: whether this machine, and what the configuration names, is as framefleet needs it. Every check says
//! one line, and what mends it where it is not well; those that ask servers go on at once, each for a bounded time. What
//! servers promise is tried only when it is asked for.

mod conformance;
mod here;
mod places;
mod plugins;
mod servers;
mod verdict;

use framefleet_common::ports::broker::Class;
use framefleet_model::fault::{Fault, FaultKind};
use futures::future::{BoxFuture, join_all};
use serde::Serialize;

use self::plugins::Element;
use self::verdict::{State, Verdict};
use crate::args::DoctorArgs;
use crate::config::{self, Setup};
use crate::render::{Table, print, printable};

/// What one process with everything may use where no storage is set up.
const EVERYWHERE: &str = "file:///";

#[derive(Serialize)]
struct Report {
    framefleet: &'static str,
    gstreamer: String,
    /// nothing, serve, bridge or fleet
    configured: &'static str,
    checks: Vec<Verdict>,
    /// Debian and Ubuntu packages to install.
    packages_missing: Vec<String>,
    findings: Vec<Element>,
}

pub async fn run(args: &DoctorArgs) -> Result<(), Fault> {
    let judged = config::load_setup(&args.told()?)?;
    let elements = plugins::elements();
    let packages_missing = plugins::packages_missing(&elements);
    let mut checks = vec![plugins::verdict(&elements)];
    checks.extend(here::checks(&judged));
    checks.extend(asked(&judged.setup).await);
    if args.conformance {
        let tried = conformance::run(&judged.setup, &checks).await?;
        checks.extend(tried);
    }
    let report = Report {
        framefleet: env!("CARGO_PKG_VERSION"),
        gstreamer: framefleet_media::doctor::gstreamer(),
        configured: judged.setup.name(),
        checks,
        packages_missing,
        findings: elements,
    };
    print(args.output, &report, table)?;
    ending(&report)
}

/// What folders, servers and storages say, all asked at once, in the order of the configuration.
async fn asked(setup: &Setup) -> Vec<Verdict> {
    let mut asked: Vec<BoxFuture<'_, Vec<Verdict>>> = here::folders(setup).into_iter().collect();
    match setup {
        Setup::Nothing => {}
        Setup::Bridge(role) => asked
            .push(Box::pin(servers::broker((&role.broker, vec![Class::light(), Class::standard(), Class::long()])))),
        Setup::Serve(role) => {
            // Everywhere is nowhere in particular.
            let folders = if role.folders == [EVERYWHERE] { &[][..] } else { &role.folders[..] };
            asked.extend(places::of((&role.storage[..], folders), (Some(&role.triggers[..]), None)));
        }
        Setup::Fleet(fleet) => {
            let config = &fleet.config;
            asked.push(Box::pin(servers::store(config)));
            asked.push(Box::pin(servers::broker((&config.broker, config.classes()))));
            let triggers = fleet.coordinator.role().map(|role| &role.triggers[..]);
            let places = (&config.storage[..], &config.folders[..]);
            asked.extend(places::of(places, (triggers, Some(config.work.as_str()))));
        }
    }
    join_all(asked).await.concat()
}

/// Ends with the code of the first that is bad.
fn ending(report: &Report) -> Result<(), Fault> {
    let bad: Vec<&Verdict> = report.checks.iter().filter(|verdict| verdict.state == State::Bad).collect();
    let Some(first) = bad.first() else { return Ok(()) };
    let kind = first.kind.unwrap_or(FaultKind::Internal);
    let names = bad.iter().map(|verdict| verdict.named()).collect::<Vec<_>>().join(", ");
    Err(Fault::new(kind, format!("{} of {} checks are bad: {names}", bad.len(), report.checks.len())))
}

fn table(report: &Report) -> String {
    let mut text = String::new();
    for verdict in &report.checks {
        let state = match verdict.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Bad => "BAD",
        };
        let fix = verdict.fix.as_ref().map(|fix| format!(" -> {}", printable(fix))).unwrap_or_default();
        text += &format!("{state:7}  {}: {}{fix}\n", verdict.named(), printable(&verdict.says));
    }
    let missing: Vec<&Element> = report.findings.iter().filter(|element| element.is_missing()).collect();
    if missing.is_empty() {
        return text;
    }
    let mut table = Table::new(["MISSING", "NEED", "FOR", "PACKAGE"]);
    for element in missing {
        let Element { factory, need, needed_for, package, .. } = element;
        table.row([factory.as_str(), need, needed_for.as_str(), package.as_str()].map(str::to_owned));
    }
    format!("{text}\n{table}\nto install what is missing: apt-get install {}\n", report.packages_missing.join(" "))
}
