//! The store of a fleet: one Redis primary, from 6.2 on, found by its address or through sentinels.
//!
//! ```text
//! commit, scan ──▶ one script each ──┐
//! load (MGET), peek (XRANGE) ────────┴▶ a watched connection ──▶ primary ──▶ replicas
//! barrier ──▶ rounds of all who wait ─▶ a watched connection ──▶ WAITAOF, or the next best
//! subscribe ◀── announcer ◀── one listener ◀── the channel that the commit script publishes on
//! ```
//!
//! - A commit is one run of a script: nobody sees half of it. Its version is drawn here at random, so that it is never
//!   given twice even by a server that fell back to an older state.
//! - No request is repeated by the adapter. A commit without an answer is an error, and its outcome unknown.
//! - The time of every answer is the server's.
//! - What is committed survives the server's death as far as the last barrier; see `readiness.rs` for what stands
//!   behind a barrier.

/// One round for all who wait for a barrier.
mod barrier;
/// Others' commits, as heard on the channel.
mod changes;
/// A connection that is watched and made anew.
mod connection;
/// What an error means.
mod fault;
/// How things are named in Redis.
mod keys;
/// Whether this server may be used, and what its barriers are worth.
pub mod readiness;
/// The two scripts.
mod script;
/// What an operator says about the server.
pub mod settings;
/// Rows, messages and entries as Redis keeps them.
mod values;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::{Value, cmd, pipe};
use tokio::task::JoinSet;

use crate::adapters::redis::barrier::Barrier;
use crate::adapters::redis::changes::Hearing;
use crate::adapters::redis::connection::{ANSWER, Link, Maker};
use crate::adapters::redis::keys::Keys;
use crate::adapters::redis::readiness::Readiness;
use crate::adapters::redis::script::Scripts;
use crate::adapters::redis::settings::{RedisSettings, Target};
use crate::adapters::redis::values::Answer;
use crate::ports::changes::{Announcer, Changes};
use crate::ports::clock::Clock;
use crate::ports::store::{
    Commit, Loaded, Message, Peek, RowKey, Scan, Scanned, Sequence, Shard, Store, StoreError, Version,
};
use crate::ports::txn::Txn;
use crate::process::tls;

/// How much longer an answer may take for each write: the largest transactions are more than a slow server does in the
/// usual time, and would be tried for ever.
const WRITE: Duration = Duration::from_micros(250);

pub struct RedisStore {
    settings: RedisSettings,
    keys: Keys,
    scripts: Arc<Scripts>,
    /// By which this process tells its own news and barriers from others'.
    origin: String,
    main: Link,
    barrier: Barrier,
    hearing: Hearing,
    announcer: Arc<Announcer>,
    /// Whatever works in the background ends with the store.
    _tasks: JoinSet<()>,
}

impl RedisStore {
    /// Connects, and tries every kind of write once, so that a missing permission shows here and not halfway through
    /// a transaction. A server that does not answer is `Unavailable`: try again. What only people can mend (a wrong
    /// password, an address that is none) is `Unusable`.
    pub async fn open(settings: RedisSettings, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        tls::install();
        let keys = Keys::new(&settings.prefix)?;
        let scripts = Arc::new(Scripts::new(keys.clone()));
        let maker = Maker { target: Arc::new(Target::of(&settings)?), scripts: scripts.clone(), clock };
        let origin = format!("{:016x}", rand::random::<u64>());
        let announcer = Arc::new(Announcer::default());
        let mut tasks = JoinSet::new();
        let main = Link::start(&maker, &mut tasks).await?;
        let rounds = barrier::Rounds::new(&settings, main.clone(), keys.barrier(&origin));
        let barrier = Barrier::start(rounds, &maker, &mut tasks).await?;
        let listener =
            changes::Listener { channel: keys.channel(), origin: origin.clone(), announcer: announcer.clone() };
        let hearing = listener.start(&maker, &mut tasks).await;
        let store = Self { settings, keys, scripts, origin, main, barrier, hearing, announcer, _tasks: tasks };
        store.try_every_write().await?;
        Ok(store)
    }

    /// Whether this server may be used as it is set up now, and what is behind its barriers.
    pub async fn readiness(&self) -> Result<Readiness, StoreError> {
        let info = self.main.run(ANSWER, |mut c| async move { cmd("INFO").query_async(&mut c).await }).await;
        let info = match info {
            Err(StoreError::Unusable(_)) => String::new(),
            info => info?,
        };
        let guarantee = self.barrier.guarantee(self.settings.replicas).await?;
        let mut readiness = readiness::judge(&readiness::Facts::of(&info), guarantee, self.settings.durability);
        readiness.warnings.extend(self.hearing.warning());
        Ok(readiness)
    }

