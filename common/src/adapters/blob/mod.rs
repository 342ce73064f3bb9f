//! Objects by URL: films, work objects and outputs, in folders or buckets, behind one set of verbs.
//!
//! ```text
//! Storages ─ object(url) ─▶ Object ─┬ facts · reader ─▶ read(offset, len)     a film, a segment
//!     │                       ▲      ├ put · put_file                          whole or not at all
//!     │                       │      └ begin ─▶ fill ─▶ publish | discard         invisible until published
//!     └──── root(url) ──▶ Root┴ jobs · list                                    the work store
//! ```
//!
//! What lies behind HTTP is read alone. Files are handled by our own code, not through `object_store`, whose keys cannot say every file name: a film's
//! path is bytes and is kept byte for byte. What goes wrong is named by the side it is on: the same missing folder is
//! the input's fault for a source, the destination's for an output and ours for the work store.

mod bounds;
mod bucket;
mod content_type;
mod disk;
mod fault;
mod file;
mod folder;
/// Lists of what lies below a bucket or a folder.
pub mod listing;
mod place;
mod remote;
/// The work store.
pub mod root;
/// Which storages may be used, and what a URL of theirs means.
pub mod storages;
mod trial;
mod upload;
/// Names of objects as URLs, byte for byte.
pub mod url;
/// Sources of others, behind plain HTTP.
pub mod web;
#[cfg(test)]
mod web_tests;
/// Places that others may be bound to.
pub mod within;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use framefleet_model::event::WallTime;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, Nonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::adapters::blob::bounds::Bounds;
use crate::adapters::blob::file::FilePlace;
use crate::adapters::blob::place::{Opened, Place};

/// Bytes read at once when a whole object is read.
const CHUNK_BYTES: u32 = 1 << 20;

/// One object, there or not.
#[derive(Clone)]
pub struct Object {
    place: Arc<dyn Place>,
}

/// Whose an object is, and so whose fault it is when it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Source,
    Work,
    Destination,
}

/// An object's identity: a change of either is another content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub size: u64,
    /// ETag of an object, modification time of a file.
    pub version: String,
}

/// What a storage tells of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub facts: Facts,
    /// When its content last changed, by the storage's clock.
    pub modified: WallTime,
}

/// An object opened for reading: every read is of the content whose facts these are, or fails.
pub struct Reader {
    facts: Facts,
    opened: Box<dyn Opened>,
}

/// What an object must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub size: u64,
    pub digest: Digest,
}

/// A content that lies at its destination and is not visible yet. Kept in the store, so that anybody can publish it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    pub content: Content,
    hidden: Hidden,
}

/// How it is hidden.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Hidden {
    /// The URL of a file beside the final one.
    Sibling(String),
    /// A multipart upload that was not completed.
    Upload { id: String, parts: Vec<String> },
}

/// What to do about something that stands at the final key already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExisting {
    Replace,
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Present,
    Absent,
}

/// What became of a content that was to be made visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It stands at its final key.
    Stands,
    /// What was staged is no longer there, and does not stand at its final key either.
    Gone,
}

impl Object {
    /// A file of this host's, wherever it lies.
    pub fn file(path: &Path, side: Side) -> Self {
        Self::at(FilePlace::shared(path.to_owned(), side, Bounds::none()))
    }

    pub(crate) fn at(place: impl Place + 'static) -> Self {
        Self { place: Arc::new(place) }
    }

    pub async fn facts(&self) -> Result<Facts, Fault> {
        Ok(self.stat().await?.facts)
    }

    /// Its identity, and what else its storage tells of it.
    pub async fn stat(&self) -> Result<Stat, Fault> {
        self.place.stat().await
    }

    /// Whether anything stands there, a folder included.
    pub async fn presence(&self) -> Result<Presence, Fault> {
        self.place.presence().await
    }

    pub async fn reader(&self) -> Result<Reader, Fault> {
        let (facts, opened) = self.place.open().await?;
        Ok(Reader { facts, opened })
    }

