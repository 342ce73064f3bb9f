//! A place that others may be bound to: whether what a URL names lies below it, by names alone.
//!
//! Names are compared part by part, each as it is once its percent signs are read, so that no other spelling of a name is
//! another place, and `prefix` is not `prefix-and-more`. A name with nothing, `.` or `..` between slashes lies below
//! nothing: what it means is the storage's to say.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;

use framefleet_model::event::Provider;
use framefleet_model::fault::Fault;
use framefleet_model::percent;
use reqwest::Url;

use crate::adapters::blob::url::{self, Named};

/// A bucket, a folder of one, a folder of files, or one behind HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Within {
    root: Root,
    parts: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Root {
    Files,
    Bucket {
        provider: Provider,
        name: String,
    },
    /// Scheme, host and port.
    Web(String),
}

impl Within {
    /// `s3://bucket/folder/`, `file:///folder/`, `https://host/folder/`, with or without the last slash.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let (root, mut parts) = read(text)?;
        if parts.last().is_some_and(Vec::is_empty) {
            parts.pop();
        }
        if !parts.iter().all(|part| is_plain(part)) {
            return Err(url::refused(shown(text), "has nothing, . or .. between slashes"));
        }
        Ok(Self { root, parts })
    }

    /// Whether what `url` names lies below; a folder, which ends with a slash, may be the place itself.
    pub fn holds(&self, url: &str) -> bool {
        let Ok((root, parts)) = read(url) else { return false };
        let Some((last, folders)) = parts.split_last() else { return false };
        let is_plain = folders.iter().all(|part| is_plain(part)) && (last.is_empty() || is_plain(last));
        is_plain && root == self.root && parts.len() > self.parts.len() && parts.starts_with(&self.parts)
    }
}

/// With a slash at its end.
impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Files => f.write_str("file:///")?,
            Root::Bucket { provider, name } => write!(f, "{}://{name}/", provider.scheme())?,
            Root::Web(origin) => write!(f, "{origin}/")?,
        }
        self.parts.iter().try_for_each(|part| write!(f, "{}/", percent::encode(part)))
    }
}

/// A URL less what may be a secret.
pub fn shown(url: &str) -> &str {
    let is_web = url.starts_with("http://") || url.starts_with("https://");
    let end = if is_web { url.find(['?', '#']) } else { None };
    end.map_or(url, |end| &url[..end])
}

fn read(text: &str) -> Result<(Root, Vec<Vec<u8>>), Fault> {
    match url::parse(text)? {
        Named::File(path) => {
            let path = path.as_os_str().as_bytes();
            Ok((Root::Files, split(path.strip_prefix(b"/").unwrap_or(path))))
        }
        Named::Key { provider, bucket, key } => {
            let root = Root::Bucket { provider, name: bucket };
            Ok((root, if key.is_empty() { Vec::new() } else { split(key.as_bytes()) }))
        }
        Named::Web(web) => behind_http(&web),
    }
}

/// An encoded slash is part of a name there, as servers have it: such a name is no plain one.
fn behind_http(web: &str) -> Result<(Root, Vec<Vec<u8>>), Fault> {
    let refused = |why: &str| url::refused(shown(web), why);
    let parsed = Url::parse(web).map_err(|e| refused(&format!("is no URL: {e}")))?;
    let decoded = |part: &str| percent::decode(part).ok_or_else(|| refused("has a % without two digits after it"));
    let parts = parsed.path_segments().into_iter().flatten().map(decoded).collect::<Result<Vec<_>, _>>()?;
    Ok((Root::Web(parsed.origin().ascii_serialization()), parts))
}

fn split(name: &[u8]) -> Vec<Vec<u8>> {
    name.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect()
}

fn is_plain(part: &[u8]) -> bool {
    !matches!(part, b"" | b"." | b"..") && !part.iter().any(|byte| matches!(byte, b'/' | b'\\'))
}

#[cfg(test)]
mod tests {
    use framefleet_model::fault::FaultKind;

