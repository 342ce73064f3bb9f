//! The state folder and the lock that makes it one process's own. The kernel holds the lock, so it goes with its
//! process, however that dies; the file's content only tells people who holds it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock, fstatfs};
use rustix::io::Errno;

use crate::ports::store::StoreError;

pub(crate) struct Folder {
    path: PathBuf,
    /// Closing it frees the folder.
    _lock: File,
}

/// Network file systems, by the magic number of their kind: SQLite's shared memory does not work there.
const NETWORKS: [(&str, u64); 4] = [("NFS", 0x6969), ("CIFS", 0xff53_4d42), ("SMB2", 0xfe53_4d42), ("9P", 0x0102_1997)];

impl Folder {
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let unusable = |what: &str, error: &dyn std::fmt::Display| {
            StoreError::Unusable(format!("{}: {what}: {error}", path.display()))
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| unusable("cannot be made", &e))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join("lock"))
            .map_err(|e| unusable("its lock cannot be opened", &e))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(StoreError::Locked { folder: path.display().to_string(), holder: holder(&mut lock) });
            }
            Err(error) => return Err(unusable("cannot be locked", &error)),
        }
        let kind = fstatfs(&lock).map_err(|e| unusable("cannot be examined", &e))?.f_type;
        if let Some(network) = network(kind) {
            return Err(unusable("is on a network", &format!("{network} keeps no state, choose a local folder")));
        }
        sign(&mut lock).map_err(|e| unusable("its lock cannot be written", &e))?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("state.db")
    }
}

fn network(kind: impl TryInto<i64>) -> Option<&'static str> {
    // The kernel's type is signed on some machines: only the low 32 bits are the number.
    let kind = u64::from_ne_bytes(kind.try_into().ok()?.to_ne_bytes()) & 0xffff_ffff;
    NETWORKS.iter().find(|(_, magic)| *magic == kind).map(|(name, _)| *name)
}

fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    // The holder may be about to write its number: then there is nothing to tell yet.
    let _ = lock.read_to_string(&mut pid);
    match pid.trim() {
        "" => "another process".to_owned(),
        pid => format!("process {pid}"),
    }
}

fn sign(lock: &mut File) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opener_is_told_folder_and_holder() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("state");
        let first = Folder::take(&path).unwrap();
        let Err(error) = Folder::take(&path) else { panic!("taken twice") };
        let expected = format!("the state folder {} is in use by process {}", path.display(), std::process::id());
        assert_eq!(error.to_string(), expected);
        drop(first);
        assert!(Folder::take(&path).is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_is_unusable() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Folder::take(&file.path().join("state")), Err(StoreError::Unusable(_))));
        assert_eq!(network(0x6969_i64), Some("NFS"));
        assert_eq!(network(0xef53_i64), None);
    }
}
