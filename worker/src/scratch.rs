//! Scratch folders: one for each attempt, empty at its start, gone at its end.

use std::path::{Path, PathBuf};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;

pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    pub(crate) async fn make(root: &Path, nonce: &Nonce) -> Result<Self, Fault> {
        let folder = root.join(nonce.as_str());
        let made = tokio::fs::create_dir_all(&folder).await;
        made.map_err(|e| Fault::new(FaultKind::ScratchFull, format!("no scratch folder can be made: {e}")))?;
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// What cannot be removed now is no reason to fail: whoever starts next clears the root.
    pub(crate) async fn remove(self) {
        drop(tokio::fs::remove_dir_all(&self.folder).await);
    }
}

/// Removes what attempts of an earlier life left.
pub(crate) async fn clear(root: &Path) {
    drop(tokio::fs::remove_dir_all(root).await);
}
