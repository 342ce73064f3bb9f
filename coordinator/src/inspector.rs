//! The inspector: reads what the broker gave up on, leaves a letter of each, and lets it go. A hint that died so loses
//! nothing: its task is hinted again when nobody answers.

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::ports::broker::{Broker, BrokerError};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::store::{Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use framefleet_model::time::StoreTime;
use tokio_util::sync::CancellationToken;

use crate::letters;
use crate::observe::Observer;

/// Between two tries at a broker or a store that is away.
const PAUSE: Duration = Duration::from_secs(5);

pub(crate) struct Inspector {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Observer,
}

enum Interrupted {
    Store(StoreError),
    Broker(BrokerError),
}

impl Inspector {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.inspect(&stop).await {
                Ok(()) => {}
                Err(Interrupted::Store(error)) => self.observer.store_away(&error),
                Err(Interrupted::Broker(error)) => self.observer.broker_away(&error),
            }
            tokio::select! {
                () = self.clock.sleep(PAUSE) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Ends well only when told to stop.
    async fn inspect(&self, stop: &CancellationToken) -> Result<(), Interrupted> {
        let mut dead = self.broker.dead_letters().await.map_err(Interrupted::Broker)?;
        loop {
            let found = tokio::select! {
                found = dead.next() => found.map_err(Interrupted::Broker)?,
                () = stop.cancelled() => return dead.close().await.map_err(Interrupted::Broker),
            };
            if found.is_unwanted_event() {
                self.observer.swept("event");
                found.receipt.ack().await.map_err(Interrupted::Broker)?;
                continue;
            }
            let now = self.now().await.map_err(Interrupted::Store)?;
            let letter = letters::of_message(&found, now);
            let others = letters::crowded_out(&*self.store, &letter).await.map_err(Interrupted::Store)?;
            let txn = letters::put_over(Txn::new(Shard::GLOBAL), &letter, &others);
            self.store.commit(txn).await.map_err(Interrupted::Store)?;
            self.observer.buried(&letter.id, &found.queue);
            self.observer.crowded_out(others.len());
            found.receipt.ack().await.map_err(Interrupted::Broker)?;
        }
    }

    async fn now(&self) -> Result<StoreTime, StoreError> {
        Ok(self.store.load(&[]).await?.now)
    }
}
