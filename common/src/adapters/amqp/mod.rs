//! RabbitMQ. Hints, events and notices of uploads go out on one connection and hints come in on another, because a server short of memory
//! stops the first and must not stop acknowledgements on the second.
//!
//! Nothing here retries a message: after an error the caller decides, from the store. What is read is either a hint
//! or a dead letter.

mod connection;
mod consumer;
mod observe;
mod publisher;
mod supervisor;
mod topology;
mod trouble;
mod verify;

use std::sync::Arc;
use std::{fmt, mem};

use async_trait::async_trait;
use lapin::uri::AMQPUri;

pub use self::connection::Standing;
use self::connection::{Address, Link, Plan, Role, Session};
use self::consumer::{Inspector, Postbox, Slot};
use self::publisher::Publisher;
use self::topology::{Names, Queue, Topology};
pub use self::verify::Declare;
use crate::ports::broker::{Broker, BrokerError, Class, DeadLetters, Event, Hint, Hints, Ingest, Notice, Uploads};
use crate::ports::clock::Clock;
use crate::process::tls;

#[derive(Clone)]
pub struct AmqpSettings {
    /// `amqp://user:password@host:port/vhost`, or `amqps://`.
    pub url: String,
    /// What the names of all exchanges and queues begin with.
    pub prefix: String,
    pub declare: Declare,
    /// The classes that have a queue.
    pub classes: Vec<Class>,
    /// How many messages may wait for their confirms; each takes a channel.
    pub confirms_max: usize,
}

pub struct AmqpBroker {
    publisher: Publisher,
    consumer: Arc<Link>,
    names: Names,
}

impl AmqpSettings {
    pub const CONFIRMS_MAX: usize = 256;

    fn plan(&self, clock: Arc<dyn Clock>) -> Result<Plan, BrokerError> {
        let bad = |why: String| BrokerError::Settings(format!("broker {}: {why}", self.shown_url()));
        let uri: AMQPUri = self.url.parse().map_err(bad)?;
        if self.classes.is_empty() {
            return Err(BrokerError::Settings("no class has a queue".to_owned()));
        }
        if !(1..=1024).contains(&self.confirms_max) {
            return Err(BrokerError::Settings(format!("{} confirms at once: 1 to 1024", self.confirms_max)));
        }
        let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.chars().all(fits) {
            return Err(BrokerError::Settings(format!("prefix {:?}: 1 to 64 of a-z, 0-9, ., - and _", self.prefix)));
        }
        let topology = Topology::new(&self.names(), &self.classes);
        Ok(Plan { uri, topology, declare: self.declare, clock })
    }

    fn names(&self) -> Names {
        Names { prefix: self.prefix.clone() }
    }

    /// The URL without what must not be seen.
    fn shown_url(&self) -> String {
        let parsed = self.url.parse::<AMQPUri>();
        parsed.map_or_else(|_| "(no AMQP URL)".to_owned(), |uri| Address::of(&uri).to_string())
    }
}

impl AmqpBroker {
    /// Begins to connect and never stops trying; needs no server yet, but a Tokio runtime.
    pub fn start(settings: &AmqpSettings, clock: Arc<dyn Clock>) -> Result<Self, BrokerError> {
        let plan = Arc::new(settings.plan(clock)?);
        tls::install();
        let names = settings.names();
        let publishing = Link::start(Role::Publish, plan.clone());
        let publisher = Publisher::new(publishing, names.clone(), settings.confirms_max);
        Ok(Self { publisher, consumer: Link::start(Role::Consume, plan), names })
    }

    /// Both connections as one: there when both are, blocked when either is.
    pub fn standing(&self) -> Standing {
        let [publishing, consuming] = [&self.publisher.link, &self.consumer].map(|link| link.standing());
        Standing {
            is_connected: publishing.is_connected && consuming.is_connected,
            is_blocked: publishing.is_blocked || consuming.is_blocked,
            reconnects: publishing.reconnects + consuming.reconnects,
        }
    }

