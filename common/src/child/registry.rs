//! GStreamer's registry of plugins: built once by a process that does nothing else, so that children at work start
//! fast, scan nothing and write nothing outside their scratch.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use framefleet_model::fault::{Fault, FaultKind};
use tokio::process::Command;

use super::evidence::ending;
use super::output::LastLines;
use super::spawn::command;

/// The hidden subcommand that initialises GStreamer and exits.
const SUBCOMMAND: &str = "media-registry";
const FILE: &str = concat!("registry-", env!("CARGO_PKG_VERSION"), ".bin");
/// A first scan loads some 250 plugins.
const SCAN_TIME_MAX: Duration = Duration::from_secs(120);

/// The registry file in `folder`, made anew if it is missing or older than the program or a folder of plugins.
pub async fn prepare(program: &Path, folder: &Path) -> Result<PathBuf, Fault> {
    let file = folder.join(FILE);
    let refused = |e: io::Error| Fault::new(FaultKind::Internal, format!("{}: {e}", folder.display()));
    std::fs::create_dir_all(folder).map_err(refused)?;
    if is_fresh(&file, program) {
        return Ok(file);
    }
    scan(program, &file).await?;
    // A scan that finds nothing new leaves the file as it is.
    let made = File::options().append(true).open(&file).and_then(|f| f.set_modified(SystemTime::now()));
    made.map_err(|e| Fault::new(FaultKind::Internal, format!("the plugin registry {}: {e}", file.display())))?;
    Ok(file)
}

async fn scan(program: &Path, file: &Path) -> Result<(), Fault> {
    let failed = |message: String| Fault::new(FaultKind::Internal, format!("the scan for plugins {message}"));
    let mut command = Command::from(command(program, SUBCOMMAND, file));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| failed(format!("by {} cannot start: {e}", program.display())))?;
    let stderr = child.stderr.take().expect("it is piped");
    let last_lines = LastLines::default();
    let heard = async { tokio::join!(child.wait(), last_lines.clone().collect(stderr)).0 };
    let status = tokio::time::timeout(SCAN_TIME_MAX, heard).await;
    let status = status.map_err(|_| failed(format!("took longer than {SCAN_TIME_MAX:?}")))?;
    let status = status.map_err(|e| failed(format!("cannot be waited for: {e}")))?;
    if status.success() {
        return Ok(());
    }
    let fault = failed(format!("ended with {}", ending(status)));
    Err(last_lines.take().into_iter().fold(fault, Fault::with_evidence))
}

fn is_fresh(file: &Path, program: &Path) -> bool {
    let Some(made) = modified(file) else { return false };
    let sources = plugin_folders().into_iter().chain([program.to_path_buf()]);
    sources.filter_map(|path| modified(&path)).all(|changed| changed < made)
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|meta| meta.modified()).ok()
}

/// Where GStreamer looks; a folder's time changes with every plugin that comes or goes.
fn plugin_folders() -> Vec<PathBuf> {
    let named = ["GST_PLUGIN_PATH_1_0", "GST_PLUGIN_PATH", "GST_PLUGIN_SYSTEM_PATH_1_0", "GST_PLUGIN_SYSTEM_PATH"];
    let named = named.into_iter().filter_map(std::env::var_os);
    let named: Vec<PathBuf> = named.flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>()).collect();
    let multiarch = format!("/usr/lib/{}-linux-gnu/gstreamer-1.0", std::env::consts::ARCH);
    let usual =
        [multiarch.as_str(), "/usr/lib64/gstreamer-1.0", "/usr/lib/gstreamer-1.0", "/usr/local/lib/gstreamer-1.0"];
    named.into_iter().chain(usual.map(PathBuf::from)).collect()
}
