//! Every object key under the work store is made and parsed here.
//!
//! ```text
//! <job>/request.json            the job as accepted
//! <job>/index/<nonce>           the index
//! <job>/plan/<digest>.json      the plan
//! <job>/<task>/<nonce>/<file>   what an attempt made
//! <job>/<task>/<nonce>/result.json
//! <job>/<task>/<nonce>/staged.json   where a merge put, invisible, what it made
//! <job>/ledger/<digest>.json    the proof
//! <job>/end.json                how it ended
//! <job>/steps/<generation>.json what was to happen after that, as it stood then
//! <job>/steps/<generation>-<number>.json   one of them is done
//! ```
//! Keys of attempts are unique by their nonce: nothing is ever overwritten, and nobody finds work by listing.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{Digest, JobId, Nonce, TaskId};

/// The name of an attempt's own account beside the files it made.
pub const RESULT_FILE: &str = "result.json";
/// The name of a merge's note of what it began to stage.
pub const STAGED_FILE: &str = "staged.json";
const FILE_NAME_BYTES_MAX: usize = 128;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey {
    pub job: JobId,
    pub place: Place,
}

/// Which of a job's objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    Request,
    Index(Nonce),
    Plan(Digest),
    Attempt {
        task: TaskId,
        nonce: Nonce,
        file: FileName,
    },
    Ledger(Digest),
    End,
    /// Of a generation.
    Steps(u32),
    StepDone {
        generation: u32,
        number: u32,
    },
}

/// A file's name within an attempt: letters, digits, `.`, `-` and `_`, not beginning with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("{0:?} is no key of the work store")]
    Key(String),
    #[error("{0:?} is no file name of an attempt: 1 to {FILE_NAME_BYTES_MAX} of a-z, A-Z, 0-9, -, _ and .")]
    File(String),
}

impl ObjectKey {
    pub fn request(job: &JobId) -> Self {
        Self { job: job.clone(), place: Place::Request }
    }

    pub fn index(job: &JobId, nonce: &Nonce) -> Self {
        Self { job: job.clone(), place: Place::Index(nonce.clone()) }
    }

    pub fn plan(job: &JobId, digest: &Digest) -> Self {
        Self { job: job.clone(), place: Place::Plan(digest.clone()) }
    }

    pub fn ledger(job: &JobId, digest: &Digest) -> Self {
        Self { job: job.clone(), place: Place::Ledger(digest.clone()) }
    }

    pub fn end(job: &JobId) -> Self {
        Self { job: job.clone(), place: Place::End }
    }

    pub fn steps(job: &JobId, generation: u32) -> Self {
        Self { job: job.clone(), place: Place::Steps(generation) }
    }

    pub fn step_done(job: &JobId, (generation, number): (u32, u32)) -> Self {
        Self { job: job.clone(), place: Place::StepDone { generation, number } }
    }

    pub fn attempt(job: &JobId, task: TaskId, nonce: &Nonce, file: FileName) -> Self {
        Self { job: job.clone(), place: Place::Attempt { task, nonce: nonce.clone(), file } }
    }

    pub fn result(job: &JobId, task: TaskId, nonce: &Nonce) -> Self {
        Self::attempt(job, task, nonce, FileName(RESULT_FILE.to_owned()))
    }

    pub fn staged(job: &JobId, task: TaskId, nonce: &Nonce) -> Self {
        Self::attempt(job, task, nonce, FileName(STAGED_FILE.to_owned()))
    }
}

impl FileName {
    pub fn new(name: &str) -> Result<Self, KeyError> {
        let fits = (1..=FILE_NAME_BYTES_MAX).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if fits { Ok(Self(name.to_owned())) } else { Err(KeyError::File(name.to_owned())) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let job = &self.job;
        match &self.place {
            Place::Request => write!(f, "{job}/request.json"),
            Place::Index(nonce) => write!(f, "{job}/index/{nonce}"),
            Place::Plan(digest) => write!(f, "{job}/plan/{digest}.json"),
            Place::Attempt { task, nonce, file } => write!(f, "{job}/{task}/{nonce}/{}", file.0),
            Place::Ledger(digest) => write!(f, "{job}/ledger/{digest}.json"),
            Place::End => write!(f, "{job}/end.json"),
            Place::Steps(generation) => write!(f, "{job}/steps/{generation}.json"),
            Place::StepDone { generation, number } => write!(f, "{job}/steps/{generation}-{number}.json"),
        }
    }
}

impl FromStr for ObjectKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        parse(text).ok_or_else(|| KeyError::Key(text.to_owned()))
    }
}

impl TryFrom<String> for ObjectKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<ObjectKey> for String {
    fn from(key: ObjectKey) -> Self {
        key.to_string()
    }
}

fn parse(text: &str) -> Option<ObjectKey> {
    let parts: Vec<&str> = text.split('/').collect();
    let (job, rest) = parts.split_first()?;
    let place = match rest {
        ["request.json"] => Place::Request,
        ["end.json"] => Place::End,
        ["index", nonce] => Place::Index(nonce.parse().ok()?),
        ["plan", name] => Place::Plan(name.strip_suffix(".json")?.parse().ok()?),
        ["ledger", name] => Place::Ledger(name.strip_suffix(".json")?.parse().ok()?),
        ["steps", name] => steps(name.strip_suffix(".json")?)?,
        [task, nonce, file] => {
            Place::Attempt { task: task.parse().ok()?, nonce: nonce.parse().ok()?, file: FileName::new(file).ok()? }
        }
        _ => return None,
    };
    Some(ObjectKey { job: job.parse().ok()?, place })
}

/// Written as it would be made: `01` is no number of ours.
fn steps(name: &str) -> Option<Place> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| number.to_string() == text);
    match name.split_once('-') {
        None => number(name).map(Place::Steps),
        Some((generation, step)) => Some(Place::StepDone { generation: number(generation)?, number: number(step)? }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskKind;

    #[test]
    fn every_key_reads_back_as_it_was_made() {
        let job = JobId::of_parts(&["a"]);
        let (nonce, digest) = (Nonce::from_bytes([7; 16]), Digest::of(b"x"));
        let task = TaskId::new(TaskKind::Encode, 3);
        let keys = [
            ObjectKey::request(&job),
            ObjectKey::index(&job, &nonce),
            ObjectKey::plan(&job, &digest),
            ObjectKey::attempt(&job, task, &nonce, FileName::new("video-0.seg").unwrap()),
            ObjectKey::result(&job, task, &nonce),
            ObjectKey::staged(&job, task, &nonce),
            ObjectKey::ledger(&job, &digest),
            ObjectKey::end(&job),
            ObjectKey::steps(&job, 2),
            ObjectKey::step_done(&job, (2, 15)),
        ];
        for key in keys {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn a_key_that_would_leave_its_job_is_none() {
        let job = JobId::of_parts(&["a"]);
        let nonce = Nonce::from_bytes([7; 16]);
        for bad in ["", "/", "../x/request.json", "request.json"] {
            assert!(bad.parse::<ObjectKey>().is_err(), "{bad:?}");
        }
        for file in ["..", ".hidden", "", "a b", "x%2e", "é"] {
            assert!(format!("{job}/encode-00001/{nonce}/{file}").parse::<ObjectKey>().is_err(), "{file:?}");
        }
        assert!(format!("{job}/encode-00001/{nonce}/a/b").parse::<ObjectKey>().is_err());
    }
}
