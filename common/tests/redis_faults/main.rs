//! The Redis store against servers and networks that misbehave: silent connections, deaths, refusals, failovers, and
//! servers that do not keep what they are told. Called as `visit` the test program is a client of its own.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod double;
mod failover;
mod lost;
mod promises;
#[path = "../servers/redis.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared: each test program uses its part")]
mod redis;
mod refusals;
mod relay;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::redis::RedisStore;
use framefleet_common::adapters::redis::settings::RedisSettings;
use framefleet_common::ports::store::{Commit, Committed, Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use libtest_mimic::{Arguments, Trial};
use tokio::time::timeout;

const G: Shard = Shard::GLOBAL;
/// Nothing here may take longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// What a caller may have to wait for a refusal.
const SOON: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("visit") => refusals::visit(&args.next().expect("the url"), args.next()),
        _ => libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
}

macro_rules! trials {
    ($($module:ident :: $name:ident),* $(,)?) => {
        vec![$(Trial::test(stringify!($name), || { run($module::$name()); Ok(()) })),*]
    };
}

fn trials() -> Vec<Trial> {
    trials![
        lost::a_silent_connection_is_given_up,
        lost::a_commit_without_an_answer_is_not_repeated,
        lost::a_server_that_died_is_refused_soon_and_found_again,
        lost::scripts_that_the_server_forgot_are_told_again,
        lost::others_commits_are_heard,
        lost::a_store_that_is_dropped_leaves_no_connection,
        refusals::a_server_that_is_not_there_may_come,
        refusals::a_wrong_login_is_for_people_to_mend,
        refusals::a_missing_permission_shows_at_once,
        refusals::a_full_server_takes_nothing,
        refusals::a_trusted_server_is_spoken_to_over_tls,
        refusals::sentinels_are_asked_over_tls_and_with_a_password,
        promises::a_server_that_forgets_is_not_ready,
        promises::what_a_server_does_not_tell_is_a_warning,
        promises::a_barrier_counts_whom_the_server_waited_for,
        promises::one_round_serves_all_who_wait,
        promises::replicas_that_are_not_there_are_missed,
        failover::a_demoted_primary_is_left_until_it_is_one_again,
        failover::a_stale_replica_that_takes_over_gives_nothing_twice,
    ]
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, test).await.expect("it takes far too long") });
}

async fn open(settings: RedisSettings) -> Result<RedisStore, StoreError> {
    RedisStore::open(settings, Arc::new(HostClock::start())).await
}

async fn connect(url: String) -> RedisStore {
    open(RedisSettings::new(url)).await.unwrap()
}

async fn committed(store: &RedisStore, txn: Txn) -> Committed {
    match store.commit(txn).await.unwrap() {
        Commit::Committed(committed) => committed,
        Commit::Conflict => panic!("a conflict where none was expected"),
    }
}

async fn bytes(store: &RedisStore, name: &str) -> Option<Vec<u8>> {
    let rows = store.load(&[G.row(name)]).await.unwrap().rows;
    rows[0].as_ref().map(|row| row.bytes.to_vec())
}

/// Asks until the answer is there. Whoever asks is told something soon each time.
async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    loop {
        let asked = Instant::now();
        let answer = ask().await;
        assert!(asked.elapsed() < SOON, "a caller hangs for {:?}", asked.elapsed());
        match answer {
            Some(answer) => return answer,
            None => pace.tick().await,
        };
    }
}
