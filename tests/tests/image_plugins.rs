//! What an image is left with of GStreamer's plugins is enough.
#![expect(clippy::unwrap_used, reason = "a test program")]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use framefleet_tests::{clip, place, product};

fn plugins() -> PathBuf {
    PathBuf::from(format!("/usr/lib/{}-linux-gnu/gstreamer-1.0", std::env::consts::ARCH))
}

/// A folder with every plugin of this machine, as a base image has them.
fn untrimmed() -> tempfile::TempDir {
    let folder = place::scratch();
    for entry in std::fs::read_dir(plugins()).unwrap().flatten() {
        symlink(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn trim(folder: &Path) -> Output {
    Command::new(place::top().join("deploy/image/trim.sh")).arg(folder).output().unwrap()
}

/// Plugins alone: there are folders beside them.
fn count(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().starts_with("libgst")).count()
}

#[test]
fn films_are_made_with_the_plugins_that_an_image_keeps() {
    let (folder, home) = (untrimmed(), place::scratch());
    let before = count(folder.path());
    let trimmed = trim(folder.path());
    assert!(trimmed.status.success(), "{trimmed:?}");
    let kept = std::fs::read_to_string(place::top().join("deploy/image/plugins.txt")).unwrap().lines().count();
    assert_eq!(count(folder.path()), kept);
    assert!(kept < before, "{kept} of {before}");
    let run = |words: &[&str]| {
        let mut command = product::command(home.path());
        command.args(words).env("GST_PLUGIN_SYSTEM_PATH_1_0", folder.path()).env("XDG_CACHE_HOME", home.path());
        product::Ran::of(&command.output().unwrap())
    };
    let doctor = run(&["doctor"]);
    assert_eq!(doctor.code, Some(0), "{doctor:?}");
    let film = clip::plain("mp4").display().to_string();
    for name in ["made.mp4", "made.webm", "made.avi", "made.ts"] {
        let made = run(&["transcode", &film, name, "--preset", "ultrafast"]);
        assert_eq!(made.code, Some(0), "{name}: {made:?}");
    }
}

#[test]
fn a_base_that_lacks_a_plugin_makes_no_image() {
    let folder = untrimmed();
    std::fs::remove_file(folder.path().join("libgstx264.so")).unwrap();
    let before = count(folder.path());
    let trimmed = trim(folder.path());
    assert!(!trimmed.status.success() && count(folder.path()) == before, "nothing is deleted in vain: {trimmed:?}");
    assert!(String::from_utf8_lossy(&trimmed.stderr).contains("libgstx264.so"), "{trimmed:?}");
}
