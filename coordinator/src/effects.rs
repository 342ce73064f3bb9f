//! What a coordinator does for a job between two commits. Every effect may happen twice, at two coordinators at once:
//! each leaves the same behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::adapters::blob::{Object, Side};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::Store;
use framefleet_common::roster::Roster;
use framefleet_model::board::{Settled, Task};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, JobId, TaskId, TaskKind};
use framefleet_model::index::Index;
use framefleet_model::job::{Accepted, IndexStep, Job, JobState};
use framefleet_model::key::ObjectKey;
use framefleet_model::ledger::{AudioProof, ImageProof, OutputProof, SegmentProof};
use framefleet_model::pipeline::{Request, SegmentDuration};
use framefleet_model::plan::{IndexRef, Plan};
use framefleet_model::task::{self, Outcome};

use crate::flow::encoding::headers::{self, Odd};
use crate::flow::merging::proof::{Evidence, prove};
use crate::flow::planning::{Asked, plan, tasks::tasks};
use crate::flow::{Effect, Finding, Need, Planned, PlannedTask};
use crate::health::Health;
use crate::owners::{self, Taken};
use crate::publish;

/// A plan or an index of a hundred hours stays below.
const OBJECT_BYTES_MAX: u64 = 1 << 30;

/// Why an effect did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    Fault(Fault),
    /// Something must happen first that is not the job's to do.
    Later(String),
}

impl<E: Into<Fault>> From<E> for Unfinished {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

#[derive(Clone)]
pub(crate) struct Effects {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) work: Root,
    pub(crate) storages: Storages,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) health: Health,
}

impl Effects {
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    pub(crate) async fn perform(&self, job: &Job, effect: Effect) -> Result<Finding, Unfinished> {
        Ok(match effect {
            Effect::Check => self.check(job).await?,
            Effect::Plan => Finding::Planned(Ok(self.plan(job).await?)),
            Effect::Compare => Finding::Compared(Ok(self.compare(job).await?)),
            Effect::Prove => {
                let plan = self.plan_of(job).await?;
                self.ended_anew(job, &merge_ids(&plan)).await?;
                Finding::Proved(Ok(self.prove(job).await?))
            }
            Effect::Publish => Finding::Published(publish::publish(self, job).await?),
            Effect::Close => {
                publish::close(self, job).await?;
                Finding::Closed
            }
        })
    }

    async fn check(&self, job: &Job) -> Result<Finding, Unfinished> {
        let request = self.request(job).await?;
        let urls: Vec<&str> = request.outputs.iter().map(|output| output.to.as_str()).collect();
        if let Taken::Superseded(by) = owners::take(&*self.store, job, &urls).await? {
            return Ok(Finding::Superseded(by));
        }
        for output in &request.outputs {
            self.output(&output.to)?.try_out(publish::rule(&request)).await?;
        }
        let index = self.tasks(job, &[TaskId::INDEX]).await?.into_iter().next().flatten();
        let settled = index.is_some_and(|task| task.settled().is_some());
        Ok(Finding::Checked(Ok(if settled { Need::Settled } else { Need::Open })))
    }

    async fn plan(&self, job: &Job) -> Result<Planned, Fault> {
        let request = self.request(job).await?;
        let disproved = match &job.state {
            JobState::Indexing(IndexStep::Disproved { plan, fault }) => {
                publish::discard(self, job, (&request, Some(plan))).await?;
                Some(fault.clone())
            }
            _ => None,
        };
        let settled = self.settled(job, &[TaskId::INDEX]).await?;
        let Some((Settled { nonce, outcome: Outcome::Index(done), .. }, _)) = settled.into_iter().next() else {
            return Err(internal(format!("the index of job {} is settled without an index", job.id)));
        };
        let key = ObjectKey::index(&job.id, &nonce);
        let bytes = self.get(&key).await?;
        let index_ref = IndexRef { key: key.to_string(), size: bytes.len() as u64, digest: done.file.digest };
        let source = job.source.clone();
        let planning = tokio::task::spawn_blocking(move || {
            let request =
                if disproved.is_some() { Request { segments: SegmentDuration::None, ..request } } else { request };
            let mut plan = make_plan(&request, &source, (&bytes, &index_ref))?;
            if let Some(fault) = disproved {
                plan.uncut = Some(format!("cut, it did not prove: {}", fault.message));
            }
            Ok::<_, Fault>(plan)
        });
        let plan = planning.await.map_err(|panic| internal(format!("planning ended early: {panic}")))??;
        let digest = plan.digest();
        self.put(&ObjectKey::plan(&job.id, &digest), plan.to_bytes()).await?;
        let tasks = self.needs(job, &digest, tasks(&plan)).await?;
        Ok(Planned { plan: digest, tasks })
    }

