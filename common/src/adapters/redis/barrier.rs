//! Barriers: one round for all who wait, on a connection of its own.
//!
//! ```text
//! behind what this process sent ─▶ what holds here? ─▶ write a fact ─▶ WAITAOF 1 R                  (Redis 7.2 on)
//!                                                                  ├▶ WAIT R          (appendfsync always)
//!                                                                  └▶ WAIT R, await its fsync, read it   (else)
//! ```
//!
//! Under `appendfsync everysec` a server that is busy writing to disk keeps what it answered in its memory for up to
//! two seconds more, so that it is lost even if only the process dies. Hence the last way: once no fsync is pending,
//! the next turn of the server hands over what it has kept back; within a second it begins to sync that; and once
//! nothing is pending after that, it is on disk.
//!
//! A barrier speaks of the server as it is. Whether a failover took a commit away before the barrier began, it cannot
//! tell: whoever must know loads the row once more behind the barrier, and finds the version that was committed or not.
//!
//! A round that began before a caller came is none of its: the caller waits for the next. The fact and the wait go
//! over one connection, because a server waits only for what the asking connection wrote.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisResult, Value, cmd, pipe};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::adapters::redis::connection::{ANSWER, Link, Live, Maker};
use crate::adapters::redis::readiness::{Facts, Guarantee};
use crate::adapters::redis::settings::{Durability, RedisSettings};
use crate::ports::clock::Clock;
use crate::ports::store::StoreError;

/// How long the server may wait for its disk and its replicas.
const WAIT_MS: u64 = 2000;
/// An answer that the server may hold back for so long.
const WAITED: Duration = Duration::from_millis(WAIT_MS + 3000);
/// Within this `appendfsync everysec` begins to sync what was written: its interval of a second, and one to spare.
const FSYNC_BEGUN: Duration = Duration::from_secs(2);
/// Between two looks at whether an fsync is still pending, and how often one looks.
const FSYNC_LOOK: Duration = Duration::from_millis(250);
const FSYNC_LOOKS_MAX: usize = 24;
/// A caller gives up then, whatever the rounds do.
const PATIENCE: Duration = Duration::from_secs(30);
const CALLERS_WAITING_MAX: usize = 1024;
/// A fact is of no use for longer; a process that is gone leaves none for ever.
const FACT_MS: u64 = 3_600_000;

type Caller = oneshot::Sender<Result<(), StoreError>>;

pub(super) struct Barrier {
    callers: mpsc::Sender<Caller>,
    link: Link,
}

/// What a round needs to know.
pub(super) struct Rounds {
    main: Link,
    fact: String,
    count: u64,
    replicas: u8,
    durability: Durability,
}

impl Barrier {
    pub(super) async fn start(rounds: Rounds, maker: &Maker, tasks: &mut JoinSet<()>) -> Result<Self, StoreError> {
        let link = Link::start(maker, tasks).await?;
        let (callers, waiting) = mpsc::channel(CALLERS_WAITING_MAX);
        tasks.spawn(rounds.serve(link.clone(), maker.clock.clone(), waiting));
        Ok(Self { callers, link })
    }

    pub(super) async fn pass(&self) -> Result<(), StoreError> {
        let round = async {
            let (caller, outcome) = oneshot::channel();
            self.callers.send(caller).await.ok()?;
            outcome.await.ok()
        };
        match timeout(PATIENCE, round).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => Err(StoreError::Unavailable("the store is closed".into())),
            Err(_) => Err(StoreError::Unavailable(format!("no barrier within {} s", PATIENCE.as_secs()))),
        }
    }

    pub(super) async fn guarantee(&self, replicas: u8) -> Result<Guarantee, StoreError> {
        guarantee(&*self.link.live().await?, replicas).await
    }
}

impl Rounds {
    pub(super) fn new(settings: &RedisSettings, main: Link, fact: String) -> Self {
        Self { main, fact, count: 0, replicas: settings.replicas, durability: settings.durability }
    }

    async fn serve(mut self, link: Link, clock: Arc<dyn Clock>, mut waiting: mpsc::Receiver<Caller>) {
        while let Some(first) = waiting.recv().await {
            let mut callers = vec![first];
            while let Ok(next) = waiting.try_recv() {
                callers.push(next);
            }
            let outcome = self.round(&link, &*clock).await;
            for caller in callers {
                // One that gave up needs no answer.
                let _ = caller.send(outcome.clone());
            }
        }
    }

