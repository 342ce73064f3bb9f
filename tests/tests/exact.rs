//! Exactness: whatever the source and however it is cut, every picture once, in order, in place, every beep in step.
//!
//! Cases that are known to fail are listed with their reasons in `cases_open.txt`; the run shows them.
//!
//! `FULL=1` runs the whole product of the axes instead of the covering list.

use std::process::ExitCode;
use std::sync::Arc;

use framefleet_tests::axis::{Container, Rate, Segments};
use framefleet_tests::covering::{Case, core_of, product as every_case, stored};
use framefleet_tests::open::{self, Open};
use framefleet_tests::recipe::{Gop, Source};
use framefleet_tests::{film, oracle, place, product};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let list = if std::env::var_os("FULL").is_some() { every_case() } else { stored() };
    let core = core_of(&list);
    let open: Arc<[Open]> = open::read(include_str!("../src/cases_open.txt")).into();
    let trials = list.into_iter().enumerate().map(|(number, case)| {
        let group = if number < core { "core" } else { "more" };
        let name = format!("{group}::{}", case.to_string().replace('/', "::"));
        let open = open.clone();
        Trial::test(name.clone(), move || judge(case, open::reason(&open, &name)).map_err(Failed::from))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// What is known to fail is tried all the same, and says when it no longer does.
fn judge(case: Case, known: Option<&str>) -> Result<(), String> {
    let line = match (show(case), known) {
        (shown, None) => return shown,
        (Err(why), Some(reason)) => format!("open    {case}: {reason}; {}\n", why.lines().next().unwrap_or_default()),
        (Ok(()), Some(reason)) => format!("closed  {case}: take it off cases_open.txt ({reason})\n"),
    };
    let place = place::cache("exact-open").join(case.to_string().replace('/', "_"));
    std::fs::write(place, line).map_err(|e| e.to_string())
}

fn show(case: Case) -> Result<(), String> {
    let film = film::of(&source_of(case))?;
    let home = place::scratch();
    let made = home.path().join("out").with_extension(case.target.name());
    let state = home.path().join("state").display().to_string();
    let cut = ["--segment-duration", case.segments.name(), "--workers", "2", "--state-dir", &state];
    let codec = ["--video-codec", case.target_codec.name()];
    let flags: Vec<&str> = cut.into_iter().chain(codec).collect();
    product::transcode(home.path(), &film.path, &made, &flags).done()?;
    // AVI counts pictures and knows no times
    let ideal = ["--fps", case.rate.ratio(), "--counted"];
    let constant = case.container == Container::Avi && case.rate != Rate::Variable;
    oracle::check(&made, &film.facts, if constant { &ideal } else { &[] })
}

fn source_of(case: Case) -> Source {
    let gop = if case.segments == Segments::Inside { Gop::ThreeSeconds } else { Gop::Second };
    let Case { codec, container, rate, shape, .. } = case;
    Source { codec, container, rate, shape, gop }
}
