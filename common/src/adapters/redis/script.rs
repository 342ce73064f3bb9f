//! The two scripts, what they are told, and what they answer.

use std::collections::HashMap;

use framefleet_model::time::StoreTime;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Script, ScriptInvocation, Value};

use crate::adapters::redis::keys::Keys;
use crate::adapters::redis::values::{self, Answer};
use crate::ports::store::{Commit, Committed, Scan, Scanned, Sequence, Shard, StoreError, Version};
use crate::ports::txn::{Expect, SCORE_MAX, Txn, Write};

/// More entries than any page has; what Lua counts exactly.
const LIMIT_MAX: usize = 1 << 31;

pub(super) struct Scripts {
    keys: Keys,
    commit: Script,
    scan: Script,
}

/// A transaction as the commit script wants it: each key once, and numbers in place of keys.
struct Told {
    keys: Vec<String>,
    numbers: HashMap<String, usize>,
    args: Vec<Vec<u8>>,
}

impl Scripts {
    pub(super) fn new(keys: Keys) -> Self {
        Self { keys, commit: Script::new(include_str!("commit.lua")), scan: Script::new(include_str!("scan.lua")) }
    }

    /// So that the first commit of a connection need not find out that its script is unknown.
    pub(super) async fn load(&self, mut connection: MultiplexedConnection) -> RedisResult<()> {
        self.commit.prepare_invoke().load_async(&mut connection).await?;
        self.scan.prepare_invoke().load_async(&mut connection).await?;
        Ok(())
    }

    /// `news` is what the channel hears of it.
    pub(super) fn commit(&self, txn: &Txn, version: Version, news: &str) -> ScriptInvocation<'_> {
        let keys = &self.keys;
        let mut told = Told::new(keys.counter(txn.shard));
        told.args.extend([keys.channel().into_bytes(), news.into(), txn.expected.len().to_string().into_bytes()]);
        for (row, expect) in &txn.expected {
            told.key(keys.row(row));
            told.args.push(match expect {
                Expect::Absent => Vec::new(),
                Expect::At(version) => values::version_text(*version).into_bytes(),
            });
        }
        txn.writes.iter().for_each(|write| told.write(keys, write, version));
        let mut invocation = self.commit.prepare_invoke();
        invocation.key(told.keys);
        told.args.iter().for_each(|arg| {
            invocation.arg(arg.as_slice());
        });
        invocation
    }

    pub(super) fn scan(&self, scan: &Scan) -> ScriptInvocation<'_> {
        let mut invocation = self.scan.key(self.keys.index(&scan.index));
        invocation.arg(bound(scan.from)).arg(bound(scan.to)).arg(scan.limit.min(LIMIT_MAX));
        if let Some(after) = &scan.after {
            invocation.arg(bound(after.score)).arg(&after.member);
        }
        invocation
    }
}

impl Told {
    fn new(counter: String) -> Self {
        Self { keys: vec![counter], numbers: HashMap::new(), args: Vec::new() }
    }

    fn key(&mut self, key: String) {
        let keys = &mut self.keys;
        let number = *self.numbers.entry(key).or_insert_with_key(|key| {
            keys.push(key.clone());
            keys.len()
        });
        self.args.push(number.to_string().into_bytes());
    }

    fn write(&mut self, keys: &Keys, write: &Write, version: Version) {
        let verb = |told: &mut Self, verb: &str, key: String| {
            told.args.push(verb.into());
            told.key(key);
        };
        match write {
            Write::Put { row, bytes } => {
                verb(self, "put", keys.row(row));
                self.args.push(values::row(version, bytes));
            }
            Write::Delete { row } => verb(self, "delete", keys.row(row)),
            Write::IndexSet { index, member, score } => {
                verb(self, "set", keys.index(index));
                self.args.extend([member.clone().into_bytes(), score.to_string().into_bytes()]);
            }
            Write::IndexRemove { index, member } => {
                verb(self, "remove", keys.index(index));
                self.args.push(member.clone().into_bytes());
            }
            Write::Append { queue, bytes } => {
                verb(self, "append", keys.queue(queue));
                self.args.push(bytes.to_vec());
            }
            Write::Ack { queue, up_to } => match up_to.0.checked_add(1) {
                Some(first_left) => {
                    verb(self, "ack", keys.queue(queue));
                    self.args.push(first_left.to_string().into_bytes());
                }
                None => verb(self, "clear", keys.queue(queue)),
            },
        }
    }
}

/// What the commit script answered.
pub(super) fn committed(answer: Value, version: Version) -> Result<Commit, StoreError> {
    if answer == Value::Int(0) {
        return Ok(Commit::Conflict);
    }
    let mut answer = Answer::of(answer)?;
    let now = answer.time()?;
    let sequences = answer.map(|value| values::integer(value?).map(Sequence)).collect::<Result<_, _>>()?;
    Ok(Commit::Committed(Committed { version, sequences, now }))
}

/// What the scan script answered.
pub(super) fn scanned(answer: Value) -> Result<Scanned, StoreError> {
    let mut answer = Answer::of(answer)?;
    let now: StoreTime = answer.time()?;
    Ok(Scanned { entries: values::entries(answer)?, now })
}

/// What other processes hear of a commit.
pub(super) fn news(shard: Shard, origin: &str) -> String {
    format!("{} {origin}", shard.number())
}

/// A bound of scores. Beyond what a score can be, all bounds mean the same.
fn bound(score: i64) -> i64 {
    score.clamp(-SCORE_MAX - 1, SCORE_MAX + 1)
}
