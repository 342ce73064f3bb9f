//! A broker under test, and a door to it for programs that are not ours.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use framefleet_common::adapters::amqp::{AmqpBroker, AmqpSettings, Declare};
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::memory::broker::MemoryBroker;
use framefleet_common::ports::broker::{Broker, Class, DeadLetter, Delivery, Event, Hint, Hints};
use framefleet_model::id::{JobId, TaskId, TaskKind};
use tokio::sync::broadcast;

use crate::raw::Raw;

pub(crate) struct Ground {
    pub(crate) broker: Arc<dyn Broker>,
    door: Door,
}

enum Door {
    Memory(Arc<MemoryBroker>),
    Amqp { raw: Box<Raw>, prefix: String },
}

/// A customer's queue of events.
pub(crate) enum Customer<'a> {
    Memory(broadcast::Receiver<Event>),
    Amqp { raw: &'a Raw, queue: String },
}

/// What must be closed after a fact.
pub(crate) struct Closing(Arc<AmqpBroker>);

impl Ground {
    pub(crate) fn memory() -> Self {
        let broker = Arc::new(MemoryBroker::default());
        Self { broker: broker.clone(), door: Door::Memory(broker) }
    }

    /// Under a prefix of the fact's own.
    pub(crate) async fn amqp(url: &str, fact: &str) -> (Self, Closing) {
        let settings = AmqpSettings {
            url: url.to_owned(),
            prefix: fact.to_owned(),
            declare: Declare::Declare,
            classes: vec![Class::light(), Class::standard(), Class::long()],
            confirms_max: 16,
        };
        let broker = Arc::new(AmqpBroker::start(&settings, Arc::new(HostClock::start())).unwrap());
        // When it has connected, all is declared.
        broker.consume(&Class::light()).await.unwrap().close().await.unwrap();
        let raw = Raw::connect(url).await;
        let ground = Self { broker: broker.clone(), door: Door::Amqp { raw: Box::new(raw), prefix: fact.to_owned() } };
        (ground, Closing(broker))
    }

    pub(crate) async fn publish(&self, class: &Class, number: u32) {
        self.broker.publish_hint(class, &hint(number)).await.unwrap();
    }

    pub(crate) async fn consume(&self, class: &Class) -> Box<dyn Hints> {
        self.broker.consume(class).await.unwrap()
    }

    /// The source's next hint; a source that ended is replaced, as the port says.
    pub(crate) async fn next(&self, class: &Class, source: &mut Box<dyn Hints>) -> Delivery {
        for _ in 0..100 {
            match source.next().await {
                Ok(delivery) => return delivery,
                Err(_) => *source = self.consume(class).await,
            }
        }
        panic!("a hundred sources ended without a hint");
    }

    /// The next dead letter, taken for good.
    pub(crate) async fn bury(&self) -> DeadLetter {
        let mut dead = self.broker.dead_letters().await.unwrap();
        let letter = dead.next().await.unwrap();
        dead.close().await.unwrap();
        letter
    }

    /// What a foreign program puts among the hints of a class.
    pub(crate) async fn post(&self, class: &Class, bytes: &[u8]) {
        match &self.door {
            Door::Memory(broker) => broker.post_bytes(class, Bytes::copy_from_slice(bytes)).unwrap(),
            Door::Amqp { raw, prefix } => raw.post(&format!("{prefix}.tasks"), class.as_str(), bytes).await,
        }
    }

    /// What anybody who tells of uploads sends.
    pub(crate) async fn tell(&self, bytes: &[u8]) {
        match &self.door {
            Door::Memory(broker) => broker.post_upload(Bytes::copy_from_slice(bytes)).unwrap(),
            Door::Amqp { raw, prefix } => raw.post(&format!("{prefix}.ingest"), "any.key", bytes).await,
        }
    }

    pub(crate) async fn customer(&self) -> Customer<'_> {
        match &self.door {
            Door::Memory(broker) => Customer::Memory(broker.events()),
            Door::Amqp { raw, prefix } => {
                let queue = format!("{prefix}.customer");
                raw.declare(&queue, "quorum").await;
                raw.bind(&format!("{prefix}.out"), &queue, "job.completed.*").await;
                Customer::Amqp { raw, queue }
            }
        }
    }
}

impl Customer<'_> {
    pub(crate) async fn next(&mut self) -> Event {
        match self {
            Self::Memory(events) => events.recv().await.unwrap(),
            Self::Amqp { raw, queue } => loop {
                if let Some(got) = raw.take(queue).await {
                    return Event { id: got.id, key: got.key, body: got.body.into(), trace: None };
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            },
        }
    }
}

impl Closing {
    pub(crate) async fn close(self) {
        Arc::into_inner(self.0).expect("the fact let go of the broker").close().await;
    }
}

pub(crate) fn hint(number: u32) -> Hint {
    Hint { job: JobId::of_parts(&["film"]), task: TaskId::new(TaskKind::Encode, number), trace: None }
}
