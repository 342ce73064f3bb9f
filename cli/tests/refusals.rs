//! What is refused before any work: one line on standard error, the exit code of sysexits.h, nothing left behind.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_framefleet");
/// Nobody, by custom: for tests of permissions, which root does not feel.
const NOBODY: u32 = 65_534;

/// A folder with `film.mov` (not a film, but something), `empty.mov`, `folder` and `there.mp4`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("film.mov"), "no film").unwrap();
    std::fs::write(path("empty.mov"), "").unwrap();
    std::fs::write(path("there.mp4"), "standing").unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    folder
}

fn framefleet(program: &Path, folder: &Path, words: &str) -> Command {
    let mut command = Command::new(program);
    command.args(words.split_whitespace()).current_dir(folder).env("HOME", folder).env_remove("XDG_STATE_HOME");
    command
}

#[track_caller]
fn check(output: &Output, code: i32, line: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), error.trim_end()), (Some(code), line));
}

/// Runs `transcode` with these words, in which `DIR` stands for the folder, and compares code and line.
#[track_caller]
fn refused(words: &str, code: i32, line: &str) {
    let folder = folder();
    let before = names(folder.path());
    let output = framefleet(PROGRAM.as_ref(), folder.path(), &format!("transcode {words}")).output().unwrap();
    let place = std::fs::canonicalize(folder.path()).unwrap();
    check(&output, code, &line.replace("DIR", place.to_str().unwrap()));
    assert!(output.stdout.is_empty());
    assert_eq!(names(folder.path()), before, "nothing is left behind");
    assert_eq!(std::fs::read_to_string(folder.path().join("there.mp4")).unwrap(), "standing");
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn bad_sources_are_named() {
    refused("gone.mov out.mp4", 66, "framefleet: source DIR/gone.mov does not exist [F1001, input; not retried]");
    refused("folder out.mp4", 66, "framefleet: source DIR/folder is a folder, not a file [F1002, input; not retried]");
    refused("empty.mov out.mp4", 65, "framefleet: source DIR/empty.mov is empty: 0 bytes [F1011, input; not retried]");
    refused("/dev/null out.mp4", 66, "framefleet: source /dev/null is no regular file [F1002, input; not retried]");
}

#[test]
fn bad_destinations_are_named() {
    refused(
        "film.mov gone/out.mp4",
        73,
        "framefleet: output DIR/gone/out.mp4: DIR/gone does not exist [F2001, destination; not retried]",
    );
    refused(
        "film.mov there.mp4",
        73,
        "framefleet: output DIR/there.mp4 exists already (--overwrite replaces it) [F2002, destination; not retried]",
    );
    refused(
        "film.mov folder --container mp4 --overwrite",
        73,
        "framefleet: output DIR/folder is a folder [F2002, destination; not retried]",
    );
    refused(
        "film.mov there.mp4/out.mp4",
        73,
        "framefleet: output DIR/there.mp4/out.mp4: DIR/there.mp4 is no folder [F2001, destination; not retried]",
    );
}

#[test]
fn words_that_mean_nothing_are_one_line_too() {
    refused("film.mov out.mp4 --crf 60", 64, "framefleet: crf 60 is not within 0 to 51 [F1020, input; not retried]");
    refused(
        "film.mov out.mp4 --workers 0",
        64,
        "framefleet: workers 0 is not within 1 to 256 [F1020, input; not retried]",
    );
    refused(
        "film.mov out.mp4 --hue red",
        64,
        "framefleet: unexpected argument '--hue' found [F1020, input; not retried]",
    );
    refused(
        "--job job.yaml",
        64,
        "framefleet: job file job.yaml: No such file or directory (os error 2) [F1020, input; not retried]",
    );
}

#[test]
fn packages_that_cannot_be_are_refused_with_what_can() {
    let refused = |words: &str, line: &str| {
        refused(words, 64, &format!("framefleet: {line} [F1020, input; not retried]"));
    };
    refused(
        "film.mov out.mp4 --hls-time 6s",
        "hls is asked for of DIR/out.mp4, which is no playlist: index.m3u8 would be one",
    );
    refused(
        "film.mov out.mkv --ladder auto",
        "a ladder is asked for of DIR/out.mkv, which is no playlist: index.m3u8 would be one",
    );
    refused("film.mov out.m3u8 --hls-time 100ms", "hls time 0.100 s is not within 1.000 s to 60.000 s");
    refused("film.mov out.m3u8 --ladder steep", "ladder \"steep\" is not one of: auto");
    refused("film.mov out.m3u8 --container mkv", "hls segment \"mkv\" is not one of: ts, fmp4");
    refused(
        "film.mov out.m3u8 --video-codec hevc",
        "players take no hevc in segments of ts, as output DIR/out.m3u8 has them: h264 is taken",
    );
    refused(
        "film.mov out.m3u8 --video-codec none",
        "output DIR/out.m3u8 would hold no pictures, which a package must: mp4 can hold sound alone",
    );
    refused(
        "film.mov out.m3u8 --segment-duration none",
        "segment duration none contradicts packages, whose segments begin where the film is cut: auto does not",
    );
}

#[test]
fn permissions_are_respected_and_named() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let program = path("framefleet");
    std::fs::copy(PROGRAM, &program).unwrap();
    let allow = |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    allow(folder.path(), 0o755);
    allow(&path("film.mov"), 0o644);
    allow(&path("folder"), 0o555);
    std::fs::write(path("secret.mov"), "mine").unwrap();
    allow(&path("secret.mov"), 0o000);
    let run = |words: &str| {
        let mut command = framefleet(&program, folder.path(), words);
        if rustix::process::getuid().is_root() {
            command.uid(NOBODY);
        }
        command.output().unwrap()
    };
    let place = std::fs::canonicalize(folder.path()).unwrap().display().to_string();
    let line = format!(
        "framefleet: source {place}/secret.mov cannot be read: Permission denied (os error 13) [F1002, input; not retried]"
    );
    check(&run("transcode secret.mov folder/out.mp4"), 66, &line);
    let line = format!(
        "framefleet: output {place}/folder/out.mp4: {place}/folder may not be written: Permission denied (os error 13) \
         [F2003, destination; not retried]"
    );
    check(&run("transcode film.mov folder/out.mp4"), 73, &line);
}

#[test]
fn programs_are_told_of_a_failure_in_their_own_language() {
    let folder = folder();
    let output = framefleet(PROGRAM.as_ref(), folder.path(), "transcode gone.mov out.mp4 -o json").output().unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["state"], &told["code"], &told["whose"]), (&"failed".into(), &1001.into(), &"Input".into()));
    assert_eq!(output.status.code(), Some(66));
}
