//! Exactness: whatever the source and however it is cut, every picture once, in order, in place, every beep in step.
//!
//! `FULL=1` runs the whole product of the axes instead of the covering list.

use std::process::ExitCode;

use framefleet_tests::axis::{Container, Rate, Segments};
use framefleet_tests::covering::{Case, core_of, product as every_case, stored};
use framefleet_tests::recipe::{Gop, Source};
use framefleet_tests::{film, oracle, place, product};
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let list = if std::env::var_os("FULL").is_some() { every_case() } else { stored() };
    let core = core_of(&list);
    let trials = list.into_iter().enumerate().map(|(number, case)| {
        let group = if number < core { "core" } else { "more" };
        let name = format!("{group}::{}", case.to_string().replace('/', "::"));
        Trial::test(name, move || show(case).map_err(Failed::from))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
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
