//! A pipeline that somebody asks for by its name: what a trigger says of all its sources they say of one.

use std::sync::Arc;

use crate::id::JobId;
use crate::pipeline::{OnExisting, Request};
use crate::plan::SourceFacts;
use crate::terms::Tenant;
use crate::trigger::pipeline::Pipeline;
use crate::trigger::template::Template;
use crate::trigger::{Cause, Found, Unfit};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    pub pipeline: Arc<Pipeline>,
    /// The source's URL.
    pub source: String,
    /// What it is called in its bucket, or from the root of its host on, as it stands in a URL.
    pub key: String,
    /// The folder that names of outputs lie below.
    pub into: Template,
    /// What becomes of something that stands at an output already; `None`: what the pipeline says.
    pub on_existing: Option<OnExisting>,
}

impl Through {
    /// The job of the source in this state: another version of the pipeline, or another folder, is another job.
    pub fn job_id(&self, tenant: &Tenant, source: &SourceFacts) -> JobId {
        let SourceFacts { url, size, version } = source;
        let (asked, size) = (self.asked(), size.to_string());
        let [pipeline, into, on_existing] = &asked;
        JobId::of_parts(&["pipeline-1", tenant.as_str(), url, &size, version, pipeline, into, on_existing])
    }

    /// What is asked for beside the source, whatever becomes of either.
    pub fn asked(&self) -> [String; 3] {
        let on_existing = match self.on_existing {
            None => "",
            Some(OnExisting::Fail) => "fail",
            Some(OnExisting::Replace) => "replace",
        };
        [self.pipeline.id().to_string(), self.into.to_string(), on_existing.to_owned()]
    }

    pub fn request(&self, found: &Found, job: &JobId) -> Result<Request, Unfit> {
        let request = self.pipeline.of((found, &self.key), (&self.into, job))?;
        Ok(Request { on_existing: self.on_existing.unwrap_or(request.on_existing), ..request })
    }

    pub fn cause(&self) -> Cause {
        Cause { trigger: None, pipeline: self.pipeline.id().clone() }
    }
}
