//! The parent's side of the media child.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_model::fault::Fault;
use framefleet_model::task::{Outcome, Progress, Work};
use tokio_util::sync::CancellationToken;

/// What a child may read: numbered objects, answered by the parent, which alone holds credentials and network.
#[async_trait]
pub trait Objects: Send + Sync {
    async fn size(&self, object: u32) -> Result<u64, Fault>;
    /// Short only at the object's end. May wait until the object exists (a merge that began early).
    async fn read(&self, object: u32, offset: u64, len: u32) -> Result<Bytes, Fault>;
}

/// Where an attempt runs and how it is heard.
pub struct Attempt<'a> {
    pub objects: Arc<dyn Objects>,
    /// An empty folder of its own, removed by the caller.
    pub scratch: &'a Path,
    pub progress: tokio::sync::watch::Sender<Progress>,
    pub cancel: CancellationToken,
}

/// Runs media work: in a child process for real, in memory for tests of everything else.
#[async_trait]
pub trait Media: Send + Sync {
    async fn run(&self, work: Work, attempt: Attempt<'_>) -> Result<Outcome, Fault>;
}
