//! One compare-and-set transaction: what it expects, then what it writes, in the order given.

use bytes::Bytes;

use crate::ports::store::{IndexKey, QueueKey, RowKey, Sequence, Shard, StoreError, Version};

/// Rows are small; what is large is an object.
pub const ROW_BYTES_MAX: usize = 1 << 20;
pub const NAME_BYTES_MAX: usize = 512;
/// A transaction holds the store up while it is written.
pub const WRITES_MAX: usize = 65_536;
/// Redis keeps scores as doubles: beyond, they lose their last digits.
pub const SCORE_MAX: i64 = (1 << 53) - 1;

/// A transaction under construction. It belongs to one shard; a key of another is refused at its commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Txn {
    pub shard: Shard,
    pub expected: Vec<(RowKey, Expect)>,
    pub writes: Vec<Write>,
}

/// What a row must be at the moment of the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Absent,
    At(Version),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Put {
        row: RowKey,
        bytes: Bytes,
    },
    Delete {
        row: RowKey,
    },
    /// Adds the member, or moves it to the new score.
    IndexSet {
        index: IndexKey,
        member: String,
        score: i64,
    },
    IndexRemove {
        index: IndexKey,
        member: String,
    },
    Append {
        queue: QueueKey,
        bytes: Bytes,
    },
    /// Removes every message up to and with this one.
    Ack {
        queue: QueueKey,
        up_to: Sequence,
    },
}

impl From<Option<Version>> for Expect {
    fn from(version: Option<Version>) -> Self {
        version.map_or(Self::Absent, Self::At)
    }
}

impl From<Version> for Expect {
    fn from(version: Version) -> Self {
        Self::At(version)
    }
}

impl Txn {
    pub fn new(shard: Shard) -> Self {
        Self { shard, expected: Vec::new(), writes: Vec::new() }
    }

    pub fn expect(mut self, row: &RowKey, expect: impl Into<Expect>) -> Self {
        self.expected.push((row.clone(), expect.into()));
        self
    }

    /// Puts a row that must not exist.
    pub fn create(self, row: &RowKey, bytes: impl Into<Bytes>) -> Self {
        self.expect(row, Expect::Absent).put(row, bytes)
    }

    /// Puts a row that must still be at the version that was loaded.
    pub fn replace(self, row: &RowKey, loaded: Version, bytes: impl Into<Bytes>) -> Self {
        self.expect(row, Expect::At(loaded)).put(row, bytes)
    }

    /// Puts a row whatever it was.
    pub fn put(self, row: &RowKey, bytes: impl Into<Bytes>) -> Self {
        self.write(Write::Put { row: row.clone(), bytes: bytes.into() })
    }

    pub fn delete(self, row: &RowKey) -> Self {
        self.write(Write::Delete { row: row.clone() })
    }

    pub fn index_set(self, index: &IndexKey, member: impl Into<String>, score: i64) -> Self {
        self.write(Write::IndexSet { index: index.clone(), member: member.into(), score })
    }

    pub fn index_remove(self, index: &IndexKey, member: impl Into<String>) -> Self {
        self.write(Write::IndexRemove { index: index.clone(), member: member.into() })
    }

    pub fn append(self, queue: &QueueKey, bytes: impl Into<Bytes>) -> Self {
        self.write(Write::Append { queue: queue.clone(), bytes: bytes.into() })
    }

    pub fn ack(self, queue: &QueueKey, up_to: Sequence) -> Self {
        self.write(Write::Ack { queue: queue.clone(), up_to })
    }

    fn write(mut self, write: Write) -> Self {
        self.writes.push(write);
        self
    }

    /// Every adapter asks this before it touches anything, so that a slip fails alike on all of them.
    pub fn check(&self) -> Result<(), StoreError> {
        if self.writes.len() > WRITES_MAX {
            return Err(StoreError::Refused(format!("{} writes, {WRITES_MAX} at most", self.writes.len())));
        }
        for (row, _) in &self.expected {
            self.check_name(row.shard, &row.name)?;
        }
        self.writes.iter().try_for_each(|write| self.check_write(write))
    }

    fn check_write(&self, write: &Write) -> Result<(), StoreError> {
        match write {
            Write::Put { row, bytes } => self.check_name(row.shard, &row.name).and_then(|()| check_bytes(bytes)),
            Write::Delete { row } => self.check_name(row.shard, &row.name),
            Write::IndexSet { index, member, score } => {
                self.check_name(index.shard, &index.name)?;
                check_member(member)?;
                check_score(*score)
            }
            Write::IndexRemove { index, member } => {
                self.check_name(index.shard, &index.name)?;
                check_member(member)
            }
            Write::Append { queue, bytes } => {
                self.check_name(queue.shard, &queue.name).and_then(|()| check_bytes(bytes))
            }
            Write::Ack { queue, .. } => self.check_name(queue.shard, &queue.name),
        }
    }

    fn check_name(&self, shard: Shard, name: &str) -> Result<(), StoreError> {
        if shard != self.shard {
            return Err(StoreError::Refused(format!("{name:?} is of shard {shard}, the rest of {}", self.shard)));
        }
        check_member(name)
    }
}

fn check_member(name: &str) -> Result<(), StoreError> {
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return Err(StoreError::Refused(format!("a name of {} bytes, 1 to {NAME_BYTES_MAX} allowed", name.len())));
    }
    Ok(())
}

fn check_bytes(bytes: &Bytes) -> Result<(), StoreError> {
    if bytes.len() > ROW_BYTES_MAX {
        return Err(StoreError::Refused(format!("a value of {} bytes, {ROW_BYTES_MAX} at most", bytes.len())));
    }
    Ok(())
}

fn check_score(score: i64) -> Result<(), StoreError> {
    if score.unsigned_abs() > SCORE_MAX.unsigned_abs() {
        return Err(StoreError::Refused(format!("the score {score}, {SCORE_MAX} at most either way")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(n: usize) -> Shard {
        Shard::all().nth(n).unwrap()
    }

    #[test]
    fn a_transaction_across_shards_is_refused() {
        let txn = Txn::new(shard(1)).create(&shard(1).row("a"), "x").append(&shard(2).queue("b"), "y");
        let Err(StoreError::Refused(why)) = txn.check() else { panic!("accepted") };
        assert_eq!(why, "\"b\" is of shard s02, the rest of s01");
    }

    #[test]
    fn what_redis_could_not_hold_is_refused_everywhere() {
        let s = shard(0);
        let refused = |txn: Txn| assert!(matches!(txn.check(), Err(StoreError::Refused(_))), "{txn:?}");
        refused(Txn::new(s).index_set(&s.index("i"), "m", SCORE_MAX + 1));
        refused(Txn::new(s).index_set(&s.index("i"), "m", i64::MIN));
        refused(Txn::new(s).put(&s.row(""), "x"));
        refused(Txn::new(s).put(&s.row("n".repeat(NAME_BYTES_MAX + 1)), "x"));
        refused(Txn::new(s).put(&s.row("n"), vec![0; ROW_BYTES_MAX + 1]));
        assert_eq!(Txn::new(s).index_set(&s.index("i"), "m", -SCORE_MAX).check(), Ok(()));
    }
}
