//! Names of buckets and keys as they may come from outside: either one that a storage can be asked for as it is, letter
//! by letter, or refused by name. Nothing is mended: a key that is mended is another object's.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Storages take no longer keys.
pub const KEY_BYTES_MAX: usize = 1024;
const BUCKET_BYTES_MAX: usize = 63;

/// The name of a bucket: a-z, 0-9, `-`, `.` and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketName(String);

/// The key of an object as it stands in its bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UploadKey(String);

/// Why something that was announced cannot be looked at. It stays so: nothing is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("names no bucket of 3 to {BUCKET_BYTES_MAX} of a-z, 0-9, -, . and _")]
    Bucket,
    #[error("lies in a kind of storage that cannot be opened: oss and s3 can")]
    Storage,
    #[error("has no key")]
    NoKey,
    #[error("has a key of more than {KEY_BYTES_MAX} bytes")]
    LongKey,
    #[error("has a key with a % without two hexadecimal digits after it")]
    Encoding,
    #[error("has a key that is not UTF-8")]
    NotText,
    #[error("has a key with a control character in it")]
    Control,
    #[error("has a key that begins with a slash")]
    LeadingSlash,
    #[error("has a key that ends with a slash: a folder's mark, no film")]
    Folder,
    #[error("has a key with two slashes in a row")]
    EmptySegment,
    #[error("has a key with . or .. between slashes")]
    DotSegment,
}

impl BucketName {
    pub fn new(name: &str) -> Result<Self, Refusal> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_');
        let fits = (3..=BUCKET_BYTES_MAX).contains(&name.len()) && name.bytes().all(letter);
        if fits { Ok(Self(name.to_owned())) } else { Err(Refusal::Bucket) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UploadKey {
    pub fn new(key: &str) -> Result<Self, Refusal> {
        let refusal = match key {
            "" => Some(Refusal::NoKey),
            _ if key.len() > KEY_BYTES_MAX => Some(Refusal::LongKey),
            _ if key.chars().any(char::is_control) => Some(Refusal::Control),
            _ if key.starts_with('/') => Some(Refusal::LeadingSlash),
            _ if key.ends_with('/') => Some(Refusal::Folder),
            _ if key.contains("//") => Some(Refusal::EmptySegment),
            _ if key.split('/').any(|part| matches!(part, "." | "..")) => Some(Refusal::DotSegment),
            _ => None,
        };
        refusal.map_or_else(|| Ok(Self(key.to_owned())), Err)
    }

    /// A key as forms encode it: `+` is a space, `%` begins two hexadecimal digits.
    pub fn from_form(encoded: &str) -> Result<Self, Refusal> {
        let mut bytes = Vec::with_capacity(encoded.len());
        let mut rest = encoded.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'+' => b' ',
                b'%' => (digit(rest.next())? << 4) | digit(rest.next())?,
                plain => plain,
            });
        }
        Self::new(&String::from_utf8(bytes).map_err(|_| Refusal::NotText)?)
    }

    /// As `from_form` reads it.
    pub fn to_form(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for byte in self.0.bytes() {
            match byte {
                b' ' => text.push('+'),
                b'/' | b'-' | b'.' | b'_' | b'*' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => text.push(byte.into()),
                _ => text.push_str(&format!("%{byte:02X}")),
            }
        }
        text
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Refusal {
    pub const ALL: [Self; 11] = [
        Self::Bucket,
        Self::Storage,
        Self::NoKey,
        Self::LongKey,
        Self::Encoding,
        Self::NotText,
        Self::Control,
        Self::LeadingSlash,
        Self::Folder,
        Self::EmptySegment,
        Self::DotSegment,
    ];

    /// One word, such as for a label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bucket => "bucket",
            Self::Storage => "storage",
            Self::NoKey => "no-key",
            Self::LongKey => "long-key",
            Self::Encoding => "encoding",
            Self::NotText => "not-text",
            Self::Control => "control",
            Self::LeadingSlash => "leading-slash",
            Self::Folder => "folder",
            Self::EmptySegment => "empty-segment",
            Self::DotSegment => "dot-segment",
        }
    }
}

macro_rules! checked_name {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = Refusal;
            fn try_from(text: String) -> Result<Self, Refusal> {
                Self::new(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}
checked_name!(BucketName);
checked_name!(UploadKey);

fn digit(byte: Option<u8>) -> Result<u8, Refusal> {
    let digit = byte.and_then(|byte| char::from(byte).to_digit(16));
    digit.and_then(|digit| u8::try_from(digit).ok()).ok_or(Refusal::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_keys_are_taken_as_they_are_or_refused_by_name() {
        for taken in
            ["a b.mp4", "100%.mp4", "1+1=2.mp4", "源/视频 🎬.mp4", "a%20b", "a\\b", ".hidden", "a/..b", "#?&", "~[x]"]
        {
            assert_eq!(UploadKey::new(taken).unwrap().as_str(), taken);
        }
        let long = "x".repeat(KEY_BYTES_MAX + 1);
        let refused = [
            ("", Refusal::NoKey),
            (long.as_str(), Refusal::LongKey),
            ("a\0b", Refusal::Control),
            ("a\nb", Refusal::Control),
            ("a\u{85}b", Refusal::Control),
            ("/a", Refusal::LeadingSlash),
            ("/", Refusal::LeadingSlash),
            ("a/", Refusal::Folder),
            ("a//b", Refusal::EmptySegment),
            ("..", Refusal::DotSegment),
            ("a/../b", Refusal::DotSegment),
            ("./a", Refusal::DotSegment),
        ];
        for (key, refusal) in refused {
            assert_eq!(UploadKey::new(key), Err(refusal), "{key:?}");
        }
        assert!(UploadKey::new(&long[1..]).is_ok());
    }

    #[test]
    fn forms_are_decoded_once_and_no_further() {
        let check = |form: &str, key: &str| assert_eq!(UploadKey::from_form(form).unwrap().as_str(), key);
        check("a+b.mp4", "a b.mp4");
        check("a%2Bb%2520.mp4", "a+b%20.mp4");
        check("%E6%BA%90%2Fa", "源/a");
        let refused = |form: &str, refusal| assert_eq!(UploadKey::from_form(form), Err(refusal), "{form}");
        refused("a%2", Refusal::Encoding);
        refused("a%+1", Refusal::Encoding);
        refused("%ff", Refusal::NotText);
        refused("%2e%2e/x", Refusal::DotSegment);
        refused("%2Fetc", Refusal::LeadingSlash);
        refused("a%00", Refusal::Control);
    }

    #[test]
    fn buckets_have_names_that_storages_take() {
        for taken in ["films", "films.2026", "a_b", "abc"] {
            assert_eq!(BucketName::new(taken).unwrap().as_str(), taken);
        }
        for bad in ["", "ab", "Films", "a/b", "films?", "源源源", &"x".repeat(64)] {
            assert_eq!(BucketName::new(bad), Err(Refusal::Bucket), "{bad}");
        }
    }

    #[test]
    fn every_refusal_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Refusal::ALL.map(Refusal::name).into();
        assert_eq!(names.len(), Refusal::ALL.len());
    }
}
