//! The port's promises one by one.

use std::time::Duration;

use framefleet_common::ports::store::{
    Commit, Committed, Entry, Message, Peek, Row, RowKey, Scan, Sequence, Shard, Store, StoreError, Version,
};
use framefleet_common::ports::txn::{NAME_BYTES_MAX, ROW_BYTES_MAX, SCORE_MAX, Txn, WRITES_MAX};

use super::Grounds;

const G: Shard = Shard::GLOBAL;
/// When no store of this project was written yet.
const THIS_CENTURY_MS: i64 = 1_700_000_000_000;

async fn committed(store: &dyn Store, txn: Txn) -> Committed {
    match store.commit(txn).await.unwrap() {
        Commit::Committed(committed) => committed,
        Commit::Conflict => panic!("a conflict where none was expected"),
    }
}

async fn conflict(store: &dyn Store, txn: Txn) {
    assert_eq!(store.commit(txn).await.unwrap(), Commit::Conflict);
}

async fn row(store: &dyn Store, key: &RowKey) -> Option<Row> {
    store.load(std::slice::from_ref(key)).await.unwrap().rows.remove(0)
}

async fn messages(store: &dyn Store, name: &str) -> Vec<Message> {
    store.peek(Peek { queue: G.queue(name), after: None, limit: 1000 }).await.unwrap()
}

async fn members(store: &dyn Store, scan: Scan) -> Vec<String> {
    store.scan(scan).await.unwrap().entries.into_iter().map(|entry| entry.member).collect()
}

pub(super) fn a_commit_whose_expectation_fails_changes_nothing(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = &**ground.store();
    grounds.run(async {
        let (a, b) = (G.row("a"), G.row("b"));
        let first = committed(store, Txn::new(G).create(&a, "1").index_set(&G.index("i"), "m", 1)).await;
        let attempt = |txn: Txn| {
            txn.put(&a, "2").put(&b, "2").index_remove(&G.index("i"), "m").append(&G.queue("q"), "2").delete(&a)
        };
        conflict(store, attempt(Txn::new(G).expect(&b, Version(1)))).await;
        conflict(store, attempt(Txn::new(G).expect(&a, None))).await;
        conflict(store, attempt(Txn::new(G).expect(&a, first.version).expect(&b, first.version))).await;
        assert_eq!(row(store, &a).await, Some(Row { version: first.version, bytes: "1".into() }));
        assert_eq!(row(store, &b).await, None);
        assert_eq!(members(store, Scan::all(G.index("i"), 10)).await, ["m"]);
        assert!(messages(store, "q").await.is_empty());
    });
}

pub(super) fn a_deleted_row_made_again_has_a_new_version(grounds: &Grounds) {
    let mut ground = grounds.ground();
    let key = G.row("a");
    let mut seen = Vec::new();
    for _ in 0..5 {
        grounds.run(ground.reopen());
        let store = &**ground.store();
        grounds.run(async {
            let version = committed(store, Txn::new(G).create(&key, "same")).await.version;
            assert!(!seen.contains(&version));
            for old in &seen {
                conflict(store, Txn::new(G).replace(&key, *old, "late")).await;
            }
            committed(store, Txn::new(G).expect(&key, version).delete(&key)).await;
            seen.push(version);
        });
    }
}

pub(super) fn an_expectation_holds_until_the_row_changes(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = &**ground.store();
    grounds.run(async {
        let (a, b) = (G.row("a"), G.row("b"));
        let loaded = committed(store, Txn::new(G).create(&a, "1").create(&b, "1")).await.version;
        committed(store, Txn::new(G).replace(&b, loaded, "2")).await;
        committed(store, Txn::new(G).expect(&a, loaded)).await;
        let second = committed(store, Txn::new(G).replace(&a, loaded, "2")).await.version;
        conflict(store, Txn::new(G).replace(&a, loaded, "3")).await;
        committed(store, Txn::new(G).put(&a, "2")).await;
        conflict(store, Txn::new(G).replace(&a, second, "3")).await;
    });
}

