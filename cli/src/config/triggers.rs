//! Pipelines and triggers: each by itself, then all of them beside one another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::blob::url;
use framefleet_model::event::{BucketName, Provider, UploadKey, UploadKind};
use framefleet_model::fault::Fault;
use framefleet_model::percent;
use framefleet_model::pipeline::OnExisting;
use framefleet_model::terms::{Priority, Tenant, TenantError, Terms};
use framefleet_model::trigger::pipeline::{Pipeline, PipelineId};
use framefleet_model::trigger::template::{Template, Variable};
use framefleet_model::trigger::{Canary, Place, Trigger, rules};

use super::StorageConfig;
use super::raw::{RawPipeline, RawTrigger};
use super::reading::{Reading, text};
use crate::asked::steps::{self as asked_steps, Names};
use crate::asked::{Asked, AskedOutput};
use crate::images;
use crate::location::Reach;
use crate::request::check;

const QUIET: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 3600);
const DEADLINE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 3600);
const BUCKET_FORM: &str = "is neither s3://bucket, oss://bucket nor file:///folder";
const PERCENT_MAX: u32 = 99;
/// Where outputs of a pipeline would go whose source is like this, for a look at their settings.
const SAMPLE_SOURCE: &str = "s3://sources/dir/stem.ext";
const SAMPLE_FOLDER: &str = "s3://outputs/";

pub(super) type Pipelines = BTreeMap<PipelineId, Arc<Pipeline>>;

/// Where sources and outputs may lie, where they may not, and whom steps may speak to.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) work: &'a str,
    pub(super) storage: &'a [StorageConfig],
    pub(super) folders: &'a [String],
    pub(super) names: &'a Names,
}

pub(super) fn of(
    reading: &Reading<'_>,
    (pipelines, triggers): (&[RawPipeline], &[RawTrigger]),
    places: Places<'_>,
) -> Result<(Vec<Trigger>, Pipelines), Fault> {
    let mut known = Pipelines::new();
    for (at, raw) in pipelines.iter().enumerate() {
        let pipeline = pipeline((reading, places.names), (at, raw))?;
        let id = pipeline.id().clone();
        if known.insert(id.clone(), Arc::new(pipeline)).is_some() {
            return Err(reading.refuse_key(&format!("pipelines[{at}].version"), format!("makes a second {id}")));
        }
    }
    let entry = |(at, raw)| Entry { reading, at, raw, known: &known, places }.checked();
    let triggers = triggers.iter().enumerate().map(entry).collect::<Result<Vec<Trigger>, _>>()?;
    let conflict =
        |conflict: rules::Conflict| reading.refuse_key("triggers", format!("contradict each other: {conflict}"));
    rules::check(&triggers, places.work).map_err(conflict)?;
    Ok((triggers, known))
}

fn pipeline((reading, names): (&Reading<'_>, &Names), (at, raw): (usize, &RawPipeline)) -> Result<Pipeline, Fault> {
    let key = |name: &str| format!("pipelines[{at}].{name}");
    let id = PipelineId::new(&raw.name, &raw.version).map_err(|e| reading.refuse_key(&key("name"), e))?;
    let refuse = |why: String| reading.refuse_key(&key("outputs"), why);
    let set = |value: &String| Some(value.clone()).filter(|value| !value.is_empty());
    let asked = Asked {
        source: SAMPLE_SOURCE.to_owned(),
        pipeline: None,
        into: None,
        outputs: raw.outputs.iter().map(sample).collect(),
        segment_duration: set(&raw.segment_duration),
        damaged: set(&raw.damaged),
        from: set(&raw.from),
        to: set(&raw.to),
        on_existing: set(&raw.on_existing),
        terms: Default::default(),
        steps: Vec::new(),
    };
    for output in &raw.outputs {
        // What is wrong with the name itself is said of it as it was written.
        Template::of_name(&images::first(output).map_err(|fault| refuse(fault.message))?)
            .map_err(|e| refuse(e.to_string()))?;
    }
    let checked = check(&asked, (OnExisting::Replace, Reach::Elsewhere)).map_err(|fault| refuse(fault.message))?;
    let mut request = checked.request;
    request.source = String::new();
    let of_steps = |fault: Fault| reading.refuse_key(&key("steps"), fault.message);
    request.steps = asked_steps::check(&raw.steps).map_err(of_steps)?;
    names.know(&request.steps).map_err(of_steps)?;
    for (output, raw) in request.outputs.iter_mut().zip(&raw.outputs) {
        output.to = images::first(raw).map_err(|fault| refuse(fault.message))?;
    }
    Pipeline::new(id, request).map_err(|e| refuse(e.to_string()))
}

/// The output as it would be for one source: its settings are the same for all.
fn sample(output: &AskedOutput) -> AskedOutput {
    let filled = Variable::ALL.iter().fold(output.to.clone(), |to, variable| {
        let word = match variable {
            Variable::Stem | Variable::Ext | Variable::Dir | Variable::Job => variable.name(),
            Variable::Date => "2026-01-01",
        };
        to.replace(&["{", variable.name(), "}"].concat(), word)
    });
    AskedOutput { to: [SAMPLE_FOLDER, &filled].concat(), ..output.clone() }
}

/// One `[[triggers]]`.
struct Entry<'a> {
    reading: &'a Reading<'a>,
    at: usize,
    raw: &'a RawTrigger,
    known: &'a Pipelines,
    places: Places<'a>,
}

