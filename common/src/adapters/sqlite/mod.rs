//! The embedded store: one SQLite file in a state folder that one process owns.
//!
//! ```text
//! commit ──▶ bounded queue ──▶ writer thread: BEGIN · every waiting transaction · COMMIT (one fsync) ──▶ answers
//! load, scan, peek ──▶ reading connection (WAL: neither waits for the other)
//! ```
//!
//! A commit is answered after the fsync, so what is committed is durable. Transactions of a batch see each other in
//! order and each keeps its own answer: its expectations are checked before its first write, and an error of the
//! disk rolls the whole batch back.

mod folder;
mod schema;
mod tables;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use rusqlite::Connection;

use crate::adapters::clock::EmbeddedTime;
use crate::adapters::sqlite::folder::Folder;
use crate::adapters::sqlite::writer::Writer;
use crate::ports::changes::{Announcer, Changes};
use crate::ports::clock::Clock;
use crate::ports::store::{Commit, Loaded, Message, Peek, RowKey, Scan, Scanned, Store, StoreError};
use crate::ports::txn::Txn;

pub struct SqliteStore {
    // Dropped in this order: the writer ends, then the reader closes, then the folder is free.
    writer: Writer,
    reader: Arc<Mutex<Connection>>,
    _folder: Folder,
    shared: Arc<Shared>,
}

/// What reads and writes have in common.
struct Shared {
    time: EmbeddedTime,
    announcer: Announcer,
}

impl SqliteStore {
    /// Opens the state in `folder`, making both if need be. Dropping the store closes it; so does any death.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let folder = Folder::take(folder)?;
        let write = schema::open(&folder.database())?;
        let reader = schema::reader(&folder.database())?;
        let shared = Arc::new(Shared { time: EmbeddedTime::open(clock), announcer: Announcer::default() });
        let writer = Writer::start(write, shared.clone())?;
        Ok(Self { writer, reader: Arc::new(Mutex::new(reader)), _folder: folder, shared })
    }

    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reader = self.reader.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let connection = reader.lock().unwrap_or_else(PoisonError::into_inner);
            // One transaction: one picture of the store, however many statements.
            let transaction = connection.unchecked_transaction()?;
            query(&transaction)
        });
        match reading.await {
            Ok(answer) => answer.map_err(schema::error),
            Err(panic) => Err(StoreError::Unavailable(format!("a read ended early: {panic}"))),
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self, keys: &[RowKey]) -> Result<Loaded, StoreError> {
        if keys.is_empty() {
            return Ok(Loaded { rows: Vec::new(), now: self.shared.time.now() });
        }
        let keys = keys.to_vec();
        let rows = self.read(move |db| keys.iter().map(|key| tables::row(db, key)).collect()).await?;
        Ok(Loaded { rows, now: self.shared.time.now() })
    }

    async fn commit(&self, txn: Txn) -> Result<Commit, StoreError> {
        txn.check()?;
        self.writer.commit(txn).await
    }

    async fn scan(&self, scan: Scan) -> Result<Scanned, StoreError> {
        let entries = self.read(move |db| tables::scan(db, &scan)).await?;
        Ok(Scanned { entries, now: self.shared.time.now() })
    }

    async fn peek(&self, peek: Peek) -> Result<Vec<Message>, StoreError> {
        self.read(move |db| tables::peek(db, &peek)).await
    }

    async fn barrier(&self) -> Result<(), StoreError> {
        self.writer.barrier().await
    }

    fn subscribe(&self) -> Changes {
        self.shared.announcer.subscribe()
    }
}
