//! A connection that is watched and, when it is lost, made anew.
//!
//! ```text
//!               ┌── up: requests, each with a deadline ◀──┐
//! connect ──────┤                                         │ connect, wait (full jitter, 0.2 … 10 s), connect …
//!               └── lost ──▶ down: requests are refused ──┘
//! ```
//!
//! Lost is a connection that is broken, one that left three requests in a row without an answer (a peer that is gone
//! without a word breaks nothing), and one whose server says that it is no primary or is still loading. Where there
//! are sentinels, they are asked again each time. No request is ever repeated here: whether it happened is unknown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand::rng;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult, Value};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::adapters::redis::fault;
use crate::adapters::redis::script::Scripts;
use crate::adapters::redis::settings::Target;
use crate::ports::clock::Clock;
use crate::ports::store::StoreError;
use crate::process::backoff::Backoff;

/// How long an answer may take.
pub(super) const ANSWER: Duration = Duration::from_secs(3);
/// How long a connection may take: names, TCP, TLS and greeting together.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How often a connection that may be idle is asked for a sign of life.
pub(super) const WATCH: Duration = Duration::from_secs(5);
/// How long a request waits for a connection that is being made.
const DOWN_WAIT: Duration = Duration::from_secs(1);
const MISSED_MAX: u32 = 3;
/// A connection that lived this long was no failure.
const LIVED: Duration = Duration::from_secs(10);
const REQUESTS_WAITING_MAX: usize = 1024;

/// A connection to the primary, whichever it is at the moment.
#[derive(Clone)]
pub(super) struct Link {
    state: watch::Receiver<State>,
}

#[derive(Clone)]
enum State {
    Up(Arc<Live>),
    Down(StoreError),
}

/// One connection, for as long as it lives.
pub(super) struct Live {
    connection: MultiplexedConnection,
    /// Requests in a row that had no answer.
    missed: AtomicU32,
    /// Why it must be given up.
    lost: watch::Sender<Option<StoreError>>,
}

/// What makes connections.
#[derive(Clone)]
pub(super) struct Maker {
    pub(super) target: Arc<Target>,
    pub(super) scripts: Arc<Scripts>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Link {
    /// Connects once, and from then on keeps connected for as long as `tasks` lives.
    pub(super) async fn start(maker: &Maker, tasks: &mut JoinSet<()>) -> Result<Self, StoreError> {
        let first = Arc::new(maker.connect().await?);
        let (sender, state) = watch::channel(State::Up(first.clone()));
        tasks.spawn(maker.clone().keep(first, sender));
        Ok(Self { state })
    }

    /// The connection that stands now. Refuses soon if there is none.
    pub(super) async fn live(&self) -> Result<Arc<Live>, StoreError> {
        if let State::Up(live) = &*self.state.borrow() {
            return Ok(live.clone());
        }
        let mut state = self.state.clone();
        // What it ends with is told by the state itself.
        let _ = timeout(DOWN_WAIT, state.wait_for(|state| matches!(state, State::Up(_)))).await;
        match &*self.state.borrow() {
            State::Up(live) => Ok(live.clone()),
            State::Down(why) => Err(why.clone()),
        }
    }

    /// One request. Polled once, it is on its way: a task's budget is no reason to hold it back.
    pub(super) async fn run<T, Asked>(
        &self,
        bound: Duration,
        ask: impl FnOnce(MultiplexedConnection) -> Asked,
    ) -> Result<T, StoreError>
    where
        Asked: Future<Output = RedisResult<T>>,
    {
        tokio::task::unconstrained(async { self.live().await?.run(bound, ask).await }).await
    }
}

impl Live {
    pub(super) async fn run<T, Asked>(
        &self,
        bound: Duration,
        ask: impl FnOnce(MultiplexedConnection) -> Asked,
    ) -> Result<T, StoreError>
    where
        Asked: Future<Output = RedisResult<T>>,
    {
        let Ok(answer) = timeout(bound, ask(self.connection.clone())).await else {
            let silence = StoreError::Unavailable(format!("no answer within {} s", bound.as_secs()));
            if self.missed.fetch_add(1, Ordering::Relaxed) + 1 >= MISSED_MAX {
                self.lose(silence.clone());
            }
            return Err(silence);
        };
        self.missed.store(0, Ordering::Relaxed);
        answer.map_err(|error| {
            let meant = fault::store_error(&error);
            if fault::ends_connection(&error) {
                self.lose(meant.clone());
            }
            meant
        })
    }

