//! A job by the name of a pipeline: source, folder and terms are said, all else is the pipeline's to say.

use framefleet_model::fault::Fault;
use framefleet_model::pipeline::OnExisting;
use framefleet_model::terms::Terms;
use framefleet_model::trigger::template::Template;

use crate::asked::Asked;
use crate::location::{Location, Reach};
use crate::request::{on_existing, terms};
use crate::settings::refused;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByPipeline {
    pub source: Location,
    /// The folder that names of outputs lie below.
    pub into: Template,
    pub on_existing: Option<OnExisting>,
    pub terms: Terms,
}

/// Whether there is such a pipeline is for others to say.
pub fn check((asked, name): (&Asked, &str), reach: Reach) -> Result<ByPipeline, Fault> {
    let beside = [
        ("outputs", !asked.outputs.is_empty()),
        ("segment.duration", asked.segment_duration.is_some()),
        ("damaged", asked.damaged.is_some()),
        ("from", asked.from.is_some()),
        ("to", asked.to.is_some()),
        ("steps", !asked.steps.is_empty()),
    ];
    if let Some((key, _)) = beside.into_iter().find(|(_, is_there)| *is_there) {
        return Err(refused(format!("{key} contradicts pipeline {name:?}, which says what is made of a film and how")));
    }
    let nowhere = || refused(format!("pipeline {name:?} makes outputs, and `into` does not say where they go"));
    let into = asked.into.as_deref().ok_or_else(nowhere)?;
    let folder = Template::of_folder(into).map_err(|e| refused(format!("into: {e}")))?;
    if Location::parse(folder.head(), Reach::Elsewhere)?.is_web() {
        return Err(refused(format!("into {into:?} lies behind HTTP, where films are read from and nothing goes")));
    }
    Ok(ByPipeline {
        source: Location::parse(&asked.source, reach)?,
        into: folder,
        on_existing: on_existing(asked)?,
        terms: terms(&asked.terms)?,
    })
}
