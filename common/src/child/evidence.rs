//! What is kept of a child that failed: how it ended, what it used, its last lines.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::watch::Usage;

/// Signals that end programs, by the names that people know.
const SIGNALS: [(i32, &str); 13] = [
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (15, "SIGTERM"),
    (25, "SIGXFSZ"),
    (31, "SIGSYS"),
];

/// How a child ended and what was seen of it.
pub(crate) struct Remains {
    pub(crate) status: ExitStatus,
    pub(crate) usage: Usage,
    pub(crate) last_lines: Vec<String>,
}

impl Remains {
    pub(crate) fn lines(self) -> Vec<String> {
        let cpu_ms = self.usage.cpu.as_millis();
        let peak_mib = self.usage.resident_bytes_peak >> 20;
        let mut lines = vec![
            format!("the child ended with {}", ending(self.status)),
            format!("it used {}.{:03} s of cpu and at most {peak_mib} MiB of memory", cpu_ms / 1000, cpu_ms % 1000),
        ];
        lines.extend(self.last_lines.into_iter().map(|line| format!("stderr: {line}")));
        lines
    }

    pub(crate) fn says(&self, words: &[&str]) -> bool {
        self.last_lines.iter().any(|line| words.iter().any(|word| line.contains(word)))
    }
}

/// `exit code 3` or `signal SIGSEGV`.
pub(crate) fn ending(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(number), _) => match SIGNALS.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => format!("signal {name}"),
            None => format!("signal {number}"),
        },
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "no exit code".to_owned(),
    }
}
