//! Pipelines: what is made of a source, by name and version.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::pipeline::{OutputRequest, Request};
use crate::trigger::template::{Template, TemplateError};

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

    /// What is asked for of this source, as outputs of these names.
    pub(crate) fn request(&self, source: &str, names: Vec<String>) -> Request {
        let outputs = self.outline.outputs.iter().zip(names);
        let outputs = outputs.map(|(output, to)| OutputRequest { to, ..output.clone() }).collect();
        Request { source: source.to_owned(), outputs, ..self.outline.clone() }
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
