//! Counting in lanes, each step of which touches all that a transaction can.

use framefleet_common::ports::store::{Commit, Peek, Scan, Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;

use super::Grounds;

/// Lanes that commit side by side, so that a kill hits batches of several transactions.
pub const LANES: usize = 8;

pub(super) fn what_was_committed_survives_being_dropped(grounds: &Grounds) {
    let mut ground = grounds.ground();
    for n in 1..=20 {
        grounds.run(async {
            step(&**ground.store(), 0).await.unwrap();
            ground.reopen().await;
            assert_eq!(count(&**ground.store(), 0).await, n);
        });
    }
}

fn lane_shard(lane: usize) -> Shard {
    Shard::of_jobs().nth(lane * 5).unwrap()
}

/// Counts one lane up by one transaction that touches everything a transaction can.
pub async fn step(store: &dyn Store, lane: usize) -> Result<usize, StoreError> {
    let shard = lane_shard(lane);
    let (left, right) = (shard.row("left"), shard.row("right"));
    let row = store.load(std::slice::from_ref(&left)).await?.rows.remove(0);
    let n = row.as_ref().map_or(0, |row| number(&row.bytes)) + 1;
    let txn = Txn::new(shard)
        .expect(&left, row.map(|row| row.version))
        .put(&left, n.to_string())
        .put(&right, n.to_string())
        .index_set(&shard.index("all"), n.to_string(), i64::try_from(n).unwrap())
        .append(&shard.queue("log"), n.to_string());
    let commit = store.commit(txn).await?;
    assert!(matches!(commit, Commit::Committed(_)), "a lane has no rival");
    Ok(n)
}

/// How far a lane is, after checking that its rows, index and queue all say so.
pub async fn count(store: &dyn Store, lane: usize) -> usize {
    let shard = lane_shard(lane);
    let rows = store.load(&[shard.row("left"), shard.row("right")]).await.unwrap().rows;
    let counts: Vec<usize> = rows.iter().map(|row| row.as_ref().map_or(0, |row| number(&row.bytes))).collect();
    let log = store.peek(Peek { queue: shard.queue("log"), after: None, limit: usize::MAX }).await.unwrap();
    let index = store.scan(Scan::all(shard.index("all"), usize::MAX)).await.unwrap().entries;
    assert_eq!(counts[0], counts[1]);
    let expected: Vec<usize> = (1..=counts[0]).collect();
    assert_eq!(log.iter().map(|message| number(&message.bytes)).collect::<Vec<_>>(), expected);
    assert_eq!(index.iter().map(|entry| number(entry.member.as_bytes())).collect::<Vec<_>>(), expected);
    counts[0]
}

fn number(bytes: &[u8]) -> usize {
    std::str::from_utf8(bytes).unwrap().parse().unwrap()
}