    /// Which tasks an earlier generation settled by the same plan. Merges are done again: what they staged is gone.
    async fn needs(&self, job: &Job, plan: &Digest, planned: Vec<PlannedTask>) -> Result<Vec<PlannedTask>, Fault> {
        let keys: Vec<_> = planned.iter().map(|task| TaskRef::new(&job.id, task.id).row()).collect();
        let loaded = self.store.load(&keys).await?;
        let mut tasks = Vec::with_capacity(planned.len());
        for ((task, key), row) in planned.into_iter().zip(&keys).zip(loaded.rows) {
            let row: Option<Task> = row.map(|row| rows::from_row(key, &row)).transpose()?;
            let reused = row.filter(|row| row.plan.as_ref() == Some(plan) && row.settled().is_some());
            let need = match (reused, task.id.kind) {
                (Some(_), TaskKind::Index | TaskKind::Encode | TaskKind::Audio | TaskKind::Image) => Need::Settled,
                (Some(_), TaskKind::Merge) | (None, _) => Need::Open,
            };
            tasks.push(PlannedTask { need, ..task });
        }
        Ok(tasks)
    }

    async fn compare(&self, job: &Job) -> Result<Vec<Odd>, Unfinished> {
        let plan = self.plan_of(job).await?;
        let ids = encode_ids(&plan);
        let tasks = self.ended_anew(job, &ids).await?;
        let segments = self.segments(job, &plan).await?;
        let mut needs: BTreeMap<String, task::Need> = BTreeMap::new();
        for task in &tasks {
            let need = needs.entry(task.class.clone()).or_default();
            need.memory_mib = need.memory_mib.max(task.need.memory_mib);
            need.scratch_mib = need.scratch_mib.max(task.need.scratch_mib);
        }
        let mut builds = Roster::new(self.store.clone()).builds(&needs).await?;
        let asked = tasks.iter().zip(&segments).filter_map(|(task, proofs)| Some((task.wanted.as_ref()?, proofs)));
        let asked = asked.map(|(wanted, proofs)| (wanted.build.as_str(), proofs.as_slice()));
        headers::keep_willing(&mut builds, asked);
        Ok(headers::odd(&ids.into_iter().zip(segments).collect::<Vec<_>>(), &builds))
    }

    /// News of a task's earlier end may come behind the order to do it again: then its new end is waited for.
    async fn ended_anew(&self, job: &Job, ids: &[TaskId]) -> Result<Vec<Task>, Unfinished> {
        let tasks: Vec<Task> = self.tasks(job, ids).await?.into_iter().flatten().collect();
        match tasks.iter().find(|task| task.settled().is_none()) {
            Some(task) => Err(Unfinished::Later(format!("{} is being done again", task.id))),
            None => Ok(tasks),
        }
    }

