//! Objects in a bucket, through `object_store`. Large ones go up in parts; staged ones are uploads not yet completed.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use object_store::multipart::{MultipartStore, PartId};
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt as _};
use tokio::io::AsyncReadExt as _;

use crate::adapters::blob::fault;
use crate::adapters::blob::place::{Opened, Place};
use crate::adapters::blob::{Facts, Hidden, OnExisting, Presence, Side};

/// The least that every store takes as a part is 5 MiB; at 16 MiB, 10 000 parts are 156 GiB.
const PART_BYTES: usize = 16 << 20;
const PARTS_MAX: usize = 10_000;

/// A bucket whose uploads can be left uncompleted.
pub trait Bucket: ObjectStore + MultipartStore {}
impl<T: ObjectStore + MultipartStore> Bucket for T {}

/// An object in a bucket. The key comes from `Path::parse`: what is stored is what was said.
#[derive(Clone)]
pub struct Bucketed {
    pub bucket: Arc<dyn Bucket>,
    pub key: object_store::path::Path,
    /// What people call it.
    pub url: String,
}

#[derive(Clone)]
pub(crate) struct RemotePlace {
    pub(crate) object: Bucketed,
    pub(crate) side: Side,
}

struct OpenRemote {
    place: RemotePlace,
    etag: Option<String>,
}

#[async_trait]
impl Place for RemotePlace {
    fn name(&self) -> String {
        self.object.url.clone()
    }

    async fn facts(&self) -> Result<Facts, Fault> {
        Ok(facts_of(&self.head().await?))
    }

    async fn presence(&self) -> Result<Presence, Fault> {
        match self.bucket().head(self.key()).await {
            Ok(_) => Ok(Presence::Present),
            Err(object_store::Error::NotFound { .. }) => Ok(Presence::Absent),
            Err(error) => Err(self.fault(&error)),
        }
    }

    async fn open(&self) -> Result<(Facts, Box<dyn Opened>), Fault> {
        let meta = self.head().await?;
        Ok((facts_of(&meta), Box::new(OpenRemote { place: self.clone(), etag: meta.e_tag })))
    }

    async fn put(&self, bytes: Bytes) -> Result<(), Fault> {
        self.bucket().put(self.key(), bytes.into()).await.map(drop).map_err(|e| self.fault(&e))
    }

    async fn put_file(&self, from: &Path) -> Result<(), Fault> {
        let (id, parts) = self.upload(from).await?;
        self.complete(&id, parts).await
    }

    async fn delete(&self) -> Result<(), Fault> {
        match self.bucket().delete(self.key()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.fault(&error)),
        }
    }

    async fn stage(&self, from: &Path, _attempt: &Nonce) -> Result<Hidden, Fault> {
        let (id, parts) = self.upload(from).await?;
        Ok(Hidden::Upload { id, parts })
    }

    async fn uncover(&self, hidden: &Hidden, on_existing: OnExisting) -> Result<(), Fault> {
        let (id, parts) = self.uploaded(hidden)?;
        if on_existing == OnExisting::Fail && self.presence().await? == Presence::Present {
            return Err(fault::of(self.side, &self.name(), (fault::Trouble::Exists, "")));
        }
        self.complete(id, parts.to_vec()).await
    }

    async fn discard(&self, hidden: &Hidden) -> Result<(), Fault> {
        let (id, _) = self.uploaded(hidden)?;
        // How a store says that an upload is gone already differs from one to the next; what is left of one that is
        // not gone falls to the bucket's own rule for stale uploads.
        let _ = self.bucket().abort_multipart(self.key(), &id.to_owned()).await;
        Ok(())
    }

    async fn discard_attempt(&self, _attempt: &Nonce) -> Result<(), Fault> {
        // An upload whose id nobody wrote down falls to the bucket's own rule for stale uploads.
        Ok(())
    }
}

#[async_trait]
impl Opened for OpenRemote {
    async fn read(&self, offset: u64, len: u32) -> Result<Bytes, Fault> {
        let range = GetRange::Bounded(offset..offset + u64::from(len));
        let options = GetOptions { range: Some(range), if_match: self.etag.clone(), ..GetOptions::default() };
        let place = &self.place;
        let answer = place.bucket().get_opts(place.key(), options).await.map_err(|e| place.fault(&e))?;
        let bytes = answer.bytes().await.map_err(|e| place.fault(&e))?;
        if bytes.len() == len as usize {
            return Ok(bytes);
        }
        Err(fault::of(place.side, &place.name(), (fault::Trouble::Changed, "")))
    }
}

impl RemotePlace {
    fn bucket(&self) -> &dyn Bucket {
        &*self.object.bucket
    }

    fn key(&self) -> &object_store::path::Path {
        &self.object.key
    }

    fn fault(&self, error: &object_store::Error) -> Fault {
        fault::of_store(self.side, &self.name(), error)
    }

    async fn head(&self) -> Result<ObjectMeta, Fault> {
        self.bucket().head(self.key()).await.map_err(|e| self.fault(&e))
    }

    async fn upload(&self, from: &Path) -> Result<(String, Vec<String>), Fault> {
        let id = self.bucket().create_multipart(self.key()).await.map_err(|e| self.fault(&e))?;
        let parts = self.upload_parts(from, &id).await;
        if parts.is_err() {
            // The upload is of no use to anybody; the bucket's rule for stale uploads is the second net.
            let _ = self.bucket().abort_multipart(self.key(), &id).await;
        }
        Ok((id, parts?))
    }

    async fn upload_parts(&self, from: &Path, id: &String) -> Result<Vec<String>, Fault> {
        let local = |e: std::io::Error| fault::of_io(Side::Work, &from.display().to_string(), &e);
        let mut file = tokio::fs::File::open(from).await.map_err(local)?;
        let mut parts = Vec::new();
        loop {
            let mut part = Vec::with_capacity(PART_BYTES);
            (&mut file).take(PART_BYTES as u64).read_to_end(&mut part).await.map_err(local)?;
            // An empty object is one empty part.
            if part.is_empty() && !parts.is_empty() {
                return Ok(parts);
            }
            if parts.len() == PARTS_MAX {
                let text = format!("{} is larger than {PARTS_MAX} parts of {PART_BYTES} bytes", self.name());
                return Err(Fault::new(FaultKind::DestinationFull, text));
            }
            let last = part.len() < PART_BYTES;
            let sent = self.bucket().put_part(self.key(), id, parts.len(), part.into()).await;
            parts.push(sent.map_err(|e| self.fault(&e))?.content_id);
            if last {
                return Ok(parts);
            }
        }
    }

    async fn complete(&self, id: &str, parts: Vec<String>) -> Result<(), Fault> {
        let parts = parts.into_iter().map(|content_id| PartId { content_id }).collect();
        let done = self.bucket().complete_multipart(self.key(), &id.to_owned(), parts).await;
        done.map(drop).map_err(|e| self.fault(&e))
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

fn facts_of(meta: &ObjectMeta) -> Facts {
    let version = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.to_rfc3339());
    Facts { size: meta.size, version }
}
