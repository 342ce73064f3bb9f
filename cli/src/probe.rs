//! `framefleet probe`: what a film is, from its headers and first units.

use framefleet_common::child::{Attempt, Media, Spent};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::probe::Probed;
use framefleet_model::task::{Outcome, ProbeWork, SourceLimits, Work};
use tokio_util::sync::CancellationToken;

use crate::app::{self, Film};
use crate::args::ProbeArgs;
use crate::location::{Location, Reach};
use crate::probed::{Report, table};
use crate::roles::sandbox;
use crate::{preflight, render};

pub async fn run(args: &ProbeArgs) -> Result<(), Fault> {
    let source = Location::parse(&args.source, Reach::Here)?;
    preflight::source(source.path())?;
    let film = Film::open(&source).await?;
    let probed = tokio::select! {
        probed = probe(&film) => probed?,
        _ = tokio::signal::ctrl_c() => return Err(Fault::new(FaultKind::Cancelled, "cancelled, nothing is left")),
    };
    let report = Report::of(&film.facts(&source), probed, film.bytes_read());
    render::print(args.output, &report, table)
}

async fn probe(film: &std::sync::Arc<Film>) -> Result<Probed, Fault> {
    let media = app::media(sandbox::of_command()?).await?;
    let scratch =
        tempfile::tempdir().map_err(|e| Fault::new(FaultKind::Internal, format!("no scratch folder: {e}")))?;
    let (progress, cancel) = (tokio::sync::watch::Sender::default(), CancellationToken::new());
    let attempt =
        Attempt { objects: film.clone(), scratch: scratch.path(), progress, cancel, spent: &Spent::default() };
    let work = Work::Probe(ProbeWork { limits: SourceLimits::DEFAULT });
    match media.run(work, attempt).await? {
        Outcome::Probe(probed) => Ok(probed),
        Outcome::Index(_) | Outcome::Encode(_) | Outcome::Audio(_) | Outcome::Image(_) | Outcome::Merge(_) => {
            Err(Fault::new(FaultKind::Internal, "the child did other work than to probe"))
        }
    }
}
