//! Local files on their way into a bucket: as one request where they are small, in parts where they are not.

use std::path::Path;

use bytes::Bytes;
use framefleet_model::fault::{Fault, FaultKind};
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::multipart::MultipartStore as _;
use object_store::{Attribute, Attributes, PutMultipartOptions};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use crate::adapters::blob::place::Place as _;
use crate::adapters::blob::remote::{NOTE, RemotePlace};
use crate::adapters::blob::{Content, Side, content_type, fault};

/// The least that every store takes as a part is 5 MiB; at 16 MiB, 10 000 parts are 156 GiB.
const PART_BYTES: usize = 16 << 20;
const PARTS_MAX: usize = 10_000;
/// Parts of one upload that are in memory and on their way at once.
const PARTS_AT_ONCE: usize = 3;

/// The whole file, if one request can carry it.
pub(crate) async fn small(from: &Path) -> Result<Option<Bytes>, Fault> {
    let mut file = File::open(from).await.map_err(|e| local(from, &e))?;
    let size = file.metadata().await.map_err(|e| local(from, &e))?.len();
    if size > PART_BYTES as u64 {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(PART_BYTES.min(usize::try_from(size).unwrap_or_default()));
    file.read_to_end(&mut bytes).await.map_err(|e| local(from, &e))?;
    Ok(Some(bytes.into()))
}

impl RemotePlace {
    /// What those who fetch it are told of it.
    pub(crate) fn told(&self) -> Attributes {
        let told = content_type::of(self.key.path.as_ref());
        told.map(|told| (Attribute::ContentType, told)).into_iter().collect()
    }

    /// Begins an upload that may carry a note of the content it is to have.
    pub(crate) async fn begin_upload(&self, note: Option<&Content>) -> Result<String, Fault> {
        let mut attributes = self.told();
        if let Some(content) = note {
            attributes.insert(Attribute::Metadata(NOTE.into()), content.digest.to_string().into());
        }
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let begun = self.key.bucket.writes.create_multipart_opts(&self.key.path, options).await;
        begun.map_err(|e| self.fault(&e))
    }

    /// Sends a file's parts, and gives the upload up if that cannot be done: the names of the parts, in their order.
    pub(crate) async fn send(&self, from: &Path, id: &str) -> Result<Vec<String>, Fault> {
        let parts = self.send_parts(from, &id.to_owned()).await;
        if parts.is_err() {
            self.give_up(id).await;
        }
        parts
    }

    async fn send_parts(&self, from: &Path, id: &String) -> Result<Vec<String>, Fault> {
        let file = File::open(from).await.map_err(|e| local(from, &e))?;
        let parts = futures::stream::try_unfold((file, 0), |(mut file, number)| async move {
            let mut part = Vec::with_capacity(PART_BYTES);
            (&mut file).take(PART_BYTES as u64).read_to_end(&mut part).await.map_err(|e| local(from, &e))?;
            // An empty object is one empty part.
            if part.is_empty() && number > 0 {
                return Ok(None);
            }
            if number == PARTS_MAX {
                let text = format!("{} is larger than {PARTS_MAX} parts of {PART_BYTES} bytes", self.name());
                return Err(Fault::new(FaultKind::DestinationFull, text));
            }
            Ok(Some(((number, part), (file, number + 1))))
        });
        let sent = parts.map_ok(|(number, part)| async move {
            let sent = self.key.bucket.writes.put_part(&self.key.path, id, number, part.into()).await;
            sent.map(|part| part.content_id).map_err(|e| self.fault(&e))
        });
        sent.try_buffered(PARTS_AT_ONCE).boxed().try_collect().await
    }
}

fn local(from: &Path, error: &std::io::Error) -> Fault {
    fault::of_io(Side::Work, &from.display().to_string(), error)
}
