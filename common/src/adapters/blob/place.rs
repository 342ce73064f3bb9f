//! What a kind of storage must be able to do.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_model::fault::Fault;
use framefleet_model::id::Nonce;

use crate::adapters::blob::{Content, Facts, Hidden, OnExisting, Presence, Published, Stat};

#[async_trait]
pub(crate) trait Place: Send + Sync {
    /// As people call it.
    fn name(&self) -> String;
    async fn stat(&self) -> Result<Stat, Fault>;
    async fn presence(&self) -> Result<Presence, Fault>;
    async fn open(&self) -> Result<(Facts, Box<dyn Opened>), Fault>;
    /// What whoever put it wrote down of it, where storage keeps such notes.
    async fn noted(&self) -> Result<Option<Content>, Fault>;
    async fn put(&self, bytes: Bytes) -> Result<(), Fault>;
    async fn put_file(&self, from: &Path) -> Result<(), Fault>;
    async fn delete(&self) -> Result<(), Fault>;
    async fn try_out(&self, on_existing: OnExisting) -> Result<(), Fault>;
    async fn begin(&self, attempt: &Nonce, content: &Content) -> Result<Hidden, Fault>;
    /// Leaves nothing of what could not be finished.
    async fn fill(&self, begun: &Hidden, from: &Path) -> Result<Hidden, Fault>;
    async fn uncover(&self, hidden: &Hidden, on_existing: OnExisting) -> Result<Published, Fault>;
    async fn discard(&self, hidden: &Hidden) -> Result<(), Fault>;
}

#[async_trait]
pub(crate) trait Opened: Send + Sync {
    /// Exactly these bytes, which lie within the object.
    async fn read(&self, offset: u64, len: u32) -> Result<Bytes, Fault>;
}
