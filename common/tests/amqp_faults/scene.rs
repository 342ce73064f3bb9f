//! A broker under a prefix of its own, and waiting for what is to become of it.

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::amqp::{AmqpBroker, AmqpSettings, Declare};
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::ports::broker::{Broker as _, BrokerError, Class, Delivery, Hint, Hints};
use framefleet_model::id::{JobId, TaskId, TaskKind};
use tokio::time::timeout;

/// No fact may take longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) fn run(fact: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async { timeout(PATIENCE, fact).await.expect("within the patience of this suite") });
}

pub(crate) fn settings(url: &str, prefix: &str) -> AmqpSettings {
    AmqpSettings {
        url: url.to_owned(),
        prefix: prefix.to_owned(),
        declare: Declare::Declare,
        classes: vec![Class::light(), Class::standard()],
        confirms_max: AmqpSettings::CONFIRMS_MAX,
    }
}

pub(crate) fn passive(url: &str, prefix: &str) -> AmqpSettings {
    AmqpSettings { declare: Declare::Passive, ..settings(url, prefix) }
}

pub(crate) fn start(settings: &AmqpSettings) -> AmqpBroker {
    AmqpBroker::start(settings, Arc::new(HostClock::start())).unwrap()
}

pub(crate) async fn declare(settings: &AmqpSettings) -> Result<(), String> {
    AmqpBroker::declare(settings, Arc::new(HostClock::start())).await
}

pub(crate) async fn until_ready(broker: &AmqpBroker) {
    until(|| broker.readiness().is_ok()).await;
}

/// Waits until readiness says all of this.
pub(crate) async fn until_it_says(broker: &AmqpBroker, words: &[&str]) -> String {
    let said = || broker.readiness().err().filter(|text| words.iter().all(|word| text.contains(word)));
    let waited = timeout(PATIENCE / 2, until(|| said().is_some())).await;
    assert!(waited.is_ok(), "wanted {words:?}, got {:?}", broker.readiness());
    broker.readiness().err().unwrap_or_default()
}

pub(crate) async fn until(fact: impl Fn() -> bool) {
    while !fact() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn hint(number: u32) -> Hint {
    Hint { job: JobId::of_parts(&["film"]), task: TaskId::new(TaskKind::Encode, number), trace: None }
}

/// Publishes as an outbox does: until it is confirmed.
pub(crate) async fn publish(broker: &AmqpBroker, class: &Class, number: u32) {
    while broker.publish_hint(class, &hint(number)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Consumes as a slot does: again after every error.
pub(crate) async fn consume(broker: &AmqpBroker, class: &Class) -> Box<dyn Hints> {
    loop {
        match broker.consume(class).await {
            Ok(source) => return source,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

pub(crate) async fn next(broker: &AmqpBroker, class: &Class) -> Delivery {
    loop {
        if let Ok(delivery) = consume(broker, class).await.next().await {
            return delivery;
        }
    }
}

pub(crate) fn unavailable(outcome: Result<Delivery, BrokerError>) {
    match outcome {
        Err(BrokerError::Unavailable(_)) => {}
        Err(error) => panic!("another error: {error}"),
        Ok(delivery) => panic!("a hint: {:?}", delivery.hint),
    }
}