    use super::*;

    #[track_caller]
    fn check(place: &str, holds: &[&str], others: &[&str]) {
        let within = Within::parse(place).unwrap();
        assert_eq!(Within::parse(&within.to_string()), Ok(within.clone()), "{within}");
        for url in holds {
            assert!(within.holds(url), "{url} lies below {place}");
        }
        for url in others {
            assert!(!within.holds(url), "{url} does not lie below {place}");
        }
    }

    #[test]
    fn buckets_are_compared_part_by_part() {
        let below = ["s3://media/in/a.mov", "s3://media/%69n/a.mov", "s3://media/in/b/c.mov", "s3://media/in/"];
        let others = [
            "s3://media/in-evil/a.mov",
            "s3://media/in",
            "s3://media/a.mov",
            "s3://media/",
            "s3://media",
            "s3://media/in/../a.mov",
            "s3://media/in/%2e%2e/a.mov",
            "s3://media/in%2F..%2Fa.mov",
            "s3://media/in/./a.mov",
            "s3://media/in//a.mov",
            "s3://media//in/a.mov",
            "s3://media/In/a.mov",
            "s3://media-2/in/a.mov",
            "s3://media/x/s3://media/in/a.mov",
            "oss://media/in/a.mov",
            "S3://media/in/a.mov",
            "file:///media/in/a.mov",
            "https://media/in/a.mov",
            "s3://media/in/%zz",
            "media/in/a.mov",
            "",
        ];
        for place in ["s3://media/in/", "s3://media/in", "s3://media/%69n/"] {
            check(place, &below, &others);
        }
        check("s3://media", &["s3://media/a.mov", "s3://media/in/a.mov"], &["s3://media-2/a", "s3://media/../a"]);
    }

    #[test]
    fn files_are_compared_part_by_part() {
        let below = ["file:///srv/films/a.mov", "file:///srv/%66ilms/a.mov", "file:///srv/films/b/%20.mov"];
        let others = [
            "file:///srv/films-2/a.mov",
            "file:///srv/films",
            "file:///srv/films/../a.mov",
            "file:///srv/films/%2e%2e/a.mov",
            "file:///srv/films%2f../a.mov",
            "file:////srv/films/a.mov",
            "file:///srv//films/a.mov",
            "file://host/srv/films/a.mov",
        ];
        check("file:///srv/films", &below, &others);
        check("file:///", &["file:///a.mov", "file:///srv/a.mov"], &["file:///srv/../a.mov", "s3://media/a.mov"]);
    }

    #[test]
    fn what_lies_behind_http_is_compared_by_host_and_part() {
        let below = [
            "https://films.example/in/a.mov?token=x",
            "https://FILMS.example:443/in/a.mov",
            "https://films.example/%69n/a.mov",
            "https://films.example/out/../in/a.mov",
        ];
        let others = [
            "http://films.example/in/a.mov",
            "https://films.example:8443/in/a.mov",
            "https://films.example.evil/in/a.mov",
            "https://films.example@evil.example/in/a.mov",
            "https://evil.example/https://films.example/in/a.mov",
            "https://evil.example/?https://films.example/in/a.mov",
            "https://films.example/in/../a.mov",
            "https://films.example/in/%2e%2e/a.mov",
            "https://films.example/in%2Fa.mov",
            "https://films.example/in/..%2Fa.mov",
            "https://films.example/in/..%5Ca.mov",
            "https://films.example/in-2/a.mov",
        ];
        check("https://films.example/in/", &below, &others);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for bad in
            ["media", "s3://", "gs://media/", "s3://media/in/../x", "s3://media//in", "file:///a/./b", "https://"]
        {
            assert_eq!(Within::parse(bad).unwrap_err().kind, FaultKind::Settings, "{bad}");
        }
        assert_eq!(Within::parse("oss://media/a%20b").unwrap().to_string(), "oss://media/a%20b/");
    }
}
