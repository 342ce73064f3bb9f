//! What a task's child is told: made from the job's request, plan and index, which are objects.

use std::collections::VecDeque;
use std::sync::Arc;

use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::board::Grant;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, JobId, TaskKind};
use framefleet_model::index::IndexHeader;
use framefleet_model::key::ObjectKey;
use framefleet_model::plan::Plan;
use framefleet_model::task::{AudioWork, EncodeWork, ImageWork, IndexWork, SourceLimits, Work};
use framefleet_model::time::MediaTime;
use tokio::sync::Mutex;

use crate::objects::{self, TaskObjects};

/// The plan of a film of a hundred hours stays below.
const OBJECT_BYTES_MAX: u64 = 1 << 30;
/// Jobs whose plans are kept at hand.
const PLANS_MAX: usize = 4;

pub(crate) struct Brief {
    pub(crate) work: Work,
    pub(crate) objects: TaskObjects,
}

/// A plan with the header of its index.
struct Known {
    plan: Plan,
    header: IndexHeader,
}

pub(crate) struct Briefing {
    work: Root,
    storages: Storages,
    limits: SourceLimits,
    known: Mutex<VecDeque<(Digest, Arc<Known>)>>,
}

impl Briefing {
    pub(crate) fn new((work, storages): (Root, Storages), limits: SourceLimits) -> Self {
        Self { work, storages, limits, known: Mutex::default() }
    }

    pub(crate) async fn brief(&self, grant: &Grant) -> Result<Brief, Fault> {
        let job = &grant.job;
        let number = grant.task.id.number;
        if grant.task.id.kind == TaskKind::Index {
            let work = IndexWork { limits: self.limits, tables: true };
            let film = objects::film(&self.storages, &job.source).await?;
            return Ok(Brief {
                work: Work::Index(work),
                objects: TaskObjects { film, index: None, images: Vec::new() },
            });
        }
        let digest = grant.task.plan.as_ref().ok_or_else(|| internal(format!("{} has no plan", grant.task.id)))?;
        let known = self.known(&job.id, digest).await?;
        let work = match grant.task.id.kind {
            TaskKind::Encode => Work::Encode(known.encode(number)?),
            TaskKind::Audio => Work::Audio(known.audio(number)?),
            TaskKind::Image => Work::Image(known.image(number)?),
            TaskKind::Index | TaskKind::Merge => {
                return Err(internal(format!("{} is no task of a worker", grant.task.id)));
            }
        };
        let film = objects::film(&self.storages, &known.plan.source).await?;
        let key: ObjectKey = known.plan.index.key.parse().map_err(|e| internal(format!("{e}")))?;
        let index = Some(self.work.object(&key).reader().await?);
        let images = match &work {
            Work::Encode(work) => objects::images(&self.storages, &work.renditions).await?,
            Work::Index(_) | Work::Audio(_) | Work::Image(_) | Work::Merge(_) | Work::Probe(_) => Vec::new(),
        };
        Ok(Brief { work, objects: TaskObjects { film, index, images } })
    }

    async fn known(&self, job: &JobId, digest: &Digest) -> Result<Arc<Known>, Fault> {
        // Held while loading: slots that begin together load a plan once.
        let mut known = self.known.lock().await;
        if let Some((_, found)) = known.iter().find(|(known, _)| known == digest) {
            return Ok(found.clone());
        }
        let key = ObjectKey::plan(job, digest);
        let bytes = self.work.object(&key).read_all(OBJECT_BYTES_MAX).await?;
        if Digest::of(&bytes) != *digest {
            return Err(internal(format!("{key} is damaged: its digest is another")));
        }
        let plan = Plan::from_bytes(&bytes).map_err(|e| internal(format!("{key} does not parse: {e}")))?;
        let header = self.header(&plan).await?;
        let loaded = Arc::new(Known { plan, header });
        if known.len() >= PLANS_MAX {
            known.pop_front();
        }
        known.push_back((digest.clone(), loaded.clone()));
        Ok(loaded)
    }

    async fn header(&self, plan: &Plan) -> Result<IndexHeader, Fault> {
        let key: ObjectKey = plan.index.key.parse().map_err(|e| internal(format!("{e}")))?;
        let bytes = self.work.object(&key).read_all(OBJECT_BYTES_MAX).await?;
        if Digest::of(&bytes) != plan.index.digest {
            return Err(internal(format!("{key} is damaged: its digest is another")));
        }
        IndexHeader::from_bytes(&bytes).map_err(|e| internal(format!("{key}: {e}")))
    }
}

impl Known {
    fn encode(&self, number: u32) -> Result<EncodeWork, Fault> {
        let segment = self.plan.segments.iter().find(|segment| segment.number == number);
        let (Some(segment), Some(track)) = (segment, &self.header.video) else {
            return Err(internal(format!("the plan has no segment {number} of a film with pictures")));
        };
        Ok(EncodeWork {
            method: self.header.method,
            track: track.clone(),
            origin: self.plan.origin,
            segment: segment.clone(),
            renditions: self.plan.video.clone(),
            damaged: self.plan.damaged,
        })
    }

    fn image(&self, number: u32) -> Result<ImageWork, Fault> {
        let image = self.plan.images.iter().find(|image| image.number == number);
        let (Some(image), Some(track)) = (image, &self.header.video) else {
            return Err(internal(format!("the plan takes no pictures {number} out of a film with pictures")));
        };
        Ok(ImageWork {
            method: self.header.method,
            track: track.clone(),
            origin: self.plan.origin,
            plan: image.clone(),
            damaged: self.plan.damaged,
        })
    }

    fn audio(&self, number: u32) -> Result<AudioWork, Fault> {
        let of_task = self.plan.sounds().get(number as usize).copied();
        let track = self.header.audio.iter().find(|track| Some(track.number) == of_task);
        let track = track.ok_or_else(|| internal(format!("the film has no sound for audio task {number}")))?;
        let mut span = self.plan.span;
        // Where a track ends is told by bit rates in some films: unless a range ends before, it ends with its last sample.
        if span.end >= track.span.end {
            span.end = MediaTime::MAX;
        }
        Ok(AudioWork {
            track: track.id.clone(),
            decoder: track.decoder.clone(),
            origin: self.plan.origin,
            span,
            damaged: self.plan.damaged,
            renditions: self.plan.audio.iter().filter(|r| r.track == track.number).cloned().collect(),
        })
    }
}

fn internal(text: String) -> Fault {
    Fault::new(FaultKind::Internal, text)
}
