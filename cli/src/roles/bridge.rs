//! `framefleet bridge`: takes what OSS tells in queues of MNS, and hands it to the broker.

use std::sync::Arc;

use async_trait::async_trait;
use framefleet_bridge::bridge::{Bridge, QueueSettings};
use framefleet_common::adapters::amqp::AmqpBroker;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::ports::broker::Class;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::drain::{Drain, Halt};
use framefleet_common::process::probes::{Check, Probes};
use framefleet_model::fault::{Fault, FaultKind};
use prometheus::Registry;
use tracing::info;

use crate::config::{BridgeRole, QueueConfig};
use crate::roles::shared;
use crate::roles::traces::Way;

struct BrokerCheck(Arc<AmqpBroker>);

struct QueuesCheck(Arc<Bridge>);

#[async_trait]
impl Check for BrokerCheck {
    fn name(&self) -> &str {
        "broker"
    }

    async fn check(&self) -> Result<String, String> {
        self.0.readiness().map(|()| String::new())
    }
}

#[async_trait]
impl Check for QueuesCheck {
    fn name(&self) -> &str {
        "queues"
    }

    async fn check(&self) -> Result<String, String> {
        self.0.readiness().map(|()| String::new())
    }
}

pub async fn run(config: BridgeRole) -> Result<(), Fault> {
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    let drain = Drain::new(clock.clone(), config.bridge.grace);
    let metrics = Registry::new();
    let classes = vec![Class::light(), Class::standard(), Class::long()];
    let broker = AmqpBroker::start(&shared::broker_of(&config.broker, classes), clock.clone());
    let broker = Arc::new(broker.map_err(|e| Fault::new(FaultKind::Settings, e.to_string()))?);
    let queues: Vec<QueueSettings> = config.bridge.queues.iter().map(settings_of).collect();
    let bridge = Arc::new(Bridge::new(&queues, broker.clone(), (clock.clone(), &metrics))?);
    let checks: Vec<Arc<dyn Check>> =
        vec![Arc::new(BrokerCheck(broker.clone())), Arc::new(QueuesCheck(bridge.clone()))];
    let probes = Probes { registry: metrics, checks, draining: drain.stop(), clock };
    let probes = probes.bind(config.bridge.ops_listen).await?;
    info!(ops = %probes.address(), name = config.bridge.name, queues = queues.len(), "bridge begins");
    let halt = drain.halt();
    shared::live(drain, probes, (serve(&bridge, &halt), Way::NOWHERE)).await
}

async fn serve(bridge: &Bridge, halt: &Halt) -> Result<(), Fault> {
    bridge.run(halt).await;
    info!("bridge has handed on or given back what it held and ends");
    Ok(())
}

fn settings_of(queue: &QueueConfig) -> QueueSettings {
    QueueSettings {
        name: queue.name.clone(),
        endpoint: queue.endpoint.clone(),
        signature: queue.signature.clone(),
        credentials: shared::credentials_of(&queue.credentials),
        wait: queue.wait,
    }
}
