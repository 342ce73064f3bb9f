//! The tokens' file: a line for each, with its hash and never the token itself.
//!
//! ```text
//! # name  scopes              tenants (or all)  places (or all)          SHA-256 of the token, in hexadecimal
//! ci      scopes=submit,read  tenants=news      places=s3://media/news/  sha256=5f…
//! ```
//! The file is looked at with every request and read again when it has changed; one that is wrong leaves what was known.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;
use subtle::{Choice, ConstantTimeEq as _};

use super::callers::Caller;

const FILE_BYTES_MAX: u64 = 1 << 20;
/// What every token begins with, so that whoever finds one knows what it is.
const TOKEN_BEGIN: &str = "fft_";
const HASH_DIGITS: usize = 64;

/// Of a token, all that anybody keeps.
pub struct Hash(String);

/// The tokens of a file.
pub struct Tokens {
    path: PathBuf,
    held: Mutex<Held>,
}

/// What became of the file since it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    Same,
    Read {
        tokens: usize,
    },
    /// What was known before holds on.
    Wrong(Fault),
}

struct Held {
    /// Of the file that was looked at last, right or wrong.
    stamp: Option<Stamp>,
    known: Arc<[Known]>,
}

#[derive(PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    changed: (i64, i64),
    place: (u64, u64),
    bytes: u64,
}

struct Known {
    hash: Hash,
    caller: Arc<Caller>,
}

impl Hash {
    /// Of a token as it is sent.
    pub fn of(token: &str) -> Self {
        Self(Digest::of(token.as_bytes()).as_str().to_owned())
    }

    pub(super) fn digits(&self) -> &str {
        &self.0
    }

    pub(super) fn parse(digits: &str) -> Result<Self, String> {
        let fits = digits.len() == HASH_DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if fits {
            Ok(Self(digits.to_ascii_lowercase()))
        } else {
            Err(format!("has no sha256= of {HASH_DIGITS} digits"))
        }
    }

    /// In a time that tells nothing of either.
    fn is(&self, other: &Self) -> Choice {
        self.0.as_bytes().ct_eq(other.0.as_bytes())
    }
}

/// A token of these random bytes.
pub fn token(random: [u8; 32]) -> String {
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    [TOKEN_BEGIN, &digits].concat()
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokens({})", self.path.display())
    }
}

impl Tokens {
    /// A file that is wrong from the start is nobody's.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let held = Held { stamp: stamp(path).ok(), known: read(path)? };
        Ok(Self { path: path.to_owned(), held: Mutex::new(held) })
    }

    /// Looks whether the file has changed, which is one question to the kernel.
    pub(super) fn look(&self) -> Looked {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let stamp = stamp(&self.path).ok();
        if stamp == held.stamp {
            return Looked::Same;
        }
        held.stamp = stamp;
        match read(&self.path) {
            Ok(known) => {
                held.known = known;
                Looked::Read { tokens: held.known.len() }
            }
            Err(fault) => Looked::Wrong(fault),
        }
    }

    /// All are compared, so that no time tells how far one came.
    pub(super) fn find(&self, token: &str) -> Option<Arc<Caller>> {
        // A whole list is put in place of another: what is behind the lock is whole.
        let known = self.held.lock().unwrap_or_else(PoisonError::into_inner).known.clone();
        let hash = Hash::of(token);
        let mut found = None;
        for known in known.iter() {
            if bool::from(known.hash.is(&hash)) {
                found = Some(known.caller.clone());
            }
        }
        found
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let known = std::fs::metadata(path)?;
    Ok(Stamp {
        modified: (known.mtime(), known.mtime_nsec()),
        changed: (known.ctime(), known.ctime_nsec()),
        place: (known.dev(), known.ino()),
        bytes: known.len(),
    })
}

