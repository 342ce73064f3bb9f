//! Many callers at once: what each is told must fit what all of them find.

use std::sync::Arc;

use framefleet_common::ports::store::{Commit, Peek, Shard, Store};
use framefleet_common::ports::txn::Txn;
use futures::future::join_all;
use tokio::task::JoinSet;

use super::Grounds;

const CALLERS: u64 = 16;
const EACH: u64 = 25;

pub(super) fn one_of_many_creators_wins(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = ground.store();
    grounds.run(async {
        for round in 0..20 {
            let row = Shard::GLOBAL.row(format!("row {round}"));
            let creators = (0..100).map(|n: u32| {
                let txn = Txn::new(Shard::GLOBAL).create(&row, n.to_string()).append(&Shard::GLOBAL.queue("log"), "x");
                store.commit(txn)
            });
            let answers = join_all(creators).await;
            let winners: Vec<usize> = (0..100).filter(|n| matches!(answers[*n], Ok(Commit::Committed(_)))).collect();
            assert_eq!(winners.len(), 1);
            let loaded = store.load(&[row]).await.unwrap();
            assert_eq!(loaded.rows[0].as_ref().unwrap().bytes, winners[0].to_string());
        }
        let log = store.peek(Peek { queue: Shard::GLOBAL.queue("log"), after: None, limit: 100 }).await.unwrap();
        assert_eq!(log.len(), 20, "losers append nothing");
    });
}

pub(super) fn no_increment_is_lost(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = ground.store().clone();
    grounds.run(async {
        let mut callers = JoinSet::new();
        for caller in 0..CALLERS {
            callers.spawn(count(store.clone(), caller));
        }
        let mut told: Vec<u64> = callers.join_all().await.into_iter().flatten().collect();
        told.sort_unstable();
        assert_eq!(told, (1..=CALLERS * EACH).collect::<Vec<_>>(), "each number was told to exactly one caller");
        let peek = Peek { queue: Shard::GLOBAL.queue("log"), after: None, limit: usize::MAX };
        let log: Vec<String> = store.peek(peek).await.unwrap().into_iter().map(|m| text(&m.bytes)).collect();
        let expected: Vec<String> = (1..=CALLERS * EACH).map(|n| n.to_string()).collect();
        assert_eq!(log, expected, "the log tells the order of the commits");
    });
}

/// Counts a shared number up, and now and then another of its own, so that batches mix friends and rivals.
async fn count(store: Arc<dyn Store>, caller: u64) -> Vec<u64> {
    let shared = Shard::GLOBAL.row("shared");
    let own = Shard::GLOBAL.row(format!("own {caller}"));
    let mut told = Vec::new();
    while told.len() < usize::try_from(EACH).unwrap() {
        let loaded = store.load(std::slice::from_ref(&shared)).await.unwrap();
        let row = loaded.rows.into_iter().next().flatten();
        let next = row.as_ref().map_or(0, |row| text(&row.bytes).parse::<u64>().unwrap()) + 1;
        let txn = Txn::new(Shard::GLOBAL)
            .expect(&shared, row.map(|row| row.version))
            .put(&shared, next.to_string())
            .append(&Shard::GLOBAL.queue("log"), next.to_string());
        if let Commit::Committed(_) = store.commit(txn).await.unwrap() {
            told.push(next);
        }
        let mine = store.commit(Txn::new(Shard::GLOBAL).put(&own, told.len().to_string())).await.unwrap();
        assert!(matches!(mine, Commit::Committed(_)), "nobody else writes this row");
    }
    told
}

pub(super) fn a_reader_never_sees_half_a_transaction(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = ground.store();
    let keys = [Shard::GLOBAL.row("left"), Shard::GLOBAL.row("right")];
    grounds.run(async {
        let writer = async {
            for n in 0..100 {
                let txn = Txn::new(Shard::GLOBAL).put(&keys[0], n.to_string()).put(&keys[1], n.to_string());
                store.commit(txn).await.unwrap();
            }
        };
        let readers = (0..4).map(|_| async {
            loop {
                let rows = store.load(&keys).await.unwrap().rows;
                let bytes: Vec<_> = rows.into_iter().map(|row| row.map(|row| row.bytes)).collect();
                assert_eq!(bytes[0], bytes[1]);
                if bytes[0].as_deref() == Some(b"99") {
                    return;
                }
            }
        });
        futures::join!(writer, join_all(readers));
    });
}

pub(super) fn a_barrier_comes_after_all_that_was_sent_before(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = ground.store();
    let queue = Shard::GLOBAL.queue("log");
    grounds.run(async {
        let mut sent: Vec<_> = (0..50).map(|_| store.commit(Txn::new(Shard::GLOBAL).append(&queue, "x"))).collect();
        for commit in &mut sent {
            // Polled once, so that it is on its way; then nobody waits for it.
            let _ = futures::poll!(commit);
        }
        store.barrier().await.unwrap();
        let log = store.peek(Peek { queue: queue.clone(), after: None, limit: usize::MAX }).await.unwrap();
        assert_eq!(log.len(), 50);
    });
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
