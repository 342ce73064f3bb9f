//! The inspector: reads what the broker gave up on, leaves a letter of each, and lets it go. A hint that died so loses
//! nothing: its task is hinted again when nobody answers.

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::ports::broker::{Broker, BrokerError, DeadLetter, Receipt};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::store::{Store, StoreError};
use framefleet_model::time::StoreTime;
use tokio_util::sync::CancellationToken;

use crate::letters::{self, Letter};
use crate::observe::Observer;

/// Between two tries at a broker or a store that is away.
const PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct Inspector {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Observer,
}

/// Told to stop before a letter was kept.
struct Stopped;

impl Inspector {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.inspect(&stop).await {
                self.observer.broker_away(&error);
            }
            tokio::select! {
                () = self.clock.sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Ends well only when told to stop.
    async fn inspect(&self, stop: &CancellationToken) -> Result<(), BrokerError> {
        let mut dead = self.broker.dead_letters().await?;
        loop {
            let found = tokio::select! {
                found = dead.next() => found?,
                () = stop.cancelled() => return dead.close().await,
            };
            if found.is_unwanted_event() {
                self.observer.swept("event");
                found.receipt.ack().await?;
                continue;
            }
            match self.hold(found, stop).await {
                Ok(receipt) => receipt.ack().await?,
                // Dropped, it comes again, here or elsewhere.
                Err(Stopped) => return dead.close().await,
            }
        }
    }

    /// Until a letter of it is kept, however long the store is away. Given back it would come again, and brokers count that:
    /// after so many times they drop a message of whose queue nobody takes the dead.
    async fn hold(&self, found: DeadLetter, stop: &CancellationToken) -> Result<Box<dyn Receipt>, Stopped> {
        loop {
            let kept = match self.now().await {
                Ok(now) => self.keep(letters::of_message(&found, now), &found.queue).await,
                Err(error) => Err(error),
            };
            match kept {
                Ok(()) => return Ok(found.receipt),
                Err(error) => self.observer.store_away(&error),
            }
            tokio::select! {
                () = self.clock.sleep(PAUSE) => {}
                () = stop.cancelled() => return Err(Stopped),
            }
        }
    }

    async fn keep(&self, letter: Letter, queue: &str) -> Result<(), StoreError> {
        let crowded_out = letters::keep_of_message(&*self.store, &letter).await?;
        self.observer.buried(&letter.id, queue);
        self.observer.crowded_out(crowded_out);
        Ok(())
    }

    async fn now(&self) -> Result<StoreTime, StoreError> {
        Ok(self.store.load(&[]).await?.now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};

    use framefleet_common::adapters::memory::broker::MemoryBroker;
    use framefleet_common::adapters::memory::store::MemoryStore;
    use framefleet_common::ports::broker::{Class, DeadLetters, Event, Hint, Hints, Uploads};
    use framefleet_common::ports::changes::Changes;
    use framefleet_common::ports::store::{Commit, Loaded, Message, Peek, RowKey, Scan, Scanned};
    use framefleet_common::ports::txn::Txn;

    use super::*;

    /// As often as RabbitMQ 4 gives a message again before it drops it, where nobody says otherwise.
    const GIVEN_MAX: u32 = 20;
    /// Longer than that many pauses.
    const AWAY: u32 = 50;

    /// Its waits are over at once.
    struct Hasty(Mutex<Duration>);

    #[async_trait::async_trait]
    impl Clock for Hasty {
        fn elapsed(&self) -> Duration {
            *self.0.lock().unwrap()
        }

        fn epoch_ms(&self) -> i64 {
            0
        }

        async fn sleep(&self, duration: Duration) {
            *self.0.lock().unwrap() += duration;
            tokio::task::yield_now().await;
        }
    }

    /// Does not answer its first calls.
    struct Away {
        inner: MemoryStore,
        calls: AtomicU32,
    }

    #[async_trait::async_trait]
    impl Store for Away {
        async fn load(&self, keys: &[RowKey]) -> Result<Loaded, StoreError> {
            if self.calls.fetch_add(1, Ordering::Relaxed) < AWAY {
                return Err(StoreError::Unavailable("away".to_owned()));
            }
            self.inner.load(keys).await
        }

        async fn commit(&self, txn: Txn) -> Result<Commit, StoreError> {
            self.inner.commit(txn).await
        }

        async fn scan(&self, scan: Scan) -> Result<Scanned, StoreError> {
            self.inner.scan(scan).await
        }

        async fn peek(&self, peek: Peek) -> Result<Vec<Message>, StoreError> {
            self.inner.peek(peek).await
        }

        async fn barrier(&self) -> Result<(), StoreError> {
            self.inner.barrier().await
        }

        fn subscribe(&self) -> Changes {
            self.inner.subscribe()
        }
    }

    /// Drops a dead letter that it has given too often.
    #[derive(Default)]
    struct Counting {
        inner: MemoryBroker,
        given: Arc<AtomicU32>,
    }

    struct Counted {
        inner: Box<dyn DeadLetters>,
        given: Arc<AtomicU32>,
    }

    #[async_trait::async_trait]
    impl Broker for Counting {
        async fn publish_hint(&self, class: &Class, hint: &Hint) -> Result<(), BrokerError> {
            self.inner.publish_hint(class, hint).await
        }

        async fn publish_event(&self, event: &Event) -> Result<(), BrokerError> {
            self.inner.publish_event(event).await
        }

        async fn consume(&self, class: &Class) -> Result<Box<dyn Hints>, BrokerError> {
            self.inner.consume(class).await
        }

        async fn uploads(&self) -> Result<Box<dyn Uploads>, BrokerError> {
            self.inner.uploads().await
        }

        async fn dead_letters(&self) -> Result<Box<dyn DeadLetters>, BrokerError> {
            Ok(Box::new(Counted { inner: self.inner.dead_letters().await?, given: self.given.clone() }))
        }
    }

    #[async_trait::async_trait]
    impl DeadLetters for Counted {
        async fn next(&mut self) -> Result<DeadLetter, BrokerError> {
            loop {
                let letter = self.inner.next().await?;
                if self.given.fetch_add(1, Ordering::Relaxed) <= GIVEN_MAX {
                    return Ok(letter);
                }
                letter.receipt.ack().await?;
            }
        }

        async fn close(self: Box<Self>) -> Result<(), BrokerError> {
            self.inner.close().await
        }
    }

    #[tokio::test]
    async fn a_dead_letter_outlives_a_store_that_is_away_for_long() {
        let clock: Arc<dyn Clock> = Arc::new(Hasty(Mutex::default()));
        let store = Arc::new(Away { inner: MemoryStore::new(clock.clone()), calls: AtomicU32::new(0) });
        let broker = Arc::new(Counting::default());
        let class = Class::try_from("standard".to_owned()).unwrap();
        broker.inner.post_bytes(&class, "no hint".into()).unwrap();
        let mut slot = broker.inner.consume(&class).await.unwrap();
        assert!(futures::poll!(slot.next()).is_pending(), "what is no hint goes to the dead letters");
        let observer = Observer::new(&prometheus::Registry::new(), &[]);
        let inspector = Inspector { store: store.clone(), broker: broker.clone(), clock, observer };
        let stop = CancellationToken::new();
        let given = || broker.given.load(Ordering::Relaxed);
        let kept = async {
            while letters::all(&*store).await.unwrap().is_empty() && given() <= GIVEN_MAX {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        tokio::join!(inspector.run(stop.clone()), kept);
        assert_eq!(letters::all(&*store).await.unwrap().len(), 1, "dropped, given {} times", given());
        assert_eq!(given(), 1, "it was held");
        let mut dead = broker.inner.dead_letters().await.unwrap();
        assert!(futures::poll!(dead.next()).is_pending(), "it is acknowledged");
    }
}
