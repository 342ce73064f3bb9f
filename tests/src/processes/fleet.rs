//! The processes of a fleet and its folders.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use framefleet_coordinator::ops::wire::ViewJson;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::client::Client;
use super::role::{Kind, Launch, Role, free_port, tail};
use super::servers::{Buckets, Servers};
use super::{PATIENCE, comes_true, jobs, until};
use crate::place;

const LOG_LINES_SHOWN: usize = 60;

/// Short enough to wait for: a dead worker's task is taken over within seconds.
const SETTINGS: &str = "[limits]\nlease = \"5s\"\nbeat = \"500ms\"\n\
    [telemetry]\nfilter = \"info,framefleet_worker=debug,framefleet_coordinator=debug\"\n";

pub struct Fleet {
    folder: tempfile::TempDir,
    pub prefix: String,
    pub client: Client,
    roles: Vec<Role>,
    /// Submitted jobs, each with its output and the bytes that it must have.
    pub due: BTreeMap<String, (PathBuf, Vec<u8>)>,
}

/// A media child at work.
#[derive(Clone, Debug)]
pub struct Attempted {
    pub job: String,
    pub task: String,
    pub pid: Pid,
}

/// Media children that were stopped.
#[derive(Debug)]
pub struct Held(Vec<Attempted>);

/// What is special about a process.
#[derive(Clone, Debug, Default)]
pub struct Special {
    pub flags: Vec<String>,
    pub env: Vec<(String, String)>,
    pub wrapper: Vec<String>,
}

impl Fleet {
    /// Films, work and outputs in folders.
    pub fn new(servers: &Servers, prefix: &str) -> Self {
        let folder = place::scratch();
        let root = |name: &str| jobs::url(&folder.path().join(name));
        let storage = format!(
            "[work]\nurl = \"{}\"\n[[storage]]\nurl = \"{}\"\n[[storage]]\nurl = \"{}\"\n",
            root("work"),
            root("in"),
            root("out")
        );
        Self::placed(servers, prefix, (folder, &storage))
    }

    /// Films, work and outputs in buckets.
    pub fn on_buckets(servers: &Servers, prefix: &str, buckets: &Buckets) -> Self {
        let storage = format!("[work]\nurl = \"s3://{}/{prefix}\"\n{}", Buckets::WORK, buckets.settings());
        Self::placed(servers, prefix, (place::scratch(), &storage))
    }

