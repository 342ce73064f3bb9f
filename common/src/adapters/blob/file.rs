//! Objects that are files.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, Nonce};

use crate::adapters::blob::bounds::Bounds;
use crate::adapters::blob::fault::{self, Trouble};
use crate::adapters::blob::place::{Opened, Place};
use crate::adapters::blob::{Content, Facts, Hidden, OnExisting, Presence, Published, Side, Stat, disk, trial, url};

/// Of a name's digest, to tell the siblings of one attempt apart.
const NAME_LETTERS: usize = 12;

#[derive(Clone)]
pub(crate) struct FilePlace {
    pub(crate) path: PathBuf,
    pub(crate) side: Side,
    pub(crate) bounds: Bounds,
    pub(crate) folder: Folder,
}

/// Whose the folder of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folder {
    /// Others' too. That of a work object is made with it, others must be there.
    Shared,
    /// One attempt's: made with its first file and removed with its last.
    Own,
}

struct OpenFile {
    place: FilePlace,
    file: Arc<File>,
    facts: Facts,
}

#[async_trait]
impl Place for FilePlace {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    async fn stat(&self) -> Result<Stat, Fault> {
        let metadata = self.on_disk(|path| std::fs::metadata(path)).await?;
        Ok(Stat { facts: self.regular(&metadata)?, modified: disk::modified(&metadata) })
    }

    async fn presence(&self) -> Result<Presence, Fault> {
        let there = self.on_disk(|path| path.try_exists()).await?;
        Ok(if there { Presence::Present } else { Presence::Absent })
    }

    async fn open(&self) -> Result<(Facts, Box<dyn Opened>), Fault> {
        // Opening a pipe would wait for a writer: look before.
        self.stat().await?;
        let (file, metadata) = self
            .on_disk(|path| {
                let file = File::open(path)?;
                let metadata = file.metadata()?;
                Ok((Arc::new(file), metadata))
            })
            .await?;
        let facts = self.regular(&metadata)?;
        // An open file is the same file wherever its name leads later.
        let place = Self { bounds: Bounds::none(), ..self.clone() };
        Ok((facts.clone(), Box::new(OpenFile { place, file, facts })))
    }

    /// A file has no place for notes that every file system keeps.
    async fn noted(&self) -> Result<Option<Content>, Fault> {
        Ok(None)
    }

    async fn put(&self, bytes: Bytes) -> Result<(), Fault> {
        let part = disk::sibling(&self.path, &mark());
        self.replace(part, move |part| disk::write_new(part, &bytes)).await
    }

    async fn put_file(&self, from: &Path) -> Result<(), Fault> {
        if self.folder == Folder::Own {
            // Nobody looks there yet, and nothing may be left there by another name.
            let from = from.to_owned();
            return self.on_disk(move |path| disk::bring_into(&from, path)).await;
        }
        let part = disk::sibling(&self.path, &mark());
        let from = from.to_owned();
        self.replace(part, move |part| disk::bring(&from, part)).await
    }

    async fn delete(&self) -> Result<(), Fault> {
        match self.folder {
            Folder::Shared => self.on_disk(disk::remove).await,
            Folder::Own => self.on_disk(disk::remove_from).await,
        }
    }

    async fn try_out(&self, on_existing: OnExisting) -> Result<(), Fault> {
        self.on_disk(move |path| Ok(trial::try_out(path, on_existing))).await?
    }

    async fn begin(&self, attempt: &Nonce, _content: &Content) -> Result<Hidden, Fault> {
        // An attempt may stage several files beside one another.
        let name = Digest::of(self.path.as_os_str().as_encoded_bytes());
        let mark = format!("{attempt}-{}", &name.as_str()[..NAME_LETTERS]);
        Ok(Hidden::Sibling(url::of_path(&disk::sibling(&self.path, &mark))))
    }

    async fn fill(&self, begun: &Hidden, from: &Path) -> Result<Hidden, Fault> {
        let (part, from) = (self.part(begun)?, from.to_owned());
        self.on_disk(move |_| disk::bring(&from, &part).inspect_err(|_| drop(disk::remove(&part)))).await?;
        Ok(begun.clone())
    }

    async fn uncover(&self, hidden: &Hidden, on_existing: OnExisting) -> Result<Published, Fault> {
        let part = self.part(hidden)?;
        self.on_disk(move |path| match disk::reveal(&part, path, on_existing) {
            Ok(()) => Ok(Published::Stands),
            // The folder is there, so it is the staged file that is not.
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.parent().is_some_and(Path::is_dir) => {
                Ok(Published::Gone)
            }
            Err(error) => Err(error),
        })
        .await
    }

    async fn discard(&self, hidden: &Hidden) -> Result<(), Fault> {
        let part = self.part(hidden)?;
        self.on_disk(move |_| disk::remove(&part)).await
    }
}

#[async_trait]
impl Opened for OpenFile {
    async fn read(&self, offset: u64, len: u32) -> Result<Bytes, Fault> {
        let (file, facts) = (self.file.clone(), self.facts.clone());
        // The bytes first: facts that still hold afterwards held while they were read.
        let read = self
            .place
            .on_disk(move |_| match disk::read_at(&file, offset, len) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                read => Ok(Some(read?).filter(|_| file.metadata().is_ok_and(|now| disk::facts_of(&now) == facts))),
            })
            .await?;
        read.ok_or_else(|| fault::of(self.place.side, &self.place.name(), (Trouble::Changed, "")))
    }
}

impl FilePlace {
    pub(crate) fn shared(path: PathBuf, side: Side, bounds: Bounds) -> Self {
        Self { path, side, bounds, folder: Folder::Shared }
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let (path, bounds) = (self.path.clone(), self.bounds.clone());
        match tokio::task::spawn_blocking(move || bounds.check(&path).and_then(|()| call(&path))).await {
            Ok(done) => done.map_err(|error| fault::of_io(self.side, &self.name(), &error)),
            Err(panic) => Err(Fault::new(FaultKind::Internal, format!("{}: {panic}", self.name()))),
        }
    }

    /// Fills `part`, then gives it the final name. Folders of work objects are made; others must be there.
    async fn replace(
        &self,
        part: PathBuf,
        fill: impl FnOnce(&Path) -> io::Result<()> + Send + 'static,
    ) -> Result<(), Fault> {
        let side = self.side;
        self.on_disk(move |path| {
            if let (Side::Work, Some(folder)) = (side, path.parent()) {
                std::fs::create_dir_all(folder)?;
            }
            fill(&part)
                .and_then(|()| disk::reveal(&part, path, OnExisting::Replace))
                .inspect_err(|_| drop(disk::remove(&part)))
        })
        .await
    }

    fn regular(&self, metadata: &Metadata) -> Result<Facts, Fault> {
        let refuse = |what| Err(fault::of(self.side, &self.name(), (Trouble::NoObject, what)));
        if metadata.is_dir() {
            return refuse("a folder");
        }
        if !metadata.is_file() {
            return refuse("no regular file");
        }
        Ok(disk::facts_of(metadata))
    }

    fn part(&self, hidden: &Hidden) -> Result<PathBuf, Fault> {
        match hidden {
            Hidden::Sibling(url) => {
                let part = url::to_path(url)?;
                if part.parent() == self.path.parent() {
                    return Ok(part);
                }
                Err(Fault::new(FaultKind::Internal, format!("{} is not beside {}", part.display(), self.name())))
            }
            Hidden::Upload { .. } => {
                Err(Fault::new(FaultKind::Internal, format!("an upload was staged for the file {}", self.name())))
            }
        }
    }
}

fn mark() -> String {
    format!("{:016x}", rand::random::<u64>())
}
