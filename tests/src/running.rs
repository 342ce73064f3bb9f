//! A program at work that a test may disturb: killed, or robbed of its children, at any moment.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::product::Ran;

pub struct Running {
    pid: Pid,
    ended: Receiver<Ran>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let pid = Pid::from_child(&child);
        let (tell, ended) = channel();
        std::thread::spawn(move || tell.send(wait(child)));
        Self { pid, ended }
    }

    /// How it ended, if it does within this time.
    pub fn ends_within(&self, time: Duration) -> Option<Ran> {
        match self.ended.recv_timeout(time) {
            Ok(ran) => Some(ran),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the end of the program was told already"),
        }
    }

    pub fn end(self) -> Ran {
        self.ends_within(Duration::from_secs(300)).expect("the program ends within five minutes")
    }

    pub fn signal(&self, signal: Signal) {
        // it may have ended a moment ago
        let _ = kill_process(self.pid, signal);
    }

    /// `kill -9`, and the end of it.
    pub fn kill(self) -> Ran {
        self.signal(Signal::KILL);
        self.end()
    }

    /// Its children at this moment.
    pub fn children(&self) -> Vec<Pid> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid.as_raw_nonzero()));
        let lists = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let list = std::fs::read_to_string(task.path().join("children")).ok()?;
            Some(list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>())
        });
        lists.flatten().collect()
    }

    /// Kills one child, chosen by `choice`; says whether there was one.
    pub fn kill_a_child(&self, choice: u64) -> bool {
        let children = self.children();
        let Some(at) = choice.checked_rem(children.len() as u64) else { return false };
        let chosen = children[usize::try_from(at).expect("an index of a list")];
        kill_process(chosen, Signal::KILL).is_ok()
    }
}

fn wait(child: Child) -> Ran {
    Ran::of(&child.wait_with_output().expect("a child can be waited for"))
}

/// Numbers that look like chance and are the same for the same seed.
pub struct Chance(u64);

impl Chance {
    /// From `SEED` where it is set: what a failing test printed.
    pub fn new(seed: u64) -> Self {
        let seed = std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(seed);
        println!("SEED={seed}");
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}
