//! The port's verbs as statements.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::ports::store::{Entry, Message, Peek, Row, RowKey, Scan, Sequence, Shard, Version};
use crate::ports::txn::{Expect, Write};

pub(crate) fn row(db: &Connection, key: &RowKey) -> rusqlite::Result<Option<Row>> {
    db.prepare_cached("SELECT version, bytes FROM rows WHERE shard = ?1 AND name = ?2")?
        .query_row(params![number(key.shard), key.name], |row| {
            Ok(Row { version: version(row)?, bytes: row.get::<_, Vec<u8>>(1)?.into() })
        })
        .optional()
}

pub(crate) fn scan(db: &Connection, scan: &Scan) -> rusqlite::Result<Vec<Entry>> {
    // Every member has at least one byte: beyond (score, "") lies all of that score.
    let from = Entry { score: scan.from, member: String::new() };
    let start = scan.after.as_ref().map_or(&from, |after| after.max(&from));
    db.prepare_cached(
        "SELECT score, member FROM entries
         WHERE shard = ?1 AND name = ?2 AND (score, member) > (?3, ?4) AND score <= ?5
         ORDER BY score, member LIMIT ?6",
    )?
    .query_map(
        params![number(scan.index.shard), scan.index.name, start.score, start.member, scan.to, count(scan.limit)],
        |row| Ok(Entry { score: row.get(0)?, member: row.get(1)? }),
    )?
    .collect()
}

pub(crate) fn peek(db: &Connection, peek: &Peek) -> rusqlite::Result<Vec<Message>> {
    let after = peek.after.map_or(0, |sequence| signed(sequence.0));
    db.prepare_cached(
        "SELECT sequence, bytes FROM messages
         WHERE shard = ?1 AND name = ?2 AND sequence > ?3 ORDER BY sequence LIMIT ?4",
    )?
    .query_map(params![number(peek.queue.shard), peek.queue.name, after, count(peek.limit)], |row| {
        Ok(Message {
            sequence: Sequence(row.get::<_, i64>(0)?.cast_unsigned()),
            bytes: row.get::<_, Vec<u8>>(1)?.into(),
        })
    })?
    .collect()
}

pub(crate) fn stands(db: &Connection, key: &RowKey, expect: Expect) -> rusqlite::Result<bool> {
    let found = db
        .prepare_cached("SELECT version FROM rows WHERE shard = ?1 AND name = ?2")?
        .query_row(params![number(key.shard), key.name], version)
        .optional()?;
    Ok(Expect::from(found) == expect)
}

/// Does one write. `stamp` is the version of a row put, or the sequence number of a message appended.
pub(crate) fn write(db: &Connection, write: &Write, stamp: u64) -> rusqlite::Result<usize> {
    match write {
        Write::Put { row, bytes } => db
            .prepare_cached(
                "INSERT INTO rows (shard, name, version, bytes) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (shard, name) DO UPDATE SET version = excluded.version, bytes = excluded.bytes",
            )?
            .execute(params![number(row.shard), row.name, signed(stamp), &bytes[..]]),
        Write::Delete { row } => db
            .prepare_cached("DELETE FROM rows WHERE shard = ?1 AND name = ?2")?
            .execute(params![number(row.shard), row.name]),
        Write::IndexSet { index, member, score } => db
            .prepare_cached(
                "INSERT INTO entries (shard, name, member, score) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (shard, name, member) DO UPDATE SET score = excluded.score",
            )?
            .execute(params![number(index.shard), index.name, member, score]),
        Write::IndexRemove { index, member } => db
            .prepare_cached("DELETE FROM entries WHERE shard = ?1 AND name = ?2 AND member = ?3")?
            .execute(params![number(index.shard), index.name, member]),
        Write::Append { queue, bytes } => db
            .prepare_cached("INSERT INTO messages (sequence, shard, name, bytes) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![signed(stamp), number(queue.shard), queue.name, &bytes[..]]),
        Write::Ack { queue, up_to } => db
            .prepare_cached("DELETE FROM messages WHERE shard = ?1 AND name = ?2 AND sequence <= ?3")?
            .execute(params![number(queue.shard), queue.name, signed(up_to.0)]),
    }
}

/// The last number given as a version or as a sequence number.
pub(crate) fn counter(db: &Connection) -> rusqlite::Result<u64> {
    db.query_row("SELECT value FROM counter", [], |row| row.get(0).map(i64::cast_unsigned))
}

pub(crate) fn keep_counter(db: &Connection, counter: u64) -> rusqlite::Result<usize> {
    db.prepare_cached("UPDATE counter SET value = ?1")?.execute([signed(counter)])
}

fn version(row: &rusqlite::Row<'_>) -> rusqlite::Result<Version> {
    Ok(Version(row.get::<_, i64>("version")?.cast_unsigned()))
}

fn number(shard: Shard) -> i64 {
    i64::from(shard.number())
}

/// SQLite knows no numbers beyond; the counter does not get there.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
