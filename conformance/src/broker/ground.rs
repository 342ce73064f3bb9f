//! A broker under test, and a door to it for programs that are not ours.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use framefleet_common::adapters::amqp::{AmqpBroker, AmqpSettings};
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::memory::broker::MemoryBroker;
use framefleet_common::ports::broker::{Broker, Class, DeadLetter, Delivery, Event, Hint, Hints};
use framefleet_model::id::{JobId, TaskId, TaskKind};
use tokio::sync::broadcast;

use crate::foreign::Foreign;

pub struct Ground {
    pub(super) broker: Arc<dyn Broker>,
    door: Door,
}

enum Door {
    Memory(Arc<MemoryBroker>),
    Amqp { foreign: Box<Foreign>, prefix: String },
}

/// A customer's queue of events.
pub(super) enum Customer<'a> {
    Memory(broadcast::Receiver<Event>),
    Amqp { foreign: &'a Foreign, queue: String },
}

/// What must be closed after a fact.
pub struct Closing(Arc<AmqpBroker>);

impl Ground {
    pub fn memory() -> Self {
        let broker = Arc::new(MemoryBroker::default());
        Self { broker: broker.clone(), door: Door::Memory(broker) }
    }

    /// What the settings name, declared, and a connection of somebody else's.
    pub async fn amqp(settings: &AmqpSettings) -> (Self, Closing) {
        let broker = Arc::new(AmqpBroker::start(settings, Arc::new(HostClock::start())).unwrap());
        // When it has connected, all is declared.
        broker.consume(&Class::light()).await.unwrap().close().await.unwrap();
        let foreign = Box::new(Foreign::connect(&settings.url).await);
        let door = Door::Amqp { foreign, prefix: settings.prefix.clone() };
        (Self { broker: broker.clone(), door }, Closing(broker))
    }

    pub(super) async fn publish(&self, class: &Class, number: u32) {
        self.broker.publish_hint(class, &hint(number)).await.unwrap();
    }

    pub(super) async fn consume(&self, class: &Class) -> Box<dyn Hints> {
        self.broker.consume(class).await.unwrap()
    }

    /// The source's next hint; a source that ended is replaced, as the port says.
    pub(super) async fn next(&self, class: &Class, source: &mut Box<dyn Hints>) -> Delivery {
        for _ in 0..100 {
            match source.next().await {
                Ok(delivery) => return delivery,
                Err(_) => *source = self.consume(class).await,
            }
        }
        panic!("a hundred sources ended without a hint");
    }

    /// The next dead letter, taken for good.
    pub(super) async fn bury(&self) -> DeadLetter {
        let mut dead = self.broker.dead_letters().await.unwrap();
        let letter = dead.next().await.unwrap();
        dead.close().await.unwrap();
        letter
    }

    /// What a foreign program puts among the hints of a class.
    pub(super) async fn post(&self, class: &Class, bytes: &[u8]) {
        match &self.door {
            Door::Memory(broker) => broker.post_bytes(class, Bytes::copy_from_slice(bytes)).unwrap(),
            Door::Amqp { foreign, prefix } => foreign.post(&format!("{prefix}.tasks"), class.as_str(), bytes).await,
        }
    }

    /// What anybody who tells of uploads sends.
    pub(super) async fn tell(&self, bytes: &[u8]) {
        match &self.door {
            Door::Memory(broker) => broker.post_upload(Bytes::copy_from_slice(bytes)).unwrap(),
            Door::Amqp { foreign, prefix } => foreign.post(&format!("{prefix}.ingest"), "any.key", bytes).await,
        }
    }

    pub(super) async fn customer(&self) -> Customer<'_> {
        match &self.door {
            Door::Memory(broker) => Customer::Memory(broker.events()),
            Door::Amqp { foreign, prefix } => {
                let queue = customer(prefix);
                foreign.declare(&queue, "quorum").await;
                foreign.bind(&format!("{prefix}.out"), &queue, "job.completed.*").await;
                Customer::Amqp { foreign, queue }
            }
        }
    }
}

impl Customer<'_> {
    pub(super) async fn next(&mut self) -> Event {
        match self {
            Self::Memory(events) => events.recv().await.unwrap(),
            Self::Amqp { foreign, queue } => loop {
                if let Some(got) = foreign.take(queue).await {
                    return Event { id: got.id, key: got.key, body: got.body.into(), trace: None };
                }
                // `basic.get` answers at once that there is nothing, and nobody tells when there is.
                tokio::time::sleep(Duration::from_millis(20)).await;
            },
        }
    }
}

impl Closing {
    pub async fn close(self) {
        Arc::into_inner(self.0).expect("the fact let go of the broker").close().await;
    }
}

pub(super) fn hint(number: u32) -> Hint {
    Hint { job: JobId::of_parts(&["film"]), task: TaskId::new(TaskKind::Encode, number), trace: None }
}

/// The queue that a customer of the prefix's events has.
pub(super) fn customer(prefix: &str) -> String {
    format!("{prefix}.customer")
}
