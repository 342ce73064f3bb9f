//! Recovery: a lost store is built anew from the work store's objects.
//!
//! ```text
//! request.json, no end.json ─▶ the job, accepted, in its generation      result.json ─▶ a settled task
//! request.json and end.json ─▶ the job as it ended, never to run again
//! ```
//! A job that had not ended goes through its stages again and finds at each what was settled: no finished segment is
//! encoded twice. Merges are done again, for nobody knows any more what of theirs is staged. Jobs that the store knows
//! are left alone, so recovery may be repeated, and run beside a fleet.

use std::collections::BTreeMap;

use framefleet_common::adapters::blob::root::Stored;
use framefleet_common::adapters::blob::{Content, Side};
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{Commit, Shard};
use framefleet_common::ports::txn::Txn;
use framefleet_model::board::{Settled, Task, TaskState};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, JobId, Nonce, TaskId, TaskKind};
use framefleet_model::job::{Accepted, Cancelled, Closing, Completed, Failed, Job, JobState};
use framefleet_model::key::{ObjectKey, Place, RESULT_FILE};
use framefleet_model::ledger::Ledger;
use framefleet_model::pipeline::OnExisting;
use framefleet_model::step::life::{StepRow, StepState};
use framefleet_model::task::Account;
use framefleet_model::terms::Tenant;
use framefleet_model::time::StoreTime;
use prometheus::Registry;
use serde::Deserialize;

use crate::effects::{Effects, internal};
use crate::flow::dispatching::CLASS_STANDARD;
use crate::health::Health;
use crate::observe::Observer;

const ROWS_PER_TXN: usize = 256;

/// What a recovery found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Jobs that go on.
    pub resumed: usize,
    /// Jobs that had ended.
    pub ended: usize,
    /// Jobs that the store knew.
    pub known: usize,
    /// Results that need not be made again.
    pub settled: usize,
    /// Jobs whose objects do not say what they were.
    pub unreadable: usize,
}

#[derive(Deserialize)]
struct End {
    generation: u32,
    state: String,
    fault: Option<Fault>,
}

/// What lies under a job.
#[derive(Default)]
struct Found {
    plans: Vec<Digest>,
    ledgers: Vec<Digest>,
    results: BTreeMap<TaskId, Vec<Nonce>>,
    request: bool,
    end: bool,
    /// Generations that had steps.
    steps: Vec<u32>,
    steps_done: Vec<(u32, u32)>,
}

