//! The wiring of the command in one process: every concrete adapter is named here and nowhere else.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_common::adapters::blob::{self, Object, Side};
use framefleet_common::child::Objects;
use framefleet_common::child::limits::Limits;
use framefleet_common::child::registry;
use framefleet_common::child::run::ChildMedia;
use framefleet_common::process::machine;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::plan::SourceFacts;
use framefleet_model::task::object;

use crate::folders;
use crate::location::Location;

/// Media work in children of this very program.
pub async fn media() -> Result<ChildMedia, Fault> {
    let lost = |e| Fault::new(FaultKind::Internal, format!("this program's own file is not found: {e}"));
    let program = std::env::current_exe().map_err(lost)?;
    let registry = registry::prepare(&program, &folders::cache()?).await?;
    let started = ChildMedia::new(program, registry, Limits::of_memory(machine::memory_bytes()));
    started.map_err(|e| Fault::new(FaultKind::Internal, format!("no thread for children: {e}")))
}

/// A film as the only object that a child may read.
pub struct Film {
    reader: blob::Reader,
}

impl Film {
    pub async fn open(source: &Location) -> Result<Arc<Self>, Fault> {
        let reader = Object::file(source.path(), Side::Source).reader().await?;
        Ok(Arc::new(Self { reader }))
    }

    pub fn facts(&self, source: &Location) -> SourceFacts {
        let facts = self.reader.facts();
        SourceFacts { url: source.url(), size: facts.size, version: facts.version.clone() }
    }
}

#[async_trait]
impl Objects for Film {
    async fn size(&self, number: u32) -> Result<u64, Fault> {
        only_the_source(number)?;
        Ok(self.reader.facts().size)
    }

    async fn read(&self, number: u32, offset: u64, len: u32) -> Result<Bytes, Fault> {
        only_the_source(number)?;
        self.reader.read(offset, len).await
    }
}

fn only_the_source(number: u32) -> Result<(), Fault> {
    if number == object::SOURCE {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Internal, format!("object {number} is not the source, which is all there is")))
}
