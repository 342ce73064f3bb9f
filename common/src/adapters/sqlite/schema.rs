//! The file as it is on disk, how it is opened, and what SQLite's errors mean.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::ports::store::StoreError;

/// `PRAGMA user_version` of the tables below.
const VERSION: i64 = 1;
/// `PRAGMA application_id`, "FFLT": so that nobody else's database is taken for ours.
const APPLICATION: i64 = 0x4646_4c54;
/// How long a connection waits for the other: only while the log is recovered.
const BUSY: Duration = Duration::from_secs(5);
/// What the write-ahead log shrinks back to after a burst.
const LOG_BYTES_MAX: u32 = 64 << 20;
/// Statements kept ready: all that we have.
const STATEMENTS: usize = 16;

const TABLES: &str = "
    CREATE TABLE counter (value INTEGER NOT NULL);
    INSERT INTO counter VALUES (0);
    CREATE TABLE rows (
        shard INTEGER NOT NULL, name TEXT NOT NULL, version INTEGER NOT NULL, bytes BLOB NOT NULL,
        UNIQUE (shard, name));
    CREATE TABLE entries (
        shard INTEGER NOT NULL, name TEXT NOT NULL, member TEXT NOT NULL, score INTEGER NOT NULL,
        PRIMARY KEY (shard, name, member)) WITHOUT ROWID;
    CREATE INDEX entries_by_score ON entries (shard, name, score, member);
    CREATE TABLE messages (
        sequence INTEGER PRIMARY KEY, shard INTEGER NOT NULL, name TEXT NOT NULL, bytes BLOB NOT NULL);
    CREATE INDEX messages_by_queue ON messages (shard, name);
";

/// The writing connection, on a database that has our tables.
pub(crate) fn open(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(error)?;
    prepare(&connection).map_err(error)?;
    let application = pragma(&connection, "application_id")?;
    let version = pragma(&connection, "user_version")?;
    if (application, version) == (0, 0) {
        create(&mut connection, file)?;
    } else if application != APPLICATION {
        return Err(StoreError::Unusable(format!("{} is a database of something else", file.display())));
    } else if version != VERSION {
        return Err(StoreError::Schema { found: version, known: VERSION });
    }
    Ok(connection)
}

/// A reading connection beside it.
pub(crate) fn reader(file: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(error)?;
    connection.busy_timeout(BUSY).map_err(error)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// SQLite's error by its meaning for a caller.
pub(crate) fn error(error: rusqlite::Error) -> StoreError {
    let text = error.to_string();
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => StoreError::Full(text),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(text),
            _ => StoreError::Unavailable(text),
        },
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..) => StoreError::Corrupt(text),
        _ => StoreError::Unavailable(text),
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)
}

fn create(connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(error)?;
    if tables != 0 {
        return Err(StoreError::Unusable(format!("{} is a database of something else", file.display())));
    }
    make_tables(connection).map_err(error)
}

fn make_tables(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

fn pragma(connection: &Connection, name: &str) -> Result<i64, StoreError> {
    connection.pragma_query_value(None, name, |row| row.get(0)).map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_another_schema_is_refused_with_both_versions() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("state.db");
        open(&file).unwrap().pragma_update(None, "user_version", 7).unwrap();
        assert_eq!(open(&file).err(), Some(StoreError::Schema { found: 7, known: VERSION }));
    }

    #[test]
    fn a_database_of_somebody_else_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("state.db");
        Connection::open(&file).unwrap().execute_batch("CREATE TABLE photos (id)").unwrap();
        assert!(matches!(open(&file), Err(StoreError::Unusable(_))));
        std::fs::write(&file, "this is no database, whatever its name says, and it is long enough to tell").unwrap();
        assert!(matches!(open(&file), Err(StoreError::Corrupt(_))));
    }
}
