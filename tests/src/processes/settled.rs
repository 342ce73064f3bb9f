//! What must hold when all is over: every job as it should be, and nothing left of how it came about.

use std::path::Path;

use super::fleet::Fleet;
use super::servers::Servers;
use super::{comes_true, until};
use std::time::Duration;

/// What nobody claimed comes back after a minute; a machine may be slow.
const LEFTOVERS_GONE: Duration = Duration::from_secs(180);

impl Fleet {
    /// Every job completed, with the bytes of one process; nothing is left.
    pub fn completed(&self, servers: &Servers) {
        for (job, (out, golden)) in &self.due {
            let view = self.over(job);
            assert_eq!(view.job.state, "completed", "{view:?}");
            assert_same(out, golden);
        }
        self.clean(servers);
    }

    /// Nothing is left on its way, waiting, half-made, or in the way of what comes next.
    pub fn clean(&self, servers: &Servers) {
        let mut left = Vec::new();
        let emptied = comes_true(LEFTOVERS_GONE, || {
            left = left_in_redis(servers, &self.prefix);
            left.is_empty()
        });
        assert!(emptied, "left in Redis: {left:?}");
        let emptied = comes_true(LEFTOVERS_GONE, || {
            left = left_in_rabbit(servers, &self.prefix);
            left.is_empty()
        });
        assert!(emptied, "left in RabbitMQ: {left:?}");
        self.nothing_half_made();
    }

    fn nothing_half_made(&self) {
        let outs = self.due.values().map(|(out, _)| out);
        let due: Vec<_> = outs.filter(|out| out.starts_with(self.path("out"))).cloned().collect();
        let stand = files(&self.path("out"));
        let stray: Vec<_> = stand.iter().filter(|path| !due.contains(path)).collect();
        assert!(stray.is_empty(), "beside outputs: {stray:?}");
        for role in self.roles().iter().filter(|role| role.is_running()) {
            let scratch = &role.launch().scratch;
            let what = format!("the scratch of {} is empty: {:?}", role.name(), files(scratch));
            until(&what, || files(scratch).is_empty());
        }
    }
}

pub fn assert_same(out: &Path, golden: &[u8]) {
    let bytes = std::fs::read(out).unwrap_or_else(|e| panic!("{}: {e}", out.display()));
    let differs = bytes.iter().zip(golden).position(|(a, b)| a != b);
    let lengths = (bytes.len(), golden.len());
    assert!(bytes == golden, "{} differs from byte {differs:?} on; {lengths:?} bytes", out.display());
}

/// Tasks that wait, are hinted or claimed, jobs that have a turn, news that nobody read.
fn left_in_redis(servers: &Servers, prefix: &str) -> Vec<String> {
    let kinds = ["i:due", "i:ready/*", "i:hinted/*", "i:waiting/*", "i:turns", "q:mail/*", "q:outbox"];
    kinds.iter().flat_map(|kind| servers.keys(&format!("{prefix}:{{*}}:{kind}"))).collect()
}

/// Hints and dead letters; completion events wait for whoever wants them.
fn left_in_rabbit(servers: &Servers, prefix: &str) -> Vec<String> {
    let events = format!("{prefix}.out.events");
    let waiting = servers.queues(prefix).into_iter().filter(|(name, count)| *count > 0 && *name != events);
    waiting.map(|(name, count)| format!("{name}: {count}")).collect()
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let below = entries.flat_map(|entry| {
        let path = entry.path();
        if path.is_dir() { files(&path) } else { vec![path] }
    });
    below.collect()
}
