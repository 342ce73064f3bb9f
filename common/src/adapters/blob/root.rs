//! The work store: objects by their keys, below a folder or a prefix, and lists of what is there.
//!
//! Nobody finds work by listing. Lists are for those who clean up, and for those who rebuild a lost store. They come by
//! pages, so that none grows with the store.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::JobId;
use framefleet_model::key::ObjectKey;
use framefleet_model::percent;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore as _};

use crate::adapters::blob::bounds::Bounds;
use crate::adapters::blob::bucket::Bucket;
use crate::adapters::blob::file::FilePlace;
use crate::adapters::blob::remote::{Key, RemotePlace};
use crate::adapters::blob::{Object, Side, fault, folder, url};

/// A folder of the root's that is no job's.
const PROBES: &str = "probe";
const PROBE: &[u8] = b"framefleet was here\n";
/// Where its middle begins, and how long that is.
const PROBE_PART: (u64, u32) = (11, 3);
/// Each request of whoever tries the place out has so long: the next is made whatever comes of it.
pub const STEP: Duration = Duration::from_secs(7);
/// As many as servers give at once.
const PAGE: usize = 1000;

/// A place that holds work objects by their keys.
#[derive(Clone, Debug)]
pub struct Root {
    home: Home,
}

/// Something that lies in the work store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stored {
    Known(ObjectKey),
    /// Of a name that no key has: what somebody left who died over it, or put there by hand. As it stands in a URL,
    /// from the root on.
    Unknown(String),
}

/// What came of trying a place out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub read_back: Result<(), (Doing, Fault)>,
    /// What still lies there, or may, and why it could not be deleted.
    pub left: Option<(String, Fault)>,
}

/// What could not be done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Writing,
    Reading,
}

/// Some of what was asked for.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub found: Vec<T>,
    /// None: this was all.
    pub next: Option<Cursor>,
}

/// Where a page ends and the next begins; of use only for the same question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

#[derive(Clone, Debug)]
enum Home {
    Folder { path: PathBuf, bounds: Bounds },
    Bucket { bucket: Arc<Bucket>, prefix: String },
}

impl Root {
    pub fn folder(path: &Path) -> Self {
        Self::in_folder(path.to_owned(), Bounds::none())
    }

    pub(crate) fn in_folder(path: PathBuf, bounds: Bounds) -> Self {
        Self { home: Home::Folder { path, bounds } }
    }

    /// The prefix ends with a slash, or is empty.
    pub(crate) fn in_bucket(bucket: Arc<Bucket>, prefix: String) -> Self {
        Self { home: Home::Bucket { bucket, prefix } }
    }

    pub fn object(&self, key: &ObjectKey) -> Object {
        let name = key.to_string();
        match &self.home {
            Home::Folder { path, bounds } => Object::at(FilePlace::shared(path.join(name), Side::Work, bounds.clone())),
            Home::Bucket { bucket, prefix } => {
                let key = Key::new(bucket.clone(), &format!("{prefix}{name}"));
                let key = key.expect("a prefix is checked, and a key of ours has only plain letters");
                Object::at(RemotePlace { key, side: Side::Work })
            }
        }
    }

    /// Jobs that have any object, in the order of their ids.
    pub async fn jobs(&self, after: Option<&Cursor>) -> Result<Page<JobId>, Fault> {
        let (names, next) = match &self.home {
            Home::Folder { path, .. } => {
                let (path, after) = (path.clone(), after.map(Cursor::name).transpose()?);
                let names = self.on_disk(move || folder::folders(&path, after.as_deref(), PAGE)).await?;
                let next = next(&names);
                (names.into_iter().filter_map(|name| String::from_utf8(name).ok()).collect(), next)
            }
            Home::Bucket { prefix, .. } => {
                let page = self.page(prefix, (Some("/"), after)).await?;
                let names = page.result.common_prefixes.into_iter().map(String::from);
                let bare = names.filter_map(|name| Some(name.strip_prefix(prefix)?.to_owned()));
                (bare.collect::<Vec<_>>(), page.page_token.map(Cursor))
            }
        };
        Ok(Page { found: names.into_iter().filter_map(|name| name.parse().ok()).collect(), next })
    }

