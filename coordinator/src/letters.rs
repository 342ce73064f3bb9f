//! Dead letters: what was given up, with what was seen of it, kept until somebody deals with it.
//!
//! A task that is dead for a reason of ours leaves a letter in its job's shard, in the transaction that fails the job.
//! A step that is given up leaves one there, too, in the transaction that gives it up. A message that nobody could use leaves
//! one that belongs to no job. Of those, only so many are kept: others can make as many as they like.

use framefleet_common::ports::broker::{DeadLetter, Told};
use framefleet_common::ports::rows;
use framefleet_common::ports::store::{Commit, Entry, RowKey, Scan, Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use framefleet_model::fault::{Fault, Whose};
use framefleet_model::id::{Digest, JobId, TaskId};
use framefleet_model::job::{Job, JobState};
use framefleet_model::step::life::{StepRow, Tried};
use framefleet_model::time::StoreTime;
use serde::{Deserialize, Serialize};

const LETTER_VERSION: u32 = 1;
/// As much of a message's body as a person can look at.
const BODY_CHARS_MAX: usize = 4096;
/// As much of a reason, which may tell of a message's every record.
const REASON_CHARS_MAX: usize = 1024;
/// As many letters of messages are kept, the youngest.
pub(crate) const MESSAGES_MAX: usize = 1000;
/// More than are beyond it, unless others wrote at the same moment.
const BEYOND_MAX: usize = 64;
/// What letters of objects call where they came from.
pub(crate) const OBJECTS: &str = "objects";
const ENTRIES_PER_SCAN: usize = 1024;
const KEPT_TRIES_MAX: u32 = 64;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    pub version: u32,
    pub id: String,
    pub at: StoreTime,
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A task that was given up, and its job with it.
    Task { job: JobId, generation: u32, task: TaskId, fault: Fault },
    /// A step that nobody could be brought to take.
    Step { job: JobId, generation: u32, number: u32, step: String, tried: Vec<Tried> },
    /// A message that nobody could use.
    Message { queue: String, reason: String, body: String, bytes: u64 },
}

/// The letter that a job leaves as it fails. What is the film's or the destination's fault is for the job's owner, and
/// no letter.
pub(crate) fn of_job(job: &Job) -> Option<Letter> {
    let JobState::Failed(end) = &job.state else { return None };
    let task = end.task.filter(|_| end.fault.kind.whose() == Whose::Ours)?;
    let id = format!("{}-{}", job.id, job.generation);
    let content = Content::Task { job: job.id.clone(), generation: job.generation, task, fault: end.fault.clone() };
    Some(Letter { version: LETTER_VERSION, id, at: end.at, content })
}

/// The letter of a step that was given up.
pub(crate) fn of_step(row: &StepRow, at: StoreTime) -> Letter {
    let (job, generation, number) = (row.job.clone(), row.generation, row.number);
    let id = format!("{job}-{generation}-{number}");
    let content = Content::Step { job, generation, number, step: row.step.to_string(), tried: row.tried.clone() };
    Letter { version: LETTER_VERSION, id, at, content }
}

/// The letter of a message: the same message leaves the same letter, however often it is read.
pub(crate) fn of_message(dead: &DeadLetter, at: StoreTime) -> Letter {
    let DeadLetter { queue, reason, body, bytes, id, .. } = dead;
    message((queue, id), (body, *bytes), (reason.clone(), at))
}

/// The letter of a message that tells of uploads in no words of ours, or of names that nothing is asked for by.
pub(crate) fn of_told(told: &Told, reason: String, at: StoreTime) -> Letter {
    let Told { queue, id, body, .. } = told;
    message((queue, id), (body, body.len() as u64), (reason, at))
}

/// The letter of an object that no job can be made of.
pub(crate) fn of_object(url: &str, reason: String, at: StoreTime) -> Letter {
    message((OBJECTS, url), (url.as_bytes(), url.len() as u64), (reason, at))
}

fn message((queue, id): (&str, &str), (body, bytes): (&[u8], u64), (reason, at): (String, StoreTime)) -> Letter {
    let name = Digest::of(&[id.as_bytes(), queue.as_bytes(), body].concat());
    let cut = |text: &str, chars: usize| text.chars().take(chars).collect::<String>();
    let body = cut(&String::from_utf8_lossy(body), BODY_CHARS_MAX);
    let reason = cut(&reason, REASON_CHARS_MAX);
    let content = Content::Message { queue: queue.to_owned(), reason, body, bytes };
    Letter { version: LETTER_VERSION, id: name.as_str()[..32].to_owned(), at, content }
}

