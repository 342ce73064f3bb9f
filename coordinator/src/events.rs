//! What the world is told of a job: CloudEvents 1.0 in JSON. What they hold is written down in docs/EVENTS.md.

use chrono::{DateTime, SecondsFormat};
use framefleet_model::id::JobId;
use framefleet_model::job::{Job, JobState};
use framefleet_model::plan::{AudioRendition, VideoRendition};
use framefleet_model::time::StoreTime;
use framefleet_model::trace::TraceContext;
use serde::Serialize;

use crate::flow::{Announcement, Delivered};
use crate::ops::wire::{FaultJson, millis};

/// An event with what it is routed by.
pub(crate) struct JobEvent {
    /// The same however often it is told.
    pub(crate) id: String,
    /// `job.<state>.<tenant>`.
    pub(crate) key: String,
    pub(crate) body: String,
    /// The job's own span.
    pub(crate) trace: Option<TraceContext>,
}

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    r#type: String,
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    job: &'a str,
    generation: u32,
    tenant: String,
    priority: &'static str,
    source: Source<'a>,
    /// Which trigger wanted it, by which pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pipeline: Option<String>,
    timings: Timings,
    cost: Cost,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<Output<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FaultJson>,
    /// The task that was given up, where it was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Source<'a> {
    url: &'a str,
    bytes: u64,
    version: &'a str,
}

#[derive(Serialize)]
struct Timings {
    accepted_ms: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_ms: Option<i64>,
}

#[derive(Serialize)]
struct Cost {
    cpu_ms: u64,
}

#[derive(Serialize)]
struct Output<'a> {
    url: &'a str,
    container: &'static str,
    /// Of all its files.
    bytes: u64,
    files: usize,
    /// Of the file at `url`.
    sha256: &'a str,
    duration_ms: i64,
    video: Vec<Video>,
    audio: Vec<Audio<'a>>,
}

#[derive(Serialize)]
struct Video {
    codec: &'static str,
    width: u32,
    height: u32,
    pictures: u32,
}

#[derive(Serialize)]
struct Audio<'a> {
    codec: &'static str,
    channels: u16,
    sample_rate: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<&'a str>,
}

impl JobEvent {
    pub(crate) fn of(job: &Job, announcement: &Announcement, now: StoreTime) -> Self {
        let state = state(announcement);
        let id = format!("{}:{}:{state}", job.id, job.generation);
        let event = CloudEvent {
            specversion: "1.0",
            id: &id,
            source: "/framefleet",
            r#type: format!("framefleet.job.{state}"),
            subject: job.id.as_str(),
            time: moment(now),
            datacontenttype: "application/json",
            data: data(job, announcement, now),
        };
        let body = serde_json::to_string(&event).expect("an event has only string keys and finite numbers");
        let trace = job.trace.map(|trace| trace.traceparent);
        Self { key: format!("job.{state}.{}", job.terms.tenant), id, body, trace }
    }
}

/// The job that an event of this id tells of.
pub(crate) fn job_of(id: &str) -> Option<JobId> {
    id.split(':').next()?.parse().ok()
}

fn state(announcement: &Announcement) -> &'static str {
    match announcement {
        Announcement::Accepted => "accepted",
        Announcement::Started => "started",
        Announcement::Completed(_) => "completed",
        Announcement::Failed(_) => "failed",
        Announcement::Cancelled { .. } => "cancelled",
    }
}

fn data<'a>(job: &'a Job, announcement: &'a Announcement, now: StoreTime) -> Data<'a> {
    let source = Source { url: &job.source.url, bytes: job.source.size, version: &job.source.version };
    let ended = Some(now.ms());
    let (ended_ms, outputs, fault, reason) = match announcement {
        Announcement::Accepted | Announcement::Started => (None, Vec::new(), None, None),
        Announcement::Completed(delivered) => (ended, delivered.iter().map(output).collect(), None, None),
        Announcement::Failed(fault) => (ended, Vec::new(), Some(FaultJson::from(fault)), None),
        Announcement::Cancelled { reason } => (ended, Vec::new(), None, Some(reason.as_str())),
    };
    let (accepted_ms, started_ms) = (job.created.ms(), job.started.map(StoreTime::ms));
    let timings = Timings { accepted_ms, started_ms, ended_ms };
    let task = match &job.state {
        JobState::Failed(end) => end.task.map(|task| task.to_string()),
        JobState::Accepted
        | JobState::Indexing(_)
        | JobState::Encoding(_)
        | JobState::Merging(_)
        | JobState::Publishing(_)
        | JobState::Completed(_)
        | JobState::Cancelled(_) => None,
    };
    Data {
        job: job.id.as_str(),
        generation: job.generation,
        tenant: job.terms.tenant.to_string(),
        priority: job.terms.priority.name(),
        source,
        trigger: job.cause.as_ref().and_then(|cause| cause.trigger.as_deref()),
        pipeline: job.cause.as_ref().map(|cause| cause.pipeline.to_string()),
        timings,
        cost: Cost { cpu_ms: job.cpu_ms },
        outputs,
        fault,
        task,
        reason,
    }
}

fn output(delivered: &Delivered) -> Output<'_> {
    let Delivered { plan, proof, videos, audios, files: _ } = delivered;
    Output {
        url: &plan.to,
        container: plan.container.name(),
        bytes: proof.files().map(|(file, _)| file.size).sum(),
        files: proof.files().count(),
        sha256: proof.file.digest.as_str(),
        duration_ms: millis(proof.duration),
        video: videos.iter().map(|rendition| video(delivered, rendition)).collect(),
        audio: audios.iter().map(audio).collect(),
    }
}

fn video(delivered: &Delivered, rendition: &VideoRendition) -> Video {
    let proof = &delivered.proof;
    let variant = proof.variants.iter().find(|variant| variant.rendition == rendition.number);
    let read = variant.map(|variant| &variant.video).or(proof.video.as_ref());
    let geometry = rendition.format.geometry;
    Video {
        codec: rendition.settings.codec.name(),
        width: geometry.width,
        height: geometry.height,
        pictures: read.map_or(0, |read| read.pictures),
    }
}

fn audio(rendition: &AudioRendition) -> Audio<'_> {
    Audio {
        codec: rendition.settings.codec.name(),
        channels: rendition.format.channels,
        sample_rate: rendition.format.rate,
        language: rendition.language.as_deref(),
    }
}

/// RFC 3339, in UTC.
pub(crate) fn moment(at: StoreTime) -> String {
    let known = DateTime::from_timestamp_millis(at.ms()).unwrap_or_default();
    known.to_rfc3339_opts(SecondsFormat::Millis, true)
}
