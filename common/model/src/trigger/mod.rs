//! Triggers: rules that make what was uploaded a job.
//!
//! ```text
//! upload ─▶ matches? ─▶ (its storage is asked) ─▶ Found ─▶ wish ─▶ Wish { job's id, request, terms, cause }
//! ```
//! Whoever tells of an upload is believed no more than its name and how it came there; whose job it is, what is made of
//! it and where that goes are the trigger's to say.

/// What is made of a source, by name and version.
pub mod pipeline;
/// Which triggers may stand beside one another.
pub mod rules;
/// Names of outputs with parts of their source in them.
pub mod template;
/// A pipeline that is asked for by its name.
pub mod through;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::{BucketName, Provider, Upload, UploadKey, UploadKind, WallTime};
use crate::id::{Digest, JobId};
use crate::percent;
use crate::pipeline::Request;
use crate::plan::SourceFacts;
use crate::terms::{Tenant, Terms};
use crate::trigger::pipeline::{Pipeline, PipelineId};
use crate::trigger::template::{Template, Unnameable};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trigger {
    pub name: String,
    pub place: Place,
    /// What keys must begin with, as they stand in the bucket.
    pub prefix: String,
    pub suffix: String,
    pub kinds: BTreeSet<UploadKind>,
    /// How long something that is appended to must have been left alone.
    pub quiet_ms: i64,
    pub pipeline: Arc<Pipeline>,
    pub canary: Option<Canary>,
    pub terms: Terms,
    /// The folder that names of outputs lie below.
    pub output: Template,
}

/// Where a trigger's sources lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Bucket {
        provider: Provider,
        name: BucketName,
    },
    /// `file:///…`, with a slash at its end. No storage tells of what comes to lie there; a program may, and then calls
    /// it by this name.
    Folder {
        url: String,
        called: Option<BucketName>,
    },
}

/// Another version of the pipeline, for a fixed share of the sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    pub pipeline: Arc<Pipeline>,
    pub percent: u32,
}

/// An object as its storage says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub source: SourceFacts,
    pub modified: WallTime,
}

/// Why there is a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// `None`: somebody asked for the pipeline by its name. Older builds want a text here, so it is written as an empty one.
    #[serde(deserialize_with = "named", serialize_with = "name_or_nothing")]
    pub trigger: Option<String>,
    pub pipeline: PipelineId,
}

/// A job that a trigger wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    pub id: JobId,
    pub request: Request,
    pub terms: Terms,
    pub cause: Cause,
}

/// A pipeline's version on behalf of somebody: what a source's job is told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    pub tenant: Tenant,
    pub pipeline: PipelineId,
}

/// Why no job can be made of an object. It stays so as long as object and trigger are what they are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("{0} is empty: 0 bytes")]
    Empty(String),
    #[error("{0} lies outside of trigger {1}")]
    Outside(String, String),
    #[error("of {source_url} an output would be {why}")]
    Unnameable { source_url: String, why: Unnameable },
    #[error("of {0} two outputs would both be {1}")]
    Twice(String, String),
}

impl Trigger {
    /// Whether what was uploaded is the trigger's, by all that is believed of it.
    pub fn takes(&self, upload: &Upload) -> bool {
        self.place.is_meant(upload) && self.covers(&upload.key) && self.kinds.contains(&upload.kind)
    }

    /// Whether a key of its bucket or folder is the trigger's, however it came there.
    pub fn covers(&self, key: &UploadKey) -> bool {
        let rest = key.as_str().strip_prefix(self.prefix.as_str());
        // What both are part of is not long enough for either.
        rest.is_some_and(|rest| rest.ends_with(&self.suffix)) && !self.is_hidden(key)
    }

    /// The URL of a key of its bucket or folder.
    pub fn url(&self, key: &UploadKey) -> String {
        [self.place.url().as_str(), &percent::encode(key.as_str().as_bytes())].concat()
    }

    /// Which version of its pipeline a source goes through: always the same.
    pub fn pipeline_of(&self, source: &SourceFacts) -> &Pipeline {
        let canary = self.canary.as_ref().filter(|canary| {
            let hash = Digest::of([self.name.as_str(), &source.url, &source.version].join("\n").as_bytes());
            let drawn = u64::from_str_radix(&hash.as_str()[..12], 16).expect("a digest is hexadecimal digits") % 100;
            drawn < u64::from(canary.percent)
        });
        canary.map_or(&self.pipeline, |canary| &canary.pipeline)
    }

    /// The versions that sources go through now.
    pub fn versions(&self) -> impl Iterator<Item = &PipelineId> {
        [&self.pipeline].into_iter().chain(self.canary.as_ref().map(|canary| &canary.pipeline)).map(|one| one.id())
    }

    /// The job of a source in this state through this version.
    pub fn job_id(&self, source: &SourceFacts, version: &Version) -> JobId {
        let SourceFacts { url, size, version: state } = source;
        let Version { tenant, pipeline } = version;
        JobId::of_parts(&["upload-1", tenant.as_str(), url, &size.to_string(), state, pipeline.as_str()])
    }

    pub fn wish(&self, found: &Found) -> Result<Wish, Unfit> {
        let source = &found.source;
        if source.size == 0 {
            return Err(Unfit::Empty(source.url.clone()));
        }
        let pipeline = self.pipeline_of(source);
        let id = self.job_id(source, &Version { tenant: self.terms.tenant.clone(), pipeline: pipeline.id().clone() });
        let base = self.place.url();
        let key = source.url.strip_prefix(&base);
        let key = key.ok_or_else(|| Unfit::Outside(source.url.clone(), self.name.clone()))?;
        let request = pipeline.of((found, key), (&self.output, &id))?;
        let cause = Cause { trigger: Some(self.name.clone()), pipeline: pipeline.id().clone() };
        Ok(Wish { id, request, terms: self.terms.clone(), cause })
    }

    /// Of files alone: what others write under a name that begins with a dot is not done yet.
    fn is_hidden(&self, key: &UploadKey) -> bool {
        self.place.is_folder() && key.as_str().split('/').any(|part| part.starts_with('.'))
    }
}

impl Place {
    /// With a slash at its end.
    pub fn url(&self) -> String {
        match self {
            Self::Bucket { provider, name } => [provider.scheme(), "://", name.as_str(), "/"].concat(),
            Self::Folder { url, .. } => url.clone(),
        }
    }

    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }

    /// What events call it; `None`: no event tells of it.
    pub fn called(&self) -> Option<&BucketName> {
        match self {
            Self::Bucket { name, .. } => Some(name),
            Self::Folder { called, .. } => called.as_ref(),
        }
    }

    /// Any storage's may be reached by the protocol of S3; one that is reached by its own tells of itself.
    fn is_meant(&self, upload: &Upload) -> bool {
        let is_other = matches!(self, Self::Bucket { provider: Provider::Oss, .. }) && upload.provider != Provider::Oss;
        !is_other && self.called() == Some(&upload.bucket)
    }
}

fn named<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    String::deserialize(from).map(|name| Some(name).filter(|name| !name.is_empty()))
}

fn name_or_nothing<S: Serializer>(name: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(name.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests;
