//! Where a command keeps what it must find again: state by XDG, with a fallback for users without a home.

use std::path::{Path, PathBuf};

use framefleet_model::fault::{Fault, FaultKind};

const NAME: &str = "framefleet";

/// The folder that holds a folder for each unfinished job.
pub fn state(asked: Option<&Path>) -> Result<PathBuf, Fault> {
    match asked {
        Some(folder) => absolute(folder),
        None => by_xdg("XDG_STATE_HOME", ".local/state"),
    }
}

/// What can be made again at any time: GStreamer's registry of plugins.
pub fn cache() -> Result<PathBuf, Fault> {
    by_xdg("XDG_CACHE_HOME", ".cache")
}

fn by_xdg(variable: &str, below_home: &str) -> Result<PathBuf, Fault> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set(variable).or_else(|| Some(set("HOME")?.join(below_home)));
    let nameless = || std::env::temp_dir().join(format!("{NAME}-{}", rustix::process::getuid().as_raw()));
    Ok(base.map_or_else(nameless, |base| base.join(NAME)))
}

fn absolute(folder: &Path) -> Result<PathBuf, Fault> {
    let refused = |e| Fault::new(FaultKind::Settings, format!("state folder {}: {e}", folder.display()));
    std::path::absolute(folder).map_err(refused)
}
