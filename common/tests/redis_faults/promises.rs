//! What a server keeps, and what a barrier is worth.

use framefleet_common::adapters::redis::readiness::{Guarantee, Readiness};
use framefleet_common::adapters::redis::settings::{Durability, RedisSettings};
use framefleet_common::ports::store::{Store, StoreError};
use futures::future::join_all;

use crate::double::Double;
use crate::redis::RedisServer;
use crate::{connect, open};

pub(crate) async fn a_server_that_forgets_is_not_ready() {
    let server = RedisServer::start(&["--appendfsync", "always"]);
    let store = connect(server.url()).await;
    let waiving = RedisSettings { durability: Durability::Waived, ..RedisSettings::new(server.url()) };
    let waiving = open(waiving).await.unwrap();
    let always = Guarantee::FsyncAlways { replicas: 0 };
    let readiness = store.readiness().await.unwrap();
    assert!(readiness.server.as_ref().is_some_and(|version| server.ask(&["INFO", "server"]).contains(version)));
    let good = Readiness { ready: Ok(()), guarantee: always, warnings: Vec::new(), server: readiness.server.clone() };
    assert_eq!(readiness, good);
    for (name, bad, better) in [
        ("maxmemory-policy", "allkeys-lru", "set maxmemory-policy noeviction"),
        ("appendonly", "no", "set appendonly yes"),
    ] {
        server.ask(&["CONFIG", "SET", name, bad]);
        let refused = store.readiness().await.unwrap().ready.unwrap_err();
        assert!(refused.contains(better), "{refused}");
        let waived = waiving.readiness().await.unwrap();
        assert!(waived.ready.is_ok() && waived.warnings.iter().any(|w| w.contains(better)), "{waived:?}");
    }
    let refused = store.barrier().await;
    assert!(matches!(&refused, Err(StoreError::Unavailable(why)) if why.contains("appendonly yes")), "{refused:?}");
    waiving.barrier().await.unwrap();
    server.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    server.ask(&["CONFIG", "SET", "appendonly", "yes"]);
    assert_eq!(store.readiness().await.unwrap(), good, "what is mended is seen without a restart");
}

pub(crate) async fn what_a_server_does_not_tell_is_a_warning() {
    let server = RedisServer::start(&["--appendfsync", "always"]);
    server.ask(&["ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all", "-config"]);
    let store = connect(format!("redis://worker:pw@127.0.0.1:{}", server.port())).await;
    let readiness = store.readiness().await.unwrap();
    assert_eq!((readiness.ready, readiness.guarantee), (Ok(()), Guarantee::FsyncWait { replicas: 0 }));
    assert!(readiness.warnings[0].contains("barriers are weak"), "{:?}", readiness.warnings);
    server.ask(&["ACL", "SETUSER", "worker", "-info"]);
    let readiness = store.readiness().await.unwrap();
    assert_eq!((readiness.ready, readiness.guarantee), (Ok(()), Guarantee::Unknown { replicas: 0 }));
    assert!(readiness.warnings[0].contains("does not tell its maxmemory_policy"), "{:?}", readiness.warnings);
    store.barrier().await.unwrap();
}

pub(crate) async fn a_barrier_counts_whom_the_server_waited_for() {
    let server = RedisServer::start(&[]);
    let double = Double::start(server.port()).await;
    let store = open(RedisSettings { replicas: 1, ..RedisSettings::new(double.url()) }).await.unwrap();
    assert_eq!(store.readiness().await.unwrap().guarantee, Guarantee::WaitAof { replicas: 1 });
    double.follow(1, 1);
    store.barrier().await.unwrap();
    let asked = ("SET".to_owned(), ["WAITAOF", "1", "1", "2000"].map(str::to_owned).to_vec());
    assert_eq!(double.heard(), [asked], "behind a write of the same connection");
    for (here, replicas) in [(0, 1), (1, 0), (0, 0)] {
        double.follow(here, replicas);
        let missed = store.barrier().await;
        assert!(matches!(missed, Err(StoreError::Unavailable(_))), "{here} here, {replicas} there: {missed:?}");
    }
    double.follow(1, 2);
    store.barrier().await.unwrap();
}

pub(crate) async fn one_round_serves_all_who_wait() {
    let server = RedisServer::start(&[]);
    let double = Double::start(server.port()).await;
    let store = connect(double.url()).await;
    double.follow(1, 0);
    let outcomes = join_all((0..100).map(|_| store.barrier())).await;
    assert!(outcomes.iter().all(Result::is_ok));
    // The first may be on its way before the rest have come.
    let rounds = double.heard().len();
    assert!((1..=3).contains(&rounds), "{rounds} rounds for callers who came together");
}

pub(crate) async fn replicas_that_are_not_there_are_missed() {
    let server = RedisServer::start(&["--appendfsync", "always"]);
    let store = open(RedisSettings { replicas: 1, ..RedisSettings::new(server.url()) }).await.unwrap();
    let missed = store.barrier().await;
    assert!(matches!(&missed, Err(StoreError::Unavailable(why)) if why.contains("0 of 1 replicas")), "{missed:?}");
    let warnings = store.readiness().await.unwrap().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("0 of 1 replicas are connected")), "{warnings:?}");
    let replica = RedisServer::start(&[]);
    replica.ask(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]);
    replica.until("MASTER <-> REPLICA sync: Finished with success");
    crate::until(async || store.barrier().await.ok()).await;
}