impl Entry<'_> {
    fn checked(&self) -> Result<Trigger, Fault> {
        let raw = self.raw;
        let name = self.reading.word(text(&self.key("name"), &raw.name))?;
        self.part_of_key("prefix", (&raw.prefix, [raw.prefix.as_str(), "x"].concat()))?;
        self.part_of_key("suffix", (&raw.suffix, ["x", raw.suffix.as_str()].concat()))?;
        let kinds: Vec<UploadKind> = raw.events.iter().map(|event| self.kind(event)).collect::<Result<_, _>>()?;
        if kinds.is_empty() {
            return Err(self.refuse_key("events", "names none, and nothing would be taken"));
        }
        let output = Template::of_folder(&raw.output).map_err(|e| self.refuse("output", &raw.output, e))?;
        self.within_storage("output", &raw.output, output.head())?;
        Ok(Trigger {
            name,
            place: self.place()?,
            prefix: raw.prefix.clone(),
            suffix: raw.suffix.clone(),
            quiet_ms: self.quiet(&kinds)?,
            kinds: kinds.into_iter().collect(),
            pipeline: self.pipeline("pipeline", &raw.pipeline)?,
            canary: self.canary()?,
            terms: self.terms()?,
            output,
        })
    }

    fn place(&self) -> Result<Place, Fault> {
        let RawTrigger { bucket, event_bucket, prefix, .. } = self.raw;
        if bucket.starts_with("file://") {
            let path = url::to_path(bucket).map_err(|fault| self.refuse("bucket", bucket, fault.message))?;
            let folder = url::of_path(&path);
            let folder = [folder.trim_end_matches('/'), "/"].concat();
            self.within_storage("bucket", bucket, &folder)?;
            let called = Some(event_bucket)
                .filter(|name| !name.is_empty())
                .map(|name| BucketName::new(name).map_err(|why| self.refuse("event_bucket", name, why)));
            return Ok(Place::Folder { url: folder, called: called.transpose()? });
        }
        let (provider, name) = named(bucket).ok_or_else(|| self.refuse("bucket", bucket, BUCKET_FORM))?;
        if !event_bucket.is_empty() {
            return Err(self.refuse("event_bucket", event_bucket, "is for folders: events call a bucket by its name"));
        }
        let place = Place::Bucket { provider, name };
        let below = [place.url(), percent::encode(prefix.as_bytes())].concat();
        self.within_storage("bucket", bucket, &below)?;
        Ok(place)
    }

    /// Everything below must be what the fleet may use.
    fn within_storage(&self, key: &str, value: &str, below: &str) -> Result<(), Fault> {
        let refuse = |why: &str| Err(self.refuse(key, value, why));
        let covered = if below.starts_with("file://") {
            let folders = self.places.folders.iter().filter_map(|folder| url::to_path(folder).ok());
            let path = url::to_path(below).map_err(|fault| self.refuse(key, value, fault.message))?;
            folders.into_iter().any(|folder| path.starts_with(folder))
        } else {
            let (provider, bucket, below) =
                url::to_key(below).map_err(|fault| self.refuse(key, value, fault.message))?;
            let holds =
                |prefix: &str| prefix.is_empty() || below.starts_with(&[prefix, "/"].concat()) || below == prefix;
            let is = |storage: &StorageConfig| (storage.provider, &storage.bucket) == (provider, &bucket);
            self.places.storage.iter().any(|storage| is(storage) && holds(&storage.prefix))
        };
        if covered { Ok(()) } else { refuse("lies in no [[storage]], or not all that would be taken does") }
    }

    fn part_of_key(&self, key: &str, (value, example): (&str, String)) -> Result<(), Fault> {
        if key == "suffix" && value.contains('/') {
            return Err(self.refuse(key, value, "has a slash in it"));
        }
        UploadKey::new(&example).map(drop).map_err(|why| self.refuse(key, value, why))
    }

    fn kind(&self, event: &str) -> Result<UploadKind, Fault> {
        event.parse().map_err(|_| {
            let known = UploadKind::ALL.map(UploadKind::name).join(", ");
            self.refuse("events", event, format!("is not one of: {known}"))
        })
    }

    fn quiet(&self, kinds: &[UploadKind]) -> Result<i64, Fault> {
        match (kinds.contains(&UploadKind::Append), self.raw.quiet.as_str()) {
            (false, "") => Ok(0),
            (true, "") => {
                Err(self.refuse_key("quiet", "is not set, and events names Append: when is such an object whole?"))
            }
            (false, quiet) => Err(self.refuse("quiet", quiet, "is for Append, which events does not name")),
            (true, quiet) => {
                let quiet = self.reading.duration(text(&self.key("quiet"), quiet), QUIET)?;
                Ok(i64::try_from(quiet.as_millis()).expect("a day is not long"))
            }
        }
    }

    fn pipeline(&self, key: &str, value: &str) -> Result<Arc<Pipeline>, Fault> {
        let id: PipelineId = value.parse().map_err(|_| self.refuse(key, value, "is no name@version such as web@3"))?;
        self.known.get(&id).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.known.keys().map(PipelineId::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            self.refuse(key, value, format!("is in no [[pipelines]], there are: {known}"))
        })
    }

    fn canary(&self) -> Result<Option<Canary>, Fault> {
        match (self.raw.canary.as_str(), self.raw.canary_percent) {
            ("", 0) => Ok(None),
            ("", _) => Err(self.refuse_key("canary", "is not set, and canary_percent is")),
            (canary, percent) => {
                let percent = self.reading.number(&self.key("canary_percent"), percent, 1..=PERCENT_MAX)?;
                let pipeline = self.pipeline("canary", canary)?;
                if canary == self.raw.pipeline {
                    return Err(self.refuse("canary", canary, "is the pipeline itself"));
                }
                Ok(Some(Canary { pipeline, percent }))
            }
        }
    }

    fn terms(&self) -> Result<Terms, Fault> {
        let RawTrigger { tenant, priority, deadline, .. } = self.raw;
        let tenant: Tenant = tenant.parse().map_err(|e: TenantError| self.refuse_key("tenant", &e.to_string()))?;
        let known = Priority::ALL.map(|priority| (priority.name(), priority));
        let priority = self.reading.one_of(text(&self.key("priority"), priority), known)?;
        let deadline = Some(deadline).filter(|deadline| !deadline.is_empty());
        let deadline = deadline.map(|given| self.reading.duration(text(&self.key("deadline"), given), DEADLINE));
        let millis = |deadline: Duration| i64::try_from(deadline.as_millis()).expect("a month is not long");
        Ok(Terms { tenant, priority, deadline_ms: deadline.transpose()?.map(millis) })
    }

    fn key(&self, name: &str) -> String {
        format!("triggers[{}].{name}", self.at)
    }

    fn refuse(&self, name: &str, value: &str, why: impl std::fmt::Display) -> Fault {
        self.reading.refuse(text(&self.key(name), value), why)
    }

    fn refuse_key(&self, name: &str, why: &str) -> Fault {
        self.reading.refuse_key(&self.key(name), why)
    }
}

/// `s3://bucket` or `oss://bucket`.
fn named(url: &str) -> Option<(Provider, BucketName)> {
    let (scheme, name) = url.split_once("://")?;
    Some((Provider::of_scheme(scheme)?, BucketName::new(name.trim_end_matches('/')).ok()?))
}
