//! One process with everything, and who asks it by command.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use framefleet_coordinator::ops::wire::ViewJson;
use reqwest::Method;

use super::client::Client;
use super::role::{Kind, Launch, Role, free_port};
use super::until;
use crate::place;
use crate::product::{self, Ran};

pub struct Serve {
    folder: tempfile::TempDir,
    pub client: Client,
    pub role: Role,
}

impl Serve {
    /// In a folder of its own, with these lines of configuration, in which `DIR` is that folder.
    pub fn start(config: &str) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with more flags.
    pub fn start_with(config: &str, flags: &[&str]) -> Self {
        let folder = place::scratch();
        let here = folder.path().to_str().expect("a name of ours");
        std::fs::write(folder.path().join("serve.toml"), config.replace("DIR", here)).expect("a folder of our own");
        let launch = Launch {
            kind: Kind::Serve,
            name: "all".to_owned(),
            config: folder.path().join("serve.toml"),
            log: folder.path().join("log"),
            scratch: folder.path().join("state"),
            api: free_port(),
            ops: free_port(),
            flags: flags.iter().map(|flag| flag.replace("DIR", here)).collect(),
            env: Vec::new(),
            program: place::framefleet(),
            wrapper: Vec::new(),
        };
        let serve = Self { folder, client: Client::default(), role: Role::start(launch) };
        serve.until_ready();
        serve
    }

    pub fn until_ready(&self) {
        until("it is ready", || {
            assert!(!self.role.has_ended(), "{}", self.role.log());
            self.client.get(self.role.launch().ops, "/readyz").is_some_and(|answer| answer.status == 200)
        });
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn server(&self) -> String {
        format!("http://127.0.0.1:{}", self.role.launch().api)
    }

    /// A command of the program's, asked of it.
    pub fn run<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Ran {
        self.run_with(words, &[])
    }

    /// The same with these variables.
    pub fn run_with<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>, env: &[(&str, &str)]) -> Ran {
        let mut command = product::command(self.folder.path());
        command.args(words).env("FRAMEFLEET__SERVER", self.server()).envs(env.iter().copied());
        Ran::of(&command.output().expect("it starts"))
    }

    /// `submit SRC OUT` with more flags.
    pub fn submit(&self, (source, out): (&Path, &Path), flags: &[&str]) -> Ran {
        let words = [OsStr::new("submit"), source.as_os_str(), out.as_os_str()];
        self.run(words.into_iter().chain(flags.iter().map(OsStr::new)))
    }

    pub fn ask(&self, method: Method, path: &str, body: &str) -> super::client::Answer {
        self.client.ask((method, self.role.launch().api, path), body).expect("it answers")
    }

    pub fn show(&self, job: &str) -> ViewJson {
        self.client.show(&[self.role.launch().api], job)
    }

    pub fn over(&self, job: &str) -> ViewJson {
        until(&format!("job {job} is over"), || self.show(job).over);
        self.show(job)
    }
}
