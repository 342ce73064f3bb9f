//! Random histories of one caller, checked step by step against the model.

use std::time::Duration;

use framefleet_common::ports::store::{Commit, Entry, Peek, RowKey, Scan, Sequence, Shard};
use framefleet_common::ports::txn::{Expect, SCORE_MAX, Txn};
use framefleet_model::time::StoreTime;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::model::Model;
use super::{Ground, Grounds};

/// Names that a careless adapter would confuse: prefixes of each other, odd bytes, upper case.
const NAMES: [&str; 4] = ["a", "a/b", "A", "é:{s00}*%_"];
const MEMBERS: [&str; 6] = ["m", "m1", "M", "ü", "\u{1}", "z"];
const SCORES: [i64; 7] = [-SCORE_MAX, -1, 0, 1, 1, 7, SCORE_MAX];

#[derive(Clone, Debug)]
enum Step {
    Commit { shard: usize, expects: Vec<(usize, Expected)>, writes: Vec<Change> },
    Load { rows: Vec<(usize, usize)> },
    Scan { shard: usize, name: usize, bounds: (usize, usize), after: Option<(usize, usize)>, limit: usize },
    Peek { shard: usize, name: usize, skip: Option<usize>, limit: usize },
    Barrier,
    Reopen,
    Advance { ms: u16 },
}

/// How a transaction's expectation relates to the truth.
#[derive(Clone, Debug)]
enum Expected {
    AsItIs,
    Absent,
    Stale,
}

#[derive(Clone, Debug)]
enum Change {
    Put {
        name: usize,
        bytes: Vec<u8>,
    },
    Delete {
        name: usize,
    },
    IndexSet {
        name: usize,
        member: usize,
        score: usize,
    },
    IndexRemove {
        name: usize,
        member: usize,
    },
    Append {
        name: usize,
        bytes: Vec<u8>,
    },
    /// Up to the message that stands so far from the queue's head.
    Ack {
        name: usize,
        reach: usize,
    },
}

