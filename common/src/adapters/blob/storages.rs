//! Which storages may be used, and what a URL of theirs means.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use framefleet_model::event::Provider;
use framefleet_model::fault::{Fault, FaultKind};

use crate::adapters::blob::bounds::Bounds;
use crate::adapters::blob::bucket::Bucket;
use crate::adapters::blob::file::{FilePlace, Folder};
use crate::adapters::blob::remote::{Key, RemotePlace};
use crate::adapters::blob::root::Root;
use crate::adapters::blob::url::{self, Named};
use crate::adapters::blob::web::{Web, WebPlace};
use crate::adapters::blob::{Object, Side};

/// The storages of a fleet. Whatever a job names lies in one of them, or is refused.
#[derive(Clone, Debug)]
pub struct Storages(Arc<Known>, Option<Web>);

/// One storage, as people set it up.
#[derive(Clone, Debug)]
pub struct StorageSettings {
    /// `s3://bucket`, `oss://bucket/prefix` or `file:///folder`: what lies below may be used.
    pub url: String,
    /// Where the server is; none for Amazon's or Alibaba's own.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// None: what the environment or the instance has.
    pub credentials: Option<Credentials>,
    pub addressing: Addressing,
    pub http: Http,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub key_id: String,
    pub secret: String,
    pub token: Option<String>,
}

/// Where a request names its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    Path,
    /// In the host's name, of which the endpoint has to be made.
    VirtualHost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    Tls,
    /// Without TLS, too.
    Plain,
}

#[derive(Debug)]
struct Known {
    /// As people wrote them, for those who are refused.
    urls: Vec<String>,
    bounds: Bounds,
    buckets: Vec<Entry>,
    /// What lies below here is the fleet's own, whatever storage it lies in.
    closed: Option<Named>,
}

#[derive(Debug)]
struct Entry {
    /// With a slash at its end, or empty.
    prefix: String,
    bucket: Arc<Bucket>,
}

impl StorageSettings {
    /// Everything below a folder.
    pub fn folder(path: &Path) -> Self {
        let url = url::of_path(path);
        Self { url, endpoint: None, region: None, credentials: None, addressing: Addressing::Path, http: Http::Tls }
    }
}

impl Storages {
    /// Every file, and nothing else: for one process that acts for the one who started it.
    pub fn local() -> Self {
        Self(
            Arc::new(Known {
                urls: vec!["file:///".to_owned()],
                bounds: Bounds::none(),
                buckets: Vec::new(),
                closed: None,
            }),
            None,
        )
    }

    /// Films and outputs may lie in all of these, but not below `closed`, the fleet's own work store.
    pub fn with_closed(settings: Vec<StorageSettings>, closed: &str) -> Result<Self, Fault> {
        let closed = Some(url::parse(closed)?);
        Ok(Self(Arc::new(Known { closed, ..Known::new(settings)? }), None))
    }

    pub fn new(settings: Vec<StorageSettings>) -> Result<Self, Fault> {
        Ok(Self(Arc::new(Known::new(settings)?), None))
    }

    /// Sources may lie behind HTTP as well; none: they may not.
    pub fn reading_web(self, web: Option<Web>) -> Self {
        Self(self.0, web)
    }

    pub fn object(&self, url: &str, side: Side) -> Result<Object, Fault> {
        self.object_in(url, (side, Folder::Shared))
    }

    /// One of the files that an attempt puts into a folder of its own at the destination, which is made with the first
    /// of them and goes with the last.
    pub fn member(&self, url: &str) -> Result<Object, Fault> {
        self.object_in(url, (Side::Destination, Folder::Own))
    }

    fn object_in(&self, url: &str, (side, folder): (Side, Folder)) -> Result<Object, Fault> {
        let named = url::parse(url)?;
        if self.0.is_closed(&named) {
            let text = format!("{url:?} lies in the work store, which is the fleet's own");
            return Err(Fault::new(FaultKind::Settings, text));
        }
        match named {
            Named::File(path) => {
                let bounds = self.covering(url, &path)?;
                Ok(Object::at(FilePlace { path, side, bounds, folder }))
            }
            Named::Key { provider, bucket, key } => {
                let bucket = self.holding(url, (provider, &bucket, &key))?;
                Ok(Object::at(RemotePlace { key: Key::new(bucket, &key)?, side }))
            }
            Named::Web(web) => self.behind_http(&web, side),
        }
    }

    fn behind_http(&self, url: &str, side: Side) -> Result<Object, Fault> {
        // The rest may be a token.
        let shown = url.split(['?', '#']).next().unwrap_or_default();
        match (side, &self.1) {
            (Side::Source, Some(web)) => Ok(Object::at(WebPlace::new(web.clone(), url)?)),
            (Side::Source, None) => Err(url::refused(shown, "lies behind HTTP, and sources.http is not set")),
            (Side::Work | Side::Destination, _) => {
                Err(url::refused(shown, "lies behind HTTP, where films are read from and nothing goes"))
            }
        }
    }

