//! The broker of a simulated fleet: hints get lost, doubled, late, out of order and delivered again, and what the world
//! is told is kept. Messages of uploads are never lost, and come again until they are acknowledged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use framefleet_common::adapters::memory::broker::MemoryBroker;
use framefleet_common::ports::broker::{
    Arrival, Broker, BrokerError, Class, DeadLetters, Delivery, Event, Hint, Hints, Posted, Receipt, Uploads,
};
use framefleet_model::event::{self, UploadKey};

use crate::fleet::dice::Dice;
use crate::fleet::peril::Peril;
use crate::fleet::storm::Storm;
use crate::fleet::truth::Truth;

pub struct Post {
    broker: MemoryBroker,
    storm: Arc<Storm>,
    truth: Arc<Truth>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Hints that come later than those after them.
    late: Vec<(Class, Hint)>,
    /// What the world was told, by the event's id.
    told: BTreeMap<String, Event>,
}

/// The broker as one role sees it.
pub struct RoleBroker {
    pub post: Arc<Post>,
    pub peril: Arc<Peril>,
}

struct RoleHints {
    hints: Box<dyn Hints>,
    peril: Arc<Peril>,
}

struct RoleReceipt {
    /// `None`: the broker has given the hint to somebody else meanwhile.
    receipt: Option<Box<dyn Receipt>>,
    peril: Arc<Peril>,
}

struct RoleUploads {
    uploads: Box<dyn Uploads>,
    post: Arc<Post>,
    peril: Arc<Peril>,
}

struct UploadReceipt {
    told: Vec<UploadKey>,
    receipt: RoleReceipt,
    post: Arc<Post>,
}

impl Post {
    pub fn new(storm: Arc<Storm>, truth: Arc<Truth>) -> Self {
        Self { broker: MemoryBroker::default(), storm, truth, inner: Mutex::default() }
    }

    /// A message that tells of an upload.
    pub fn post_upload(&self, message: Vec<u8>) {
        self.broker.post_upload(message.into()).expect("a run posts few of them");
    }

    /// Such messages that nobody has acknowledged or holds.
    pub fn uploads_waiting(&self) -> usize {
        self.broker.uploads_waiting()
    }

    /// Nothing that an acknowledged message told of may be forgotten.
    fn uploads_acknowledged(&self, keys: &[UploadKey]) {
        let jobs = self.truth.durable_jobs();
        for key in keys {
            let known = jobs.iter().any(|job| job.source.url.ends_with(key.as_str()));
            self.storm.tell("upload", format_args!("acknowledged: {}", key.as_str()));
            if !known {
                self.storm.wrong(format!("upload {} was acknowledged, and its job may yet be forgotten", key.as_str()));
            }
        }
    }

    /// Hints on their way, late ones included.
    pub fn depth(&self) -> usize {
        self.broker.depth() + self.inner().late.len()
    }

    /// Every event that the world was told, once.
    pub fn told(&self) -> Vec<Event> {
        self.inner().told.values().cloned().collect()
    }

    /// As when its queues are deleted.
    pub fn wipe(&self) {
        self.storm.tell("wipe", format_args!("the broker forgets {} hints", self.depth()));
        self.broker.purge();
        self.inner().late.clear();
    }

    /// Some late hints arrive, in any order.
    pub async fn deliver_late(&self, dice: &Dice) {
        let mut late = std::mem::take(&mut self.inner().late);
        while !late.is_empty() {
            let at = usize::try_from(dice.roll(late.len() as u64)).expect("less than there are");
            let (class, hint) = late.swap_remove(at);
            if self.storm.is_calm() || dice.falls(1, 4) {
                drop(self.broker.publish_hint(&class, &hint).await);
            } else {
                self.inner().late.push((class, hint));
            }
        }
    }

