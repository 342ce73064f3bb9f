//! The facts that every store must hold to, tried on each of ours. What is kept on disk must also survive being killed.
//! Adding a store is adding a line to `Kind::ALL`.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod crash;
#[path = "../servers/redis.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared: each test program uses its part")]
mod redis;
mod served;

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::adapters::clock::ManualClock;
use framefleet_common::adapters::memory::store::MemoryStore;
use framefleet_common::adapters::sqlite::SqliteStore;
use framefleet_common::ports::store::{Store, StoreError};
use framefleet_conformance::scene::Scene;
use framefleet_conformance::store::{BY_OUR_CLOCK, EVERY, Fact, Grounds, Home, KEPT, SERVED};
use libtest_mimic::{Arguments, Trial};
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Memory,
    Sqlite,
    Redis,
}

/// What is in memory only lasts as long as its home.
#[derive(Default)]
struct InMemory {
    clock: Arc<ManualClock>,
    stores: Mutex<HashMap<String, Arc<MemoryStore>>>,
}

struct OnDisk {
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
}

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("committer") => crash::committer(Path::new(&args.next().expect("the folder"))),
        _ => {
            let conclusion = libtest_mimic::run(&Arguments::from_args(), trials());
            served::end();
            conclusion.exit_code()
        }
    }
}

macro_rules! trials {
    ($kind:literal: $($module:ident :: $name:ident),* $(,)?) => {
        [$(Trial::test(concat!($kind, "::", stringify!($name)), || { $module::$name(); Ok(()) })),*]
    };
}

fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for kind in Kind::ALL {
        trials.extend(kind.facts().into_iter().flatten().map(|fact| kind.trial(*fact)));
    }
    trials.extend(trials![
        "sqlite": crash::what_was_committed_survives_kill_nine, crash::a_folder_is_free_when_its_holder_is_killed,
    ]);
    trials.extend(trials![
        "redis":
            served::the_servers_time_is_this_hosts,
            served::what_was_committed_survives_kill_nine_of_the_server,
            served::what_a_barrier_covered_survives_kill_nine_of_the_server,
    ]);
    trials
}

impl Kind {
    const ALL: [Self; 3] = [Self::Memory, Self::Sqlite, Self::Redis];

    fn facts(self) -> [&'static [(&'static str, Fact)]; 3] {
        match self {
            Self::Memory => [EVERY, BY_OUR_CLOCK, &[]],
            Self::Sqlite => [EVERY, BY_OUR_CLOCK, KEPT],
            Self::Redis => [EVERY, KEPT, SERVED],
        }
    }

    fn trial(self, (name, fact): (&'static str, Fact)) -> Trial {
        let kind = format!("{self:?}").to_lowercase();
        Trial::test(format!("{kind}::{name}"), move || {
            fact(&Grounds::new(Scene::new(CancellationToken::new()), self.home(), name));
            Ok(())
        })
    }

    fn home(self) -> Arc<dyn Home> {
        match self {
            Self::Memory => Arc::new(InMemory::default()),
            Self::Sqlite => Arc::new(OnDisk { clock: Arc::default(), folder: tempfile::tempdir().unwrap() }),
            Self::Redis => served::home(),
        }
    }
}

#[async_trait]
impl Home for InMemory {
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        let mut stores = self.stores.lock().unwrap();
        let store = stores.entry(name.to_owned()).or_insert_with(|| Arc::new(MemoryStore::new(self.clock.clone())));
        Ok(store.clone())
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn histories(&self) -> u32 {
        asked().unwrap_or(256)
    }
}

#[async_trait]
impl Home for OnDisk {
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(SqliteStore::open(&self.folder.path().join(name), self.clock.clone())?))
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    fn histories(&self) -> u32 {
        asked().unwrap_or(48)
    }
}

/// How many random histories somebody who looks for a rare fault wants.
fn asked() -> Option<u32> {
    std::env::var("PROPTEST_CASES").ok().map(|cases| cases.parse().expect("PROPTEST_CASES is a number"))
}

/// Runs a test's async part on threads of its own.
fn run<T>(test: impl Future<Output = T>) -> T {
    Scene::new(CancellationToken::new()).run(test)
}
