//! Names of objects as URLs: every byte of a path, and every letter of a key, survives the way there and back.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use framefleet_model::event::Provider;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::percent::{decode, encode};

const FILE: &str = "file";
/// Names of storages that others have and this one does not open.
const OTHERS: [&str; 3] = ["gs", "az", "ftp"];

/// File systems take no longer names.
const NAME_BYTES_MAX: usize = 255;

/// What a URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    File(PathBuf),
    /// The key is empty where a whole bucket is meant.
    Key {
        provider: Provider,
        bucket: String,
        key: String,
    },
    /// Something of others behind HTTP, by its URL.
    Web(String),
}

/// The URL of an absolute path.
pub fn of_path(path: &Path) -> String {
    format!("{FILE}://{}", encode(path.as_os_str().as_bytes()))
}

/// The URL of a key in a bucket.
pub fn of_key(provider: Provider, (bucket, key): (&str, &str)) -> String {
    [provider.scheme(), "://", bucket, "/", &encode(key.as_bytes())].concat()
}

/// The path that a URL of a file means. A host, a query or a fragment has no meaning for files.
pub fn to_path(url: &str) -> Result<PathBuf, Fault> {
    match parse(url)? {
        Named::File(path) => Ok(path),
        Named::Key { .. } | Named::Web(_) => Err(refused(url, "cannot be opened here: file:///… can")),
    }
}

/// Whose bucket it is, its name, and the key that a URL of an object means.
pub fn to_key(url: &str) -> Result<(Provider, String, String), Fault> {
    match parse(url)? {
        Named::Key { provider, bucket, key } => Ok((provider, bucket, key)),
        Named::File(_) => Err(refused(url, "names a file, not an object")),
        Named::Web(_) => Err(refused(url, "names something behind HTTP, not an object")),
    }
}

/// The URL of something in the folder of what `url` names; `name` stands there as it is.
pub fn beside(url: &str, name: &str) -> Result<String, Fault> {
    let (folder, _) =
        url.rsplit_once('/').ok_or_else(|| refused(url, "is no URL: file:///…, s3://… or oss://… is meant"))?;
    Ok([folder, "/", name].concat())
}

/// The name that `url` ends with, with this number after it and another extension, as it stands in a URL.
pub fn numbered(url: &str, (number, extension): (u32, &str)) -> Result<String, Fault> {
    Ok(format!("{}-{number}.{}", encode(&stem(url)?), encode(extension.as_bytes())))
}

/// A name for a folder beside what `url` names, as it stands in a URL: the same with a mark after it.
pub fn marked(url: &str, mark: &str) -> Result<String, Fault> {
    let stem = Some(stem(url)?).filter(|stem| stem.len() + mark.len() < NAME_BYTES_MAX);
    Ok(format!("{}-{mark}", encode(&stem.unwrap_or_default())))
}

/// The name that a URL ends with, without its extension.
fn stem(url: &str) -> Result<Vec<u8>, Fault> {
    let (_, name) = url.rsplit_once('/').unwrap_or(("", url));
    let mut name = decoded(url, name)?;
    if let Some(dot) = name.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > 0) {
        name.truncate(dot);
    }
    Ok(name)
}

pub(crate) fn parse(url: &str) -> Result<Named, Fault> {
    let (scheme, rest) =
        url.split_once("://").ok_or_else(|| refused(url, "is no URL: file:///…, s3://… or oss://… is meant"))?;
    if let Some(provider) = Provider::of_scheme(scheme) {
        return key(url, (provider, rest));
    }
    match scheme {
        FILE if !rest.starts_with('/') => Err(refused(url, "names a host: file:/// and an absolute path is meant")),
        FILE => Ok(Named::File(PathBuf::from(OsString::from_vec(decoded(url, rest)?)))),
        "http" | "https" => Ok(Named::Web(url.to_owned())),
        other if OTHERS.contains(&other) => {
            Err(refused(url, &format!("cannot be opened: file://, s3:// and oss:// can, {other}:// cannot")))
        }
        _ => Err(refused(url, "cannot be opened: file://, s3:// and oss:// can")),
    }
}

pub(crate) fn refused(url: &str, why: &str) -> Fault {
    Fault::new(FaultKind::Settings, format!("{url:?} {why}"))
}

