//! Private Redis servers and sentinels for tests: each on a free port of this host, in a folder of its own.
//!
//! ```text
//! test ──stdin──▶ sh ──▶ redis-server
//! ```
//!
//! The shell kills the server as soon as its input ends: when the test lets go of it, and also when the test dies.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Generous: only a server that will never get there takes so long.
const PATIENCE: Duration = Duration::from_secs(60);
const KEPT: [&str; 4] = ["--appendonly", "yes", "--save", ""];
const SHELL: &str = r#"redis-server "$@" & server=$!; echo "pid $server"; read -r _; kill -9 "$server"; wait"#;

pub struct RedisServer {
    kind: Kind,
    folder: tempfile::TempDir,
    port: u16,
    options: Vec<String>,
    /// `None` while it is dead.
    running: Option<Running>,
}

#[derive(Clone, Copy)]
enum Kind {
    Plain,
    Tls,
    Sentinel,
    TlsSentinel,
}

struct Running {
    shell: Child,
    /// The shell's input: closing it kills the server.
    life: Option<ChildStdin>,
    server: Pid,
    log: Mutex<Receiver<String>>,
    reader: Option<JoinHandle<()>>,
}

impl RedisServer {
    /// A server with these options, as on its command line; it keeps an append-only file unless they say otherwise.
    pub fn start(options: &[&str]) -> Self {
        Self::launch(Kind::Plain, |_| owned(&[&KEPT, options].concat()))
    }

    /// The same over TLS alone, with the certificates that the options name.
    pub fn start_tls(options: &[&str]) -> Self {
        Self::launch(Kind::Tls, |_| owned(&[&KEPT[..], &["--port", "0"], options].concat()))
    }

    /// A sentinel that watches `primary` under the name `main`, and decides alone.
    pub fn sentinel(primary: &Self) -> Self {
        let file = format!(
            "sentinel monitor main 127.0.0.1 {} 1\nsentinel down-after-milliseconds main 3000\n\
             sentinel failover-timeout main 10000\n",
            primary.port
        );
        Self::launch(Kind::Sentinel, |folder| as_sentinel(folder, &file))
    }

    /// The same over TLS alone, to us and to the primary: a certificate, its key, and who answers for it. It asks for the
    /// first password, and the primary for the second.
    pub fn sentinel_tls(primary: &Self, [own, primarys]: [&str; 2], [cert, key, authority]: [&str; 3]) -> Self {
        let file = format!(
            "port 0\ntls-replication yes\ntls-auth-clients no\ntls-cert-file {cert}\ntls-key-file {key}\n\
             tls-ca-cert-file {authority}\nrequirepass {own}\nsentinel monitor main 127.0.0.1 {} 1\n\
             sentinel auth-pass main {primarys}\nsentinel down-after-milliseconds main 3000\n",
            primary.port
        );
        Self::launch(Kind::TlsSentinel, |folder| as_sentinel(folder, &file))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it again where it was, on what it left.
    pub fn restart(&mut self) {
        self.kill();
        let running = Running::start(&self.arguments());
        assert!(running.until(self.kind.ready()), "it does not come back on port {}", self.port);
        self.running = Some(running);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.running().server, signal).expect("it runs");
    }

    /// Waits until it logs a line that contains this.
    pub fn until(&self, text: &str) {
        assert!(self.running().until(text), "it never logged {text:?}");
    }

    /// Sends one command over a connection of its own, and returns the answer as it came.
    pub fn ask(&self, words: &[&str]) -> String {
        self.talk(&[words])
    }

    /// The same by a user of the server.
    pub fn ask_as(&self, (user, password): (&str, &str), words: &[&str]) -> String {
        self.talk(&[&["AUTH", user, password], words])
    }

    fn talk(&self, commands: &[&[&str]]) -> String {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        connection.set_read_timeout(Some(PATIENCE)).expect("a timeout that is not zero");
        let word = |word: &&str| format!("${}\r\n{word}\r\n", word.len());
        let command = |words: &&[&str]| format!("*{}\r\n{}", words.len(), words.iter().map(word).collect::<String>());
        let whole: String = commands.iter().chain([&&["QUIT"][..]]).map(command).collect();
        connection.write_all(whole.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).expect("it answers");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.strip_suffix("+OK\r\n").unwrap_or(&answer).to_owned()
    }

    fn launch(kind: Kind, options: impl Fn(&Path) -> Vec<String>) -> Self {
        for _ in 0..100 {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let options = options(folder.path());
            let mut server = Self { kind, folder, port: free_port(), options, running: None };
            let running = Running::start(&server.arguments());
            // Somebody else may have taken the port since.
            if running.until(kind.ready()) {
                server.running = Some(running);
                return server;
            }
        }
        panic!("no redis-server starts: is it installed?");
    }

    fn arguments(&self) -> Vec<String> {
        let (port, folder) = (self.port.to_string(), self.folder.path().display().to_string());
        let own = [self.kind.port_option(), &port, "--bind", "127.0.0.1", "--dir", &folder];
        [self.options.clone(), owned(&own)].concat()
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it was killed")
    }
}

impl Kind {
    fn port_option(self) -> &'static str {
        match self {
            Self::Tls | Self::TlsSentinel => "--tls-port",
            Self::Plain | Self::Sentinel => "--port",
        }
    }

    /// What it logs once it can be used.
    fn ready(self) -> &'static str {
        match self {
            Self::Sentinel | Self::TlsSentinel => "+monitor",
            Self::Plain | Self::Tls => "Ready to accept",
        }
    }
}

impl Running {
    fn start(arguments: &[String]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", SHELL, "sh"]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut shell = command.spawn().expect("every host has sh");
        let life = shell.stdin.take();
        let mut output = BufReader::new(shell.stdout.take().expect("it is piped")).lines();
        let first = output.by_ref().find_map(|line| line.ok()?.strip_prefix("pid ")?.parse().ok());
        let server = first.and_then(Pid::from_raw).expect("the shell says whom it started");
        let (sender, log) = sync_channel(10_000);
        let reader = std::thread::spawn(move || {
            for line in output.map_while(Result::ok) {
                // Nobody looks for what did not fit.
                let _ = sender.try_send(line);
            }
        });
        Self { shell, life, server, log: Mutex::new(log), reader: Some(reader) }
    }

    fn until(&self, text: &str) -> bool {
        let end = Instant::now() + PATIENCE;
        let log = self.log.lock().expect("whoever listens does not panic");
        while let Ok(line) = log.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if line.contains(text) {
                return true;
            }
            if line.contains("Failed listening") || line.contains("FATAL CONFIG") {
                return false;
            }
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.life.take());
        // The shell ends when the server has; a server that was stopped dies as well.
        let _ = self.shell.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// It writes to its file what it finds out, so that must be its own.
fn as_sentinel(folder: &Path, file: &str) -> Vec<String> {
    let path = folder.join("sentinel.conf");
    std::fs::write(&path, file).expect("a folder of our own");
    owned(&[&path.display().to_string(), "--sentinel"])
}

/// Below the ports that the kernel gives to clients, so that nobody gets it by chance between a death and a restart.
fn free_port() -> u16 {
    loop {
        let port = 10_000 + rand::random_range(0..20_000_u16);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
