//! Small clips that many tests share, made by the oracle once and kept.

use std::path::PathBuf;
use std::process::Command;

use crate::{film, place};

/// Four seconds of numbered pictures with beeps, H.264 with B-pictures and a key picture a second.
pub fn plain(extension: &str) -> PathBuf {
    let coding = "-c:v libx264 -preset veryfast -threads 1 -bf 3 -g 25";
    numbered(&format!("plain.{extension}"), &["--seconds", "4", "--fps", "25", "--vargs", coding])
}

/// A numbered clip by this name; equal names must ask for equal clips.
pub fn numbered(name: &str, settings: &[&str]) -> PathBuf {
    kept(name, |out| {
        let mut command = Command::new("python3");
        command.args(["tests/oracle/seamcheck.py", "make"]).arg(out).args(["--size", "320x180"]).args(settings);
        film::run(&mut command).map(drop)
    })
}

/// A file that `make` makes at the path it is given, unless it is kept from an earlier run.
pub fn kept(name: &str, make: impl FnOnce(&std::path::Path) -> Result<(), String>) -> PathBuf {
    let folder = place::cache("test-clips");
    let path = folder.join(name);
    if path.exists() {
        return path;
    }
    let making = tempfile::tempdir_in(&folder).expect("target can be written");
    let made = making.path().join(name);
    make(&made).unwrap_or_else(|why| panic!("{name}: {why}"));
    film::keep(&made, &path).unwrap_or_else(|why| panic!("{why}"));
    path
}