pub(super) fn writes_of_a_transaction_happen_in_their_order(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = &**ground.store();
    grounds.run(async {
        let (row_key, index, queue) = (G.row("a"), G.index("i"), G.queue("q"));
        let txn = Txn::new(G)
            .put(&row_key, "1")
            .delete(&row_key)
            .put(&row_key, "2")
            .index_set(&index, "m", 1)
            .index_set(&index, "m", 2)
            .append(&queue, "one")
            .ack(&queue, Sequence(u64::MAX))
            .append(&queue, "two");
        let committed = committed(store, txn).await;
        assert_eq!(row(store, &row_key).await, Some(Row { version: committed.version, bytes: "2".into() }));
        let entries = store.scan(Scan::all(index, 10)).await.unwrap().entries;
        assert_eq!(entries, [Entry { score: 2, member: "m".into() }]);
        let left = Message { sequence: committed.sequences[1], bytes: "two".into() };
        assert_eq!(messages(store, "q").await, [left]);
    });
}

pub(super) fn acknowledged_messages_are_gone_and_their_numbers_too(grounds: &Grounds) {
    let mut ground = grounds.ground();
    let queue = G.queue("q");
    let mut last = Sequence(0);
    for _ in 0..3 {
        let store = &**ground.store();
        last = grounds.run(async {
            let txn = Txn::new(G).append(&queue, "a").append(&queue, "b").append(&queue, "c");
            let given = committed(store, txn).await.sequences;
            assert!(last < given[0] && given[0] < given[1] && given[1] < given[2]);
            let after = Peek { queue: queue.clone(), after: Some(given[0]), limit: 1 };
            assert_eq!(store.peek(after).await.unwrap(), [Message { sequence: given[1], bytes: "b".into() }]);
            committed(store, Txn::new(G).ack(&queue, given[1])).await;
            committed(store, Txn::new(G).ack(&queue, given[0])).await;
            assert_eq!(messages(store, "q").await, [Message { sequence: given[2], bytes: "c".into() }]);
            committed(store, Txn::new(G).ack(&queue, given[2])).await;
            assert!(messages(store, "q").await.is_empty());
            given[2]
        });
        grounds.run(ground.reopen());
    }
}

pub(super) fn members_of_equal_score_are_paged_in_the_order_of_their_bytes(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = &**ground.store();
    grounds.run(async {
        let index = G.index("i");
        let sorted = ["0", "1", "10", "2", "A", "Z", "a", "z", "é", "映"];
        let txn = sorted.iter().rev().fold(Txn::new(G), |txn, member| txn.index_set(&index, *member, 5));
        committed(store, txn.index_set(&index, "low", -SCORE_MAX).index_set(&index, "high", SCORE_MAX)).await;
        for limit in 1..=13 {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = store.scan(Scan::all(index.clone(), limit).after(after)).await.unwrap().entries;
                after = page.last().cloned();
                seen.extend(page.into_iter().map(|entry| entry.member));
                assert!(seen.len() <= 12, "a page repeats what was there before: {seen:?}");
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen[1..11], sorted);
            assert_eq!((&*seen[0], &*seen[11], seen.len()), ("low", "high", 12));
        }
        let exactly = Scan { index: index.clone(), from: 5, to: 5, after: None, limit: 100 };
        assert_eq!(members(store, exactly).await, sorted);
        assert_eq!(members(store, Scan::up_to(index.clone(), 4, 100)).await, ["low"]);
        let nowhere = Scan { index, from: 6, to: 4, after: None, limit: 100 };
        assert!(members(store, nowhere).await.is_empty());
    });
}

pub(super) fn shards_do_not_see_each_other(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = &**ground.store();
    grounds.run(async {
        let s = Shard::of_jobs().next().unwrap();
        let fill = |shard: Shard, text: &'static str| {
            let txn = Txn::new(shard).create(&shard.row("x"), text).append(&shard.queue("x"), text);
            txn.index_set(&shard.index("x"), text, 1)
        };
        committed(store, fill(s, "s")).await;
        committed(store, fill(G, "g")).await;
        committed(store, Txn::new(s).delete(&s.row("x")).ack(&s.queue("x"), Sequence(u64::MAX))).await;
        assert_eq!(row(store, &G.row("x")).await.unwrap().bytes, "g");
        assert_eq!(row(store, &s.row("x")).await, None);
        assert_eq!(messages(store, "x").await.len(), 1);
        assert_eq!(members(store, Scan::all(s.index("x"), 10)).await, ["s"]);
        assert_eq!(members(store, Scan::all(G.index("x"), 10)).await, ["g"]);
    });
}