/// Builds what a lost store knew.
pub async fn recover(fleet: &Fleet) -> Result<Recovered, Fault> {
    let Fleet { store, work, storages, clock, .. } = fleet.clone();
    let health = Health::new(Observer::new(&Registry::new(), &[]));
    let effects = &Effects { store, work, storages, clock, health };
    let (mut recovered, mut cursor) = (Recovered::default(), None);
    loop {
        let page = effects.work.jobs(cursor.as_ref()).await?;
        for id in &page.found {
            job(effects, id, &mut recovered).await?;
        }
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    effects.store.barrier().await?;
    Ok(recovered)
}

async fn job(effects: &Effects, id: &JobId, recovered: &mut Recovered) -> Result<(), Fault> {
    let key = rows::job_row(id);
    let loaded = effects.store.load(std::slice::from_ref(&key)).await?;
    if loaded.rows.into_iter().flatten().next().is_some() {
        recovered.known += 1;
        return Ok(());
    }
    let found = look(effects, id).await?;
    let accepted = match found.request {
        true => effects.accepted(id).await,
        false => Err(internal(format!("job {id} has no request"))),
    };
    let accepted = match accepted {
        Err(fault) if fault.kind == FaultKind::StorageAway => return Err(fault),
        Err(_) => {
            recovered.unreadable += 1;
            return Ok(());
        }
        Ok(accepted) => accepted,
    };
    let now = loaded.now;
    let Accepted { generation, created, source, terms, cause, .. } = accepted.clone();
    let job = Job { generation, ..Job::new(id.clone(), source, created) }.on(terms).because_of(cause);
    let job = job.with_steps(accepted.request.steps.clone());
    if let Some(state) = ended(effects, &job, (&found, now)).await? {
        recovered.ended += 1;
        let steps = steps(effects, (&found, now), id, |of| of <= generation).await?;
        return put(effects, &Job { state, ..job }, (&steps, now)).await;
    }
    recovered.settled += settle(effects, id, &found).await?;
    if may_have_published(effects, &accepted, &found).await? {
        let request =
            framefleet_model::pipeline::Request { on_existing: OnExisting::Replace, ..accepted.request.clone() };
        effects.put(&ObjectKey::request(id), rows::to_bytes(&Accepted { request, ..accepted })).await?;
    }
    recovered.resumed += 1;
    // Its own it gets at its end.
    let steps = steps(effects, (&found, now), id, |of| of < generation).await?;
    put(effects, &job, (&steps, now)).await
}

async fn look(effects: &Effects, id: &JobId) -> Result<Found, Fault> {
    let (mut found, mut cursor) = (Found::default(), None);
    loop {
        let page = effects.work.list(Some(id), cursor.as_ref()).await?;
        for stored in page.found {
            let Stored::Known(ObjectKey { place, .. }) = stored else { continue };
            match place {
                Place::Request => found.request = true,
                Place::End => found.end = true,
                Place::Plan(digest) => found.plans.push(digest),
                Place::Ledger(digest) => found.ledgers.push(digest),
                Place::Attempt { task, nonce, file } if file.as_str() == RESULT_FILE => {
                    found.results.entry(task).or_default().push(nonce);
                }
                Place::Steps(generation) => found.steps.push(generation),
                Place::StepDone { generation, number } => found.steps_done.push((generation, number)),
                Place::Attempt { .. } | Place::Index(_) => {}
            }
        }
        let Some(next) = page.next else { return Ok(found) };
        cursor = Some(next);
    }
}

/// How the job's generation ended, if it did.
async fn ended(effects: &Effects, job: &Job, (found, now): (&Found, StoreTime)) -> Result<Option<JobState>, Fault> {
    if !found.end {
        return Ok(None);
    }
    let key = ObjectKey::end(&job.id);
    let bytes = effects.get(&key).await?;
    let end: End = serde_json::from_slice(&bytes).map_err(|e| internal(format!("{key} does not parse: {e}")))?;
    if end.generation < job.generation {
        return Ok(None);
    }
    let (at, closing, plan) = (now, Closing::Closed, found.plans.last().cloned());
    Ok(match (end.state.as_str(), end.fault) {
        ("completed", _) => match (plan, found.ledgers.last().cloned()) {
            (Some(plan), Some(ledger)) => Some(JobState::Completed(Completed { at, plan, ledger, closing })),
            _ => None,
        },
        (_, Some(fault)) => Some(JobState::Failed(Failed { at, fault, task: None, plan, closing })),
        _ => {
            let reason = "cancelled before the store was lost".to_owned();
            Some(JobState::Cancelled(Cancelled { at, reason, plan, closing }))
        }
    })
}

/// Settles every task of which a whole result is there; of several the first by name, for one is as good as another.
async fn settle(effects: &Effects, id: &JobId, found: &Found) -> Result<usize, Fault> {
    let mut settled = Vec::new();
    for (task, nonces) in found.results.iter().filter(|(task, _)| task.kind != TaskKind::Merge) {
        for nonce in nonces {
            let bytes = effects.get(&ObjectKey::result(id, *task, nonce)).await?;
            let Ok(account) = serde_json::from_slice::<Account>(&bytes) else { continue };
            settled.push((TaskRef::new(id, *task), row(*task, nonce, account)));
            break;
        }
    }
    for some in settled.chunks(ROWS_PER_TXN) {
        let txn = some.iter().fold(Txn::new(Shard::of(id)), |txn, (at, row)| rows::put_task(txn, at, row));
        drop::<Commit>(effects.store.commit(txn).await?);
    }
    Ok(settled.len())
}

fn row(id: TaskId, nonce: &Nonce, account: Account) -> Task {
    let place = framefleet_model::task::Place {
        class: CLASS_STANDARD.to_owned(),
        tenant: Tenant::default(),
        order: 0,
        need: Default::default(),
    };
    let settled = Settled { nonce: nonce.clone(), outcome: account.outcome, staged: None, cpu_ms: account.cpu_ms };
    Task { state: TaskState::Settled(settled), ..Task::new(id, account.plan, place) }
}

/// Whether the job had been proved, and what stands at its final keys is nothing but its own outputs: they may be put
/// there again.
async fn may_have_published(effects: &Effects, accepted: &Accepted, found: &Found) -> Result<bool, Fault> {
    let Some(digest) = found.ledgers.last() else { return Ok(false) };
    let key = ObjectKey::ledger(&accepted.id, digest);
    let bytes = effects.get(&key).await?;
    let ledger: Ledger = serde_json::from_slice(&bytes).map_err(|e| internal(format!("{key} does not parse: {e}")))?;
    for (output, proof) in accepted.request.outputs.iter().zip(&ledger.outputs) {
        let object = effects.storages.object(&output.to, Side::Destination)?;
        if object.presence().await? == framefleet_common::adapters::blob::Presence::Absent {
            continue;
        }
        let due = Content { size: proof.file.size, digest: proof.file.digest.clone() };
        if object.content().await? != due {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Steps of generations that had ended, as they stood then; what has been noted since is done.
async fn steps(
    effects: &Effects,
    (found, now): (&Found, StoreTime),
    id: &JobId,
    has_ended: impl Fn(u32) -> bool,
) -> Result<Vec<StepRow>, Fault> {
    let mut steps = Vec::new();
    for generation in found.steps.iter().copied().filter(|generation| has_ended(*generation)) {
        let key = ObjectKey::steps(id, generation);
        let bytes = effects.get(&key).await?;
        let odd = |e| internal(format!("{key} does not parse: {e}"));
        let noted: Vec<StepRow> = serde_json::from_slice(&bytes).map_err(odd)?;
        let is_done = |step: &StepRow| found.steps_done.contains(&(generation, step.number));
        steps.extend(noted.into_iter().map(|step| match step.state {
            _ if is_done(&step) => step.done(now),
            StepState::Done { .. } | StepState::Waiting { .. } => step,
            // Its letter is lost with the store.
            StepState::Dead { .. } => step.again(now),
        }));
    }
    Ok(steps)
}

async fn put(effects: &Effects, job: &Job, (steps, now): (&[StepRow], StoreTime)) -> Result<(), Fault> {
    let shard = Shard::of(&job.id);
    let id = job.id.as_str();
    let txn = Txn::new(shard)
        .create(&rows::job_row(&job.id), rows::to_bytes(job))
        .index_set(&rows::jobs(shard), id, rows::age(job.created))
        .index_set(&rows::turns(shard), id, now.ms());
    let txn = steps.iter().fold(txn, rows::put_step);
    // A conflict: somebody has asked for it meanwhile.
    Ok(effects.store.commit(txn).await.map(drop::<Commit>)?)
}
