//! README's own commands, taken from README and run as they stand there, but for the numbers of ports.
#![expect(clippy::unwrap_used, reason = "a test program")]

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use framefleet_tests::place;
use framefleet_tests::processes::comes_true;
use framefleet_tests::processes::role::free_port;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

const PATIENCE_SECONDS: &str = "560";
const END: Duration = Duration::from_secs(30);

/// The blocks that README marks with this word, one after the other.
fn commands(word: &str) -> String {
    let text = std::fs::read_to_string(place::top().join("README.md")).unwrap();
    let mark = format!("<!-- tried: {word} -->\n```sh\n");
    let blocks: Vec<&str> = text.split(&mark).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(!blocks.is_empty(), "README marks no block with {word}");
    blocks.join("\n")
}

/// A shell that runs commands in a home of its own, and all that it started.
struct Shell {
    home: tempfile::TempDir,
    names: u16,
    running: Child,
}

impl Shell {
    fn run(commands: &str, ports: &[(&str, u16)]) -> Self {
        let home = place::scratch();
        let bin = home.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        symlink(place::framefleet(), bin.join("framefleet")).unwrap();
        symlink(env!("CARGO_BIN_EXE_local_cloud"), bin.join("local_cloud")).unwrap();
        let commands =
            ports.iter().fold(commands.to_owned(), |text, (known, port)| text.replace(known, &port.to_string()));
        let api = format!("127.0.0.1:{}", free_port());
        let ops = ports.iter().find(|(known, _)| *known == "9090").map_or_else(free_port, |(_, port)| *port);
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let said = std::fs::File::create(home.path().join("said")).unwrap();
        let running = Command::new("timeout")
            .args([PATIENCE_SECONDS, "bash", "-eu", "-o", "pipefail", "-c", &commands])
            .current_dir(home.path())
            .env("HOME", home.path())
            .env("PATH", path)
            .env("NO_COLOR", "1")
            .env("FRAMEFLEET__COORDINATOR__LISTEN", &api)
            .env("FRAMEFLEET__COORDINATOR__OPS_LISTEN", format!("127.0.0.1:{ops}"))
            .env("FRAMEFLEET__SERVER", format!("http://{api}"))
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CACHE_HOME")
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .process_group(0)
            .spawn()
            .unwrap();
        let names = ports.iter().find(|(known, _)| *known == "4390").map_or(0, |(_, port)| *port);
        Self { home, names, running }
    }

    /// Waits for its end; what it said.
    fn end(&mut self) -> String {
        let ended = self.running.wait().unwrap();
        let said = std::fs::read_to_string(self.home.path().join("said")).unwrap();
        assert!(ended.success(), "{ended}: {said}\n{}", self.logs());
        said
    }

    fn logs(&self) -> String {
        let folders = ["", "fleet", "films"].map(|folder| self.home.path().join(folder));
        let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
        let logs = files.map(|file| file.path()).filter(|path| path.to_string_lossy().ends_with("log"));
        logs.map(|path| format!("---- {}\n{}\n", path.display(), tail(&path))).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // What it left at work is in its group, but for Erlang's register of names.
        let _ = kill_process_group(Pid::from_child(&self.running), Signal::KILL);
        let _ = self.running.wait();
        if self.names != 0 {
            let mut killing = Command::new("epmd");
            killing.env("ERL_EPMD_PORT", self.names.to_string()).arg("-kill");
            // It stays for as long as it believes that a node lives.
            comes_true(END, || killing.output().is_ok_and(|said| said.stdout.starts_with(b"Killed")));
        }
    }
}

fn tail(path: &Path) -> String {
    framefleet_tests::processes::role::tail(path, 8)
}

/// Lines that are events of this type.
fn events(said: &str, what: &str) -> Vec<Value> {
    let lines = said.lines().filter(|line| line.starts_with('{') && line.contains(what));
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn one_process_takes_jobs() {
    let mut shell = Shell::run(&commands("serve"), &[("9090", free_port())]);
    let said = shell.end();
    assert!(said.contains("4/4 segments, 1/1 outputs, 0 running") && said.contains("completed"), "{said}");
    assert!(shell.path("film.mp4").exists());
}

#[test]
fn a_film_dropped_into_a_folder_is_made_and_told_of() {
    let mut shell = Shell::run(&commands("folder"), &[("9090", free_port())]);
    let said = shell.end();
    let told = events(&said, "framefleet.job.completed");
    let output = format!("file://{}", shell.path("films/out/film.mp4").display());
    assert_eq!(told.len(), 1, "{said}");
    assert_eq!(told[0]["data"]["outputs"][0]["url"].as_str(), Some(output.as_str()));
    assert!(shell.path("films/out/film.mp4").exists());
}

/// A fleet whose worker dies, a film dropped into a bucket, and another that a queue of MNS tells of.
#[test]
fn a_fleet_makes_films_that_are_asked_for_and_dropped() {
    // The workers' ports end with their numbers.
    let tens = free_port() / 10;
    let ports = [
        ("6390", free_port()),
        ("25690", free_port()),
        ("5690", free_port()),
        ("4390", free_port()),
        ("9091", tens * 10 + 1),
        ("9099", tens * 10 + 9),
    ];
    let (s3, mns) = (free_port(), free_port());
    let commands = commands("fleet")
        .replace("127.0.0.1:9000", &format!("127.0.0.1:{s3}"))
        .replace("127.0.0.1:9001", &format!("127.0.0.1:{mns}"))
        .replace("local_cloud cloud", &format!("local_cloud cloud --s3-port {s3} --mns-port {mns}"))
        .replace("909$n", &format!("{tens}$n"));
    let mut shell = Shell::run(&commands, &ports);
    let said = shell.end();
    assert!(said.contains("12/12 segments, 1/1 outputs, 0 running"), "{said}");
    let told = events(&said, "framefleet.job.completed");
    assert_eq!(told.len(), 1, "{said}");
    assert_eq!(
        (told[0]["data"]["tenant"].as_str(), told[0]["data"]["outputs"].as_array().map(Vec::len)),
        (Some("news"), Some(2))
    );
    let made = std::fs::read_dir(shell.path("fleet/cloud/films/made")).unwrap().next().unwrap().unwrap().path();
    assert!(made.join("short.mp4").exists() && made.join("another.mp4").exists(), "{made:?}");
    assert!(shell.path("fleet/films/film.mp4").exists());
}