pub(super) fn rows_at_their_bounds_are_kept(grounds: &Grounds) {
    let mut ground = grounds.ground();
    let largest: Vec<u8> = (0..ROW_BYTES_MAX).map(|n| (n % 251) as u8).collect();
    let (long, empty) = (G.row("n".repeat(NAME_BYTES_MAX)), G.row("empty"));
    let store = &**ground.store();
    grounds
        .run(committed(store, Txn::new(G).create(&long, largest.clone()).create(&empty, "").append(&G.queue("q"), "")));
    grounds.run(ground.reopen());
    let store = &**ground.store();
    grounds.run(async {
        assert_eq!(row(store, &long).await.unwrap().bytes, largest);
        assert_eq!(row(store, &empty).await.unwrap().bytes, "", "an empty row is a row");
        assert_eq!(messages(store, "q").await.len(), 1);
    });
}

pub(super) fn a_transaction_as_large_as_may_be_is_whole(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = &**ground.store();
    grounds.run(async {
        let (index, queue) = (G.index("i"), G.queue("q"));
        let half = WRITES_MAX / 2;
        let txn = (0..half).fold(Txn::new(G), |txn, n| {
            txn.index_set(&index, n.to_string(), i64::try_from(n).unwrap()).append(&queue, n.to_string())
        });
        assert_eq!(committed(store, txn).await.sequences.len(), half);
        let (mut entries, mut log) = (Vec::<Entry>::new(), Vec::<Message>::new());
        while entries.len() < half || log.len() < half {
            let scan = Scan::all(index.clone(), 4096).after(entries.last().cloned());
            let peek = Peek { queue: queue.clone(), after: log.last().map(|message| message.sequence), limit: 4096 };
            let before = entries.len() + log.len();
            entries.extend(store.scan(scan).await.unwrap().entries);
            log.extend(store.peek(peek).await.unwrap());
            assert!(before < entries.len() + log.len(), "the pages end too soon");
        }
        assert_eq!((entries.len(), log.len()), (half, half));
        assert!(log.is_sorted_by_key(|message| message.sequence));
    });
}

pub(super) fn what_breaks_the_rules_is_refused(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = &**ground.store();
    grounds.run(async {
        let stranger = Shard::of_jobs().next().unwrap();
        let bad = [
            Txn::new(G).put(&G.row("a"), "1").put(&stranger.row("b"), "1"),
            Txn::new(G).put(&G.row("a"), "1").index_set(&G.index("i"), "m", SCORE_MAX + 1),
            Txn::new(G).put(&G.row("a"), vec![0; ROW_BYTES_MAX + 1]),
        ];
        for txn in bad {
            assert!(matches!(store.commit(txn).await, Err(StoreError::Refused(_))));
        }
        assert_eq!(row(store, &G.row("a")).await, None);
    });
}

pub(super) fn commits_are_heard(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = &**ground.store();
    grounds.run(async {
        let mut changes = store.subscribe();
        let s = Shard::of_jobs().nth(3).unwrap();
        committed(store, Txn::new(s).append(&s.queue("mail"), "x")).await;
        committed(store, Txn::new(s).append(&s.queue("mail"), "y")).await;
        assert_eq!(changes.next().await, [s]);
        let (heard, _) = futures::join!(changes.next(), committed(store, Txn::new(G).put(&G.row("a"), "1")));
        assert_eq!(heard, [G]);
    });
}

pub(super) fn the_stores_time_is_told_with_every_answer(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = &**ground.store();
    grounds.run(async {
        let start = store.load(&[]).await.unwrap().now;
        assert!(start.ms() > THIS_CENTURY_MS, "a date of this century: {start:?}");
        grounds.home.advance(Duration::from_millis(250));
        let later = committed(store, Txn::new(G).put(&G.row("a"), "1")).await.now;
        assert_eq!(later.ms_since(start), 250);
        assert_eq!(store.load(&[G.row("a")]).await.unwrap().now, later);
        assert_eq!(store.scan(Scan::all(G.index("i"), 1)).await.unwrap().now, later);
    });
}

/// A server has a clock of its own, which nobody turns.
pub(super) fn the_servers_time_is_told_with_every_answer(grounds: &Grounds) {
    let ground = grounds.ground();
    let store = &**ground.store();
    grounds.run(async {
        let start = store.load(&[]).await.unwrap().now;
        let told = [
            committed(store, Txn::new(G).put(&G.row("a"), "1")).await.now,
            store.load(&[G.row("a")]).await.unwrap().now,
            store.scan(Scan::all(G.index("i"), 1)).await.unwrap().now,
        ];
        assert!(start.ms() > THIS_CENTURY_MS, "a date of this century: {start:?}");
        assert!(told.is_sorted() && start <= told[0], "{start:?}, then {told:?}");
    });
}
