//! Primaries that change.

use std::collections::BTreeSet;

use framefleet_common::adapters::redis::RedisStore;
use framefleet_common::adapters::redis::settings::{RedisSettings, SentinelSettings};
use framefleet_common::ports::store::{Commit, Committed, Peek, Sequence, Store, StoreError, Version};
use framefleet_common::ports::txn::Txn;

use crate::redis::RedisServer;
use crate::relay::Relay;
use crate::{G, bytes, committed, connect, open, until};

pub(crate) async fn a_demoted_primary_is_left_until_it_is_one_again() {
    let (server, other) = (RedisServer::start(&[]), RedisServer::start(&[]));
    let store = connect(server.url()).await;
    server.ask(&["REPLICAOF", "127.0.0.1", &other.port().to_string()]);
    server.until("MASTER <-> REPLICA sync: Finished with success");
    let put = async || store.commit(Txn::new(G).put(&G.row("a"), "1")).await;
    let refused = put().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    // Not even what can be read there is believed.
    until(async || match store.load(&[]).await {
        Err(StoreError::Unavailable(why)) => why.contains("is a replica").then_some(()),
        _ => None,
    })
    .await;
    assert!(matches!(open(RedisSettings::new(server.url())).await.err(), Some(StoreError::Unavailable(_))));
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    until(async || put().await.ok()).await;
    assert_eq!(bytes(&store, "a").await.unwrap(), b"1");
}

/// The replica that is promoted has not seen the last commits: the store falls back, and still no version and no
/// sequence number is given to two.
pub(crate) async fn a_stale_replica_that_takes_over_gives_nothing_twice() {
    let mut primary = RedisServer::start(&[]);
    let replica = RedisServer::start(&[]);
    let relay = Relay::start(primary.port()).await;
    replica.ask(&["REPLICAOF", "127.0.0.1", &relay.port.to_string()]);
    replica.until("MASTER <-> REPLICA sync: Finished with success");
    let sentinel = RedisServer::sentinel(&primary);
    sentinel.until("+slave");
    let known = SentinelSettings { urls: vec![sentinel.url()], primary: "main".into() };
    let settings = RedisSettings { replicas: 1, sentinel: Some(known), ..RedisSettings::new("redis://unused") };
    let store = open(settings).await.unwrap();
    let mut given = Given { versions: BTreeSet::new(), highest: Sequence(0), last: Version(0) };
    given.take(step(&store, 0, 5).await);
    until(async || store.barrier().await.ok()).await;
    relay.fall_silent();
    given.take(step(&store, 5, 10).await);
    primary.kill();
    sentinel.until("+switch-master");
    until(async || store.load(&[]).await.ok()).await;
    assert_eq!(bytes(&store, "count").await.unwrap(), b"5", "what no barrier covered is gone");
    let log = store.peek(Peek { queue: G.queue("log"), after: None, limit: 100 }).await.unwrap();
    assert_eq!(log.len(), 5);
    let late = Txn::new(G).replace(&G.row("count"), given.last, "late");
    assert_eq!(store.commit(late).await.unwrap(), Commit::Conflict, "a version of the history that is gone");
    given.take(step(&store, 5, 10).await);
}

/// Counts a row up, telling each number to a queue.
async fn step(store: &RedisStore, from: usize, to: usize) -> Vec<Committed> {
    let mut given = Vec::new();
    for n in from..to {
        let row = store.load(&[G.row("count")]).await.unwrap().rows.remove(0);
        let txn = Txn::new(G).expect(&G.row("count"), row.map(|row| row.version));
        let txn = txn.put(&G.row("count"), (n + 1).to_string()).append(&G.queue("log"), n.to_string());
        given.push(committed(store, txn).await);
    }
    given
}

struct Given {
    versions: BTreeSet<Version>,
    highest: Sequence,
    last: Version,
}

impl Given {
    fn take(&mut self, commits: Vec<Committed>) {
        for commit in commits {
            assert!(self.versions.insert(commit.version), "{:?} is given twice", commit.version);
            assert!(self.highest < commit.sequences[0], "{:?} comes after {:?}", commit.sequences[0], self.highest);
            (self.highest, self.last) = (commit.sequences[0], commit.version);
        }
    }
}