pub(crate) fn shard(letter: &Letter) -> Shard {
    match &letter.content {
        Content::Task { job, .. } | Content::Step { job, .. } => Shard::of(job),
        Content::Message { .. } => Shard::GLOBAL,
    }
}

pub(crate) fn put(txn: Txn, letter: &Letter) -> Txn {
    let shard = txn.shard;
    txn.put(&rows::letter(shard, &letter.id), rows::to_bytes(letter)).index_set(
        &rows::dead(shard),
        &letter.id,
        letter.at.ms(),
    )
}

/// Writes a message's letter until it outlives the store's death; how many it has crowded out.
pub(crate) async fn keep_of_message(store: &dyn Store, letter: &Letter) -> Result<usize, StoreError> {
    let others = crowded_out(store, letter).await?;
    let row = rows::letter(Shard::GLOBAL, &letter.id);
    keep(store, &row, |txn| others.iter().fold(put(txn, letter), |txn, id| remove(txn, id))).await?;
    Ok(others.len())
}

/// Writes a row that belongs to no job until it outlives the store's death. Looked at after the barrier: before it, the store
/// may have died and forgotten.
pub(crate) async fn keep(store: &dyn Store, row: &RowKey, write: impl Fn(Txn) -> Txn) -> Result<(), StoreError> {
    for _ in 0..KEPT_TRIES_MAX {
        drop::<Commit>(store.commit(write(Txn::new(Shard::GLOBAL))).await?);
        store.barrier().await?;
        if store.load(std::slice::from_ref(row)).await?.rows.into_iter().flatten().next().is_some() {
            return Ok(());
        }
    }
    Err(StoreError::Unavailable(format!("the store forgot {} {KEPT_TRIES_MAX} times", row.name)))
}

/// The oldest letters of messages, which one more leaves no room for.
async fn crowded_out(store: &dyn Store, by: &Letter) -> Result<Vec<String>, StoreError> {
    let scan = Scan::all(rows::dead(Shard::GLOBAL), MESSAGES_MAX + BEYOND_MAX);
    let others = store.scan(scan).await?.entries.into_iter().map(|entry| entry.member).filter(|id| *id != by.id);
    let others: Vec<String> = others.collect();
    let beyond = (others.len() + 1).saturating_sub(MESSAGES_MAX);
    Ok(others.into_iter().take(beyond).collect())
}

pub(crate) fn remove(txn: Txn, id: &str) -> Txn {
    let shard = txn.shard;
    txn.delete(&rows::letter(shard, id)).index_remove(&rows::dead(shard), id)
}

/// All letters by their age, with the shard that each lies in.
pub(crate) async fn all(store: &dyn Store) -> Result<Vec<(Entry, Shard)>, StoreError> {
    let mut found = Vec::new();
    for shard in Shard::all() {
        let mut after = None;
        loop {
            let entries = store.scan(Scan::all(rows::dead(shard), ENTRIES_PER_SCAN).after(after)).await?.entries;
            after = entries.last().cloned();
            found.extend(entries.into_iter().map(|entry| (entry, shard)));
            if after.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

/// Those of these that are still there.
pub(crate) async fn load(store: &dyn Store, wanted: &[(Entry, Shard)]) -> Result<Vec<Letter>, StoreError> {
    let mut letters = Vec::with_capacity(wanted.len());
    for (entry, shard) in wanted {
        let key = rows::letter(*shard, &entry.member);
        let row = store.load(std::slice::from_ref(&key)).await?.rows.into_iter().next().flatten();
        letters.extend(row.map(|row| rows::from_row::<Letter>(&key, &row)).transpose()?);
    }
    Ok(letters)
}

pub(crate) async fn find(store: &dyn Store, id: &str) -> Result<Option<Letter>, StoreError> {
    let job: Option<JobId> = id.split_once('-').and_then(|(job, _)| job.parse().ok());
    let shard = job.map_or(Shard::GLOBAL, |job| Shard::of(&job));
    let key = rows::letter(shard, id);
    let row = store.load(std::slice::from_ref(&key)).await?.rows.into_iter().next().flatten();
    row.map(|row| rows::from_row(&key, &row)).transpose()
}
