//! A caller's side of a connection: sessions lent while it is up, and why there is none while it is not.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::uri::AMQPUri;
use lapin::{Channel, Connection};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::supervisor::Supervisor;
use super::topology::Topology;
use super::trouble::Trouble;
use super::verify::Declare;
use crate::ports::broker::BrokerError;
use crate::ports::clock::Clock;

/// For one exchange of messages with the server. Dead peers are found by heartbeats after 20 s.
pub(super) const STEP: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Publish,
    Consume,
}

/// Where the server is, without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) vhost: String,
}

/// What every connection of a broker is made from.
pub(super) struct Plan {
    pub(super) uri: AMQPUri,
    pub(super) topology: Topology,
    pub(super) declare: Declare,
    pub(super) clock: Arc<dyn Clock>,
}

/// A caller's side of a connection.
pub(super) struct Link {
    state: watch::Receiver<State>,
    stop: CancellationToken,
    supervisor: Mutex<Option<AbortOnDropHandle<()>>>,
    aside: Mutex<JoinSet<()>>,
    runtime: Handle,
    pub(super) clock: Arc<dyn Clock>,
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) session: Option<Arc<Session>>,
    pub(super) trouble: Option<Trouble>,
    /// Since when, by the clock, and why the server takes no messages.
    pub(super) blocked: Option<(Duration, String)>,
    /// How many connections there were, this one too.
    pub(super) lives: u64,
}

/// A connection, for whoever watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub is_connected: bool,
    /// The server takes no messages.
    pub is_blocked: bool,
    /// How often it was made anew.
    pub reconnects: u64,
}

/// One connection while it lasts.
pub(super) struct Session {
    pub(super) connection: Connection,
    /// Channels with confirms on and nothing on its way.
    pub(super) idle: Mutex<Vec<Channel>>,
    /// Somebody met a queue or an exchange that was not there.
    pub(super) doubt: Notify,
    /// Somebody found that it does not answer.
    pub(super) spent: CancellationToken,
}

impl Link {
    /// Begins to connect, on the runtime of the caller.
    pub(super) fn start(role: Role, plan: Arc<Plan>) -> Arc<Self> {
        let stop = CancellationToken::new();
        let beginning = State { session: None, trouble: None, blocked: None, lives: 0 };
        let (state, receiver) = watch::channel(beginning);
        let clock = plan.clock.clone();
        let supervisor = Supervisor { role, plan, state, stop: stop.clone() };
        let runtime = Handle::current();
        let supervisor = AbortOnDropHandle::new(runtime.spawn(supervisor.run()));
        let (supervisor, aside) = (Mutex::new(Some(supervisor)), Mutex::default());
        Arc::new(Self { state: receiver, stop, supervisor, aside, runtime, clock })
    }

    /// The connection, or at once why there is none; a first try is waited for.
    pub(super) async fn session(&self) -> Result<Arc<Session>, BrokerError> {
        self.session_when(|state| state.session.is_some() || state.trouble.is_some()).await
    }

    /// The connection, waited for.
    pub(super) async fn next_session(&self) -> Result<Arc<Session>, BrokerError> {
        self.session_when(|state| state.session.is_some()).await
    }

    async fn session_when(&self, ready: impl Fn(&State) -> bool) -> Result<Arc<Session>, BrokerError> {
        let mut state = self.state.clone();
        // Out of time or out of a supervisor: the state says what is wrong.
        let _ = within(&*self.clock, STEP, state.wait_for(ready)).await;
        let state = state.borrow().clone();
        state.session.ok_or_else(|| away(state.trouble.unwrap_or(Trouble::Beginning)))
    }

    pub(super) fn standing(&self) -> Standing {
        let state = self.state.borrow();
        Standing {
            is_connected: state.session.is_some(),
            is_blocked: state.blocked.is_some(),
            reconnects: state.lives.saturating_sub(1),
        }
    }

    pub(super) fn trouble(&self) -> Option<Trouble> {
        let State { session, trouble, blocked, lives: _ } = self.state.borrow().clone();
        let blocked = blocked.map(|(since, reason)| Trouble::Blocked {
            reason,
            seconds: self.clock.elapsed().saturating_sub(since).as_secs(),
        });
        trouble.or(blocked).or_else(|| session.is_none().then_some(Trouble::Beginning))
    }

    /// Does what nobody waits for, such as ending a channel whose owner was dropped.
    pub(super) fn aside(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        while aside.try_join_next().is_some() {}
        aside.spawn_on(work, &self.runtime);
    }

    pub(super) async fn close(&self) {
        let mut aside = std::mem::take(&mut *self.aside.lock().unwrap_or_else(PoisonError::into_inner));
        let _ = within(&*self.clock, STEP, async { while aside.join_next().await.is_some() {} }).await;
        self.stop.cancel();
        let supervisor = self.supervisor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(supervisor) = supervisor {
            let _ = within(&*self.clock, STEP, supervisor).await;
        }
    }
}

impl Session {
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, idle: Mutex::default(), doubt: Notify::new(), spent: CancellationToken::new() }
    }

    /// What should be there was not: the supervisor looks, and declares it if it may.
    pub(super) fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// It does not answer: the supervisor makes another.
    pub(super) fn spend(&self) {
        self.spent.cancel();
    }
}

impl Role {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
        }
    }
}

impl Address {
    pub(super) fn of(uri: &AMQPUri) -> Self {
        let AMQPUri { authority, vhost, .. } = uri;
        let user = authority.userinfo.username.clone();
        Self { host: authority.host.clone(), port: authority.port, user, vhost: vhost.clone() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The work's outcome, unless it takes longer than `limit`.
pub(super) async fn within<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        outcome = work => Some(outcome),
        () = clock.sleep(limit) => None,
    }
}

pub(super) fn away(why: impl fmt::Display) -> BrokerError {
    BrokerError::Unavailable(why.to_string())
}
