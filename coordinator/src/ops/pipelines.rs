//! Pipelines as users see them: those that are configured, and a look at others before they are.

use framefleet_model::fault::Fault;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is known of pipelines where a coordinator runs.
pub trait Pipelines: Send + Sync {
    /// In the order of their names and versions.
    fn known(&self) -> &[PipelineJson];

    /// Whether these tables would be taken, beside those that are configured; an error is about a text that is none.
    fn validate(&self, text: &str) -> Result<ValidatedJson, Fault>;
}

/// A version of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PipelineJson {
    /// `name@version`
    pub id: String,
    pub name: String,
    pub version: String,
    /// The triggers whose sources go through it, or some of them.
    pub triggers: Vec<String>,
    /// As it is configured.
    #[schema(value_type = Object)]
    pub definition: serde_json::Value,
}

/// What would become of rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ValidatedJson {
    pub valid: bool,
    /// Of the pipelines that were asked about, `name@version` each.
    pub pipelines: Vec<String>,
    /// Of the triggers that were asked about.
    pub triggers: Vec<String>,
    /// What a process that begins with them would say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
}

/// Those of a name, or the one of `name@version`.
pub fn called<'a>(known: &'a [PipelineJson], name: &str) -> Vec<&'a PipelineJson> {
    known.iter().filter(|pipeline| pipeline.name == name || pipeline.id == name).collect()
}
