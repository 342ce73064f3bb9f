//! The parent's side of the media child: one process per attempt, which alone opens untrusted media.
//!
//! ```text
//!  Objects ◀── reads ◀══ socket (its stdin) ══▶ ┌───────┐
//!  (credentials, network stay here)             │ child │ ──▶ scratch folder
//!  Progress, Outcome ◀── output ◀── stdout ──── │       │
//!  evidence          ◀── output ◀── stderr ──── └───────┘
//!  watch: deadline · silence · circles · CPU · memory ──▶ SIGKILL to its process group
//! ```
//! However a child ends, `run` ends with an outcome whose files were looked at or with a coded fault and its evidence;
//! never with the caller's own end. What the child says is not trusted: lines, messages and names are bounded and
//! checked. The sandbox of the child itself (limits, no_new_privs, Landlock, seccomp) is applied by the child, from the spec.

/// How much a child may use, and how long.
pub mod limits;
/// GStreamer's registry of plugins, built once, never by a child at work.
pub mod registry;
/// A child process from spawn to outcome or fault.
pub mod run;

mod crowd;
mod evidence;
mod observe;
mod output;
mod read_ahead;
mod reads;
mod spawn;
mod verdict;
mod watch;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

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
    pub spent: &'a Spent,
}

/// CPU time that a child used, known once it has ended.
#[derive(Debug, Default)]
pub struct Spent(OnceLock<Duration>);

impl Spent {
    /// 0 where there was no child.
    pub fn cpu_ms(&self) -> u64 {
        self.0.get().map_or(0, |cpu| u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX))
    }

    pub(crate) fn tell(&self, cpu: Duration) {
        self.0.get_or_init(|| cpu);
    }
}

/// Runs media work: in a child process for real, in memory for tests of everything else.
#[async_trait]
pub trait Media: Send + Sync {
    async fn run(&self, work: Work, attempt: Attempt<'_>) -> Result<Outcome, Fault>;
}