    async fn prove(&self, job: &Job) -> Result<Digest, Fault> {
        let plan = self.plan_of(job).await?;
        let digest = plan.digest();
        let index = self.index_of(&plan).await?;
        let segments = self.segments(job, &plan).await?;
        let audio = self.audio(job, &plan).await?;
        let images = self.images(job, &plan).await?;
        let outputs: Vec<OutputProof> = self.merges(job, &plan).await?.into_iter().map(|(proof, _)| proof).collect();
        let evidence = Evidence {
            plan: &plan,
            digest: &digest,
            index: &index,
            segments: &segments,
            audio: &audio,
            images: &images,
            outputs: &outputs,
        };
        let ledger = rows::to_bytes(&prove(&evidence)?);
        let digest = Digest::of(&ledger);
        self.put(&ObjectKey::ledger(&job.id, &digest), ledger).await?;
        Ok(digest)
    }

    async fn segments(&self, job: &Job, plan: &Plan) -> Result<Vec<Vec<SegmentProof>>, Fault> {
        let settled = self.settled(job, &encode_ids(plan)).await?.into_iter();
        let proofs = settled.map(|(settled, id)| match settled.outcome {
            Outcome::Encode(proofs) => Ok(proofs),
            Outcome::Index(_) | Outcome::Audio(_) | Outcome::Image(_) | Outcome::Merge(_) | Outcome::Probe(_) => {
                Err(odd_outcome(id))
            }
        });
        proofs.collect()
    }

    async fn audio(&self, job: &Job, plan: &Plan) -> Result<Vec<AudioProof>, Fault> {
        let ids: Vec<TaskId> = plan.sound_tasks().collect();
        let settled = self.settled(job, &ids).await?.into_iter();
        let of_tracks = settled.map(|(settled, id)| match settled.outcome {
            Outcome::Audio(proofs) => Ok(proofs),
            Outcome::Index(_) | Outcome::Encode(_) | Outcome::Image(_) | Outcome::Merge(_) | Outcome::Probe(_) => {
                Err(odd_outcome(id))
            }
        });
        let mut proofs: Vec<AudioProof> = of_tracks.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        proofs.sort_by_key(|proof| proof.rendition);
        Ok(proofs)
    }

    async fn images(&self, job: &Job, plan: &Plan) -> Result<Vec<ImageProof>, Fault> {
        let ids: Vec<TaskId> = plan.images.iter().map(|i| TaskId::new(TaskKind::Image, i.number)).collect();
        let settled = self.settled(job, &ids).await?.into_iter();
        let proofs = settled.map(|(settled, id)| match settled.outcome {
            Outcome::Image(proof) => Ok(proof),
            Outcome::Index(_) | Outcome::Encode(_) | Outcome::Audio(_) | Outcome::Merge(_) | Outcome::Probe(_) => {
                Err(odd_outcome(id))
            }
        });
        proofs.collect()
    }

    /// Each output's proof, and where it waits to be published.
    pub(crate) async fn merges(&self, job: &Job, plan: &Plan) -> Result<Vec<(OutputProof, String)>, Fault> {
        let settled = self.settled(job, &merge_ids(plan)).await?.into_iter();
        let merged = settled.map(|(settled, id)| match (settled.outcome, settled.staged) {
            (Outcome::Merge(proof), Some(staged)) => Ok((proof, staged)),
            (
                Outcome::Index(_)
                | Outcome::Encode(_)
                | Outcome::Audio(_)
                | Outcome::Image(_)
                | Outcome::Merge(_)
                | Outcome::Probe(_),
                _,
            ) => Err(odd_outcome(id)),
        });
        merged.collect()
    }

    async fn settled(&self, job: &Job, ids: &[TaskId]) -> Result<Vec<(Settled, TaskId)>, Fault> {
        let rows = self.tasks(job, ids).await?;
        let settled = rows.into_iter().zip(ids).map(|(task, id)| {
            let settled = task.and_then(|task| task.settled().cloned());
            settled.map(|s| (s, *id)).ok_or_else(|| internal(format!("{id} of job {} is not settled", job.id)))
        });
        settled.collect()
    }

