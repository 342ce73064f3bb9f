//! `framefleet plan`: the index and the planner alone, and what they say about where a film is cut.

use framefleet_coordinator::ops::planned::PlannedJson;
use framefleet_coordinator::preview::{Looked, Preview, preview};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::pipeline::{OnExisting, Request};
use tokio_util::sync::CancellationToken;

use crate::app::{self, Film};
use crate::args::PlanArgs;
use crate::asked::{Asked, AskedOutput, AskedVideo, AskedWatermark};
use crate::location::{Location, Reach};
use crate::planned::table;
use crate::request::check;
use crate::roles::sandbox;
use crate::{jobfile, preflight, render};

pub async fn run(args: &PlanArgs) -> Result<(), Fault> {
    let asked = match &args.film.job {
        Some(path) => jobfile::read(path)?,
        None => with_an_output(Asked::by_flags(&args.film), args),
    };
    let checked = check(&asked, (OnExisting::Replace, Reach::Here))?;
    preflight::source(checked.source.path())?;
    let cancel = CancellationToken::new();
    let looked = tokio::select! {
        planned = plan(&checked.source, &checked.request, &cancel) => planned?,
        _ = tokio::signal::ctrl_c() => return Err(Fault::new(FaultKind::Cancelled, "cancelled, nothing is left")),
    };
    render::print(args.place.output, &PlannedJson::of(&looked), table)
}

/// Without OUT, the plan is that of one with the same settings.
fn with_an_output(mut asked: Asked, args: &PlanArgs) -> Asked {
    if asked.outputs.is_empty() {
        let container = args.film.container.container.clone().or(Some("mp4".to_owned()));
        let (video, audio) = (AskedVideo::from(&args.film.video), (&args.film.audio).into());
        let watermarks = AskedWatermark::by_flags(&args.film.watermark).into_iter().collect();
        asked.outputs.push(AskedOutput {
            to: "{dir}/{stem}.planned".to_owned(),
            container,
            video,
            audio,
            watermarks,
            ..AskedOutput::default()
        });
    }
    asked
}

async fn plan(source: &Location, request: &Request, cancel: &CancellationToken) -> Result<Preview, Fault> {
    let media = app::media(sandbox::of_command()?).await?;
    let film = Film::open(source).await?;
    let facts = film.facts(source);
    let scratch =
        tempfile::tempdir().map_err(|e| Fault::new(FaultKind::Internal, format!("no scratch folder: {e}")))?;
    let scratch = scratch.path();
    preview(&media, Looked { request, source: &facts, film, scratch, cancel: cancel.clone() }).await
}