    /// Deletes whatever a trial left below the settings' prefix: keys of longer prefixes that begin with it and a colon.
    pub async fn erase(self) -> Result<(), StoreError> {
        let below = keys::glob_below(&self.settings.prefix);
        let mut cursor = "0".to_owned();
        loop {
            let mut asked = cmd("SCAN");
            asked.arg(&cursor).arg("MATCH").arg(&below).arg("COUNT").arg(1000);
            let (next, found): (String, Vec<Vec<u8>>) =
                self.main.run(ANSWER, |mut c| async move { asked.query_async(&mut c).await }).await?;
            if !found.is_empty() {
                let mut gone = cmd("UNLINK");
                gone.arg(found);
                let _: i64 = self.main.run(ANSWER, |mut c| async move { gone.query_async(&mut c).await }).await?;
            }
            cursor = next;
            if cursor == "0" {
                return Ok(());
            }
        }
    }

    /// Tells nobody, and leaves nothing behind but a sequence number that nobody has.
    async fn try_every_write(&self) -> Result<(), StoreError> {
        let name = format!("probe-{}", self.origin);
        let g = Shard::GLOBAL;
        let (row, index, queue) = (g.row(&name), g.index(&name), g.queue(&name));
        let txn = Txn::new(g).create(&row, "").index_set(&index, "m", 0).append(&queue, "");
        let txn = txn.ack(&queue, Sequence(0)).ack(&queue, Sequence(u64::MAX)).index_remove(&index, "m").delete(&row);
        self.run(&txn, "").await.map(drop)
    }

    async fn run(&self, txn: &Txn, news: &str) -> Result<Commit, StoreError> {
        let version = Version(rand::random());
        let invocation = self.scripts.commit(txn, version, news);
        let bound = ANSWER + WRITE * u32::try_from(txn.writes.len()).unwrap_or(u32::MAX);
        let answer = self.main.run(bound, |mut c| async move { invocation.invoke_async(&mut c).await }).await?;
        script::committed(answer, version)
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn load(&self, keys: &[RowKey]) -> Result<Loaded, StoreError> {
        // One request a shard: in a cluster each is of one slot, and each is one picture.
        let mut shards: Vec<(Shard, Vec<usize>)> = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            match shards.iter_mut().find(|(shard, _)| *shard == key.shard) {
                Some((_, places)) => places.push(at),
                None => shards.push((key.shard, vec![at])),
            }
        }
        let mut asked = pipe();
        asked.cmd("TIME");
        for (_, places) in &shards {
            asked.cmd("MGET").arg(places.iter().map(|at| self.keys.row(&keys[*at])).collect::<Vec<_>>());
        }
        let answer = self.main.run(ANSWER, |mut c| async move { asked.query_async(&mut c).await }).await?;
        let mut answer = Answer::of(answer)?;
        let now = Answer::of(answer.value()?)?.time()?;
        let mut rows = vec![None; keys.len()];
        for (_, places) in shards {
            let mut found = Answer::of(answer.value()?)?;
            for at in places {
                rows[at] = values::parse_row(found.value()?)?;
            }
        }
        Ok(Loaded { rows, now })
    }

    async fn commit(&self, txn: Txn) -> Result<Commit, StoreError> {
        txn.check()?;
        let commit = self.run(&txn, &script::news(txn.shard, &self.origin)).await?;
        if let Commit::Committed(_) = commit {
            self.announcer.announce(txn.shard);
        }
        Ok(commit)
    }

    async fn scan(&self, scan: Scan) -> Result<Scanned, StoreError> {
        let invocation = self.scripts.scan(&scan);
        let answer = self.main.run(ANSWER, |mut c| async move { invocation.invoke_async(&mut c).await }).await?;
        script::scanned(answer)
    }

    async fn peek(&self, peek: Peek) -> Result<Vec<Message>, StoreError> {
        if peek.limit == 0 {
            return Ok(Vec::new());
        }
        let from = peek.after.map_or_else(|| "-".to_owned(), |after| format!("({}", after.0));
        let mut asked = cmd("XRANGE");
        asked.arg(self.keys.queue(&peek.queue)).arg(from).arg("+");
        asked.arg("COUNT").arg(i64::try_from(peek.limit).unwrap_or(i64::MAX));
        let answer: Value = self.main.run(ANSWER, |mut c| async move { asked.query_async(&mut c).await }).await?;
        Answer::of(answer)?.map(|message| values::parse_message(message?)).collect()
    }

    async fn barrier(&self) -> Result<(), StoreError> {
        self.barrier.pass().await
    }

    fn subscribe(&self) -> Changes {
        self.announcer.subscribe()
    }
}
