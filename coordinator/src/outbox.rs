//! The outbox: what the world is told, committed with the state that causes it, relayed until the broker confirms.
//! Repetitions carry the same id.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use framefleet_common::ports::broker::{Broker, Event};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows;
use framefleet_common::ports::store::{Peek, Shard, Store, StoreError};
use framefleet_common::ports::txn::Txn;
use framefleet_common::process::traces::{self, Begun};
use framefleet_common::spans;
use framefleet_model::trace::TraceContext;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::events::{self, JobEvent};
use crate::observe::Observer;
use crate::rounds::Rounds;

const POLL: Duration = Duration::from_secs(5);
const EVENTS_PER_ROUND: usize = 64;

#[derive(Serialize, Deserialize)]
struct Message {
    version: u32,
    id: String,
    key: String,
    body: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<TraceContext>,
}

/// An event as it lies in the outbox.
pub(crate) fn message(event: JobEvent) -> Vec<u8> {
    let JobEvent { id, key, body, trace } = event;
    rows::to_bytes(&Message { version: 1, id, key, body, trace })
}

pub(crate) struct Outbox {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Observer,
}

impl Outbox {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut rounds = Rounds::new(&*self.store, self.clock.clone(), POLL);
        loop {
            let shards = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                shards = rounds.next(None) => shards,
            };
            let mut is_whole = true;
            for shard in shards {
                if let Err(error) = self.relay(shard).await {
                    self.observer.store_away(&error);
                    is_whole = false;
                }
            }
            if is_whole {
                self.observer.rounded("outbox");
            }
        }
    }

    async fn relay(&self, shard: Shard) -> Result<(), StoreError> {
        let queue = rows::outbox(shard);
        let look = Peek { queue: queue.clone(), after: None, limit: EVENTS_PER_ROUND };
        let Some(last) = self.store.peek(look.clone()).await?.last().map(|message| message.sequence) else {
            return Ok(());
        };
        // Nothing is told that a dying store could take back, or took back before the barrier was there.
        self.store.barrier().await?;
        let waiting = self.store.peek(look).await?;
        for message in waiting.into_iter().filter(|message| message.sequence <= last) {
            let Message { id, key, body, trace: under, .. } = rows::from_bytes(&queue.name, &message.bytes)?;
            let job = events::job_of(&id).map_or_else(Span::none, |job| spans::job(&job));
            let trace = under.map(|under| under.span(&[traces::SEND, &id]));
            let event = Event { id, key, body: Bytes::from(body), trace };
            if !self.publish(&event, under).instrument(job).await {
                return Ok(());
            }
            self.store.commit(Txn::new(shard).ack(&queue, message.sequence)).await?;
        }
        Ok(())
    }

    /// Whether the broker has it.
    async fn publish(&self, event: &Event, under: Option<TraceContext>) -> bool {
        let begun = Begun::of(&*self.clock);
        match self.broker.publish_event(event).await {
            Ok(()) => self.observer.published(event, under, begun.until_now()),
            Err(error) => {
                self.observer.broker_away(&error);
                return false;
            }
        }
        true
    }
}