fn key(url: &str, (provider, rest): (Provider, &str)) -> Result<Named, Fault> {
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_');
    if bucket.is_empty() || !bucket.bytes().all(letter) {
        let form = format!("{}://bucket/key is meant, the bucket of a-z, 0-9, - and .", provider.scheme());
        return Err(refused(url, &format!("names no bucket: {form}")));
    }
    let key = String::from_utf8(decoded(url, key)?).map_err(|_| refused(url, "has a key that is not UTF-8"))?;
    Ok(Named::Key { provider, bucket: bucket.to_owned(), key })
}

fn decoded(url: &str, encoded: &str) -> Result<Vec<u8>, Fault> {
    let bytes = decode(encoded).ok_or_else(|| refused(url, "has a % without two hexadecimal digits after it"))?;
    if bytes.contains(&0) {
        return Err(refused(url, "has a zero byte in its path"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_path_survives_as_a_url(name in prop::collection::vec(1_u8.., 1..60)) {
            let path = Path::new("/").join(std::ffi::OsStr::from_bytes(&name));
            let url = of_path(&path);
            prop_assert!(url.is_ascii());
            prop_assert_eq!(to_path(&url).unwrap(), path);
        }

        #[test]
        fn every_key_survives_as_a_url(key in "[^\0]{1,60}", oss in any::<bool>()) {
            let provider = if oss { Provider::Oss } else { Provider::S3 };
            let url = of_key(provider, ("films", &key));
            prop_assert!(url.is_ascii());
            prop_assert_eq!(to_key(&url).unwrap(), (provider, "films".to_owned(), key));
        }
    }

    #[test]
    fn urls_are_read_as_people_write_them() {
        assert_eq!(to_path("file:///films/a%20b#1?.mov").unwrap(), Path::new("/films/a b#1?.mov"));
        assert_eq!(of_path(Path::new("/films/été 100%.mov")), "file:///films/%C3%A9t%C3%A9%20100%25.mov");
        let key = parse("s3://films.2026/源/a b%25.mp4").unwrap();
        let (provider, bucket) = (Provider::S3, "films.2026".to_owned());
        assert_eq!(key, Named::Key { provider, bucket, key: "源/a b%.mp4".into() });
        for bad in ["file://host/film", "file:///a%2", "file:///a%zz", "file:///a%00", "film.mov", ""] {
            assert_eq!(to_path(bad).unwrap_err().kind, FaultKind::Settings, "{bad:?}");
        }
        assert_eq!(to_path("s3://bucket/key").unwrap_err().kind, FaultKind::Settings);
    }

    #[test]
    fn names_beside_are_names_in_the_same_folder() {
        let url = "s3://films/made/a%20b.c.m3u8";
        assert_eq!(marked(url, "00ff").unwrap(), "a%20b.c-00ff");
        assert_eq!(beside(url, &marked(url, "00ff").unwrap()).unwrap(), "s3://films/made/a%20b.c-00ff");
        assert_eq!(numbered(url, (7, "jpg")).unwrap(), "a%20b.c-7.jpg");
        assert_eq!(numbered("file:///out/.hidden", (1, "jpg")).unwrap(), ".hidden-1.jpg");
        let long = format!("file:///{}.mp4", "x".repeat(251));
        assert_eq!(marked(&long, "00ff").unwrap(), "-00ff");
    }

    #[test]
    fn what_cannot_be_opened_is_refused_by_name() {
        let check = |url: &str, why: &str| assert_eq!(parse(url).unwrap_err().message, format!("{url:?} {why}"));
        check("gs://b/k", "cannot be opened: file://, s3:// and oss:// can, gs:// cannot");
        check("az://b/k", "cannot be opened: file://, s3:// and oss:// can, az:// cannot");
        check("tape://b/k", "cannot be opened: file://, s3:// and oss:// can");
        check("oss:///k", "names no bucket: oss://bucket/key is meant, the bucket of a-z, 0-9, - and .");
        check("s3:///k", "names no bucket: s3://bucket/key is meant, the bucket of a-z, 0-9, - and .");
        check("s3://u:p@h/k", "names no bucket: s3://bucket/key is meant, the bucket of a-z, 0-9, - and .");
        check("s3://b/%ff", "has a key that is not UTF-8");
    }
}
