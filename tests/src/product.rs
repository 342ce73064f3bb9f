//! Runs the program under test as its users do, and looks at all that it leaves.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::place;

/// Longer than anything here takes on a machine that is busy with other things; what takes longer hangs.
const HANG_SECONDS: &str = "540";

/// More is a fault of its own, and no reason to drown a report.
const SAID_BYTES_MAX: usize = 1 << 20;

/// How a run ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(SAID_BYTES_MAX)]).into_owned();
        let (code, signal) = (output.status.code(), output.status.signal());
        Self { code, signal, out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The JSON that `-o json` printed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// It succeeded, and in the way that it planned.
    pub fn done(self) -> Result<Self, String> {
        if self.code == Some(0) && !self.gave_up_cuts() {
            Ok(self)
        } else {
            Err(format!("exit code {:?}, signal {:?}: {}{}", self.code, self.signal, self.err, self.out))
        }
    }
}

impl Ran {
    /// Whether cuts did not prove, and the film was made uncut instead: a fault of ours that users do not suffer from.
    pub fn gave_up_cuts(&self) -> bool {
        self.out.contains("cut, it did not prove")
    }
}

/// The program with no input, no colour, a home of its own and an end to its patience.
pub fn command(home: &Path) -> Command {
    command_of(&place::framefleet(), home)
}

/// The same of another build.
pub fn command_of(program: &Path, home: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=20", HANG_SECONDS]).arg(program);
    settle(&mut command, home);
    command
}

/// The program itself, for tests that send it signals.
pub fn bare(home: &Path) -> Command {
    let mut command = Command::new(place::framefleet());
    settle(&mut command, home);
    command
}

fn settle(command: &mut Command, home: &Path) {
    command.env("XDG_STATE_HOME", home).env("NO_COLOR", "1").stdin(Stdio::null()).current_dir(home);
}

pub fn run<I, S>(home: &Path, arguments: I) -> Ran
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let output = command(home).args(arguments).output().expect("coreutils' timeout starts");
    Ran::of(&output)
}

/// `transcode` of one source to one output, ultrafast, with more flags.
pub fn transcode(home: &Path, source: &Path, target: &Path, flags: &[&str]) -> Ran {
    let fixed = ["--preset", "ultrafast"].map(OsStr::new);
    let words = [OsStr::new("transcode"), source.as_os_str(), target.as_os_str()];
    run(home, words.into_iter().chain(fixed).chain(flags.iter().map(OsStr::new)))
}
