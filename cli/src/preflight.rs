//! What can be known before any work: that the source is there, and that the outputs have a place to stand.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::pipeline::OnExisting;
use rustix::fs::{Access, access};

/// The source's size and times, once it is seen to be a readable file with something in it.
pub fn source(path: &Path) -> Result<Metadata, Fault> {
    let name = path.display();
    let unreadable = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Fault::new(FaultKind::SourceMissing, format!("source {name} does not exist"))
        }
        _ => Fault::new(FaultKind::SourceUnreadable, format!("source {name} cannot be read: {e}")),
    };
    // Looked at before it is opened: to open a pipe would wait for its writer.
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if meta.is_dir() {
        return Err(Fault::new(FaultKind::SourceUnreadable, format!("source {name} is a folder, not a file")));
    }
    if !meta.is_file() {
        return Err(Fault::new(FaultKind::SourceUnreadable, format!("source {name} is no regular file")));
    }
    File::open(path).map_err(unreadable)?;
    if meta.len() == 0 {
        return Err(Fault::new(FaultKind::Corrupt, format!("source {name} is empty: 0 bytes")));
    }
    Ok(meta)
}

/// That an output can come to stand at `path`.
pub fn destination(path: &Path, on_existing: OnExisting) -> Result<(), Fault> {
    let name = path.display();
    let fault = |kind, why: &str| Err(Fault::new(kind, format!("output {name} {why}")));
    let Some(folder) = path.parent() else { return fault(FaultKind::DestinationExists, "is a folder") };
    if path.is_dir() {
        return fault(FaultKind::DestinationExists, "is a folder");
    }
    if !folder.is_dir() {
        let kind = if folder.exists() { "is no folder" } else { "does not exist" };
        let message = format!("output {name}: {} {kind}", folder.display());
        return Err(Fault::new(FaultKind::DestinationMissing, message));
    }
    let exists = path.symlink_metadata().is_ok();
    if exists && on_existing == OnExisting::Fail {
        return fault(FaultKind::DestinationExists, "exists already (--overwrite replaces it)");
    }
    if let Err(error) = access(folder, Access::WRITE_OK | Access::EXEC_OK) {
        let message = format!("output {name}: {} may not be written: {}", folder.display(), io::Error::from(error));
        return Err(Fault::new(FaultKind::DestinationDenied, message));
    }
    Ok(())
}