    fn placed(servers: &Servers, prefix: &str, (folder, storage): (tempfile::TempDir, &str)) -> Self {
        for name in ["in", "out", "work", "scratch", "logs"] {
            std::fs::create_dir(folder.path().join(name)).expect("a folder of our own");
        }
        let services = format!(
            "[store]\nurl = \"{}\"\nprefix = \"{prefix}\"\n[broker]\nurl = \"{}\"\nprefix = \"{prefix}\"\ndeclare = true\n\
             [worker]\nslots = {{ light = 1, standard = 1, long = 1 }}\n",
            servers.redis(),
            servers.amqp()
        );
        let config = [&services, storage, SETTINGS].concat();
        std::fs::write(folder.path().join("framefleet.toml"), config).expect("a folder of our own");
        let (prefix, client) = (prefix.to_owned(), Client::default());
        Self { folder, prefix, client, roles: Vec::new(), due: BTreeMap::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Further lines of the configuration, for those who are started from now on.
    pub fn configure(&self, lines: &str) {
        let known = std::fs::read_to_string(self.config()).expect("a file of our own");
        std::fs::write(self.config(), [&known, "\n", lines].concat()).expect("a folder of our own");
    }

    pub fn config(&self) -> PathBuf {
        self.path("framefleet.toml")
    }

    /// Starts `c1`… and `w1`…, and waits until all are ready.
    pub fn start(&mut self, coordinators: usize, workers: usize) {
        (1..=coordinators).for_each(|n| self.add(Kind::Coordinator, &format!("c{n}")));
        (1..=workers).for_each(|n| self.add(Kind::Worker, &format!("w{n}")));
        self.until_ready();
    }

    pub fn add(&mut self, kind: Kind, name: &str) {
        self.add_special((kind, name), Special::default());
    }

    pub fn add_special(&mut self, (kind, name): (Kind, &str), special: Special) {
        let Special { flags, env, wrapper } = special;
        let launch = Launch {
            kind,
            name: name.to_owned(),
            config: self.config(),
            log: self.path("logs").join(name),
            scratch: self.path("scratch").join(name),
            api: free_port(),
            ops: free_port(),
            flags,
            env,
            program: place::framefleet(),
            wrapper,
        };
        self.roles.push(Role::start(launch));
    }

    pub fn role(&mut self, name: &str) -> &mut Role {
        self.roles.iter_mut().find(|role| role.name() == name).expect("it was added")
    }

    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    pub fn all(&mut self) -> &mut [Role] {
        &mut self.roles
    }

    /// Where coordinators answer, those that are dead among them.
    pub fn apis(&self) -> Vec<u16> {
        let coordinators = self.roles.iter().filter(|role| role.kind() == Kind::Coordinator);
        coordinators.map(|role| role.launch().api).collect()
    }

    pub fn until_ready(&self) {
        for role in self.roles.iter().filter(|role| role.is_running()) {
            self.until_it_says(role.name(), |status, _| status == 200);
        }
    }

    /// What a process says of its readiness; `None` where it does not answer.
    pub fn readiness(&self, name: &str) -> Option<(u16, String)> {
        let role = self.roles.iter().find(|role| role.name() == name).expect("it was added");
        let answer = self.client.get(role.launch().ops, "/readyz")?;
        Some((answer.status.as_u16(), answer.text))
    }

    /// Waits until a process says of its readiness what is wanted.
    pub fn until_it_says(&self, name: &str, wanted: impl Fn(u16, &str) -> bool) -> String {
        let mut said = None;
        let role = self.roles.iter().find(|role| role.name() == name).expect("it was added");
        let heard = comes_true(PATIENCE, || {
            said = self.readiness(name).or(said.take());
            role.has_ended() || said.as_ref().is_some_and(|(status, text)| wanted(*status, text))
        });
        assert!(heard && !role.has_ended(), "{name} says of its readiness: {said:?}; ended: {}", role.has_ended());
        said.expect("it said what was wanted").1
    }

    pub fn figure(&self, name: &str, series: &str) -> u64 {
        let role = self.roles.iter().find(|role| role.name() == name).expect("it was added");
        self.client.figure(role.launch().ops, series).unwrap_or_else(|| panic!("{name} tells no {series}"))
    }

    /// The film under a name of its own among this fleet's.
    pub fn film(&self, name: &str) -> PathBuf {
        let path = self.path("in").join(name);
        std::fs::copy(jobs::film(), &path).expect("a folder of our own");
        path
    }

    /// Asks for a film in folders as another file; `golden` is what must come of it.
    pub fn submit(&mut self, film: &Path, name: &str, golden: &[u8]) -> String {
        let out = self.path("out").join(name);
        let job = jobs::job(&jobs::url(film), &jobs::url(&out));
        let id = self.ask(&job);
        self.due.insert(id.clone(), (out, golden.to_vec()));
        id
    }

    /// Asks for anything.
    pub fn ask(&self, job: &Value) -> String {
        self.client.submit(&self.apis(), job)
    }

    pub fn show(&self, job: &str) -> ViewJson {
        self.client.show(&self.apis(), job)
    }

    /// Waits for a job's end.
    pub fn over(&self, job: &str) -> ViewJson {
        let mut view = None;
        until(&format!("job {job} is over"), || {
            view = Some(self.show(job)).filter(|view| view.over);
            view.is_some()
        });
        view.expect("waited for")
    }

    /// Waits until so many segments of a job are done, or it is over.
    pub fn segments_done(&self, job: &str, count: u32) -> ViewJson {
        let mut view = None;
        until(&format!("{count} segments of job {job} are done"), || {
            view = Some(self.show(job)).filter(|view| view.segments.done >= count || view.over);
            view.is_some()
        });
        view.expect("waited for")
    }

    /// Jobs that are not over yet.
    pub fn open(&self) -> usize {
        self.due.keys().filter(|job| !self.show(job).over).count()
    }

    /// Media children of workers at this moment, each with the job and the task that it is at.
    pub fn children(&self) -> Vec<Attempted> {
        let workers = self.roles.iter().filter(|role| role.kind() == Kind::Worker && role.is_running());
        let found = workers.flat_map(|role| {
            let log = role.log();
            role.children().into_iter().filter_map(move |pid| attempted(&log, pid)).collect::<Vec<_>>()
        });
        found.collect()
    }

    /// What is at work once a segment is being made, all of it held up, so that there is time to look.
    pub fn hold_up_a_segment(&self) -> Held {
        let mut held = Held(Vec::new());
        until("a segment that is being made is held up", || {
            held = Held(self.children());
            let is_segment = |child: &&Attempted| child.task.starts_with("encode");
            // Nothing else is held up alone: segments may wait for it.
            if held.0.iter().any(|child| is_segment(&child)) {
                held.signal(Signal::STOP);
            }
            // Half a second of film may be done before the signal comes.
            held.0.iter().filter(is_segment).any(|child| is_stopped(child.pid))
        });
        held
    }

    /// Log lines of all workers that say this.
    pub fn worker_lines(&self, what: &str) -> Vec<String> {
        let workers = self.roles.iter().filter(|role| role.kind() == Kind::Worker);
        let lines = workers.flat_map(|role| role.log().lines().map(str::to_owned).collect::<Vec<_>>());
        lines.filter(|line| line.contains(what)).collect()
    }
}

impl Held {
    pub fn let_go(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether a line of log is about one of them.
    pub fn is_of(&self, line: &str) -> bool {
        self.0.iter().any(|child| line.contains(&format!("task={} ", child.task)))
    }

    /// Some may have ended a moment ago.
    fn signal(&self, signal: Signal) {
        for child in &self.0 {
            let _ = kill_process(child.pid, signal);
        }
    }
}

fn is_stopped(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // Behind the name, which may hold anything.
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}

/// A child lives in a folder that has its attempt's name, and its worker has logged whose attempt that is.
fn attempted(log: &str, pid: Pid) -> Option<Attempted> {
    let folder = std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).ok()?;
    let attempt = format!("attempt={}", folder.file_name()?.to_str()?);
    let line = log.lines().rev().find(|line| line.contains("claimed") && line.contains(&attempt))?;
    let word = |name: &str| Some(line.split_once(name)?.1.split(' ').next()?.to_owned());
    Some(Attempted { job: word(" job=")?, task: word(" task=")?, pid })
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for role in &self.roles {
                eprintln!("---- {}:\n{}", role.name(), tail(&role.launch().log, LOG_LINES_SHOWN));
            }
        }
    }
}
