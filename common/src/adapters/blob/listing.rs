//! Lists of what lies below a bucket or a folder, page by page, for those who look for what nobody told of.
//!
//! Names come from outside. One that no object can be asked for by is counted and passed over, wherever it stands: it
//! hides none of the others. Of files, links are not followed.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use framefleet_model::event::{UploadKey, WallTime};
use framefleet_model::fault::Fault;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore as _};

use crate::adapters::blob::bounds::Bounds;
use crate::adapters::blob::bucket::Bucket;
use crate::adapters::blob::remote::modified;
use crate::adapters::blob::storages::Storages;
use crate::adapters::blob::url::Named;
use crate::adapters::blob::{Facts, Side, disk, fault, folder, url};

/// As many as servers give at once.
const PAGE: usize = 1000;
/// So many names that cannot be asked for are passed over in one call.
const REFUSED_MAX: usize = 64;

/// What is listed: keys of a bucket or a folder that begin with a prefix.
#[derive(Clone, Copy, Debug)]
pub struct Below<'a> {
    /// `s3://bucket/`, `oss://bucket/` or `file:///folder/`.
    pub url: &'a str,
    pub prefix: &'a str,
}

/// Something that lies there, as the list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub key: UploadKey,
    pub size: u64,
    /// `None`: the list does not tell, the object itself does.
    pub version: Option<String>,
    /// When it came to be there, as far as its storage tells.
    pub appeared: WallTime,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    pub found: Vec<Listed>,
    /// Names that nothing can be asked for by.
    pub refused: usize,
    /// Where the next page begins; `None`: this was all.
    pub next: Option<String>,
}

/// Cursors of buckets: what the server gave, or a name after which to go on.
const BY_TOKEN: &str = "token:";
const BY_NAME: &str = "name:";

impl Storages {
    /// The page that begins where another ended.
    pub async fn list(&self, below: Below<'_>, after: Option<&str>) -> Result<Listing, Fault> {
        match url::parse(below.url)? {
            Named::File(root) => {
                let bounds = self.covering(below.url, &root)?;
                let (prefix, after, name) = (below.prefix.to_owned(), after.map(str::to_owned), below.url.to_owned());
                let call = move || files(&root, &bounds, (prefix, after));
                match tokio::task::spawn_blocking(call).await {
                    Ok(listed) => listed.map_err(|error| fault::of_io(Side::Source, &name, &error)),
                    Err(panic) => Err(fault::of(Side::Source, below.url, (fault::Trouble::Away, &panic.to_string()))),
                }
            }
            Named::Web(_) => Err(url::refused(below.url, "lies behind HTTP, which lists nothing")),
            Named::Key { provider, bucket, .. } => {
                let bucket = self.holding(below.url, (provider, &bucket, below.prefix))?;
                objects(&bucket, below, after).await
            }
        }
    }
}

fn files(root: &Path, bounds: &Bounds, (prefix, after): (String, Option<String>)) -> std::io::Result<Listing> {
    let folder = prefix.rfind('/').map_or("", |slash| &prefix[..=slash]);
    let start = (folder.as_bytes().to_vec(), after.map(String::into_bytes));
    let names = folder::files(root, start, PAGE)?;
    let mut listing = Listing::default();
    // A name that is no text cannot be a cursor: the page goes on to the next that is.
    if names.len() == PAGE {
        listing.next = names.iter().rev().find_map(|name| String::from_utf8(name.clone()).ok());
    }
    for name in names.iter().filter(|name| name.starts_with(prefix.as_bytes())) {
        let path: PathBuf = root.join(std::ffi::OsStr::from_bytes(name));
        // Gone meanwhile, or a link that leads elsewhere.
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        if !metadata.is_file() || bounds.check(&path).is_err() {
            continue;
        }
        match std::str::from_utf8(name).ok().and_then(|name| UploadKey::new(name).ok()) {
            Some(key) => {
                let Facts { size, version } = disk::facts_of(&metadata);
                let appeared = disk::appeared(&metadata);
                listing.found.push(Listed { key, size, version: Some(version), appeared });
            }
            None => listing.refused += 1,
        }
    }
    Ok(listing)
}

/// `object_store` gives up a whole page for one name that it has no way to say. So the page is made shorter until only
/// that name is on it, which is then passed over.
async fn objects(bucket: &Bucket, below: Below<'_>, after: Option<&str>) -> Result<Listing, Fault> {
    let (mut cursor, mut count_max, mut refused) = (after.map(str::to_owned), PAGE, 0);
    loop {
        match page(bucket, below.prefix, (cursor.as_deref(), count_max)).await {
            Ok(page) => {
                let mut listing = Listing { refused, ..Listing::default() };
                for meta in &page.result.objects {
                    match UploadKey::new(meta.location.as_ref()) {
                        Ok(key) => {
                            let (size, version) = (meta.size, meta.e_tag.clone());
                            listing.found.push(Listed { key, size, version, appeared: modified(meta) });
                        }
                        Err(_) => listing.refused += 1,
                    }
                }
                listing.next = page.page_token.map(|token| [BY_TOKEN, &token].concat());
                return Ok(listing);
            }
            Err(object_store::Error::InvalidPath { source }) => match unsayable(&source) {
                Some(name) if count_max == 1 => {
                    refused += 1;
                    cursor = Some([BY_NAME, name].concat());
                    if refused == REFUSED_MAX {
                        return Ok(Listing { refused, next: cursor, ..Listing::default() });
                    }
                    // They come in rows.
                    count_max = 2;
                }
                Some(_) => count_max /= 2,
                None => return Err(fault::of(Side::Source, below.url, (fault::Trouble::Away, &source.to_string()))),
            },
            Err(error) => return Err(fault::of_store(Side::Source, below.url, &error)),
        }
    }
}

fn unsayable(error: &object_store::path::Error) -> Option<&str> {
    use object_store::path::Error;
    match error {
        Error::EmptySegment { path } | Error::BadSegment { path, .. } | Error::NonUnicode { path, .. } => Some(path),
        _ => None,
    }
}

async fn page(
    bucket: &Bucket,
    prefix: &str,
    (cursor, count_max): (Option<&str>, usize),
) -> object_store::Result<PaginatedListResult> {
    let part = |kind: &str| cursor.and_then(|cursor| cursor.strip_prefix(kind)).map(str::to_owned);
    let options = PaginatedListOptions {
        offset: part(BY_NAME),
        page_token: part(BY_TOKEN),
        max_keys: Some(count_max),
        ..PaginatedListOptions::default()
    };
    bucket.reads.list_paginated(Some(prefix).filter(|prefix| !prefix.is_empty()), options).await
}