    fn lose(&self, why: StoreError) {
        self.lost.send_if_modified(|lost| lost.is_none() && lost.replace(why).is_none());
    }

    /// Waits for the end of the connection, looking after it meanwhile.
    async fn end(&self, clock: &dyn Clock) -> StoreError {
        loop {
            tokio::select! {
                why = self.lost() => return why,
                // What is wrong with it is told by `lost`.
                () = clock.sleep(WATCH) => drop(self.run(ANSWER, primary).await),
            }
        }
    }

    async fn lost(&self) -> StoreError {
        let mut lost = self.lost.subscribe();
        let why = lost.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        why.unwrap_or_else(|| StoreError::Unavailable("the connection is closed".into()))
    }
}

impl Maker {
    /// One connection to a primary, with the scripts in place.
    async fn connect(&self) -> Result<Live, StoreError> {
        let target = self.within(self.target.client()).await?;
        let config = AsyncConnectionConfig::new()
            // Deadlines are ours, so that what missed one is counted.
            .set_response_timeout(None)
            .set_connection_timeout(Some(CONNECT))
            .set_pipeline_buffer_size(REQUESTS_WAITING_MAX);
        let connection = self.within(target.get_multiplexed_async_connection_with_config(&config)).await?;
        self.within(primary(connection.clone())).await?;
        self.within(self.scripts.load(connection.clone())).await?;
        Ok(Live { connection, missed: AtomicU32::new(0), lost: watch::Sender::new(None) })
    }

    /// A step of connecting, with its deadline, and with the place in its error.
    pub(super) async fn within<T>(&self, step: impl Future<Output = RedisResult<T>>) -> Result<T, StoreError> {
        let place = self.target.place();
        let Ok(answer) = timeout(CONNECT, step).await else {
            return Err(StoreError::Unavailable(format!("{place}: no answer within {} s", CONNECT.as_secs())));
        };
        answer.map_err(|error| match fault::store_error(&error) {
            StoreError::Unavailable(why) => StoreError::Unavailable(format!("{place}: {why}")),
            StoreError::Unusable(why) => StoreError::Unusable(format!("{place}: {why}")),
            other => other,
        })
    }

    /// Between two tries.
    pub(super) async fn pause(&self, failures: u32) {
        let wait = Backoff::CONNECTION.wait(failures, &mut rng());
        self.clock.sleep(wait).await;
    }

    async fn keep(self, first: Arc<Live>, state: watch::Sender<State>) {
        let (mut live, mut failures) = (first, 0);
        loop {
            let since = self.clock.elapsed();
            let mut why = live.end(&*self.clock).await;
            if self.clock.elapsed().saturating_sub(since) >= LIVED {
                failures = 0;
            }
            live = loop {
                state.send_replace(State::Down(why));
                self.pause(failures).await;
                failures = failures.saturating_add(1);
                match self.connect().await {
                    Ok(live) => break Arc::new(live),
                    Err(error) => why = error,
                }
            };
            state.send_replace(State::Up(live.clone()));
        }
    }
}

/// An error unless the server is a primary; one that does not say is taken for one.
async fn primary(mut connection: MultiplexedConnection) -> RedisResult<()> {
    let role: Value = match redis::cmd("ROLE").query_async(&mut connection).await {
        Err(error) if !fault::ends_connection(&error) && error.code() == Some("NOPERM") => return Ok(()),
        answer => answer?,
    };
    let replica = matches!(&role, Value::Array(parts)
        if matches!(parts.first(), Some(Value::BulkString(name)) if name.as_slice() == b"slave"));
    if replica {
        let text = "READONLY".to_owned();
        return Err(redis::make_extension_error(text, Some("this server is a replica, the primary is wanted".into())));
    }
    Ok(())
}
