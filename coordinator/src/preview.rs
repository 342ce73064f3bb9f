//! A plan before there is any job: the film is indexed and planned as a job of it would be, and nothing of it is kept.
//!
//! ```text
//! request ─▶ its source and its images as they are now ─▶ index, in a media child ─▶ plan
//! ```
//! No row is written, no final key is taken, nothing is put at a destination or into the work store. Few are made at once,
//! and none for long: whoever asks for more is told to ask again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_common::adapters::blob::{Reader, Side};
use framefleet_common::board::Mint;
use framefleet_common::child::{Attempt, Media, Objects, Spent};
use framefleet_common::ports::clock::Clock;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::index::Index;
use framefleet_model::pipeline::Request;
use framefleet_model::plan::{IndexRef, Plan, SourceFacts};
use framefleet_model::task::{IndexWork, Outcome, SourceLimits, Work, object};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::flow::planning;
use crate::inbox::{Inbox, Resolved, Submission};

/// As many films are indexed for a look at once.
pub(crate) const PREVIEWS_MAX: usize = 2;
/// How long one waits for its turn.
const TURN_TIME_MAX: Duration = Duration::from_secs(10);
/// From its turn on.
const TIME_MAX: Duration = Duration::from_secs(300);

/// A film as it would be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    pub index: Index,
    pub plan: Plan,
}

/// What is asked of a film that is at hand.
pub struct Looked<'a> {
    pub request: &'a Request,
    pub source: &'a SourceFacts,
    /// Where the child reads the film.
    pub film: Arc<dyn Objects>,
    /// An empty folder.
    pub scratch: &'a Path,
    pub cancel: CancellationToken,
}

/// Indexes a film and plans it.
pub async fn preview(media: &dyn Media, looked: Looked<'_>) -> Result<Preview, Fault> {
    let Looked { request, source, film, scratch, cancel } = looked;
    let work = Work::Index(IndexWork { limits: SourceLimits::DEFAULT, tables: true });
    let progress = tokio::sync::watch::Sender::default();
    let attempt = Attempt { objects: film, scratch, progress, cancel, spent: &Spent::default() };
    let unfit = |what: String| Fault::new(FaultKind::Internal, format!("the index of {}: {what}", source.url));
    let Outcome::Index(done) = media.run(work, attempt).await? else {
        return Err(unfit("the child did other work".to_owned()));
    };
    let bytes = tokio::fs::read(scratch.join(&done.file.name)).await.map_err(|e| unfit(e.to_string()))?;
    let index_ref = IndexRef { key: String::new(), size: done.file.size, digest: done.file.digest };
    let (request, source) = (request.clone(), source.clone());
    // A film of hours is a second's work.
    let planning = tokio::task::spawn_blocking(move || {
        let index = Index::from_bytes(&bytes)
            .map_err(|e| Fault::new(FaultKind::Internal, format!("the index of {}: {e}", source.url)))?;
        let asked = planning::Asked { request: &request, source: &source, index: &index, index_ref: &index_ref };
        let plan = planning::plan(asked)?;
        Ok(Preview { index, plan })
    });
    planning.await.map_err(|panic| Fault::new(FaultKind::Internal, format!("planning ended early: {panic}")))?
}

/// The looks that a coordinator takes for its users.
pub(crate) struct Previews {
    pub(crate) inbox: Inbox,
    pub(crate) media: Arc<dyn Media>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mint: Mint,
    /// A folder of its own.
    pub(crate) scratch: PathBuf,
    pub(crate) turns: Arc<Semaphore>,
}

impl Previews {
    pub(crate) async fn preview(&self, submission: &Submission) -> Result<Preview, Fault> {
        let _turn = tokio::select! {
            biased;
            turn = self.turns.acquire() => turn.map_err(|e| Fault::new(FaultKind::Internal, e.to_string()))?,
            () = self.clock.sleep(TURN_TIME_MAX) => {
                let text = format!("{PREVIEWS_MAX} films are being looked at already: ask again later");
                return Err(Fault::new(FaultKind::Busy, text));
            }
        };
        // Dropped by whoever no longer waits for it, it takes its child with it.
        tokio::select! {
            biased;
            looked = self.look(submission) => looked,
            () = self.clock.sleep(TIME_MAX) => {
                let text = format!("{} could not be indexed within {} s", submission.source(), TIME_MAX.as_secs());
                Err(Fault::new(FaultKind::Limits, text))
            }
        }
    }

    async fn look(&self, submission: &Submission) -> Result<Preview, Fault> {
        let Resolved { source, request, .. } = &self.inbox.resolve(submission).await?;
        let film = Arc::new(Film(self.inbox.storages.object(&source.url, Side::Source)?.reader().await?));
        let folder = Folder(self.scratch.join((self.mint)().as_str()));
        let full =
            |e: std::io::Error| Fault::new(FaultKind::ScratchFull, format!("no scratch folder can be made: {e}"));
        tokio::fs::create_dir_all(&folder.0).await.map_err(full)?;
        let cancel = CancellationToken::new();
        preview(&*self.media, Looked { request, source, film, scratch: &folder.0, cancel }).await
    }
}

/// Goes with whoever made it, be it dropped in the middle of its work.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // The next start clears what is left.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// The film alone, as its storage has it.
struct Film(Reader);

#[async_trait]
impl Objects for Film {
    async fn size(&self, number: u32) -> Result<u64, Fault> {
        only_the_film(number)?;
        Ok(self.0.facts().size)
    }

    async fn read(&self, number: u32, offset: u64, len: u32) -> Result<Bytes, Fault> {
        only_the_film(number)?;
        self.0.read(offset, len).await
    }
}

fn only_the_film(number: u32) -> Result<(), Fault> {
    if matches!(number, object::SOURCE | object::GLANCE) {
        return Ok(());
    }
    Err(Fault::new(FaultKind::Internal, format!("object {number} is not the film, which is all there is")))
}
