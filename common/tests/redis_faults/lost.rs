//! Connections and answers that are lost.

use std::collections::BTreeSet;

use framefleet_common::ports::changes::Changes;
use framefleet_common::ports::store::{Peek, Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;

use crate::redis::RedisServer;
use crate::relay::Relay;
use crate::{G, SOON, bytes, committed, connect, until};

pub(crate) async fn a_silent_connection_is_given_up() {
    let server = RedisServer::start(&["--appendfsync", "always"]);
    let relay = Relay::start(server.port()).await;
    let (store, other) = (connect(relay.url()).await, connect(server.url()).await);
    let mut changes = store.subscribe();
    committed(&store, Txn::new(G).create(&G.row("a"), "1")).await;
    assert_eq!(changes.next().await, [G]);
    relay.fall_silent();
    // Each has a connection of its own, and each comes back.
    let loads = until(async || store.load(&[]).await.ok());
    let barriers = async {
        // A barrier's rounds are longer than what a caller of the rest has to wait.
        while let Err(error) = store.barrier().await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
    };
    // What was missed meanwhile is not known, so everything may have changed.
    tokio::join!(loads, barriers, everything(&mut changes));
    assert_eq!(bytes(&store, "a").await.unwrap(), b"1");
    let s = Shard::of_jobs().nth(9).unwrap();
    committed(&other, Txn::new(s).put(&s.row("a"), "1")).await;
    assert_eq!(changes.next().await, [s]);
}

pub(crate) async fn a_commit_without_an_answer_is_not_repeated() {
    let server = RedisServer::start(&[]);
    let relay = Relay::start(server.port()).await;
    let store = connect(relay.url()).await;
    relay.fall_mute();
    let txn = Txn::new(G).create(&G.row("a"), "1").append(&G.queue("log"), "1");
    assert!(matches!(store.commit(txn).await, Err(StoreError::Unavailable(_))));
    until(async || store.load(&[]).await.ok()).await;
    assert_eq!(bytes(&store, "a").await.unwrap(), b"1", "it happened");
    let log = store.peek(Peek { queue: G.queue("log"), after: None, limit: 10 }).await.unwrap();
    assert_eq!(log.len(), 1, "and once");
}

pub(crate) async fn a_server_that_died_is_refused_soon_and_found_again() {
    let mut server = RedisServer::start(&["--appendfsync", "always"]);
    let store = connect(server.url()).await;
    let mut changes = store.subscribe();
    committed(&store, Txn::new(G).create(&G.row("a"), "1")).await;
    assert_eq!(changes.next().await, [G]);
    server.kill();
    for _ in 0..5 {
        let asked = std::time::Instant::now();
        let refused = store.load(&[]).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(asked.elapsed() < SOON);
    }
    server.restart();
    until(async || store.load(&[]).await.ok()).await;
    assert_eq!(bytes(&store, "a").await.unwrap(), b"1");
    committed(&store, Txn::new(G).put(&G.row("a"), "2")).await;
    everything(&mut changes).await;
}

/// Waits until every shard was heard of, in however many pieces of news.
async fn everything(changes: &mut Changes) {
    let mut heard = BTreeSet::new();
    while heard.len() < Shard::all().count() {
        heard.extend(changes.next().await);
    }
}

pub(crate) async fn scripts_that_the_server_forgot_are_told_again() {
    let server = RedisServer::start(&[]);
    let store = connect(server.url()).await;
    server.ask(&["SCRIPT", "FLUSH"]);
    committed(&store, Txn::new(G).create(&G.row("a"), "1")).await;
}

pub(crate) async fn others_commits_are_heard() {
    let server = RedisServer::start(&[]);
    let (here, there) = (connect(server.url()).await, connect(server.url()).await);
    let mut changes = here.subscribe();
    server.ask(&["PUBLISH", "framefleet:changes", "what is that?"]);
    for shard in [G, Shard::of_jobs().nth(5).unwrap()] {
        committed(&there, Txn::new(shard).put(&shard.row("a"), "1")).await;
        assert_eq!(changes.next().await, [shard]);
    }
}

pub(crate) async fn a_store_that_is_dropped_leaves_no_connection() {
    let server = RedisServer::start(&[]);
    // The one who asks is among them.
    let clients = || server.ask(&["CLIENT", "LIST"]).matches("addr=127").count() / 2;
    let before = clients();
    let store = connect(server.url()).await;
    assert_eq!(clients(), before + 3);
    drop(store);
    until(async || (clients() == before).then_some(())).await;
}