    /// What lies under a job, or everything.
    pub async fn list(&self, job: Option<&JobId>, after: Option<&Cursor>) -> Result<Page<Stored>, Fault> {
        let below = job.map(|job| format!("{job}/")).unwrap_or_default();
        let (names, next) = match &self.home {
            Home::Folder { path, .. } => {
                let (path, after) = (path.clone(), after.map(Cursor::name).transpose()?);
                let below = below.into_bytes();
                let names = self.on_disk(move || folder::files(&path, (below, after), PAGE)).await?;
                let next = next(&names);
                (names, next)
            }
            Home::Bucket { prefix, .. } => {
                let page = self.page(&format!("{prefix}{below}"), (None, after)).await?;
                let names = page.result.objects.into_iter().map(|meta| String::from(meta.location));
                let bare = names.filter_map(|name| Some(name.strip_prefix(prefix)?.as_bytes().to_vec()));
                (bare.collect(), page.page_token.map(Cursor))
            }
        };
        Ok(Page { found: names.iter().map(|name| Stored::of(name)).collect(), next })
    }

    /// Removes something that was listed; what is not there is removed already.
    pub async fn delete(&self, stored: &Stored) -> Result<(), Fault> {
        match (&self.home, stored) {
            (Home::Folder { path, bounds }, stored) => {
                let name = stored.name()?;
                let below = folder::relative(&name);
                let file = path.join(below.ok_or_else(|| url::refused(&stored.to_string(), "leads out of the root"))?);
                let place = FilePlace::shared(file.clone(), Side::Work, bounds.clone());
                Object::at(place).delete().await?;
                let root = path.clone();
                self.on_disk(move || folder::remove_empty(&root, &file)).await
            }
            (Home::Bucket { .. }, Stored::Known(key)) => self.object(key).delete().await,
            (Home::Bucket { bucket, prefix }, Stored::Unknown(_)) => {
                let name =
                    String::from_utf8(stored.name()?).map_err(|_| url::refused(&stored.to_string(), "is no key"))?;
                let key = Key::new(bucket.clone(), &format!("{prefix}{name}"))?;
                Object::at(RemotePlace { key, side: Side::Work }).delete().await
            }
        }
    }

    /// Writes an object and removes it again: only that tells of bucket, key and rights. `by` tells those apart who do so
    /// at once.
    pub async fn probe(&self, by: &str) -> Result<(), Fault> {
        self.probed(by)?.put(Bytes::from_static(PROBE)).await?;
        self.delete(&Stored::Unknown(Self::probe_name(by))).await
    }

    /// The same, and reads a part of it in between. What was written is deleted whatever came of reading it.
    pub async fn read_back(&self, by: &str) -> Tried {
        let object = match self.probed(by) {
            Ok(object) => object,
            Err(fault) => return Tried { read_back: Err((Doing::Writing, fault)), left: None },
        };
        let place = self.probe_place(by);
        let written = in_time(object.put(Bytes::from_static(PROBE))).await;
        let read = match &written {
            Some(Ok(())) => in_time(async { object.reader().await?.read(PROBE_PART.0, PROBE_PART.1).await }).await,
            Some(Err(_)) | None => None,
        };
        // Even what was refused may have left a folder, and what was not answered an object.
        let deleted = in_time(self.delete(&Stored::Unknown(Self::probe_name(by)))).await;
        let left = match (&written, deleted) {
            (_, Some(Ok(()))) | (Some(Err(_)), _) => None,
            (Some(Ok(())) | None, Some(Err(fault))) => Some((place.clone(), fault)),
            (Some(Ok(())) | None, None) => Some((place.clone(), silent(&place, "deleted"))),
        };
        let read_back = match (written, read) {
            (Some(Err(fault)), _) => Err((Doing::Writing, fault)),
            (None, _) => Err((Doing::Writing, silent(&place, "written"))),
            (Some(Ok(())), Some(Err(fault))) => Err((Doing::Reading, fault)),
            (Some(Ok(())), None) => Err((Doing::Reading, silent(&place, "read"))),
            (Some(Ok(())), Some(Ok(read))) => self.is_the_part(&read).map_err(|fault| (Doing::Reading, fault)),
        };
        Tried { read_back, left }
    }

