//! How an object came to be where it is, in one word for all providers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum UploadKind {
    Put,
    Post,
    CompleteMultipartUpload,
    Copy,
    /// More may follow: the object is whole when it has been left alone for a while.
    Append,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of upload: Put, Post, CompleteMultipartUpload, Copy or Append is meant")]
pub struct UploadKindError(String);

impl UploadKind {
    pub const ALL: [Self; 5] = [Self::Put, Self::Post, Self::CompleteMultipartUpload, Self::Copy, Self::Append];
    /// Those after which an object is whole.
    pub const WHOLE: [Self; 4] = [Self::Put, Self::Post, Self::CompleteMultipartUpload, Self::Copy];

    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "Put",
            Self::Post => "Post",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::Copy => "Copy",
            Self::Append => "Append",
        }
    }

    /// What an event's name means: `oss:ObjectCreated:PutObject`, `ObjectCreated:Put`, `s3:ObjectCreated:Put`. None if
    /// nothing came to be whole by it, as with deletions, tags and parts of uploads.
    pub(super) fn of_created(name: &str) -> Option<Self> {
        let bare = ["oss:", "s3:"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        Self::of_verb(bare.strip_prefix("ObjectCreated:")?)
    }

    /// Also what EventBridge gives as a reason.
    pub(super) fn of_verb(verb: &str) -> Option<Self> {
        match verb {
            "Put" | "PutObject" => Some(Self::Put),
            "Post" | "PostObject" | "POST Object" => Some(Self::Post),
            "CompleteMultipartUpload" => Some(Self::CompleteMultipartUpload),
            "Copy" | "CopyObject" => Some(Self::Copy),
            "Append" | "AppendObject" => Some(Self::Append),
            _ => None,
        }
    }

    /// What the type of a generic CloudEvent ends with; many say no more than that something was created.
    pub(super) fn of_type(name: &str) -> Option<Self> {
        let last = name.rsplit(['.', ':', '/']).next().unwrap_or(name);
        Self::of_verb(last).or_else(|| match last.to_ascii_lowercase().as_str() {
            "put" | "created" | "objectcreated" | "uploaded" | "finalized" => Some(Self::Put),
            "copied" | "copy" => Some(Self::Copy),
            "appended" | "append" => Some(Self::Append),
            _ => None,
        })
    }
}

impl fmt::Display for UploadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for UploadKind {
    type Err = UploadKindError;

    fn from_str(text: &str) -> Result<Self, UploadKindError> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| UploadKindError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_provider_mean_the_same() {
        let check = |name: &str, kind: Option<UploadKind>| assert_eq!(UploadKind::of_created(name), kind, "{name}");
        check("oss:ObjectCreated:PutObject", Some(UploadKind::Put));
        check("ObjectCreated:PostObject", Some(UploadKind::Post));
        check("ObjectCreated:AppendObject", Some(UploadKind::Append));
        check("ObjectCreated:CompleteMultipartUpload", Some(UploadKind::CompleteMultipartUpload));
        check("s3:ObjectCreated:Copy", Some(UploadKind::Copy));
        for other in [
            "ObjectRemoved:DeleteObject",
            "ObjectCreated:InitiateMultipartUpload",
            "ObjectCreated:UploadPart",
            "ObjectCreated:PutSymlink",
            "s3:ObjectCreated:PutTagging",
            "s3:ObjectAccessed:Get",
            "Put",
            "",
        ] {
            check(other, None);
        }
        assert_eq!(UploadKind::of_type("google.cloud.storage.object.v1.finalized"), Some(UploadKind::Put));
        assert_eq!(UploadKind::of_type("org.example.film.deleted"), None);
    }

    #[test]
    fn kinds_read_back_by_name() {
        for kind in UploadKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!("put".parse::<UploadKind>().unwrap_err().to_string().contains("Put, Post"));
    }
}
