//! Objects by URL: films, work objects and outputs, in folders or buckets, behind one set of verbs.
//!
//! ```text
//! open(url) ─▶ Object ─┬ facts · reader ─▶ read(offset, len)      a film, a segment
//!                      ├ put · put_file                           whole or not at all
//!                      └ stage ─▶ Staged ─▶ publish | discard     invisible until published
//! ```
//!
//! Files are handled by our own code, not through `object_store`, whose keys cannot say every file name: a film's
//! path is bytes and is kept byte for byte. What goes wrong is named by the side it is on: the same missing folder is
//! the input's fault for a source, the destination's for an output and ours for the work store.

mod disk;
mod fault;
mod file;
mod place;
/// Objects in a bucket.
pub mod remote;
/// File names as URLs, byte for byte.
pub mod url;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, Nonce};
use framefleet_model::key::ObjectKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::adapters::blob::file::FilePlace;
use crate::adapters::blob::place::{Opened, Place};
use crate::adapters::blob::remote::{Bucketed, RemotePlace};

/// Bytes read at once when a whole object is read.
const CHUNK_BYTES: u32 = 1 << 20;

/// One object, there or not.
#[derive(Clone)]
pub struct Object {
    place: Arc<dyn Place>,
}

/// A folder that holds work objects by their keys.
#[derive(Clone, Debug)]
pub struct Root {
    folder: PathBuf,
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

impl Object {
    pub fn open(url: &str, side: Side) -> Result<Self, Fault> {
        Ok(Self::file(&url::to_path(url)?, side))
    }

    pub fn file(path: &Path, side: Side) -> Self {
        Self { place: Arc::new(FilePlace { path: path.to_owned(), side }) }
    }

    pub fn bucketed(object: Bucketed, side: Side) -> Self {
        Self { place: Arc::new(RemotePlace { object, side }) }
    }

    pub async fn facts(&self) -> Result<Facts, Fault> {
        self.place.facts().await
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

    /// Brings a local file, which may then be gone from its old place, to its destination, invisible. The folder must
    /// be there.
    pub async fn stage(&self, from: &Path, attempt: &Nonce, content: Content) -> Result<Staged, Fault> {
        let hidden = self.place.stage(from, attempt).await?;
        Ok(Staged { content, hidden })
    }

    /// Makes a staged content visible, at once and whole. Anybody may do it, and do it again.
    pub async fn publish(&self, staged: &Staged, on_existing: OnExisting) -> Result<(), Fault> {
        let Err(fault) = self.place.uncover(&staged.hidden, on_existing).await else { return Ok(()) };
        // Whoever published and died before saying so left the very content that we were to publish.
        match self.content().await {
            Ok(content) if content == staged.content => self.discard(staged).await,
            _ => Err(fault),
        }
    }

    /// Removes a staged content that will not be published; one that is gone is removed already.
    pub async fn discard(&self, staged: &Staged) -> Result<(), Fault> {
        self.place.discard(&staged.hidden).await
    }

    /// Removes whatever an attempt staged that did not live to say so.
    pub async fn discard_attempt(&self, attempt: &Nonce) -> Result<(), Fault> {
        self.place.discard_attempt(attempt).await
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

impl Root {
    pub fn open(url: &str) -> Result<Self, Fault> {
        Ok(Self::folder(&url::to_path(url)?))
    }

    pub fn folder(path: &Path) -> Self {
        Self { folder: path.to_owned() }
    }

    pub fn object(&self, key: &ObjectKey) -> Object {
        Object::file(&self.folder.join(key.to_string()), Side::Work)
    }
}