    /// Why messages do not flow, and what to do about it.
    pub fn readiness(&self) -> Result<(), String> {
        let troubles = [&self.publisher.link, &self.consumer].map(|link| link.trouble());
        troubles.into_iter().flatten().next().map_or(Ok(()), |trouble| Err(trouble.to_string()))
    }

    /// Declares exchanges, queues and bindings once.
    pub async fn declare(settings: &AmqpSettings, clock: Arc<dyn Clock>) -> Result<(), String> {
        Self::look(&AmqpSettings { declare: Declare::Declare, ..settings.clone() }, clock).await
    }

    /// Connects once and sees to exchanges and queues as the settings say, or says what is in the way.
    pub async fn look(settings: &AmqpSettings, clock: Arc<dyn Clock>) -> Result<(), String> {
        let plan = settings.plan(clock).map_err(|error| error.to_string())?;
        Self::once(plan, async |_| Ok(())).await
    }

    /// Does something on a connection of its own, if there comes to be one.
    async fn once(plan: Plan, doing: impl AsyncFnOnce(&Session) -> Result<(), lapin::Error>) -> Result<(), String> {
        tls::install();
        let link = Link::start(Role::Publish, Arc::new(plan));
        let done = match link.session().await {
            Ok(session) => doing(&session).await.map_err(|error| error.to_string()),
            Err(error) => Err(link.trouble().map_or_else(|| error.to_string(), |trouble| trouble.to_string())),
        };
        link.close().await;
        done
    }

    /// Takes away everything under the settings' prefix, and the other queues named: what was there for a trial.
    pub async fn remove(settings: &AmqpSettings, queues: &[String], clock: Arc<dyn Clock>) -> Result<(), String> {
        let mut plan = settings.plan(clock).map_err(|error| error.to_string())?;
        let mut topology = mem::replace(&mut plan.topology, Topology::none());
        topology.queues.extend(queues.iter().map(|name| Queue::named(name)));
        Self::once(plan, async |session| verify::remove(&session.connection, &topology).await).await
    }

    /// Ends both connections in order. Hints that are still held come again elsewhere.
    pub async fn close(self) {
        self.consumer.close().await;
        self.publisher.link.close().await;
    }
}

#[async_trait]
impl Broker for AmqpBroker {
    async fn publish_hint(&self, class: &Class, hint: &Hint) -> Result<(), BrokerError> {
        self.publisher.hint(class, hint).await
    }

    async fn publish_event(&self, event: &Event) -> Result<(), BrokerError> {
        self.publisher.event(event).await
    }

    async fn consume(&self, class: &Class) -> Result<Box<dyn Hints>, BrokerError> {
        Ok(Box::new(Slot::open(&self.consumer, self.names.class(class)).await?))
    }

    async fn uploads(&self) -> Result<Box<dyn Uploads>, BrokerError> {
        Ok(Box::new(Postbox::open(&self.consumer, self.names.uploads()).await?))
    }

    async fn dead_letters(&self) -> Result<Box<dyn DeadLetters>, BrokerError> {
        Ok(Box::new(Inspector::open(&self.consumer, self.names.clone()).await?))
    }
}

#[async_trait]
impl Ingest for AmqpBroker {
    async fn publish_notice(&self, notice: &Notice) -> Result<(), BrokerError> {
        self.publisher.notice(notice).await
    }

    fn readiness(&self) -> Result<(), String> {
        Self::readiness(self)
    }
}

impl fmt::Debug for AmqpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url: _, prefix, declare, classes, confirms_max } = self;
        f.debug_struct("AmqpSettings")
            .field("url", &self.shown_url())
            .field("prefix", prefix)
            .field("declare", declare)
            .field("classes", classes)
            .field("confirms_max", confirms_max)
            .finish()
    }
}