fn read(path: &Path) -> Result<Arc<[Known]>, Fault> {
    let refused = |why: String| Fault::new(FaultKind::Settings, format!("tokens file {}: {why}", path.display()));
    let unreadable = |e: std::io::Error| refused(e.to_string());
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(refused(format!("{bytes} bytes are over the bound of {FILE_BYTES_MAX}")));
    }
    parse(&std::fs::read_to_string(path).map_err(unreadable)?).map_err(refused)
}

fn parse(text: &str) -> Result<Arc<[Known]>, String> {
    let mut all: Vec<Known> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let wrong = |why: String| format!("line {} {why}", at + 1);
        let (caller, hash) = Caller::parse(line).map_err(wrong)?;
        if all.iter().any(|known| known.caller.name == caller.name || bool::from(known.hash.is(&hash))) {
            return Err(wrong("has the name or the hash of another".to_owned()));
        }
        all.push(Known { hash, caller: Arc::new(caller) });
    }
    if all.is_empty() { Err("no line of it is a token's".to_owned()) } else { Ok(all.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::http::callers::set;

    fn reader() -> Caller {
        Caller { name: "ci".to_owned(), scopes: set("read").unwrap(), tenants: None, places: None }
    }

    #[test]
    fn wrong_lines_are_refused_by_their_number_and_not_repeated() {
        let hash = Hash::of("t").0;
        let good = format!("ci scopes=read sha256={hash}");
        assert_eq!(parse(&format!("# who\n\n{good}\n")).map(|known| known.len()), Ok(1));
        let wrong = |text: &str| parse(text).err().unwrap();
        for (text, why) in [
            (
                format!("{good}\nci scopes=read sha256={}", Hash::of("u").0),
                "line 2 has the name or the hash of another",
            ),
            (format!("{good}\ncd scopes=read sha256={hash}"), "line 2 has the name or the hash of another"),
            (format!("ci sha256={hash}"), "line 1 has no scopes="),
            ("ci scopes=read".to_owned(), "line 1 has no sha256="),
            (format!("ci scopes=write sha256={hash}"), "line 1 has a scope that is none of submit, read and admin"),
            (
                format!("ci scopes=read sha256={hash} scopes=admin"),
                "line 1 says scopes=, tenants=, places= or sha256= twice",
            ),
            (
                format!("ci scopes=read places=media/news sha256={hash}"),
                "line 1 has a place that is no folder such as s3://bucket/folder/, file:///folder/ or https://host/folder/",
            ),
            ("ci scopes=read sha256=0123".to_owned(), "line 1 has no sha256= of 64 digits"),
            ("# nothing".to_owned(), "no line of it is a token's"),
        ] {
            assert_eq!(wrong(&text), why, "{text}");
        }
        let told = wrong("ci scopes=read fft_0123456789");
        assert!(!told.contains("fft_"), "{told}");
    }

    #[test]
    fn a_changed_file_is_read_again_and_a_wrong_one_leaves_what_was_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join("new"), text).unwrap();
            std::fs::rename(folder.path().join("new"), folder.path().join(name)).unwrap();
        };
        assert!(Tokens::open(&path).unwrap_err().message.contains("No such file"));
        write("tokens", &reader().line(&Hash::of("one")));
        let tokens = Tokens::open(&path).unwrap();
        assert_eq!(tokens.look(), Looked::Same);
        assert!(tokens.find("one").is_some() && tokens.find("two").is_none() && tokens.find("").is_none());
        write("tokens", "nonsense");
        assert!(matches!(tokens.look(), Looked::Wrong(_)));
        assert_eq!(tokens.look(), Looked::Same, "it is told of once");
        assert!(tokens.find("one").is_some());
        write("tokens", &reader().line(&Hash::of("two")));
        assert_eq!(tokens.look(), Looked::Read { tokens: 1 });
        assert!(tokens.find("one").is_none() && tokens.find("two").is_some());
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(tokens.look(), Looked::Wrong(_)));
        assert!(tokens.find("two").is_some());
    }
}
