//! Objects in a bucket, through `object_store`. Large ones go up in parts; staged ones are uploads not yet completed.
//!
//! A key is what was said, letter for letter, or it is refused: `object_store` cannot ask for some. Reads carry the ETag
//! that was there when the object was opened, and are held against it. An answer that ends early is no data.
//!
//! Uploads cannot be listed through `object_store`: whoever begins one has to write its id down before anything else. One
//! that is begun and not written down, in the moment between, falls to the bucket's own rule for stale uploads.
//!
//! Whether something stands at a final key is asked before an upload is completed, not by the completion itself, which
//! not every server can do: two who publish to one key at once are kept apart by the key's owner row, not here.

use std::sync::Arc;
use std::time::Duration;

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_model::event::WallTime;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::{Attribute, GetOptions, GetRange, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutOptions};

use crate::adapters::blob::bucket::Bucket;
use crate::adapters::blob::fault::{self, Trouble};
use crate::adapters::blob::place::{Opened, Place};
use crate::adapters::blob::{Content, Facts, Hidden, OnExisting, Presence, Published, Side, Stat, upload, url};

/// The note that an upload carries of its content: SHA-256 in hexadecimal digits.
pub(crate) const NOTE: &str = "framefleet-sha256";
/// An answer that ended early without its server saying so is asked for again so often, ever later.
const SHORT_READS_MAX: u32 = 4;
const SHORT_READ_PAUSE: Duration = Duration::from_millis(200);
/// How often an object is looked for whose upload is gone: three seconds in all.
const GONE_LOOKS_MAX: u32 = 5;
const GONE_LOOK_PAUSE: Duration = Duration::from_millis(100);
/// For one range, however slowly it trickles in.
const READ_PATIENCE: Duration = Duration::from_secs(600);

/// A key in a bucket.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) bucket: Arc<Bucket>,
    pub(crate) path: object_store::path::Path,
}

#[derive(Clone)]
pub(crate) struct RemotePlace {
    pub(crate) key: Key,
    pub(crate) side: Side,
}

struct OpenRemote {
    place: RemotePlace,
    facts: Facts,
    etag: Option<String>,
}

impl Key {
    pub(crate) fn new(bucket: Arc<Bucket>, key: &str) -> Result<Self, Fault> {
        let path = exact(&bucket.url(key), key)?;
        Ok(Self { bucket, path })
    }
}

/// The key as `object_store` has it, if it has it exactly.
pub(crate) fn exact(url: &str, key: &str) -> Result<object_store::path::Path, Fault> {
    let path = object_store::path::Path::parse(key).ok().filter(|path| !key.is_empty() && path.as_ref() == key);
    path.ok_or_else(|| {
        url::refused(url, "has a key with a part that is empty, . or ..: it cannot be asked for as it is")
    })
}

#[async_trait]
impl Place for RemotePlace {
    fn name(&self) -> String {
        self.key.bucket.url(self.key.path.as_ref())
    }

    async fn stat(&self) -> Result<Stat, Fault> {
        let meta = self.head().await?;
        Ok(Stat { facts: facts_of(&meta), modified: modified(&meta) })
    }

    async fn presence(&self) -> Result<Presence, Fault> {
        match self.key.bucket.reads.head(&self.key.path).await {
            Ok(_) => Ok(Presence::Present),
            Err(object_store::Error::NotFound { .. }) => Ok(Presence::Absent),
            Err(error) => Err(self.explained(&error).await),
        }
    }

    async fn open(&self) -> Result<(Facts, Box<dyn Opened>), Fault> {
        let meta = self.head().await?;
        let facts = facts_of(&meta);
        Ok((facts.clone(), Box::new(OpenRemote { place: self.clone(), facts, etag: meta.e_tag })))
    }