    fn hear(&self, event: &Event) {
        let known = self.inner().told.insert(event.id.clone(), event.clone());
        self.storm.tell("event", format_args!("told: {}", event.id));
        if known.is_some_and(|known| known != *event) {
            self.storm.wrong(format!("two contents of the event {}", event.id));
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unconfirmed(why: &str) -> BrokerError {
    BrokerError::Unconfirmed(why.to_owned())
}

impl RoleBroker {
    fn falls(&self, rate: u64) -> bool {
        !self.peril.storm.is_calm() && self.peril.dice.falls(rate, 100)
    }
}

#[async_trait]
impl Broker for RoleBroker {
    async fn publish_hint(&self, class: &Class, hint: &Hint) -> Result<(), BrokerError> {
        let weather = &self.peril.storm.weather;
        let publishing = async {
            if self.falls(weather.late) {
                self.post.inner().late.push((class.clone(), hint.clone()));
                return Ok(());
            }
            if self.falls(weather.doubled) {
                self.post.broker.publish_hint(class, hint).await?;
            }
            self.post.broker.publish_hint(class, hint).await
        };
        self.peril.call("publish hint", unconfirmed, publishing).await
    }

    async fn publish_event(&self, event: &Event) -> Result<(), BrokerError> {
        let publishing = async {
            self.post.hear(event);
            Ok(())
        };
        self.peril.call("publish event", unconfirmed, publishing).await
    }

    async fn consume(&self, class: &Class) -> Result<Box<dyn Hints>, BrokerError> {
        let hints = self.peril.call("consume", unconfirmed, self.post.broker.consume(class)).await?;
        Ok(Box::new(RoleHints { hints, peril: self.peril.clone() }))
    }

    async fn uploads(&self) -> Result<Box<dyn Uploads>, BrokerError> {
        let uploads = self.peril.call("ask for uploads", unconfirmed, self.post.broker.uploads()).await?;
        Ok(Box::new(RoleUploads { uploads, post: self.post.clone(), peril: self.peril.clone() }))
    }

    async fn dead_letters(&self) -> Result<Box<dyn DeadLetters>, BrokerError> {
        self.peril.call("ask for dead letters", unconfirmed, self.post.broker.dead_letters()).await
    }
}

#[async_trait]
impl Hints for RoleHints {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let Delivery { hint, arrival, receipt } = self.hints.next().await?;
        let peril = &self.peril;
        peril.call("take a hint", unconfirmed, async { Ok(()) }).await?;
        let again = !peril.storm.is_calm() && peril.dice.falls(peril.storm.weather.redelivered, 100);
        // Dropped, it is on its way to somebody else while this role works on it.
        let receipt = Some(receipt).filter(|_| !again || arrival == Arrival::Redelivered);
        let receipt = RoleReceipt { receipt, peril: peril.clone() };
        Ok(Delivery { hint, arrival, receipt: Box::new(receipt) })
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        self.peril.call("close", unconfirmed, self.hints.close()).await
    }
}

#[async_trait]
impl Receipt for RoleReceipt {
    async fn ack(self: Box<Self>) -> Result<(), BrokerError> {
        let Self { receipt, peril } = *self;
        let acking = async {
            match receipt {
                Some(receipt) => receipt.ack().await,
                None => Ok(()),
            }
        };
        peril.call("acknowledge", unconfirmed, acking).await
    }
}

#[async_trait]
impl Uploads for RoleUploads {
    async fn next(&mut self) -> Result<Posted, BrokerError> {
        let Posted { told: message, receipt } = self.uploads.next().await?;
        let peril = self.peril.clone();
        peril.call("take an upload", unconfirmed, async { Ok(()) }).await?;
        let again = !peril.storm.is_calm() && peril.dice.falls(peril.storm.weather.redelivered, 100);
        let receipt = RoleReceipt { receipt: Some(receipt).filter(|_| !again), peril };
        let keys = event::decode(&message.body).map(|news| news.uploads).unwrap_or_default();
        let keys = keys.into_iter().map(|upload| upload.key).collect();
        let receipt = Box::new(UploadReceipt { told: keys, receipt, post: self.post.clone() });
        Ok(Posted { told: message, receipt })
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        self.peril.call("close", unconfirmed, self.uploads.close()).await
    }
}

#[async_trait]
impl Receipt for UploadReceipt {
    async fn ack(self: Box<Self>) -> Result<(), BrokerError> {
        let Self { told, receipt, post } = *self;
        post.uploads_acknowledged(&told);
        Box::new(receipt).ack().await
    }
}
