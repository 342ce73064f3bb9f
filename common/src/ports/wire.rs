//! Hints as bytes: JSON with a version, `{"v":1,"job":"<32 hex>","task":"encode-00001"}`. Further fields may join it
//! within a version; a reader skips those that it does not know. Golden files hold every version ever written.

use framefleet_model::id::{JobId, TaskId};
use serde::{Deserialize, Serialize};

use super::broker::Hint;

/// A hint is about 90 bytes: whatever is larger is none.
pub const HINT_BYTES_MAX: usize = 4096;

const VERSION: u64 = 1;

/// Why bytes are no hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it is no hint of framefleet")]
    Foreign,
    #[error("it has more than {HINT_BYTES_MAX} bytes")]
    Oversized,
    #[error("it is of a version that this build does not know")]
    UnknownVersion,
}

impl Unreadable {
    /// As it stands in dead letters, logs and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Foreign => "foreign",
            Self::Oversized => "oversized",
            Self::UnknownVersion => "unknown-version",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Envelope {
    v: u64,
    job: JobId,
    task: TaskId,
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

pub fn write(hint: &Hint) -> Vec<u8> {
    let envelope = Envelope { v: VERSION, job: hint.job.clone(), task: hint.task };
    serde_json::to_vec(&envelope).expect("numbers and strings are JSON")
}

pub fn read(bytes: &[u8]) -> Result<Hint, Unreadable> {
    if bytes.len() > HINT_BYTES_MAX {
        return Err(Unreadable::Oversized);
    }
    let Version { v } = serde_json::from_slice(bytes).map_err(|_| Unreadable::Foreign)?;
    if v != VERSION {
        return Err(Unreadable::UnknownVersion);
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(|_| Unreadable::Foreign)?;
    Ok(Hint { job: envelope.job, task: envelope.task, trace: None })
}

#[cfg(test)]
mod tests {
    use framefleet_model::id::TaskKind;

    use super::*;

    const GOLDEN: &str = include_str!("../../tests/wire/hint-v1.json");

    fn hint() -> Hint {
        Hint { job: JobId::of_parts(&["film"]), task: TaskId::new(TaskKind::Encode, 1), trace: None }
    }

    #[test]
    fn hints_are_written_as_the_golden_file_says() {
        assert_eq!(String::from_utf8(write(&hint())).unwrap(), GOLDEN.trim_end());
    }

    #[test]
    fn the_golden_file_of_every_version_is_read() {
        assert_eq!(read(GOLDEN.as_bytes()), Ok(hint()));
    }

    #[test]
    fn fields_of_later_builds_are_skipped() {
        let later = GOLDEN.replace("\"v\":1", "\"v\":1,\"trace\":\"x\"");
        assert_eq!(read(later.as_bytes()), Ok(hint()));
    }

    #[test]
    fn what_is_no_hint_is_told_apart() {
        let cases: [(&[u8], Unreadable); 7] = [
            (b"", Unreadable::Foreign),
            (b"\xff\x00", Unreadable::Foreign),
            (b"[1]", Unreadable::Foreign),
            (b"{\"job\":\"x\"}", Unreadable::Foreign),
            (b"{\"v\":1,\"job\":\"x\",\"task\":\"encode-00001\"}", Unreadable::Foreign),
            (b"{\"v\":2,\"work\":[]}", Unreadable::UnknownVersion),
            (&[b' '; HINT_BYTES_MAX + 1], Unreadable::Oversized),
        ];
        for (bytes, why) in cases {
            assert_eq!(read(bytes), Err(why), "{:?}", String::from_utf8_lossy(bytes));
        }
        let mut longest = write(&hint());
        longest.resize(HINT_BYTES_MAX, b' ');
        assert_eq!(read(&longest), Ok(hint()));
    }
}
