//! Where files may lie. Looked at twice: by name, when a URL is taken, and on disk, whenever a file is touched, because a
//! link may lead elsewhere.

use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Folders that files must lie below.
#[derive(Clone, Debug)]
pub(crate) struct Bounds(Option<Arc<[PathBuf]>>);

impl Bounds {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn within(folders: Vec<PathBuf>) -> Self {
        Self(Some(folders.into()))
    }

    /// Whether the name lies below, whatever it leads to.
    pub(crate) fn cover(&self, path: &Path) -> bool {
        let climbs = path.components().any(|part| part == Component::ParentDir);
        self.0.as_ref().is_none_or(|folders| !climbs && folders.iter().any(|folder| path.starts_with(folder)))
    }

    /// Whether the file lies below, all links followed: its own, and those on the way to it.
    pub(crate) fn check(&self, path: &Path) -> io::Result<()> {
        let Some(folders) = &self.0 else { return Ok(()) };
        let folders = folders.iter().map(|folder| real(folder)).collect::<io::Result<Vec<_>>>()?;
        let below = |path: PathBuf| folders.iter().any(|folder| path.starts_with(folder));
        // The folder as well: what is written goes beside the file, wherever a link in its place leads.
        let folder = path.parent().unwrap_or(path);
        if below(real(path)?) && below(real(folder)?) {
            return Ok(());
        }
        Err(io::Error::new(ErrorKind::PermissionDenied, "it leads out of the folders that may be used"))
    }
}

/// The path without links; what is not there yet is taken as it is called.
fn real(path: &Path) -> io::Result<PathBuf> {
    match std::fs::canonicalize(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(error) };
            Ok(real(parent)?.join(name))
        }
        known => known,
    }
}
