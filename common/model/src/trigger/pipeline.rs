//! Pipelines: what is made of a source, by name and version.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::JobId;
use crate::pipeline::{OutputRequest, Request};
use crate::trigger::template::{Template, TemplateError, Values};
use crate::trigger::{Found, Unfit};

const NAME_BYTES_MAX: usize = 64;

/// `web@3`: a pipeline's name and its version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PipelineId(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no pipeline such as web@3: name and version are 1 to {NAME_BYTES_MAX} of A-Z, a-z, 0-9, -, _ and .")]
pub struct PipelineIdError(String);

/// A list of outputs whose names are yet to be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    id: PipelineId,
    /// What is asked for of every source; source and names say nothing.
    outline: Request,
    /// Of each output.
    names: Vec<Template>,
}

impl PipelineId {
    pub fn new(name: &str, version: &str) -> Result<Self, PipelineIdError> {
        let word = |text: &str| {
            (1..=NAME_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let id = [name, "@", version].concat();
        if word(name) && word(version) { Ok(Self(id)) } else { Err(PipelineIdError(id)) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Without its version.
    pub fn name(&self) -> &str {
        self.0.split_once('@').map_or(&self.0, |(name, _)| name)
    }
}

impl Pipeline {
    /// Outputs of the request are called as the templates are, each below the folder that a trigger names.
    pub fn new(id: PipelineId, request: Request) -> Result<Self, TemplateError> {
        let names = request.outputs.iter().map(|output| Template::of_name(&output.to)).collect::<Result<_, _>>()?;
        Ok(Self { id, outline: request, names })
    }

    pub fn id(&self) -> &PipelineId {
        &self.id
    }

    /// Each output with its name below a folder.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (&Template, &OutputRequest)> {
        self.names.iter().zip(&self.outline.outputs)
    }

    /// What is asked for of a source that is called `key` in its bucket, its outputs below `folder`.
    pub(crate) fn of(
        &self,
        (found, key): (&Found, &str),
        (folder, job): (&Template, &JobId),
    ) -> Result<Request, Unfit> {
        let source = &found.source.url;
        let (dir, name) = key.rsplit_once('/').unwrap_or(("", key));
        let (stem, ext) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).unwrap_or((name, ""));
        let moment = found.modified.to_string();
        let date = moment.split_once('T').map_or("", |(date, _)| date);
        let values = Values { stem, ext, dir, job, date };
        let mut outputs: Vec<OutputRequest> = Vec::new();
        for (template, output) in self.outputs() {
            let unfit = |why| Unfit::Unnameable { source_url: source.clone(), why };
            let to = folder.below(template).fill(&values).map_err(unfit)?;
            if outputs.iter().any(|other| other.to == to) {
                return Err(Unfit::Twice(source.clone(), to));
            }
            outputs.push(OutputRequest { to, ..output.clone() });
        }
        Ok(Request { source: source.clone(), outputs, ..self.outline.clone() })
    }
}

impl fmt::Display for PipelineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PipelineId {
    type Err = PipelineIdError;

    fn from_str(text: &str) -> Result<Self, PipelineIdError> {
        let (name, version) = text.split_once('@').ok_or_else(|| PipelineIdError(text.to_owned()))?;
        Self::new(name, version)
    }
}

impl TryFrom<String> for PipelineId {
    type Error = PipelineIdError;
    fn try_from(text: String) -> Result<Self, PipelineIdError> {
        text.parse()
    }
}

impl From<PipelineId> for String {
    fn from(id: PipelineId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_named_with_its_version() {
        assert_eq!("web@3".parse::<PipelineId>(), PipelineId::new("web", "3"));
        for bad in ["web", "web@", "@3", "we b@3", "web@3@4", "web/x@3"] {
            assert!(bad.parse::<PipelineId>().unwrap_err().to_string().contains(bad), "{bad}");
        }
    }
}