    /// The work store at this URL.
    pub fn root(&self, url: &str) -> Result<Root, Fault> {
        match url::parse(url)? {
            Named::File(path) => {
                let bounds = self.covering(url, &path)?;
                Ok(Root::in_folder(path, bounds))
            }
            Named::Key { provider, bucket, key } => {
                let prefix = prefix(url, &key)?;
                let bucket = self.holding(url, (provider, &bucket, &prefix))?;
                Ok(Root::in_bucket(bucket, prefix))
            }
            Named::Web(_) => Err(url::refused(url, "lies behind HTTP, where nothing goes")),
        }
    }

    pub(crate) fn covering(&self, url: &str, path: &Path) -> Result<Bounds, Fault> {
        let bounds = &self.0.bounds;
        if bounds.cover(path) { Ok(bounds.clone()) } else { Err(self.uncovered(url)) }
    }

    pub(crate) fn holding(
        &self,
        url: &str,
        (provider, bucket, key): (Provider, &str, &str),
    ) -> Result<Arc<Bucket>, Fault> {
        let is = |entry: &Entry| (entry.bucket.provider, entry.bucket.name.as_str()) == (provider, bucket);
        let covers = |entry: &&Entry| is(entry) && key.starts_with(&entry.prefix);
        let entry = self.0.buckets.iter().find(covers).ok_or_else(|| self.uncovered(url))?;
        Ok(entry.bucket.clone())
    }

    fn uncovered(&self, url: &str) -> Fault {
        let known = &self.0.urls;
        let may = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
        Fault::new(FaultKind::Settings, format!("{url:?} lies in no storage of this fleet, which may use {may}"))
    }
}

impl Known {
    fn new(settings: Vec<StorageSettings>) -> Result<Self, Fault> {
        let (mut folders, mut buckets) = (Vec::new(), Vec::new());
        for storage in &settings {
            match url::parse(&storage.url)? {
                Named::File(folder) if Bounds::within(vec![folder.clone()]).cover(&folder) => folders.push(folder),
                Named::File(_) => return Err(url::refused(&storage.url, "has a .. in it")),
                Named::Web(_) => {
                    return Err(url::refused(&storage.url, "lies behind HTTP, which is no storage of a fleet's"));
                }
                Named::Key { provider, bucket, key } => {
                    let prefix = prefix(&storage.url, &key)?;
                    buckets.push(Entry { prefix, bucket: Arc::new(Bucket::open((provider, &bucket), storage)?) });
                }
            }
        }
        // The longest prefix first: it is the one that is meant.
        buckets.sort_by_key(|entry| std::cmp::Reverse(entry.prefix.len()));
        let urls = settings.into_iter().map(|storage| storage.url).collect();
        Ok(Self { urls, bounds: Bounds::within(folders), buckets, closed: None })
    }

    fn is_closed(&self, named: &Named) -> bool {
        match (&self.closed, named) {
            (Some(Named::File(folder)), Named::File(path)) => path.starts_with(folder),
            (
                Some(Named::Key { provider, bucket, key: prefix }),
                Named::Key { provider: whose, bucket: other, key },
            ) => {
                let rest = key.strip_prefix(prefix.trim_end_matches('/'));
                (provider, bucket) == (whose, other)
                    && rest.is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
            }
            (Some(Named::File(_) | Named::Key { .. } | Named::Web(_)) | None, _) => false,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A key that others continue: with one slash at its end, or empty for a whole bucket.
fn prefix(url: &str, key: &str) -> Result<String, Fault> {
    let key = key.strip_suffix('/').unwrap_or(key);
    if key.is_empty() {
        return Ok(String::new());
    }
    Ok(crate::adapters::blob::remote::exact(url, key)?.to_string() + "/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_names_a_place_in_the_work_store() {
        let bucket = StorageSettings {
            url: "s3://films".to_owned(),
            region: Some("eu-west-1".to_owned()),
            ..StorageSettings::folder(Path::new("/"))
        };
        let all = || vec![bucket.clone(), StorageSettings::folder(Path::new("/srv"))];
        let refused = |work: &str, url: &str| {
            let storages = Storages::with_closed(all(), work).unwrap();
            storages.object(url, Side::Destination).err().map(|fault| fault.message)
        };
        for url in ["file:///srv/work/a/b", "file:///srv/%77ork", "file:///srv/work"] {
            assert!(refused("file:///srv/work", url).is_some_and(|text| text.contains("the fleet's own")), "{url}");
        }
        assert_eq!(refused("file:///srv/work", "file:///srv/workers.mp4"), None);
        assert!(refused("s3://films/work/", "s3://films/work/a.mp4").is_some());
        assert_eq!(refused("s3://films/work", "s3://films/workers.mp4"), None);
        assert_eq!(refused("s3://films/work", "file:///srv/work/a.mp4"), None);
    }
}
