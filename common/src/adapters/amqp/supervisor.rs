//! One connection, kept for ever by a supervisor of its own.
//!
//! ```text
//!   connect ─▶ declare or check the topology ─▶ up: session lent to callers ─▶ broken, spent, blocked > 60 s
//!      ▲                                                                            │
//!      └──────────────── full jitter, 0.2 to 10 s ◀──── close ◀────────────────────┘
//! ```
//!
//! The client library's own recovery stays off: what a connection needs is rebuilt from our data, so there is one way
//! to come up, and it is walked at every start. Whoever waits on a session that breaks gets an error and asks again.

use std::io::ErrorKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use lapin::tcp::{AMQPUriTcpExt as _, AsyncTcpStream, TLSConfig};
use lapin::{Connection, ConnectionProperties, Event};
use rustix::net::{Shutdown, shutdown};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::connection::{Address, Plan, Role, STEP, Session, State, within};
use super::trouble::Trouble;
use super::{observe, verify};
use crate::ports::clock::Clock;
use crate::process::backoff::Backoff;

const HEARTBEAT_S: u16 = 10;
const TCP_TIMEOUT_MS: u64 = 5_000;
const CONNECT: Duration = Duration::from_secs(15);
const CHECK: Duration = Duration::from_secs(30);
const BLOCKED_MAX: Duration = Duration::from_secs(60);
/// A queue whose log the server lost takes everything and confirms nothing, and no error says so.
const UNCONFIRMED: &str = "messages are not confirmed; if that stays so, look for a queue without a leader \
    (rabbitmq-queues quorum_status) and delete it";
/// Between two looks at a connection that says nothing, and at a topology that was wrong.
const LOOK: Duration = Duration::from_secs(1);
/// A connection that lasted this long was a good one: the next wait begins small again.
const LASTING: Duration = Duration::from_secs(10);

pub(super) struct Supervisor {
    pub(super) role: Role,
    pub(super) plan: Arc<Plan>,
    pub(super) state: watch::Sender<State>,
    pub(super) stop: CancellationToken,
}