    /// The whole object; one of more than `bytes_max` is refused.
    pub async fn read_all(&self, bytes_max: u64) -> Result<Bytes, Fault> {
        let reader = self.reader().await?;
        let size = reader.facts.size;
        if size > bytes_max {
            return Err(Fault::new(FaultKind::Internal, format!("{self} has {size} bytes, {bytes_max} at most")));
        }
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < size {
            bytes.extend_from_slice(&reader.read(bytes.len() as u64, CHUNK_BYTES).await?);
        }
        Ok(bytes.into())
    }

    /// Size and SHA-256 of what is there.
    pub async fn content(&self) -> Result<Content, Fault> {
        let reader = self.reader().await?;
        let (mut hasher, mut size) = (Sha256::new(), 0);
        while size < reader.facts.size {
            let bytes = reader.read(size, CHUNK_BYTES).await?;
            size += bytes.len() as u64;
            hasher.update(&bytes);
        }
        Ok(Content { size, digest: Digest::from_bytes(hasher.finalize().into()) })
    }

    /// Puts these bytes, whole or not at all, in place of whatever was there.
    pub async fn put(&self, bytes: Bytes) -> Result<(), Fault> {
        self.place.put(bytes).await
    }

    /// The same with a local file, which may be gone from its old place afterwards.
    pub async fn put_file(&self, from: &Path) -> Result<(), Fault> {
        self.place.put_file(from).await
    }

    /// Removes the object; one that is not there is removed already.
    pub async fn delete(&self) -> Result<(), Fault> {
        self.place.delete().await
    }

    /// Whether an output can come to stand there, by trying. Nothing is left of the trial.
    pub async fn try_out(&self, on_existing: OnExisting) -> Result<(), Fault> {
        self.place.try_out(on_existing).await
    }

    /// Begins to stage a content. What comes back can be discarded, and has to be written down before it is filled: of
    /// an attempt that dies meanwhile, nothing else tells what it left where.
    pub async fn begin(&self, attempt: &Nonce, content: Content) -> Result<Staged, Fault> {
        let hidden = self.place.begin(attempt, &content).await?;
        Ok(Staged { content, hidden })
    }

    /// Brings a local file, which may then be gone from its old place, to its destination, invisible. The folder must
    /// be there. What fails is discarded.
    pub async fn fill(&self, begun: &Staged, from: &Path) -> Result<Staged, Fault> {
        let hidden = self.place.fill(&begun.hidden, from).await?;
        Ok(Staged { content: begun.content.clone(), hidden })
    }

    /// Whether this content, and no other, stands there.
    pub async fn shows(&self, content: &Content) -> Result<bool, Fault> {
        Ok(self.presence().await? == Presence::Present && self.holds(content).await?)
    }

    /// Makes a staged content visible, at once and whole. Anybody may do it, and do it again.
    pub async fn publish(&self, staged: &Staged, on_existing: OnExisting) -> Result<Published, Fault> {
        let uncovered = self.place.uncover(&staged.hidden, on_existing).await;
        if uncovered == Ok(Published::Stands) {
            return uncovered;
        }
        // Whoever published and died before saying so left the very content that we were to publish.
        match self.holds(&staged.content).await {
            Ok(true) => self.discard(staged).await.map(|()| Published::Stands),
            Ok(false) | Err(_) => uncovered,
        }
    }

    /// Removes a staged content that will not be published; one that is gone is removed already.
    pub async fn discard(&self, staged: &Staged) -> Result<(), Fault> {
        self.place.discard(&staged.hidden).await
    }

    /// Whether this content stands there: by the note that an upload carries, or else by reading all of it.
    async fn holds(&self, content: &Content) -> Result<bool, Fault> {
        match self.place.noted().await? {
            Some(noted) => Ok(noted == *content),
            None => Ok(self.facts().await?.size == content.size && self.content().await? == *content),
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place.name())
    }
}

impl Reader {
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Short only at the object's end; a source that changed since it was opened is a fault.
    pub async fn read(&self, offset: u64, len: u32) -> Result<Bytes, Fault> {
        let rest = self.facts.size.saturating_sub(offset);
        let len = u32::try_from(rest).map_or(len, |rest| rest.min(len));
        if len == 0 { Ok(Bytes::new()) } else { self.opened.read(offset, len).await }
    }
}