pub(super) fn any_history_is_as_the_model_says(grounds: &Grounds) {
    let config = Config { cases: grounds.home.histories(), failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 1..60);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        grounds.run(play(grounds, steps));
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

fn step() -> impl Strategy<Value = Step> {
    let (shard, name) = (0..3_usize, 0..NAMES.len());
    let expected = prop_oneof![6 => Just(Expected::AsItIs), 1 => Just(Expected::Absent), 1 => Just(Expected::Stale)];
    let expects = prop::collection::vec((name.clone(), expected), 0..3);
    let writes = prop::collection::vec(change(), 0..8);
    let cursor = prop::option::of((0..SCORES.len(), 0..MEMBERS.len()));
    let bounds = (0..SCORES.len(), 0..SCORES.len());
    prop_oneof![
        10 => (shard.clone(), expects, writes)
            .prop_map(|(shard, expects, writes)| Step::Commit { shard, expects, writes }),
        3 => prop::collection::vec((shard.clone(), name.clone()), 0..6).prop_map(|rows| Step::Load { rows }),
        3 => (shard.clone(), name.clone(), bounds, cursor, 0..5_usize)
            .prop_map(|(shard, name, bounds, after, limit)| Step::Scan { shard, name, bounds, after, limit }),
        3 => (shard, name, prop::option::of(0..4_usize), 0..5_usize)
            .prop_map(|(shard, name, skip, limit)| Step::Peek { shard, name, skip, limit }),
        1 => Just(Step::Barrier),
        1 => Just(Step::Reopen),
        1 => any::<u16>().prop_map(|ms| Step::Advance { ms }),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let (name, member) = (0..NAMES.len(), 0..MEMBERS.len());
    let bytes = prop::collection::vec(any::<u8>(), 0..4);
    prop_oneof![
        (name.clone(), bytes.clone()).prop_map(|(name, bytes)| Change::Put { name, bytes }),
        name.clone().prop_map(|name| Change::Delete { name }),
        (name.clone(), member.clone(), 0..SCORES.len()).prop_map(|(name, member, score)| Change::IndexSet {
            name,
            member,
            score
        }),
        (name.clone(), member).prop_map(|(name, member)| Change::IndexRemove { name, member }),
        (name.clone(), bytes).prop_map(|(name, bytes)| Change::Append { name, bytes }),
        (name, 0..3_usize).prop_map(|(name, reach)| Change::Ack { name, reach }),
    ]
}

/// The three shards that a history happens in: two of jobs, and the one of no job.
fn shard(number: usize) -> Shard {
    [Shard::all().next().unwrap(), Shard::all().nth(7).unwrap(), Shard::GLOBAL][number]
}

async fn play(grounds: &Grounds, steps: Vec<Step>) {
    let (mut ground, mut model) = (grounds.open().await, Model::default());
    for step in steps {
        take(&mut ground, &mut model, step).await;
    }
    ground.reopen().await;
    everything_agrees(&ground, &model).await;
}

async fn take(ground: &mut Ground, model: &mut Model, step: Step) {
    match step {
        Step::Commit { shard: s, expects, writes } => {
            commit(ground, model, &txn(model, shard(s), expects, writes)).await
        }
        Step::Load { rows } => {
            let keys: Vec<RowKey> = rows.into_iter().map(|(s, name)| shard(s).row(NAMES[name])).collect();
            rows_agree(ground, model, &keys).await;
        }
        Step::Scan { shard: s, name, bounds: (from, to), after, limit } => {
            let after = after.map(|(score, member)| Entry { score: SCORES[score], member: MEMBERS[member].into() });
            let scan = Scan { index: shard(s).index(NAMES[name]), from: SCORES[from], to: SCORES[to], after, limit };
            assert_eq!(ground.store().scan(scan.clone()).await.unwrap().entries, model.scan(&scan), "{scan:?}");
        }
        Step::Peek { shard: s, name, skip, limit } => {
            let queue = shard(s).queue(NAMES[name]);
            let all = model.peek(&Peek { queue: queue.clone(), after: None, limit: usize::MAX });
            let after = skip.and_then(|skip| all.get(skip)).map(|message| message.sequence);
            let peek = Peek { queue, after, limit };
            assert_eq!(ground.store().peek(peek.clone()).await.unwrap(), model.peek(&peek), "{peek:?}");
        }
        Step::Barrier => ground.store().barrier().await.unwrap(),
        Step::Reopen => ground.reopen().await,
        Step::Advance { ms } => ground.home.advance(Duration::from_millis(ms.into())),
    }
}

fn txn(model: &Model, shard: Shard, expects: Vec<(usize, Expected)>, writes: Vec<Change>) -> Txn {
    let mut txn = Txn::new(shard);
    for (name, expected) in expects {
        let row = shard.row(NAMES[name]);
        let expect = match expected {
            Expected::AsItIs => Expect::from(model.row(&row).map(|(version, _)| version)),
            Expected::Absent => Expect::Absent,
            Expected::Stale => Expect::from(model.stale(&row)),
        };
        txn = txn.expect(&row, expect);
    }
    writes.into_iter().fold(txn, |txn, change| match change {
        Change::Put { name, bytes } => txn.put(&shard.row(NAMES[name]), bytes),
        Change::Delete { name } => txn.delete(&shard.row(NAMES[name])),
        Change::IndexSet { name, member, score } => {
            txn.index_set(&shard.index(NAMES[name]), MEMBERS[member], SCORES[score])
        }
        Change::IndexRemove { name, member } => txn.index_remove(&shard.index(NAMES[name]), MEMBERS[member]),
        Change::Append { name, bytes } => txn.append(&shard.queue(NAMES[name]), bytes),
        Change::Ack { name, reach } => {
            let queue = shard.queue(NAMES[name]);
            let all = model.peek(&Peek { queue: queue.clone(), after: None, limit: usize::MAX });
            txn.ack(&queue, all.get(reach).map_or(Sequence(0), |message| message.sequence))
        }
    })
}

async fn commit(ground: &Ground, model: &mut Model, txn: &Txn) {
    let expected = model.would_commit(txn);
    match ground.store().commit(txn.clone()).await.unwrap() {
        Commit::Committed(committed) => {
            assert!(expected, "committed against the model: {txn:?}");
            model.commit(txn, &committed);
        }
        Commit::Conflict => assert!(!expected, "a conflict against the model: {txn:?}"),
    }
}

async fn rows_agree(ground: &Ground, model: &Model, keys: &[RowKey]) -> StoreTime {
    let loaded = ground.store().load(keys).await.unwrap();
    let rows: Vec<_> = loaded.rows.into_iter().map(|row| row.map(|row| (row.version, row.bytes))).collect();
    assert_eq!(rows, keys.iter().map(|key| model.row(key)).collect::<Vec<_>>());
    loaded.now
}

async fn everything_agrees(ground: &Ground, model: &Model) {
    for (s, name) in (0..3).flat_map(|s| NAMES.map(|name| (shard(s), name))) {
        rows_agree(ground, model, &[s.row(name)]).await;
        let scan = Scan::all(s.index(name), usize::MAX);
        assert_eq!(ground.store().scan(scan.clone()).await.unwrap().entries, model.scan(&scan));
        let peek = Peek { queue: s.queue(name), after: None, limit: usize::MAX };
        assert_eq!(ground.store().peek(peek.clone()).await.unwrap(), model.peek(&peek));
    }
}