impl Supervisor {
    pub(super) async fn run(self) {
        let stop = self.stop.clone();
        let mut failures = 0;
        loop {
            failures += 1;
            let lived = stop.run_until_cancelled(self.live(&mut failures)).await;
            let Some(trouble) = lived else { return self.end().await };
            self.end().await;
            observe::lost(self.role.name(), &trouble);
            self.state.send_modify(|state| state.trouble = Some(trouble));
            let wait = Backoff::CONNECTION.wait(failures, &mut rand::rng());
            if stop.run_until_cancelled(self.plan.clock.sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// One connection from its beginning to what ended it. One that lasted takes the failures before it away.
    async fn live(&self, failures: &mut u32) -> Trouble {
        let connection = match self.connect().await {
            Ok(connection) => connection,
            Err(trouble) => return trouble,
        };
        let events = connection.events_listener();
        let session = Arc::new(Session::new(connection));
        if let Err(trouble) = self.check(&session).await {
            close(&*self.plan.clock, &session.connection).await;
            return trouble;
        }
        observe::connected(self.role.name(), &self.address().to_string());
        self.state.send_modify(|state| {
            *state = State { session: Some(session.clone()), trouble: None, blocked: None, lives: state.lives + 1 };
        });
        let begun = self.plan.clock.elapsed();
        let trouble = Watch { supervisor: self, session, doubtful: None }.until_broken(events).await;
        if self.plan.clock.elapsed().saturating_sub(begun) >= LASTING {
            *failures = 0;
        }
        trouble
    }

    /// Takes the session from the callers and ends it.
    async fn end(&self) {
        let mut session = None;
        self.state.send_modify(|state| {
            session = state.session.take();
            state.blocked = None;
        });
        if let Some(session) = session {
            close(&*self.plan.clock, &session.connection).await;
        }
    }

    async fn connect(&self) -> Result<Connection, Trouble> {
        let address = self.address();
        let mut uri = self.plan.uri.clone();
        uri.query.heartbeat = Some(HEARTBEAT_S);
        uri.query.connection_timeout = Some(TCP_TIMEOUT_MS);
        let name = format!("framefleet {}", self.role.name());
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        let socket = Arc::new(Mutex::new(None::<OwnedFd>));
        let kept = socket.clone();
        let runtime = lapin::runtime::default_runtime().map_err(|error| Trouble::connecting(&address, &error))?;
        let clock = self.plan.clock.clone();
        let connecting = Connection::connector(
            uri,
            runtime,
            async move |uri, runtime| {
                let dialled = uri.connect_with_config_async(TLSConfig::default(), &runtime);
                let late = || Err(ErrorKind::TimedOut.into());
                let stream = within(&*clock, STEP, dialled).await.unwrap_or_else(late)?;
                let socket = match &stream {
                    AsyncTcpStream::Plain(plain) => Some(plain.get_ref().as_fd()),
                    AsyncTcpStream::Rustls(tls) => Some(tls.get_ref().0.get_ref().as_fd()),
                    _ => None,
                };
                let socket = socket.and_then(|socket| socket.try_clone_to_owned().ok());
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = socket;
                Ok(stream)
            },
            properties,
        );
        match within(&*self.plan.clock, CONNECT, connecting).await {
            Some(connected) => connected.map_err(|error| Trouble::connecting(&address, &error)),
            None => {
                // Given up on, the client's thread would wait for this server for ever.
                if let Some(socket) = socket.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    let _ = shutdown(socket, Shutdown::Both);
                }
                let why = format!("it did not answer within {} s", CONNECT.as_secs());
                Err(Trouble::Unreachable { at: address.to_string(), why })
            }
        }
    }

    async fn check(&self, session: &Session) -> Result<(), Trouble> {
        let Plan { topology, declare, clock, .. } = &*self.plan;
        let address = self.address();
        let verified = verify::topology(&session.connection, topology, *declare, &address);
        let late = || Trouble::Lost { at: address.to_string(), why: "it does not answer declarations".to_owned() };
        within(&**clock, CHECK, verified).await.unwrap_or_else(|| Err(late()))
    }

    fn address(&self) -> Address {
        Address::of(&self.plan.uri)
    }
}

/// A connection that is up, watched.
struct Watch<'a> {
    supervisor: &'a Supervisor,
    session: Arc<Session>,
    /// When to look at the topology again, if it was wrong.
    doubtful: Option<Duration>,
}

impl Watch<'_> {
    async fn until_broken(mut self, events: impl futures::Stream<Item = Event>) -> Trouble {
        let clock = self.supervisor.plan.clock.clone();
        let session = self.session.clone();
        let mut last = "it was closed".to_owned();
        tokio::pin!(events);
        loop {
            tokio::select! {
                Some(event) = events.next() => self.hear(event, &mut last),
                () = session.doubt.notified() => self.doubtful = Some(clock.elapsed()),
                () = session.spent.cancelled() => return self.lost(UNCONFIRMED),
                () = clock.sleep(LOOK) => {}
            }
            if !session.connection.status().connected() {
                return self.lost(&last);
            }
            if self.doubtful.is_some_and(|due| clock.elapsed() >= due)
                && let Some(broken) = self.look().await
            {
                return broken;
            }
            let blocked = self.supervisor.state.borrow().blocked.clone();
            if let Some((since, reason)) = blocked
                && clock.elapsed().saturating_sub(since) > BLOCKED_MAX
            {
                return Trouble::Blocked { reason, seconds: BLOCKED_MAX.as_secs() };
            }
        }
    }

    fn hear(&self, event: Event, last: &mut String) {
        let role = self.supervisor.role.name();
        match event {
            Event::ConnectionBlocked(reason) => {
                observe::blocked(role, &reason);
                let since = self.supervisor.plan.clock.elapsed();
                self.supervisor.state.send_modify(|state| state.blocked = Some((since, reason)));
            }
            Event::ConnectionUnblocked => {
                observe::unblocked(role);
                self.supervisor.state.send_modify(|state| state.blocked = None);
            }
            // Also what ended a channel, which its owner hears of.
            Event::Error(error) => *last = error.to_string(),
            _ => {}
        }
    }

    /// Looks at the topology again. What is wrong with it is told and looked at until it is right; callers keep the
    /// connection meanwhile, because other queues may be well.
    async fn look(&mut self) -> Option<Trouble> {
        let Supervisor { role, plan, state, .. } = self.supervisor;
        match self.supervisor.check(&self.session).await {
            Ok(()) => {
                self.doubtful = None;
                if state.borrow().trouble.is_some() {
                    observe::topology_right(role.name());
                    state.send_modify(|state| state.trouble = None);
                }
                None
            }
            Err(broken @ Trouble::Lost { .. }) => Some(broken),
            Err(wrong) => {
                self.doubtful = Some(plan.clock.elapsed() + Backoff::CONNECTION.longest);
                if state.borrow().trouble.as_ref() != Some(&wrong) {
                    observe::topology_wrong(role.name(), &wrong);
                    state.send_modify(|state| state.trouble = Some(wrong));
                }
                None
            }
        }
    }

    fn lost(&self, why: &str) -> Trouble {
        Trouble::Lost { at: self.supervisor.address().to_string(), why: why.to_owned() }
    }
}

async fn close(clock: &dyn Clock, connection: &Connection) {
    // A connection that is gone already refuses to be closed.
    let _ = within(clock, STEP, connection.close(200, "OK".into())).await;
}
