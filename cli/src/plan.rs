//! `framefleet plan`: the index and the planner alone, and what they say about where a film is cut.

use framefleet_common::child::{Attempt, Media, Spent};
use framefleet_coordinator::flow::planning::{self, tasks};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::Index;
use framefleet_model::pipeline::{OnExisting, Request};
use framefleet_model::plan::{IndexRef, Plan};
use framefleet_model::task::{IndexWork, Outcome, SourceLimits, Work};
use tokio_util::sync::CancellationToken;

use crate::app::{self, Film};
use crate::args::PlanArgs;
use crate::asked::{Asked, AskedOutput, AskedVideo, AskedWatermark};
use crate::location::{Location, Reach};
use crate::planned::{Planned, table};
use crate::request::check;
use crate::{jobfile, preflight, render};

pub async fn run(args: &PlanArgs) -> Result<(), Fault> {
    let asked = match &args.film.job {
        Some(path) => jobfile::read(path)?,
        None => with_an_output(Asked::by_flags(&args.film), args),
    };
    let checked = check(&asked, (OnExisting::Replace, Reach::Here))?;
    preflight::source(checked.source.path())?;
    let cancel = CancellationToken::new();
    let (index, plan) = tokio::select! {
        planned = plan(&checked.source, &checked.request, &cancel) => planned?,
        _ = tokio::signal::ctrl_c() => return Err(Fault::new(FaultKind::Cancelled, "cancelled, nothing is left")),
    };
    let tasks = tasks::tasks(&plan);
    render::print(args.place.output, &Planned::of(&index, &plan, &tasks), table)
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

async fn plan(source: &Location, request: &Request, cancel: &CancellationToken) -> Result<(Index, Plan), Fault> {
    let media = app::media().await?;
    let film = Film::open(source).await?;
    let facts = film.facts(source);
    let scratch =
        tempfile::tempdir().map_err(|e| Fault::new(FaultKind::Internal, format!("no scratch folder: {e}")))?;
    let work = Work::Index(IndexWork { limits: SourceLimits::DEFAULT, tables: true });
    let progress = tokio::sync::watch::Sender::default();
    let attempt =
        Attempt { objects: film, scratch: scratch.path(), progress, cancel: cancel.clone(), spent: &Spent::default() };
    let unfit = |what: String| Fault::new(FaultKind::Internal, format!("the index of {}: {what}", facts.url));
    let Outcome::Index(done) = media.run(work, attempt).await? else {
        return Err(unfit("the child did other work".to_owned()));
    };
    let bytes = std::fs::read(scratch.path().join(&done.file.name)).map_err(|e| unfit(e.to_string()))?;
    let index = Index::from_bytes(&bytes).map_err(|e| unfit(e.to_string()))?;
    let index_ref = IndexRef { key: String::new(), size: done.file.size, digest: done.file.digest };
    let asked = planning::Asked { request, source: &facts, index: &index, index_ref: &index_ref };
    let plan = planning::plan(asked)?;
    Ok((index, plan))
}
