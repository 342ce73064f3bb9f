//! Lists of what is below a folder, in the order of the bytes of its names: the order in which buckets list, so that a
//! page begins where the last one ended, whatever was removed meanwhile.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

/// Names of folders directly below, those after `after`.
pub(crate) fn folders(root: &Path, after: Option<&[u8]>, count_max: usize) -> io::Result<Vec<Vec<u8>>> {
    let below = entries(root)?.into_iter().filter_map(|mut name| (name.pop() == Some(b'/')).then_some(name));
    Ok(below.filter(|name| after.is_none_or(|after| name.as_slice() > after)).take(count_max).collect())
}

/// Names of all files whose names begin with `below`, which is a folder's with its slash, or empty; those after
/// `after`. Links are not followed.
pub(crate) fn files(
    root: &Path,
    (below, after): (Vec<u8>, Option<Vec<u8>>),
    count_max: usize,
) -> io::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    // Names still to be looked at, the next one last.
    let mut open = vec![below];
    while let Some(name) = open.pop() {
        if found.len() == count_max {
            break;
        }
        let is_folder = name.is_empty() || name.ends_with(b"/");
        let is_before = after.as_ref().is_some_and(|after| name <= *after && !(is_folder && after.starts_with(&name)));
        if is_before {
            continue;
        }
        if is_folder {
            let inner = entries(&root.join(OsStr::from_bytes(&name)))?;
            open.extend(inner.into_iter().rev().map(|inner| [name.as_slice(), inner.as_slice()].concat()));
        } else {
            found.push(name);
        }
    }
    Ok(found)
}

/// The name as a path that stays below.
pub(crate) fn relative(name: &[u8]) -> Option<PathBuf> {
    let path = PathBuf::from(OsStr::from_bytes(name));
    path.components().all(|part| matches!(part, Component::Normal(_))).then_some(path)
}

/// Removes the folders that a removed file leaves empty, as far as the root.
pub(crate) fn remove_empty(root: &Path, file: &Path) -> io::Result<()> {
    for folder in file.ancestors().skip(1).take_while(|folder| *folder != root && folder.starts_with(root)) {
        match std::fs::remove_dir(folder) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Names in a folder in the order of a list, those of folders with a slash. One that is gone has none.
fn entries(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let listed = match std::fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut names = Vec::new();
    for entry in listed {
        let entry = entry?;
        let mut name = entry.file_name().into_vec();
        if entry.file_type()?.is_dir() {
            name.push(b'/');
        }
        names.push(name);
    }
    names.sort_unstable();
    Ok(names)
}