    pub(crate) async fn tasks(&self, job: &Job, ids: &[TaskId]) -> Result<Vec<Option<Task>>, Fault> {
        let keys: Vec<_> = ids.iter().map(|id| TaskRef::new(&job.id, *id).row()).collect();
        let loaded = self.store.load(&keys).await?;
        let rows = keys.iter().zip(loaded.rows).map(|(key, row)| row.map(|row| rows::from_row(key, &row)).transpose());
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) async fn request(&self, job: &Job) -> Result<Request, Fault> {
        Ok(self.accepted(&job.id).await?.request)
    }

    pub(crate) async fn accepted(&self, id: &JobId) -> Result<Accepted, Fault> {
        let key = ObjectKey::request(id);
        let bytes = self.get(&key).await?;
        serde_json::from_slice(&bytes).map_err(|e| internal(format!("{key} does not parse: {e}")))
    }

    pub(crate) async fn plan_of(&self, job: &Job) -> Result<Plan, Fault> {
        let digest = job.state.plan().ok_or_else(|| internal(format!("job {} has no plan yet", job.id)))?;
        self.plan_by(job, digest).await
    }

    pub(crate) async fn plan_by(&self, job: &Job, digest: &Digest) -> Result<Plan, Fault> {
        let key = ObjectKey::plan(&job.id, digest);
        let bytes = self.get(&key).await?;
        if Digest::of(&bytes) != *digest {
            return Err(internal(format!("{key} is damaged: its digest is another")));
        }
        Plan::from_bytes(&bytes).map_err(|e| internal(format!("{key} does not parse: {e}")))
    }

    pub(crate) async fn index_of(&self, plan: &Plan) -> Result<Index, Fault> {
        let key: ObjectKey = plan.index.key.parse().map_err(|e| internal(format!("{e}")))?;
        let bytes = self.get(&key).await?;
        if Digest::of(&bytes) != plan.index.digest {
            return Err(internal(format!("{key} is damaged: its digest is another")));
        }
        Index::from_bytes(&bytes).map_err(|e| internal(format!("{key}: {e}")))
    }

    pub(crate) fn output(&self, to: &str) -> Result<Object, Fault> {
        self.storages.object(to, Side::Destination)
    }

    pub(crate) async fn put(&self, key: &ObjectKey, bytes: Vec<u8>) -> Result<(), Fault> {
        self.work.object(key).put(Bytes::from(bytes)).await
    }

    pub(crate) async fn get(&self, key: &ObjectKey) -> Result<Bytes, Fault> {
        self.work.object(key).read_all(OBJECT_BYTES_MAX).await
    }

    /// The name of the state that an ended job is in, with the fault that ended it.
    pub(crate) fn end_of(job: &Job) -> (&'static str, Option<&Fault>) {
        let fault = match &job.state {
            JobState::Failed(end) => Some(&end.fault),
            JobState::Accepted
            | JobState::Indexing(_)
            | JobState::Encoding(_)
            | JobState::Merging(_)
            | JobState::Publishing(_)
            | JobState::Completed(_)
            | JobState::Cancelled(_) => None,
        };
        (job.state.name(), fault)
    }
}

fn encode_ids(plan: &Plan) -> Vec<TaskId> {
    plan.segments.iter().map(|segment| TaskId::new(TaskKind::Encode, segment.number)).collect()
}

fn merge_ids(plan: &Plan) -> Vec<TaskId> {
    plan.outputs.iter().map(|output| TaskId::new(TaskKind::Merge, output.number)).collect()
}

fn make_plan(
    request: &Request,
    source: &framefleet_model::plan::SourceFacts,
    (bytes, index_ref): (&[u8], &IndexRef),
) -> Result<Plan, Fault> {
    if Digest::of(bytes) != index_ref.digest {
        return Err(internal(format!("{} is damaged: its digest is another", index_ref.key)));
    }
    let index = Index::from_bytes(bytes).map_err(|e| internal(format!("{}: {e}", index_ref.key)))?;
    plan(Asked { request, source, index: &index, index_ref })
}

fn odd_outcome(task: TaskId) -> Fault {
    internal(format!("{task} is settled with another kind of result"))
}

pub(crate) fn internal(text: String) -> Fault {
    Fault::new(FaultKind::Internal, text)
}
