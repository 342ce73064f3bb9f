//! Stores that are served: one private server for all tests of a process, and one to be killed.

use std::sync::{Arc, Mutex, PoisonError};

use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::redis::RedisStore;
use framefleet_common::adapters::redis::settings::RedisSettings;
use framefleet_common::ports::clock::Clock as _;
use framefleet_common::ports::store::Store as _;
use framefleet_conformance::store::lanes::{LANES, count, step};
use framefleet_conformance::store::{Home, RedisHome};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;

use crate::redis::RedisServer;
use crate::run;

static SHARED: Mutex<Option<RedisServer>> = Mutex::new(None);

/// Stores with keys of their own on the shared server.
pub(crate) fn home() -> Arc<dyn Home> {
    let mut shared = lock();
    let server = shared.get_or_insert_with(|| RedisServer::start(&["--appendfsync", "always"]));
    Arc::new(RedisHome(RedisSettings::new(server.url())))
}

/// Ends the server, whose folder goes with it.
pub(crate) fn end() {
    drop(lock().take());
}

/// With `appendfsync always` an answer is a promise.
pub(crate) fn what_was_committed_survives_kill_nine_of_the_server() {
    let mut server = RedisServer::start(&["--appendfsync", "always"]);
    let mut rng = StdRng::seed_from_u64(9);
    let mut told = [0; LANES];
    for _ in 0..8 {
        let goal = told.iter().sum::<usize>() + rng.random_range(20..400);
        told = until_killed(&mut server, told, async |_, progress| {
            progress.clone().wait_for(|told| told.iter().sum::<usize>() >= goal).await.unwrap();
        });
        everything_is_there(&mut server, &told);
    }
    assert!(told.iter().all(|n| *n > 0), "every lane got somewhere: {told:?}");
}

/// With `appendfsync everysec` only a barrier is: a busy server keeps back what it has answered already.
pub(crate) fn what_a_barrier_covered_survives_kill_nine_of_the_server() {
    let mut server = RedisServer::start(&["--appendfsync", "everysec"]);
    for _ in 0..3 {
        let covered = Mutex::new([0; LANES]);
        until_killed(&mut server, [0; LANES], async |store, progress| {
            progress.clone().wait_for(|told| told.iter().all(|n| *n > 0)).await.unwrap();
            let told = *progress.borrow();
            store.barrier().await.unwrap();
            *covered.lock().unwrap() = told;
        });
        everything_is_there(&mut server, &covered.into_inner().unwrap());
    }
}

/// Counts on in every lane, kills the server once `enough` returns, and says what was told by then.
fn until_killed(
    server: &mut RedisServer,
    before: [usize; LANES],
    enough: impl AsyncFnOnce(&RedisStore, &watch::Receiver<[usize; LANES]>),
) -> [usize; LANES] {
    let (told, progress) = watch::channel(before);
    run(async {
        let store = connect(server).await;
        let lanes = join_all((0..LANES).map(|lane| {
            let (store, told) = (&store, &told);
            async move {
                // Until the server is gone.
                while let Ok(n) = step(store, lane).await {
                    told.send_modify(|told| told[lane] = n);
                }
            }
        }));
        let killing = async {
            enough(&store, &progress).await;
            server.kill();
        };
        tokio::join!(lanes, killing);
    });
    *progress.borrow()
}

fn everything_is_there(server: &mut RedisServer, told: &[usize; LANES]) {
    server.restart();
    run(async {
        let store = connect(server).await;
        for (lane, told) in told.iter().enumerate() {
            let found = count(&store, lane).await;
            assert!(found >= *told, "lane {lane}: {told} was told, {found} is there");
        }
    });
}

async fn connect(server: &RedisServer) -> RedisStore {
    RedisStore::open(RedisSettings::new(server.url()), Arc::new(HostClock::start())).await.unwrap()
}

fn lock() -> std::sync::MutexGuard<'static, Option<RedisServer>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server is on this host: only a machine that stands still for a minute would tell its time from ours.
pub(crate) fn the_servers_time_is_this_hosts() {
    let home = home();
    run(async {
        let told = home.open("time").await.unwrap().load(&[]).await.unwrap().now;
        let here = HostClock::start().epoch_ms();
        assert!((told.ms() - here).abs() < 60_000, "{told:?} there, {here} here");
    });
}
