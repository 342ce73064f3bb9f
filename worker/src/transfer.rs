//! What an attempt made goes to the work store, once it is seen to be what the child said it made.

use std::path::Path;

use bytes::Bytes;
use framefleet_common::adapters::blob::root::Root;
use framefleet_common::adapters::blob::{Object, Side};
use framefleet_common::board::Made;
use framefleet_common::ports::rows::TaskRef;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Nonce, TaskKind};
use framefleet_model::key::{FileName, ObjectKey};
use framefleet_model::ledger::Produced;
use framefleet_model::task::Account;

/// What an attempt made, and whose it is.
#[derive(Clone, Copy)]
pub(crate) struct Transfer<'a> {
    pub(crate) at: &'a TaskRef,
    pub(crate) nonce: &'a Nonce,
    pub(crate) made: &'a Made,
}

impl Transfer<'_> {
    /// Moves every file to its key, and writes the attempt's own account beside them.
    pub(crate) async fn upload(self, work: &Root, scratch: &Path) -> Result<(), Fault> {
        for file in self.made.outcome.files() {
            let path = scratch.join(FileName::new(&file.name).map_err(|e| internal(e.to_string()))?.as_str());
            verify(&path, file).await?;
            work.object(&self.key(file)?).put_file(&path).await?;
        }
        let Made { plan, outcome, cpu_ms, .. } = self.made.clone();
        let account = Account { version: Account::VERSION, plan, outcome, cpu_ms };
        let account = serde_json::to_vec(&account).map_err(|e| internal(format!("the result has no form: {e}")))?;
        let key = ObjectKey::result(&self.at.job, self.at.task, self.nonce);
        work.object(&key).put(Bytes::from(account)).await
    }

    /// Nobody wants them any more.
    pub(crate) async fn delete(self, work: &Root) -> Result<(), Fault> {
        for file in self.made.outcome.files() {
            work.object(&self.key(file)?).delete().await?;
        }
        work.object(&ObjectKey::result(&self.at.job, self.at.task, self.nonce)).delete().await
    }

    fn key(self, file: &Produced) -> Result<ObjectKey, Fault> {
        if self.at.task.kind == TaskKind::Index {
            return Ok(ObjectKey::index(&self.at.job, self.nonce));
        }
        let name = FileName::new(&file.name).map_err(|e| internal(e.to_string()))?;
        Ok(ObjectKey::attempt(&self.at.job, self.at.task, self.nonce, name))
    }
}

async fn verify(path: &Path, said: &Produced) -> Result<(), Fault> {
    let found = Object::file(path, Side::Work).content().await?;
    if (found.size, &found.digest) == (said.size, &said.digest) {
        return Ok(());
    }
    let (size, digest) = (found.size, found.digest);
    let text = format!("{} is said to have {} bytes of digest {}", said.name, said.size, said.digest);
    Err(internal(text).with_evidence(format!("it has {size} bytes of digest {digest}")))
}

fn internal(text: String) -> Fault {
    Fault::new(FaultKind::Internal, text)
}
