//! Files, by calls that block. Whatever stands under a name is whole: it came there by a rename, after its bytes
//! reached the disk.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use framefleet_model::event::WallTime;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::adapters::blob::{Facts, OnExisting};

/// Size and modification time: what tells one content of a file from the next.
pub(crate) fn facts_of(metadata: &Metadata) -> Facts {
    Facts { size: metadata.len(), version: format!("{}.{:09}", metadata.mtime(), metadata.mtime_nsec()) }
}

/// When its content last changed.
pub(crate) fn modified(metadata: &Metadata) -> WallTime {
    moment(metadata.mtime(), metadata.mtime_nsec())
}

/// When it came to stand under its name, or was written to, or anything else was done to it: a file that is moved keeps
/// the moment of its content.
pub(crate) fn appeared(metadata: &Metadata) -> WallTime {
    modified(metadata).max(moment(metadata.ctime(), metadata.ctime_nsec()))
}

fn moment(seconds: i64, nanos: i64) -> WallTime {
    WallTime(seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000))
}

pub(crate) fn read_at(file: &File, offset: u64, len: u32) -> io::Result<Bytes> {
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes.into())
}

/// A name beside `path`, hidden, unique by `mark`, and no longer than a name may be.
pub(crate) fn sibling(path: &Path, mark: &str) -> PathBuf {
    path.with_file_name(format!(".framefleet-{mark}.part"))
}

pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Moves a file, or copies it where it lies on another file system; then its bytes are on the disk.
pub(crate) fn bring(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Ok(()) => File::open(to)?.sync_all(),
        Err(error) if error.kind() == ErrorKind::CrossesDevices => copy(from, to),
        Err(error) => Err(error),
    }
}

/// Moves a file into a folder that is made if it is not there; the folder's own must be.
pub(crate) fn bring_into(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            made => made.and_then(|()| sync_folder(folder))?,
        }
    }
    bring(from, to)?;
    sync_folder(to)
}

/// Removes a file, and its folder if that is empty then.
pub(crate) fn remove_from(path: &Path) -> io::Result<()> {
    remove(path)?;
    match path.parent().map_or(Ok(()), std::fs::remove_dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => Ok(()),
        done => done,
    }
}

/// Gives a file its final name, and returns when the name is on the disk.
pub(crate) fn reveal(hidden: &Path, path: &Path, on_existing: OnExisting) -> io::Result<()> {
    match on_existing {
        OnExisting::Replace => std::fs::rename(hidden, path)?,
        OnExisting::Fail => rename_new(hidden, path)?,
    }
    sync_folder(path)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(()),
        done => done,
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = OpenOptions::new().write(true).create(true).truncate(true).open(to)?;
    io::copy(&mut source, &mut target)?;
    target.sync_all()
}

fn rename_new(hidden: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, hidden, CWD, path, RenameFlags::NOREPLACE) {
        // Network file systems know no such rename: a link never replaces anything either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            std::fs::hard_link(hidden, path)?;
            std::fs::remove_file(hidden)
        }
        done => Ok(done?),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
