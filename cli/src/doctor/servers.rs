//! The store and the broker: reached, let in, set up as they should be. What a broker allows to publish and to read is not
//! tried: somebody would have to take it.

use std::sync::Arc;

use framefleet_common::adapters::amqp::AmqpBroker;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::redis::RedisStore;
use framefleet_common::ports::broker::Class;
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::store::{Peek, Scan, Shard, Store, StoreError};
use framefleet_model::fault::{Fault, FaultKind};

use super::places::skew;
use super::verdict::{Verdict, in_time};
use crate::config::{BrokerConfig, Config, Topology};
use crate::roles::shared;

pub(super) const STORE: &str = "store";
pub(super) const BROKER: &str = "broker";

pub(super) async fn store(config: &Config) -> Vec<Verdict> {
    in_time((STORE, None, FaultKind::StoreAway), async {
        examined(config).await.unwrap_or_else(|error| {
            let fix = match &error {
                StoreError::Unavailable(_) => "start Redis, or correct store.url",
                _ => "correct store.url, or the server, as it says",
            };
            vec![Verdict::bad(STORE, error.into(), fix)]
        })
    })
    .await
}

/// `open` tries every kind of write; the reads and the barrier are tried here.
async fn examined(config: &Config) -> Result<Vec<Verdict>, StoreError> {
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    let settings = shared::store_of(config).map_err(|fault| StoreError::Unusable(fault.message))?;
    let store = RedisStore::open(settings, clock.clone()).await?;
    let g = Shard::GLOBAL;
    let before = clock.epoch_ms();
    let told = store.load(&[g.row("doctor")]).await?.now;
    let between = before + (clock.epoch_ms() - before) / 2;
    store.scan(Scan { index: g.index("doctor"), from: 0, to: 0, after: None, limit: 1 }).await?;
    store.peek(Peek { queue: g.queue("doctor"), after: None, limit: 1 }).await?;
    let readiness = store.readiness().await?;
    let version = readiness.server.as_deref().unwrap_or("of an unknown version");
    let mut found = vec![match &readiness.ready {
        Ok(()) => Verdict::ok(STORE, format!("Redis {version}, barriers: {}", readiness.guarantee)),
        Err(why) => Verdict::bad(STORE, Fault::new(FaultKind::StoreAway, why.clone()), "set it up as it says"),
    }];
    let warned =
        readiness.warnings.iter().map(|says| Verdict::warning(STORE, says, "see Backup of Redis in OPERATIONS.md"));
    found.extend(warned);
    found.push(skew("store.url", told.0 - between));
    // Last: it waits for disks and replicas, which may be what is wrong.
    if let Err(error) = store.barrier().await {
        found.push(Verdict::bad(STORE, error.into(), "see store.replicas, and appendonly of Redis"));
    }
    Ok(found)
}

pub(super) async fn broker((broker, classes): (&BrokerConfig, Vec<Class>)) -> Vec<Verdict> {
    in_time((BROKER, None, FaultKind::StoreAway), async {
        let settings = shared::broker_of(broker, classes);
        let looked = AmqpBroker::look(&settings, Arc::new(HostClock::start())).await;
        vec![match (looked, broker.topology) {
            (Ok(()), Topology::Expected) => Verdict::ok(
                BROKER,
                "lets us in; exchanges and queues are as they should be; rights to publish and read are not tried",
            ),
            (Ok(()), Topology::Declared) => Verdict::ok(BROKER, "lets us in; exchanges and queues are declared"),
            (Err(why), _) => {
                Verdict::bad(BROKER, Fault::new(FaultKind::StoreAway, why), "do as it says; see deploy/rabbitmq")
            }
        }]
    })
    .await
}
