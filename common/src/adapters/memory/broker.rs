//! The one-process fleet's queue: hints by class, first come first served; events to whoever subscribed.
//! It forgets everything with the process, as hints may; the store brings them forth again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};

use crate::ports::broker::{Arrival, Broker, BrokerError, Class, Delivery, Event, Hint, Hints, Receipt};

/// A dispatcher hints little more than there are slots; more than this is a bug of ours.
const HINTS_MAX: usize = 65_536;
/// A subscriber that falls further behind misses events.
const EVENTS_MAX: usize = 1024;

pub struct MemoryBroker {
    queues: Mutex<HashMap<Class, Arc<Queue>>>,
    events: broadcast::Sender<Event>,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<VecDeque<(Hint, Arrival)>>,
    wake: Notify,
}

struct Slot {
    queue: Arc<Queue>,
    /// One permit: taken with each hint, given back by its receipt.
    free: Arc<Semaphore>,
}

struct Taken {
    queue: Arc<Queue>,
    /// `None` once acknowledged.
    hint: Option<Hint>,
    _busy: OwnedSemaphorePermit,
}

impl MemoryBroker {
    /// Hears events from now on.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Hints that nobody took yet.
    pub fn depth(&self) -> usize {
        lock(&self.queues).values().map(|queue| lock(&queue.waiting).len()).sum()
    }

    /// Forgets every hint that nobody took yet.
    pub fn purge(&self) {
        lock(&self.queues).values().for_each(|queue| lock(&queue.waiting).clear());
    }

    fn queue(&self, class: &Class) -> Arc<Queue> {
        lock(&self.queues).entry(class.clone()).or_default().clone()
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self { queues: Mutex::default(), events: broadcast::Sender::new(EVENTS_MAX) }
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish_hint(&self, class: &Class, hint: &Hint) -> Result<(), BrokerError> {
        let queue = self.queue(class);
        let mut waiting = lock(&queue.waiting);
        if waiting.len() >= HINTS_MAX {
            return Err(BrokerError::Full { queue: class.to_string(), length: waiting.len() });
        }
        waiting.push_back((hint.clone(), Arrival::First));
        queue.wake.notify_one();
        Ok(())
    }

    async fn publish_event(&self, event: &Event) -> Result<(), BrokerError> {
        // An event that nobody subscribed to has arrived as far as it ever will.
        let _ = self.events.send(event.clone());
        Ok(())
    }

    async fn consume(&self, class: &Class) -> Result<Box<dyn Hints>, BrokerError> {
        Ok(Box::new(Slot { queue: self.queue(class), free: Arc::new(Semaphore::new(1)) }))
    }
}

#[async_trait]
impl Hints for Slot {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        let busy = self.free.clone().acquire_owned().await.expect("the semaphore is never closed");
        loop {
            let woken = self.queue.wake.notified();
            if let Some((hint, arrival)) = self.queue.pop() {
                let receipt = Taken { queue: self.queue.clone(), hint: Some(hint.clone()), _busy: busy };
                return Ok(Delivery { hint, arrival, receipt: Box::new(receipt) });
            }
            woken.await;
        }
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        Ok(())
    }
}

#[async_trait]
impl Receipt for Taken {
    async fn ack(mut self: Box<Self>) -> Result<(), BrokerError> {
        self.hint = None;
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(hint) = self.hint.take() {
            lock(&self.queue.waiting).push_front((hint, Arrival::Redelivered));
            self.queue.wake.notify_one();
        }
    }
}

impl Queue {
    fn pop(&self) -> Option<(Hint, Arrival)> {
        let mut waiting = lock(&self.waiting);
        let taken = waiting.pop_front();
        if !waiting.is_empty() {
            // Two hints that came while nobody slept left one wake-up between them: pass it on.
            self.wake.notify_one();
        }
        taken
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is behind these locks is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use framefleet_model::id::{JobId, TaskId, TaskKind};
    use tokio::task::JoinSet;

    use super::*;

    fn hint(number: u32) -> Hint {
        Hint { job: JobId::of_parts(&["film"]), task: TaskId::new(TaskKind::Encode, number) }
    }

    async fn broker_with(hints: u32) -> MemoryBroker {
        let broker = MemoryBroker::default();
        for number in 0..hints {
            broker.publish_hint(&Class::standard(), &hint(number)).await.unwrap();
        }
        broker
    }

    #[tokio::test]
    async fn hints_come_in_order_and_only_to_their_class() {
        let broker = broker_with(2).await;
        let mut light = broker.consume(&Class::light()).await.unwrap();
        assert!(futures::poll!(light.next()).is_pending());
        let mut slot = broker.consume(&Class::standard()).await.unwrap();
        for number in 0..2 {
            let delivery = slot.next().await.unwrap();
            assert_eq!((delivery.hint, delivery.arrival), (hint(number), Arrival::First));
            delivery.receipt.ack().await.unwrap();
        }
        assert!(futures::poll!(slot.next()).is_pending());
    }

    #[tokio::test]
    async fn a_slot_gets_its_next_hint_only_after_the_last_is_done_with() {
        let broker = broker_with(2).await;
        let mut slot = broker.consume(&Class::standard()).await.unwrap();
        let first = slot.next().await.unwrap();
        assert!(futures::poll!(slot.next()).is_pending());
        first.receipt.ack().await.unwrap();
        assert_eq!(slot.next().await.unwrap().hint, hint(1));
    }

    #[tokio::test]
    async fn a_hint_dropped_without_receipt_comes_again_as_redelivered() {
        let broker = broker_with(1).await;
        let mut slot = broker.consume(&Class::standard()).await.unwrap();
        drop(slot.next().await.unwrap());
        let again = slot.next().await.unwrap();
        assert_eq!((again.hint, again.arrival), (hint(0), Arrival::Redelivered));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_hint_reaches_exactly_one_of_many_slots() {
        let broker = Arc::new(MemoryBroker::default());
        let mut slots = JoinSet::new();
        for _ in 0..8 {
            let mut slot = broker.consume(&Class::standard()).await.unwrap();
            slots.spawn(async move {
                let mut seen = Vec::new();
                loop {
                    let delivery = slot.next().await.unwrap();
                    delivery.receipt.ack().await.unwrap();
                    if delivery.hint.task.kind == TaskKind::Merge {
                        return seen;
                    }
                    seen.push(delivery.hint.task.number);
                }
            });
        }
        for number in 0..2000 {
            broker.publish_hint(&Class::standard(), &hint(number)).await.unwrap();
        }
        for number in 0..8 {
            let stop = Hint { job: hint(0).job, task: TaskId::new(TaskKind::Merge, number) };
            broker.publish_hint(&Class::standard(), &stop).await.unwrap();
        }
        let mut seen: Vec<u32> = slots.join_all().await.into_iter().flatten().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..2000).collect::<Vec<_>>());
    }
}
