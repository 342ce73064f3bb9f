//! What a merge reads: the film's index, and the results of its segments and its sounds, each as soon as it is settled.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_common::adapters::blob::Reader;
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::board::Input;
use framefleet_common::child::Objects;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{Store, StoreError};
use framefleet_model::board::{Settled, Task};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{JobId, TaskId, TaskKind};
use framefleet_model::key::{FileName, ObjectKey};
use framefleet_model::ledger::Produced;
use framefleet_model::task::{Outcome, object};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::effects::internal;
use crate::observe::Observer;

/// How long a wake-up that was lost can delay a waiting read.
const POLL: Duration = Duration::from_secs(2);
/// Readers kept open: a merge reads its segments one after the other.
const READERS_MAX: usize = 8;

/// A task's result in one rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    task: TaskId,
    rendition: u32,
}

impl Wanted {
    pub(crate) fn segment(number: u32, rendition: u32) -> Self {
        Self { task: TaskId::new(TaskKind::Encode, number), rendition }
    }

    pub(crate) fn sound(task: TaskId, rendition: u32) -> Self {
        Self { task, rendition }
    }
}

/// Where results are looked for.
pub(crate) struct Source {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) work: Root,
    pub(crate) job: JobId,
    pub(crate) index: ObjectKey,
    pub(crate) observer: Observer,
}

pub(crate) struct Inputs {
    source: Source,
    wanted: Vec<Wanted>,
    cancel: CancellationToken,
    state: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    /// The attempt that each task was read from.
    read: BTreeMap<TaskId, Input>,
    readers: BTreeMap<u32, Arc<Reader>>,
}

impl Inputs {
    pub(crate) fn new(source: Source, wanted: Vec<Wanted>, cancel: CancellationToken) -> Self {
        Self { source, wanted, cancel, state: Mutex::default() }
    }

    /// What was read: the merge holds only as long as all of it does.
    pub(crate) async fn read(&self) -> Vec<Input> {
        self.state.lock().await.read.values().cloned().collect()
    }

    /// A task's whole result, waited for like any other that is read.
    pub(crate) async fn result(&self, at: &TaskRef) -> Result<Settled, Fault> {
        let settled = self.settled(at).await?;
        let read = Input { task: at.clone(), nonce: settled.nonce.clone() };
        self.state.lock().await.read.insert(at.task, read);
        Ok(settled)
    }

    async fn reader(&self, number: u32) -> Result<Arc<Reader>, Fault> {
        let mut found = self.state.lock().await;
        if let Some(reader) = found.readers.get(&number) {
            return Ok(reader.clone());
        }
        if number == object::INDEX {
            let reader = Arc::new(self.source.work.object(&self.source.index).reader().await?);
            found.readers.insert(number, reader.clone());
            return Ok(reader);
        }
        let place = number.checked_sub(object::INPUTS).and_then(|n| self.wanted.get(n as usize));
        let wanted = place.ok_or_else(|| internal(format!("a merge asked for object {number}, which it has not")))?;
        let at = TaskRef::new(&self.source.job, wanted.task);
        let settled = self.settled(&at).await?;
        let known = found.read.get(&wanted.task).is_none_or(|input| input.nonce == settled.nonce);
        if !known {
            return Err(internal(format!("{at} was settled again while it was merged")));
        }
        let produced = produced(&settled, wanted.rendition)?;
        let file = FileName::new(&produced.name).map_err(|e| internal(e.to_string()))?;
        let key = ObjectKey::attempt(&at.job, at.task, &settled.nonce, file);
        let reader = Arc::new(self.source.work.object(&key).reader().await?);
        if reader.facts().size != produced.size {
            return Err(internal(format!("{key} has {} bytes, {} were made", reader.facts().size, produced.size)));
        }
        if found.readers.len() >= READERS_MAX {
            found.readers.pop_first();
        }
        found.read.insert(wanted.task, Input { task: at, nonce: settled.nonce });
        found.readers.insert(number, reader.clone());
        Ok(reader)
    }

    /// Waits until the task is settled.
    async fn settled(&self, at: &TaskRef) -> Result<Settled, Fault> {
        let mut changes = self.source.store.subscribe();
        loop {
            match self.task(at).await {
                Ok(task) => {
                    if let Some(settled) = task.as_ref().and_then(Task::settled) {
                        return Ok(settled.clone());
                    }
                }
                // A store that is away is waited for like a result that is not there yet.
                Err(StoreError::Unavailable(why)) => self.source.observer.store_away(&StoreError::Unavailable(why)),
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => {
                    return Err(Fault::new(FaultKind::Cancelled, format!("no longer waiting for {at}")));
                }
                _ = changes.next() => {}
                () = self.source.clock.sleep(POLL) => {}
            }
        }
    }

    async fn task(&self, at: &TaskRef) -> Result<Option<Task>, StoreError> {
        let loaded = self.source.store.load(&[at.row()]).await?;
        let row = loaded.rows.into_iter().next().flatten();
        row.map(|row| rows::from_row(&at.row(), &row)).transpose()
    }
}

fn produced(settled: &Settled, rendition: u32) -> Result<&Produced, Fault> {
    let file = match &settled.outcome {
        Outcome::Encode(proofs) => proofs.iter().find(|p| p.rendition == rendition).map(|p| &p.file),
        Outcome::Audio(proofs) => proofs.iter().find(|p| p.rendition == rendition).map(|p| &p.file),
        Outcome::Index(_) | Outcome::Image(_) | Outcome::Merge(_) | Outcome::Probe(_) => None,
    };
    file.ok_or_else(|| internal(format!("attempt {} made no rendition {rendition}", settled.nonce)))
}

#[async_trait]
impl Objects for Inputs {
    async fn size(&self, object: u32) -> Result<u64, Fault> {
        Ok(self.reader(object).await?.facts().size)
    }

    async fn read(&self, object: u32, offset: u64, len: u32) -> Result<Bytes, Fault> {
        self.reader(object).await?.read(offset, len).await
    }
}
