//! Names: constructed only where they are parsed or minted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A job: 32 hexadecimal digits, a hash of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

/// One try at a task, named at random by whoever claims it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(String);

/// SHA-256 of a content, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

/// A task of a job: its kind and its number within that kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId {
    pub kind: TaskKind,
    pub number: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaskKind {
    Index,
    Encode,
    Audio,
    Image,
    Merge,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}")]
pub struct IdError {
    what: &'static str,
    text: String,
}

impl JobId {
    /// The id of the job that these parts ask for; parts are length-prefixed, so no two lists collide.
    pub fn of_parts(parts: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        Self(hex(&hasher.finalize()[..16]))
    }
}

impl Nonce {
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(hex(&bytes))
    }
}

impl Digest {
    pub fn of(content: &[u8]) -> Self {
        Self(hex(&Sha256::digest(content)))
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(hex(&bytes))
    }
}

impl TaskId {
    pub const INDEX: Self = Self { kind: TaskKind::Index, number: 0 };

    pub fn new(kind: TaskKind, number: u32) -> Self {
        Self { kind, number }
    }
}

impl TaskKind {
    pub const ALL: [Self; 5] = [Self::Index, Self::Encode, Self::Audio, Self::Image, Self::Merge];

    pub fn name(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Encode => "encode",
            Self::Audio => "audio",
            Self::Image => "image",
            Self::Merge => "merge",
        }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:05}", self.kind.name(), self.number)
    }
}

impl FromStr for TaskId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError { what: "task id", text: text.to_owned() };
        let (kind, number) = text.split_once('-').ok_or_else(bad)?;
        let kind = TaskKind::ALL.into_iter().find(|k| k.name() == kind).ok_or_else(bad)?;
        let id = Self { kind, number: number.parse().map_err(|_| bad())? };
        if id.to_string() == text { Ok(id) } else { Err(bad()) }
    }
}

impl TryFrom<String> for TaskId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.to_string()
    }
}

macro_rules! hex_name {
    ($name:ident, $what:literal, $digits:literal) => {
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                let fits = text.len() == $digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
                if fits { Ok(Self(text)) } else { Err(IdError { what: $what, text }) }
            }
        }
        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.to_owned().try_into()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}
hex_name!(JobId, "job id", 32);
hex_name!(Nonce, "attempt nonce", 32);
hex_name!(Digest, "SHA-256 digest", 64);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_ids_read_back_and_sort_by_number() {
        let id = TaskId::new(TaskKind::Encode, 42);
        assert_eq!(id.to_string(), "encode-00042");
        assert_eq!("encode-00042".parse(), Ok(id));
        for bad in ["encode-42", "encode", "chunk-00001", "encode-0000x", ""] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn job_ids_do_not_confuse_the_borders_of_their_parts() {
        assert_ne!(JobId::of_parts(&["ab", "c"]), JobId::of_parts(&["a", "bc"]));
        assert_eq!(JobId::of_parts(&["a"]).as_str().len(), 32);
        assert!("XYZ".parse::<JobId>().is_err());
    }
}