    async fn round(&mut self, link: &Link, clock: &dyn Clock) -> Result<(), StoreError> {
        // Answers come in the order of requests: behind this one, whatever was sent has happened.
        self.main.run(ANSWER, |mut c| async move { cmd("PING").exec_async(&mut c).await }).await?;
        let live = link.live().await?;
        match guarantee(&live, self.replicas).await? {
            Guarantee::WaitAof { .. } => self.wait_aof(&live).await,
            Guarantee::FsyncAlways { .. } => self.wait(&live).await,
            Guarantee::FsyncWait { .. } | Guarantee::Unknown { .. } => {
                self.wait(&live).await?;
                idle(&live, clock).await?;
                clock.sleep(FSYNC_BEGUN).await;
                idle(&live, clock).await?;
                self.read(&live).await
            }
            Guarantee::Nothing { .. } if self.durability == Durability::Waived => self.wait(&live).await,
            Guarantee::Nothing { .. } => Err(StoreError::Unavailable(
                "the server keeps nothing on disk, so nothing can be promised: set appendonly yes".into(),
            )),
        }
    }

    async fn wait_aof(&mut self, live: &Live) -> Result<(), StoreError> {
        let mut asked = self.write();
        asked.cmd("WAITAOF").arg(1).arg(self.replicas).arg(WAIT_MS);
        let ((local, replicas),): ((u64, u64),) =
            live.run(WAITED, |mut c| async move { asked.query_async(&mut c).await }).await?;
        if local == 0 {
            return Err(StoreError::Unavailable(format!("the server's disk did not follow within {WAIT_MS} ms")));
        }
        self.enough(replicas)
    }

    async fn wait(&mut self, live: &Live) -> Result<(), StoreError> {
        let mut asked = self.write();
        asked.cmd("WAIT").arg(self.replicas).arg(WAIT_MS);
        let (replicas,): (u64,) = live.run(WAITED, |mut c| async move { asked.query_async(&mut c).await }).await?;
        self.enough(replicas)
    }

    async fn read(&self, live: &Live) -> Result<(), StoreError> {
        let mut asked = cmd("GET");
        asked.arg(&self.fact);
        let found: Option<u64> = live.run(ANSWER, |mut c| async move { asked.query_async(&mut c).await }).await?;
        if found == Some(self.count) {
            return Ok(());
        }
        Err(StoreError::Unavailable("the server lost what was just written: load again".into()))
    }

    fn write(&mut self) -> redis::Pipeline {
        self.count += 1;
        let mut asked = pipe();
        asked.cmd("SET").arg(&self.fact).arg(self.count).arg("PX").arg(FACT_MS).ignore();
        asked
    }

    fn enough(&self, replicas: u64) -> Result<(), StoreError> {
        if replicas >= self.replicas.into() {
            return Ok(());
        }
        let wanted = self.replicas;
        Err(StoreError::Unavailable(format!("{replicas} of {wanted} replicas have it after {WAIT_MS} ms")))
    }
}

/// Waits until the server syncs nothing to disk. One that does not tell is taken to be done.
async fn idle(live: &Live, clock: &dyn Clock) -> Result<(), StoreError> {
    for _ in 0..FSYNC_LOOKS_MAX {
        let (_, info, _) = live.run(ANSWER, ask).await?;
        if !facts(info).syncs() {
            return Ok(());
        }
        clock.sleep(FSYNC_LOOK).await;
    }
    Err(StoreError::Unavailable("the server's disk does not keep up: its append-only file waits for it".into()))
}

/// What the server can promise, asked each time: its settings can be changed while it runs.
async fn guarantee(live: &Live, replicas: u8) -> Result<Guarantee, StoreError> {
    let (waits, info, fsync) = live.run(ANSWER, ask).await?;
    let always = pair_of(fsync).is_some_and(|(_, value)| value == "always");
    Ok(match facts(info).keeps_on_disk() {
        Some(false) => Guarantee::Nothing { replicas },
        _ if waits.is_ok() => Guarantee::WaitAof { replicas },
        Some(true) if always => Guarantee::FsyncAlways { replicas },
        Some(true) => Guarantee::FsyncWait { replicas },
        None => Guarantee::Unknown { replicas },
    })
}

fn facts(info: RedisResult<Value>) -> Facts {
    let text: Option<String> = info.ok().and_then(|text| redis::from_redis_value(text).ok());
    Facts::of(&text.unwrap_or_default())
}

fn pair_of(answer: RedisResult<Value>) -> Option<(String, String)> {
    redis::from_redis_value(answer.ok()?).ok()
}

type Asked = (RedisResult<Value>, RedisResult<Value>, RedisResult<Value>);

/// Any of the three may be refused or unknown to the server.
async fn ask(mut connection: MultiplexedConnection) -> RedisResult<Asked> {
    let mut asked = pipe();
    asked.cmd("WAITAOF").arg(0).arg(0).arg(0);
    asked.cmd("INFO").arg("persistence");
    asked.cmd("CONFIG").arg("GET").arg("appendfsync");
    asked.ignore_errors();
    asked.query_async(&mut connection).await
}
