//! Stores that are served: one private server for all tests of a process, and one to be killed.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::redis::RedisStore;
use framefleet_common::adapters::redis::settings::RedisSettings;
use framefleet_common::ports::store::Store;
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::crash::{LANES, count, step};
use crate::redis::RedisServer;
use crate::{Kind, run};

/// A server, and the threads on which connections to it live however many runtimes a test makes.
struct Shared {
    server: RedisServer,
    runtime: Runtime,
}

static SHARED: Mutex<Option<Arc<Shared>>> = Mutex::new(None);

/// A store with keys of its own, told apart by the name of its folder.
pub(crate) fn open(folder: &Path) -> Arc<dyn Store> {
    let shared = shared();
    let name = folder.file_name().expect("a folder has a name").to_string_lossy();
    let settings = RedisSettings { prefix: format!("test-{name}"), ..RedisSettings::new(shared.server.url()) };
    let opening = || shared.runtime.block_on(RedisStore::open(settings, Arc::new(HostClock::start())));
    // On a thread of its own, because the caller may be inside a runtime.
    let store = std::thread::scope(|scope| scope.spawn(opening).join());
    Arc::new(store.expect("it does not panic").unwrap())
}

/// Ends the server, whose folder goes with it.
pub(crate) fn end() {
    drop(lock().take());
}

/// With `appendfsync always` an answer is a promise.
pub(crate) fn what_was_committed_survives_kill_nine_of_the_server(_: Kind) {
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
pub(crate) fn what_a_barrier_covered_survives_kill_nine_of_the_server(_: Kind) {
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

fn shared() -> Arc<Shared> {
    let start = || {
        let server = RedisServer::start(&["--appendfsync", "always"]);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Arc::new(Shared { server, runtime })
    };
    lock().get_or_insert_with(start).clone()
}

fn lock() -> std::sync::MutexGuard<'static, Option<Arc<Shared>>> {
    SHARED.lock().unwrap_or_else(PoisonError::into_inner)
}
