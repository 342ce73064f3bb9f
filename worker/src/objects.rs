//! What a task's child reads: the film, as it was when its job was accepted, and the index.

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::adapters::blob::{Reader, Side};
use framefleet_common::child::Objects;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::plan::{SourceFacts, VideoRendition};
use framefleet_model::task::object;
use framefleet_model::watermark;

pub(crate) struct TaskObjects {
    pub(crate) film: Reader,
    pub(crate) index: Option<Reader>,
    /// From `object::IMAGES` on.
    pub(crate) images: Vec<Reader>,
}

/// The film, opened; one that is another by now is refused.
pub(crate) async fn film(storages: &Storages, source: &SourceFacts) -> Result<Reader, Fault> {
    let film = storages.object(&source.url, Side::Source)?.reader().await?;
    let now = film.facts();
    if (now.size, &now.version) != (source.size, &source.version) {
        let (from, to) = (source.size, now.size);
        let text = format!("{} changed since its job was accepted: {from} bytes then, {to} now", source.url);
        return Err(Fault::new(FaultKind::SourceChanged, text));
    }
    Ok(film)
}

/// The images that these renditions are marked with; the child knows them by their digests.
pub(crate) async fn images(storages: &Storages, renditions: &[VideoRendition]) -> Result<Vec<Reader>, Fault> {
    let mut opened = Vec::new();
    for (url, _) in watermark::images(renditions.iter().map(|rendition| &rendition.settings)) {
        opened.push(storages.object(url, Side::Source)?.reader().await?);
    }
    Ok(opened)
}

impl TaskObjects {
    fn reader(&self, number: u32) -> Result<&Reader, Fault> {
        match number {
            object::SOURCE => Ok(&self.film),
            object::INDEX => {
                self.index.as_ref().ok_or_else(|| Fault::new(FaultKind::Internal, "this task has no index to read"))
            }
            other => {
                let image = other.checked_sub(object::IMAGES).and_then(|n| self.images.get(n as usize));
                image.ok_or_else(|| Fault::new(FaultKind::Internal, format!("this task has no object {other} to read")))
            }
        }
    }
}

#[async_trait]
impl Objects for TaskObjects {
    async fn size(&self, object: u32) -> Result<u64, Fault> {
        Ok(self.reader(object)?.facts().size)
    }

    async fn read(&self, object: u32, offset: u64, len: u32) -> Result<Bytes, Fault> {
        self.reader(object)?.read(offset, len).await
    }
}