    async fn noted(&self) -> Result<Option<Content>, Fault> {
        let options = GetOptions { head: true, ..GetOptions::default() };
        let answer = self.key.bucket.reads.get_opts(&self.key.path, options).await.map_err(|e| self.fault(&e))?;
        let note = answer.attributes.get(&Attribute::Metadata(NOTE.into()));
        let digest = note.and_then(|note| note.parse().ok());
        Ok(digest.map(|digest| Content { size: answer.meta.size, digest }))
    }

    async fn put(&self, bytes: Bytes) -> Result<(), Fault> {
        let options = PutOptions::from(self.told());
        let put = self.key.bucket.writes.put_opts(&self.key.path, bytes.into(), options).await;
        put.map(drop).map_err(|e| self.fault(&e))
    }

    async fn put_file(&self, from: &Path) -> Result<(), Fault> {
        if let Some(bytes) = upload::small(from).await? {
            return self.put(bytes).await;
        }
        let id = self.begin_upload(None).await?;
        let parts = self.send(from, &id).await?;
        let done = self.complete(&id, &parts).await;
        if done.is_err() {
            self.give_up(&id).await;
        }
        done.map_err(|e| self.fault(&e))
    }

    async fn delete(&self) -> Result<(), Fault> {
        match self.key.bucket.reads.delete(&self.key.path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// An upload that is begun and given up tells of the bucket and of rights, and shows nobody anything.
    async fn try_out(&self, on_existing: OnExisting) -> Result<(), Fault> {
        self.refuse_existing(on_existing).await?;
        let bucket = &self.key.bucket;
        match bucket.writes.create_multipart(&self.key.path).await {
            Ok(id) => {
                self.give_up(&id).await;
                Ok(())
            }
            Err(object_store::Error::NotFound { .. }) => {
                let text = format!("output {} has no bucket {}", self.name(), bucket.name);
                Err(Fault::new(FaultKind::DestinationMissing, text))
            }
            Err(error) => Err(self.fault(&error)),
        }
    }

    async fn begin(&self, _attempt: &Nonce, content: &Content) -> Result<Hidden, Fault> {
        let id = self.begin_upload(Some(content)).await?;
        Ok(Hidden::Upload { id, parts: Vec::new() })
    }

    async fn fill(&self, begun: &Hidden, from: &Path) -> Result<Hidden, Fault> {
        let (id, _) = self.uploaded(begun)?;
        let parts = self.send(from, id).await?;
        Ok(Hidden::Upload { id: id.to_owned(), parts })
    }

    async fn uncover(&self, hidden: &Hidden, on_existing: OnExisting) -> Result<Published, Fault> {
        let (id, parts) = self.uploaded(hidden)?;
        self.refuse_existing(on_existing).await?;
        match self.complete(id, parts).await {
            Ok(()) => Ok(Published::Stands),
            Err(error @ object_store::Error::NotFound { .. }) if !fault::is_of_bucket(&error) => {
                self.wait_for_another().await;
                Ok(Published::Gone)
            }
            Err(error) => Err(self.fault(&error)),
        }
    }

    async fn discard(&self, hidden: &Hidden) -> Result<(), Fault> {
        let (id, _) = self.uploaded(hidden)?;
        match self.key.bucket.writes.abort_multipart(&self.key.path, &id.to_owned()).await {
            Err(error) if fault::may_pass(&error) => Err(self.fault(&error)),
            // How a store says that an upload is gone already differs from one to the next.
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl Opened for OpenRemote {
    async fn read(&self, offset: u64, len: u32) -> Result<Bytes, Fault> {
        let mut tries = 0;
        loop {
            let read = tokio::time::timeout(READ_PATIENCE, self.read_once(offset, len)).await;
            let got = match read {
                Ok(Err(fault)) => return Err(fault),
                Ok(Ok(bytes)) if bytes.len() == len as usize => return Ok(bytes),
                Ok(Ok(bytes)) => format!("{} of {len} bytes came", bytes.len()),
                Err(_) => format!("{len} bytes did not come in {} s", READ_PATIENCE.as_secs()),
            };
            if tries == SHORT_READS_MAX {
                return Err(fault::of(self.place.side, &self.place.name(), (Trouble::Away, &got)));
            }
            tokio::time::sleep(SHORT_READ_PAUSE * 2_u32.pow(tries)).await;
            tries += 1;
        }
    }
}

impl OpenRemote {
    async fn read_once(&self, offset: u64, len: u32) -> Result<Bytes, Fault> {
        let range = GetRange::Bounded(offset..offset + u64::from(len));
        let options = GetOptions { range: Some(range), if_match: self.etag.clone(), ..GetOptions::default() };
        let (place, key) = (&self.place, &self.place.key);
        let answer = key.bucket.reads.get_opts(&key.path, options).await.map_err(|e| place.fault(&e))?;
        // A server may know no If-Match.
        if facts_of(&answer.meta) != self.facts {
            return Err(fault::of(place.side, &place.name(), (Trouble::Changed, "")));
        }
        answer.bytes().await.map_err(|e| place.fault(&e))
    }
}

impl RemotePlace {
    pub(crate) fn fault(&self, error: &object_store::Error) -> Fault {
        fault::of_store(self.side, &self.name(), error)
    }

    /// Ends an upload of which nobody will hear. What is left of it if this fails falls to the bucket's own rule.
    pub(crate) async fn give_up(&self, id: &str) {
        let _ = self.key.bucket.writes.abort_multipart(&self.key.path, &id.to_owned()).await;
    }

    async fn head(&self) -> Result<ObjectMeta, Fault> {
        match self.key.bucket.reads.head(&self.key.path).await {
            Ok(meta) => Ok(meta),
            Err(error) => Err(self.explained(&error).await),
        }
    }

    /// Why a HEAD was refused, if the object's first byte is refused in words.
    async fn explained(&self, error: &object_store::Error) -> Fault {
        if !fault::is_unexplained(error) {
            return self.fault(error);
        }
        match self.key.bucket.reads.get_range(&self.key.path, 0..1).await {
            Err(said) if fault::is_refusal(&said) => self.fault(&said),
            _ => self.fault(error),
        }
    }

    async fn refuse_existing(&self, on_existing: OnExisting) -> Result<(), Fault> {
        if on_existing == OnExisting::Fail && self.presence().await? == Presence::Present {
            return Err(fault::of(self.side, &self.name(), (Trouble::Exists, "")));
        }
        Ok(())
    }

    async fn complete(&self, id: &str, parts: &[String]) -> object_store::Result<()> {
        let parts = parts.iter().map(|part| PartId { content_id: part.clone() }).collect();
        self.key.bucket.writes.complete_multipart(&self.key.path, &id.to_owned(), parts).await.map(drop)
    }

    /// Somebody else may be completing the very upload: stores forget it some time before they show what it became.
    async fn wait_for_another(&self) {
        for tries in 0..GONE_LOOKS_MAX {
            if !matches!(self.presence().await, Ok(Presence::Absent)) {
                return;
            }
            tokio::time::sleep(GONE_LOOK_PAUSE * 2_u32.pow(tries)).await;
        }
    }

    fn uploaded<'a>(&self, hidden: &'a Hidden) -> Result<(&'a str, &'a [String]), Fault> {
        match hidden {
            Hidden::Upload { id, parts } => Ok((id, parts)),
            Hidden::Sibling(url) => {
                Err(Fault::new(FaultKind::Internal, format!("the file {url} was staged for {}", self.name())))
            }
        }
    }
}

pub(crate) fn modified(meta: &ObjectMeta) -> WallTime {
    WallTime(meta.last_modified.timestamp_millis())
}

fn facts_of(meta: &ObjectMeta) -> Facts {
    let version = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.to_rfc3339());
    Facts { size: meta.size, version }
}
