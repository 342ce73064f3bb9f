//! One process of a fleet: the program itself, its log in a file, its death certain.

use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, comes_true};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Coordinator,
    Worker,
    Bridge,
    /// All in one process.
    Serve,
}

/// How a process is started, and again after it died.
#[derive(Clone, Debug)]
pub struct Launch {
    pub kind: Kind,
    pub name: String,
    pub config: PathBuf,
    pub log: PathBuf,
    /// Of one process with everything, its state folder.
    pub scratch: PathBuf,
    /// The API of a coordinator, or of one process with everything.
    pub api: u16,
    pub ops: u16,
    pub flags: Vec<String>,
    /// Keys of the configuration, by the names of their variables.
    pub env: Vec<(String, String)>,
    /// The build of it; it may be another in its next life.
    pub program: PathBuf,
    /// Words before the program, such as those of a program that confines it and becomes it.
    pub wrapper: Vec<String>,
}

pub struct Role {
    launch: Launch,
    running: Option<Child>,
}

impl Role {
    pub fn start(launch: Launch) -> Self {
        let mut role = Self { launch, running: None };
        role.run();
        role
    }

    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// From its next life on it is of this build.
    pub fn upgrade(&mut self, program: PathBuf) {
        self.launch.program = program;
    }

    pub fn name(&self) -> &str {
        &self.launch.name
    }

    pub fn kind(&self) -> Kind {
        self.launch.kind
    }

    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Starts it, or starts it again.
    pub fn run(&mut self) {
        assert!(self.running.is_none(), "{} runs", self.launch.name);
        self.running = Some(self.launch.command().spawn().expect("the program starts"));
    }

    pub fn pid(&self) -> Pid {
        Pid::from_child(self.running.as_ref().expect("it runs"))
    }

    /// It ended by itself, and nobody has waited for it yet.
    pub fn has_ended(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid().as_raw_nonzero())).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it is not waited for yet, so its number is its own");
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().expect("it is ours");
            child.wait().expect("a child can be waited for");
        }
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let mut child = self.running.take().expect("it runs");
        let mut ended = None;
        let over = comes_true(PATIENCE, || {
            ended = child.try_wait().expect("a child can be waited for");
            ended.is_some()
        });
        if !over {
            let _ = child.kill();
            let _ = child.wait();
        }
        ended.unwrap_or_else(|| panic!("{} does not end", self.launch.name))
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Its media children at this moment.
    pub fn children(&self) -> Vec<Pid> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid().as_raw_nonzero()));
        let lists = tasks.into_iter().flatten().flatten();
        let lists = lists.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
        let pids = lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        pids.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.launch.log).unwrap_or_default()).into_owned()
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        if let Some(child) = &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Launch {
    /// The program with its configuration; stopped with its parent, whatever that dies of.
    fn command(&self) -> Command {
        let mut words: Vec<String> = self.wrapper.clone();
        words.extend(["setpriv", "--pdeathsig", "KILL"].map(str::to_owned));
        words.extend([self.program.display().to_string(), self.role().to_owned()]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).arg("--config").arg(&self.config).args(["--name", &self.name]);
        command.args(["--ops-listen", &address(self.ops)]);
        match self.kind {
            Kind::Coordinator | Kind::Worker => drop(command.arg("--scratch").arg(&self.scratch)),
            Kind::Serve => drop(command.arg("--state-dir").arg(&self.scratch)),
            Kind::Bridge => {}
        }
        if matches!(self.kind, Kind::Coordinator | Kind::Serve) {
            command.args(["--listen", &address(self.api)]);
        }
        command.args(&self.flags).envs(self.env.iter().cloned()).env("NO_COLOR", "1").stdin(Stdio::null());
        let (out, err) = (self.open_log(), self.open_log());
        command.stdout(out).stderr(err);
        command
    }

    fn role(&self) -> &'static str {
        match self.kind {
            Kind::Coordinator => "coordinator",
            Kind::Worker => "worker",
            Kind::Bridge => "bridge",
            Kind::Serve => "serve",
        }
    }

    fn open_log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(&self.log).expect("a folder of our own")
    }
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// Below the ports that the kernel gives to clients, so that nobody gets it by chance between a death and a restart.
pub fn free_port() -> u16 {
    loop {
        let port = 10_000 + rand::random_range(0..20_000_u16);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The last lines of a log, for whoever looks for the cause of a failure.
pub fn tail(log: &Path, lines: usize) -> String {
    let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
