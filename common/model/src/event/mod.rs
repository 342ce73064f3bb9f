//! What is said to have been uploaded. A message of any of the formats below becomes uploads; nothing in it is believed
//! but that somebody should look at a key of a bucket.
//!
//! ```text
//! OSS ──▶ MNS queue ──▶ base64 ─┐
//! OSS ──▶ MNS topic ──▶ JSON, XML ┤
//! OSS ──▶ EventBridge ──────────┼─▶ peel ─▶ records ─▶ Upload, or refused by name, or no upload at all
//! S3, MinIO, RustFS, SNS ───────┤
//! CloudEvents ──────────────────┘
//! ```
//!
//! Size, etag, version and moment are claims. Keys of S3's records are encoded as in forms; all others stand as they are.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::Digest;

mod decode;
mod encode;
mod kind;
mod moment;
mod name;
mod record;
#[cfg(test)]
mod tests;

pub use decode::{DEPTH_MAX, MESSAGE_BYTES_MAX, RECORDS_MAX, Undecodable, decode};
pub use encode::{Format, encode};
pub use kind::{UploadKind, UploadKindError};
pub use moment::WallTime;
pub use name::{BucketName, KEY_BYTES_MAX, Refusal, UploadKey};

/// What a message told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    pub uploads: Vec<Upload>,
    /// Announced, and not to be looked at.
    pub refused: Vec<Refused>,
    /// How much else it told of: deletions, parts, tests of the line.
    pub others: usize,
}

/// An object that is said to be there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    pub provider: Provider,
    pub bucket: BucketName,
    pub key: UploadKey,
    pub kind: UploadKind,
    /// What the provider calls it.
    pub event: String,
    /// The same each time that the same event is told.
    pub id: String,
    /// When it happened, by the provider's clock.
    pub time: Option<WallTime>,
    pub region: Option<String>,
    pub claims: Claims,
}

/// What the message says of the object. The object itself is asked, never this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub size: Option<u64>,
    pub etag: Option<String>,
    pub version: Option<String>,
}

/// An object that was announced under a name that nothing is asked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// As the message has them, cut short.
    pub bucket: String,
    pub key: String,
    pub why: Refusal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    Oss,
    /// Amazon's, and all that speak its protocol.
    S3,
}

impl Provider {
    /// As a storage's URL begins.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Oss => "oss",
            Self::S3 => "s3",
        }
    }

    pub fn of_scheme(scheme: &str) -> Option<Self> {
        [Self::Oss, Self::S3].into_iter().find(|provider| provider.scheme() == scheme)
    }
}

impl Refused {
    const SHOWN_LETTERS_MAX: usize = 200;

    fn new(bucket: &str, key: &str, why: Refusal) -> Self {
        let shown = |text: &str| text.chars().take(Self::SHOWN_LETTERS_MAX).collect();
        Self { bucket: shown(bucket), key: shown(key), why }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {:?} {}", self.key, self.bucket, self.why)
    }
}

impl News {
    pub(crate) fn add(&mut self, other: Self) {
        self.uploads.extend(other.uploads);
        self.refused.extend(other.refused);
        self.others += other.others;
    }

    fn told(&self) -> usize {
        self.uploads.len() + self.refused.len() + self.others
    }
}

/// An id for an event that has none: of all that it says, so that a repetition has the same.
fn id_of(parts: &[&str]) -> String {
    let lengths = parts.iter().map(|part| format!("{}:{part}", part.len()));
    Digest::of(lengths.collect::<String>().as_bytes()).as_str()[..32].to_owned()
}
