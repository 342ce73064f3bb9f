//! A PostgreSQL of a test's own: its data in a folder, on a free port of the loopback, nothing shared with the machine's.
//! It dies with its value, and with the test's process however that ends.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

/// Generous: only a server that will never get there takes so long.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The shell stops the server as soon as its input ends.
const SHELL: &str = r#""$@" & server=$!; echo begun; read -r _; kill -QUIT "$server"; wait "$server""#;
/// The server refuses to be root's.
const NOT_ROOT: &str = "postgres";

pub struct Postgres {
    folder: tempfile::TempDir,
    port: u16,
    /// `None` while it is down.
    running: Option<(Child, Option<ChildStdin>)>,
}

impl Postgres {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        if is_root() {
            let owner = ran(Command::new("chown").arg(NOT_ROOT).arg(folder.path()));
            assert!(owner.is_some(), "no user {NOT_ROOT}: is postgresql installed?");
        }
        let mut server = Self { folder, port: free_port(), running: None };
        let data = server.data();
        let words = ["-A", "trust", "-U", "fleet", "-E", "UTF8", "--locale=C", "--no-sync", "-D"];
        let made = ran(program("initdb").args(words).arg(&data));
        assert!(made.is_some(), "initdb did not make {}", data.display());
        server.run();
        server
    }

    /// As administrators write it.
    pub fn url(&self) -> String {
        format!("postgres://fleet:hunter2@127.0.0.1:{}/postgres", self.port)
    }

    /// At once, as a power cut.
    pub fn stop(&mut self) {
        if let Some((mut shell, life)) = self.running.take() {
            drop(life);
            let _ = shell.wait();
        }
    }

    pub fn run(&mut self) {
        let mut command = Command::new("sh");
        let server = program("postgres");
        command.args(["-c", SHELL, "sh"]).arg(server.get_program()).args(server.get_args());
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path()).args(["-p", &self.port.to_string()]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shell = command.spawn().expect("every host has sh");
        let life = shell.stdin.take();
        let mut line = String::new();
        let told = BufReader::new(shell.stdout.take().expect("it is piped")).read_line(&mut line);
        assert!(told.is_ok() && line == "begun\n", "{line:?}");
        self.running = Some((shell, life));
        let end = Instant::now() + PATIENCE;
        while self.try_ask("SELECT 1").is_none() {
            assert!(Instant::now() < end, "postgres does not answer on port {}", self.port);
            std::thread::park_timeout(LOOK_EVERY);
        }
    }

    /// What a query answers: columns with bars between, one row a line.
    pub fn ask(&self, sql: &str) -> String {
        self.try_ask(sql).unwrap_or_else(|| panic!("{sql}"))
    }

    fn try_ask(&self, sql: &str) -> Option<String> {
        let port = self.port.to_string();
        let words =
            ["-h", "127.0.0.1", "-p", &port, "-U", "fleet", "-d", "postgres", "-v", "ON_ERROR_STOP=1", "-XAtqc", sql];
        ran(Command::new("psql").args(words))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What it said, if it ended well.
fn ran(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// One of the server's programs, as somebody who is not root. Debian has them in no search path.
fn program(name: &str) -> Command {
    let found = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = found.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    let path = found.pop().unwrap_or_else(|| Path::new(name).to_owned());
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOT_ROOT, "--regid", NOT_ROOT, "--clear-groups", "--"]).arg(path);
    command
}

fn is_root() -> bool {
    ran(Command::new("id").arg("-u")).as_deref() == Some("0")
}

fn free_port() -> u16 {
    loop {
        let port = 10_000 + rand::random_range(0..20_000_u16);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