    fn is_the_part(&self, read: &Bytes) -> Result<(), Fault> {
        let from = usize::try_from(PROBE_PART.0).expect("a few bytes");
        let wanted = &PROBE[from..from + PROBE_PART.1 as usize];
        if read == wanted {
            return Ok(());
        }
        let why = format!("a range read back is {read:?}, not {wanted:?}");
        Err(fault::of(Side::Work, &self.to_string(), (fault::Trouble::Away, &why)))
    }

    /// What a probe is called, from the root on.
    pub fn probe_name(by: &str) -> String {
        [PROBES, "/", by].concat()
    }

    /// Where it is found by people.
    fn probe_place(&self, by: &str) -> String {
        let name = Self::probe_name(by);
        match &self.home {
            Home::Folder { path, .. } => path.join(name).display().to_string(),
            Home::Bucket { bucket, prefix } => bucket.url(&[prefix, name.as_str()].concat()),
        }
    }

    fn probed(&self, by: &str) -> Result<Object, Fault> {
        let name = Self::probe_name(by);
        Ok(match &self.home {
            Home::Folder { path, bounds } => Object::at(FilePlace::shared(path.join(name), Side::Work, bounds.clone())),
            Home::Bucket { bucket, prefix } => {
                let key = Key::new(bucket.clone(), &format!("{prefix}{name}"))?;
                Object::at(RemotePlace { key, side: Side::Work })
            }
        })
    }

    async fn page(
        &self,
        prefix: &str,
        (delimiter, after): (Option<&'static str>, Option<&Cursor>),
    ) -> Result<PaginatedListResult, Fault> {
        let Home::Bucket { bucket, .. } = &self.home else {
            return Err(fault::of(Side::Work, &self.to_string(), (fault::Trouble::NoObject, "no bucket")));
        };
        let options = PaginatedListOptions {
            delimiter: delimiter.map(Into::into),
            max_keys: Some(PAGE),
            page_token: after.map(|cursor| cursor.0.clone()),
            ..PaginatedListOptions::default()
        };
        let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
        let listed = bucket.reads.list_paginated(prefix, options).await;
        listed.map_err(|error| fault::of_store(Side::Work, &self.to_string(), &error))
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        match tokio::task::spawn_blocking(call).await {
            Ok(done) => done.map_err(|error| fault::of_io(Side::Work, &self.to_string(), &error)),
            Err(panic) => Err(fault::of(Side::Work, &self.to_string(), (fault::Trouble::Away, &panic.to_string()))),
        }
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.home {
            Home::Folder { path, .. } => write!(f, "{}", path.display()),
            Home::Bucket { bucket, prefix } => f.write_str(&bucket.url(prefix)),
        }
    }
}

impl Stored {
    fn of(name: &[u8]) -> Self {
        let key = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
        key.map_or_else(|| Self::Unknown(percent::encode(name)), Self::Known)
    }

    fn name(&self) -> Result<Vec<u8>, Fault> {
        match self {
            Self::Known(key) => Ok(key.to_string().into_bytes()),
            Self::Unknown(name) => percent::decode(name).ok_or_else(|| url::refused(name, "is no name of a list")),
        }
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(key) => write!(f, "{key}"),
            Self::Unknown(name) => f.write_str(name),
        }
    }
}

impl Cursor {
    fn name(&self) -> Result<Vec<u8>, Fault> {
        percent::decode(&self.0).ok_or_else(|| url::refused(&self.0, "is no cursor of a list"))
    }
}

async fn in_time<T>(step: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(STEP, step).await.ok()
}

fn silent(place: &str, done: &str) -> Fault {
    Fault::new(FaultKind::StorageAway, format!("{place} cannot be {done}: no answer within {STEP:?}"))
}

/// A full page may have another after it.
fn next(names: &[Vec<u8>]) -> Option<Cursor> {
    names.last().filter(|_| names.len() == PAGE).map(|name| Cursor(percent::encode(name)))
}
