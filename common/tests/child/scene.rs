//! A parent for the fake child: objects, limits, a scratch folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_common::child::limits::Limits;
use framefleet_common::child::run::ChildMedia;
use framefleet_common::child::{Attempt, Media, Objects, Spent};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::task::{IndexWork, Outcome, Progress, Sandbox, SourceLimits, Work, object};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) const SOURCE_BYTES: usize = 3_000_017;

pub(crate) struct Scene {
    pub(crate) scratch: TempDir,
    pub(crate) limits: Limits,
    pub(crate) cancel: CancellationToken,
    pub(crate) progress: watch::Sender<Progress>,
}

/// Object 0 is numbered bytes, object 1 is short, the inputs take a while, others are missing.
struct Shelf {
    source: Bytes,
}

#[async_trait]
impl Objects for Shelf {
    async fn size(&self, number: u32) -> Result<u64, Fault> {
        Ok(self.content(number)?.len() as u64)
    }

    async fn read(&self, number: u32, offset: u64, len: u32) -> Result<Bytes, Fault> {
        if number == object::INPUTS {
            // longer than the child may be silent: a read that waits is no hang
            tokio::time::sleep(Duration::from_millis(900)).await;
        }
        let bytes = self.content(number)?;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        Ok(bytes.slice(from..bytes.len().min(from + len as usize)))
    }
}

impl Shelf {
    fn content(&self, number: u32) -> Result<Bytes, Fault> {
        match number {
            object::SOURCE => Ok(self.source.clone()),
            object::INDEX => Ok(Bytes::from_static(b"an index")),
            object::INPUTS => Ok(Bytes::from_static(b"late")),
            other => Err(Fault::new(FaultKind::StorageAway, format!("object {other} is away"))),
        }
    }
}

pub(crate) fn source() -> Bytes {
    (0..SOURCE_BYTES as u64).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

impl Scene {
    pub(crate) fn of(script: &str) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::write(scratch.path().join("script"), script).unwrap();
        let limits = Limits {
            silence: Duration::from_secs(20),
            watch_interval: Duration::from_millis(10),
            ..Limits::of_memory(4 << 30)
        };
        let progress = watch::Sender::default();
        Self { scratch, limits, cancel: CancellationToken::new(), progress }
    }

    pub(crate) fn limited(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub(crate) async fn play(&self) -> Result<Outcome, Fault> {
        self.play_in(self.scratch.path()).await
    }

    pub(crate) async fn play_in(&self, scratch: &Path) -> Result<Outcome, Fault> {
        let registry = PathBuf::from("/nonexistent/registry.bin");
        let program = std::env::current_exe().unwrap();
        let media = ChildMedia::new((program, registry), self.limits, Sandbox::Off).unwrap();
        let attempt = Attempt {
            objects: Arc::new(Shelf { source: source() }),
            scratch,
            progress: self.progress.clone(),
            cancel: self.cancel.clone(),
            spent: &Spent::default(),
        };
        let work = IndexWork { limits: SourceLimits::DEFAULT, tables: true };
        media.run(Work::Index(work), attempt).await
    }

    pub(crate) async fn fault(&self) -> Fault {
        self.play().await.expect_err("this child fails")
    }

    pub(crate) fn made(&self) -> Vec<u8> {
        std::fs::read(self.scratch.path().join("made")).unwrap()
    }
}
