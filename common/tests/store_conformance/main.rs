//! One suite that every store must pass: the same facts, the same random histories against one plain model, the same
//! crowds. What is kept on disk must also survive being dropped and being killed. Adding a store is adding a line to
//! `Kind::ALL`.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod crash;
mod crowd;
mod facts;
mod history;
mod model;
#[path = "../servers/redis.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared: each test program uses its part")]
mod redis;
mod served;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use framefleet_common::adapters::clock::ManualClock;
use framefleet_common::adapters::memory::store::MemoryStore;
use framefleet_common::adapters::sqlite::SqliteStore;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::store::Store;
use libtest_mimic::{Arguments, Trial};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Memory,
    Sqlite,
    Redis,
}

/// A store under test and, where it has no clock of its own, the clock it goes by.
struct Ground {
    kind: Kind,
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    /// `None` only while it is opened again.
    store: Option<Arc<dyn Store>>,
}

type Fact = fn(Kind);

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

macro_rules! facts {
    ($($module:ident :: $name:ident),* $(,)?) => { [$((stringify!($name), $module::$name as Fact)),*] };
}

fn trials() -> Vec<Trial> {
    let shared = facts![
        facts::a_commit_whose_expectation_fails_changes_nothing,
        facts::a_deleted_row_made_again_has_a_new_version,
        facts::an_expectation_holds_until_the_row_changes,
        facts::writes_of_a_transaction_happen_in_their_order,
        facts::acknowledged_messages_are_gone_and_their_numbers_too,
        facts::members_of_equal_score_are_paged_in_the_order_of_their_bytes,
        facts::shards_do_not_see_each_other,
        facts::rows_at_their_bounds_are_kept,
        facts::a_transaction_as_large_as_may_be_is_whole,
        facts::what_breaks_the_rules_is_refused,
        facts::commits_are_heard,
        history::any_history_is_as_the_model_says,
        crowd::one_of_many_creators_wins,
        crowd::no_increment_is_lost,
        crowd::a_reader_never_sees_half_a_transaction,
        crowd::a_barrier_comes_after_all_that_was_sent_before,
    ];
    let embedded = facts![facts::the_stores_time_is_told_with_every_answer];
    let kept = facts![crash::what_was_committed_survives_being_dropped];
    let in_a_file =
        facts![crash::what_was_committed_survives_kill_nine, crash::a_folder_is_free_when_its_holder_is_killed,];
    let on_a_server = facts![
        facts::the_servers_time_is_told_with_every_answer,
        served::what_was_committed_survives_kill_nine_of_the_server,
        served::what_a_barrier_covered_survives_kill_nine_of_the_server,
    ];
    let mut trials = Vec::new();
    for kind in Kind::ALL {
        trials.extend(shared.map(|fact| kind.trial(fact)));
    }
    trials.extend(embedded.iter().flat_map(|fact| [Kind::Memory, Kind::Sqlite].map(|kind| kind.trial(*fact))));
    trials.extend(kept.iter().flat_map(|fact| [Kind::Sqlite, Kind::Redis].map(|kind| kind.trial(*fact))));
    trials.extend(in_a_file.map(|fact| Kind::Sqlite.trial(fact)));
    trials.extend(on_a_server.map(|fact| Kind::Redis.trial(fact)));
    trials
}

impl Kind {
    const ALL: [Self; 3] = [Self::Memory, Self::Sqlite, Self::Redis];

    fn trial(self, (name, fact): (&str, Fact)) -> Trial {
        let kind = format!("{self:?}").to_lowercase();
        Trial::test(format!("{kind}::{name}"), move || {
            fact(self);
            Ok(())
        })
    }

    fn ground(self) -> Ground {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::default());
        let store = Some(self.open(folder.path(), clock.clone()));
        Ground { kind: self, clock, folder, store }
    }

    fn open(self, folder: &Path, clock: Arc<dyn Clock>) -> Arc<dyn Store> {
        match self {
            Self::Memory => Arc::new(MemoryStore::new(clock)),
            Self::Sqlite => Arc::new(SqliteStore::open(&folder.join("state"), clock).unwrap()),
            Self::Redis => served::open(folder),
        }
    }
}

impl Ground {
    fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().expect("open")
    }

    /// Drops the store as a dying process would, and opens what it left. What is in memory only just stays.
    fn reopen(&mut self) {
        if self.kind != Kind::Memory {
            self.store = None;
            self.store = Some(self.kind.open(self.folder.path(), self.clock.clone()));
        }
    }
}

/// Runs a test's async part on threads of its own.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test)
}
