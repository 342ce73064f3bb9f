//! Whether a file can come to stand somewhere: by trying, because only writing tells of room and rights.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Digest;

use crate::adapters::blob::OnExisting;

/// What a destination is tried with.
const TRIAL_BYTES: usize = 4096;

pub(crate) fn try_out(path: &Path, on_existing: OnExisting) -> Result<(), Fault> {
    let name = path.display();
    let fault = |kind, why: String| Err(Fault::new(kind, format!("output {name} {why}")));
    match std::fs::symlink_metadata(path) {
        Ok(_) if on_existing == OnExisting::Fail => {
            return fault(FaultKind::DestinationExists, "exists already".into());
        }
        Ok(there) if there.is_dir() => return fault(FaultKind::DestinationExists, "is a folder".into()),
        Ok(_) | Err(_) => {}
    }
    let Some(folder) = path.parent() else { return fault(FaultKind::DestinationExists, "is a folder".into()) };
    if !folder.is_dir() {
        return fault(FaultKind::DestinationMissing, format!("has no folder {}", folder.display()));
    }
    let trial = trial(path);
    let written = std::fs::write(&trial, [0; TRIAL_BYTES]);
    // A trial that could not be written has nothing to remove.
    drop(std::fs::remove_file(&trial));
    match written {
        Ok(()) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                fault(FaultKind::DestinationFull, format!("has no room for even {TRIAL_BYTES} bytes: {error}"))
            }
            ErrorKind::NotFound | ErrorKind::NotADirectory => fault(FaultKind::DestinationMissing, error.to_string()),
            _ => fault(FaultKind::DestinationDenied, format!("may not be written: {error}")),
        },
    }
}

fn trial(path: &Path) -> PathBuf {
    let mark = Digest::of(path.as_os_str().as_encoded_bytes());
    path.with_file_name(format!(".framefleet-trial-{}.part", &mark.as_str()[..16]))
}
