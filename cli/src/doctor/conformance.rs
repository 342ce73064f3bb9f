//! `--conformance`: the facts that this project's own tests hold stores and brokers to, tried on the servers of the
//! configuration, below a prefix that is nobody's and that is emptied again.

use std::sync::Arc;
use std::time::Instant;

use framefleet_common::adapters::amqp::{AmqpBroker, AmqpSettings, Declare};
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::redis::RedisStore;
use framefleet_common::adapters::redis::settings::RedisSettings;
use framefleet_common::process::shutdown::signals;
use framefleet_conformance::scene::{Scene, holds};
use framefleet_conformance::store::{Grounds, RedisHome};
use framefleet_conformance::{broker, store};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::Nonce;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;

use super::servers::{BROKER, STORE};
use super::verdict::{State, Verdict};
use crate::config::Setup;
use crate::roles::shared;

const OF_STORE: &str = "store conformance";
const OF_BROKER: &str = "broker conformance";
const NOT_SO: &str = "compare its version and settings with those in README.md, and report it with both";
/// Of a nonce, so that a broker's prefix stays within its bound.
const NONCE_LETTERS: usize = 8;
/// Few, so that callers wait for each other's confirms.
const CONFIRMS_MAX: usize = 16;

/// What is tried; what is not well has a verdict of its own already.
#[derive(Default)]
struct Servers {
    store: Option<RedisSettings>,
    broker: Option<AmqpSettings>,
}

/// A verdict for each fact, and one for each server on which something was left. Told to stop, it stops and takes away
/// what it made.
pub(super) async fn run(setup: &Setup, found: &[Verdict]) -> Result<Vec<Verdict>, Fault> {
    let servers = Servers::of(setup, found)?;
    let mut told = signals().map_err(|error| Fault::new(FaultKind::Internal, format!("signals: {error}")))?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    // Facts have threads of their own, and panic where they do not hold.
    let trying = tokio::task::spawn_blocking(move || servers.try_all(&stopping));
    tokio::pin!(trying);
    let verdicts = tokio::select! {
        verdicts = &mut trying => verdicts,
        _ = told.next() => {
            stop.cancel();
            trying.await
        }
    };
    let verdicts = verdicts.map_err(|error| Fault::new(FaultKind::Internal, format!("the facts: {error}")))?;
    if stop.is_cancelled() {
        let left = verdicts.iter().filter(|verdict| verdict.state == State::Warning);
        let left: String = left.map(|verdict| format!("; {}: {}", verdict.named(), verdict.says)).collect();
        return Err(Fault::new(FaultKind::Cancelled, format!("cancelled{left}")));
    }
    Ok(verdicts)
}

impl Servers {
    fn of(setup: &Setup, found: &[Verdict]) -> Result<Self, Fault> {
        let is_well = |check| !found.iter().any(|verdict| verdict.check == check && verdict.state == State::Bad);
        let mark: String = Nonce::from_bytes(rand::random()).to_string().chars().take(NONCE_LETTERS).collect();
        let broker = match setup {
            Setup::Bridge(role) => &role.broker,
            Setup::Fleet(fleet) => &fleet.config.broker,
            Setup::Nothing | Setup::Serve(_) => {
                let why =
                    "--conformance tries the Redis and the RabbitMQ of a fleet, and the configuration names neither";
                return Err(Fault::new(FaultKind::Settings, format!("{why}: set store.url and broker.url")));
            }
        };
        let mut servers = Self::default();
        if is_well(BROKER) {
            let settings = shared::broker_of(broker, broker::classes());
            let prefix = format!("{}.try-{mark}", settings.prefix);
            servers.broker =
                Some(AmqpSettings { prefix, declare: Declare::Declare, confirms_max: CONFIRMS_MAX, ..settings });
        }
        if let (Setup::Fleet(fleet), true) = (setup, is_well(STORE)) {
            let settings = shared::store_of(&fleet.config)?;
            servers.store = Some(RedisSettings { prefix: format!("{}:try-{mark}", settings.prefix), ..settings });
        }
        Ok(servers)
    }

    fn try_all(&self, stop: &CancellationToken) -> Vec<Verdict> {
        let mut verdicts = self.store.as_ref().map(|settings| on_store(settings, stop)).unwrap_or_default();
        verdicts.extend(self.broker.iter().flat_map(|settings| on_broker(settings, stop)));
        verdicts
    }
}

fn on_store(settings: &RedisSettings, stop: &CancellationToken) -> Vec<Verdict> {
    let home = Arc::new(RedisHome(settings.clone()));
    let facts = [store::EVERY, store::KEPT, store::SERVED].concat();
    let mut verdicts = Vec::new();
    for (name, fact) in facts.into_iter().take_while(|_| !stop.is_cancelled()) {
        let held = tried((OF_STORE, name), || fact(&Grounds::new(Scene::new(stop.clone()), home.clone(), name)));
        let failed = held.state == State::Bad;
        let opened = failed.then(|| cleaning().run(RedisStore::open(settings.clone(), Arc::new(HostClock::start()))));
        if let Some(Err(error)) = opened {
            verdicts.push(away(OF_STORE, &error.to_string()).of(name));
            break;
        }
        verdicts.push(held);
    }
    let erased = cleaning().run(async {
        let store = RedisStore::open(settings.clone(), Arc::new(HostClock::start())).await?;
        store.erase().await
    });
    if let Err(error) = erased {
        let prefix = &settings.prefix;
        let fix = format!("redis-cli --scan --pattern '{prefix}:*' | xargs redis-cli unlink");
        verdicts.push(Verdict::warning(OF_STORE, format!("keys below {prefix}: are left: {error}"), fix));
    }
    verdicts
}

fn on_broker(settings: &AmqpSettings, stop: &CancellationToken) -> Vec<Verdict> {
    let declared = cleaning().run(async {
        AmqpBroker::declare(settings, Arc::new(HostClock::start())).await?;
        broker::remove(settings).await
    });
    if let Err(why) = declared {
        let fix = "as broker.url name a user who may configure, write and read all below its prefix";
        return vec![Verdict::bad(OF_BROKER, Fault::new(FaultKind::StoreAway, why), fix)];
    }
    let mut verdicts = Vec::new();
    for (number, (name, fact)) in broker::EVERY.iter().enumerate().take_while(|_| !stop.is_cancelled()) {
        let settings = AmqpSettings { prefix: format!("{}-{number}", settings.prefix), ..settings.clone() };
        let held = tried((OF_BROKER, name), || Scene::new(stop.clone()).run(broker::on_amqp(*fact, &settings)));
        let failed = held.state == State::Bad;
        let removed = cleaning().run(broker::remove(&settings));
        verdicts.push(match &removed {
            Err(why) if failed => away(OF_BROKER, why).of(*name),
            Ok(()) | Err(_) => held,
        });
        if let Err(why) = removed {
            let says = format!("exchanges and queues of {} are left: {why}", settings.prefix);
            verdicts.push(Verdict::warning(
                OF_BROKER,
                says,
                "delete them: rabbitmqctl delete_queue, or the management page",
            ));
            if failed {
                break;
            }
        }
    }
    verdicts
}

fn tried((check, name): (&'static str, &str), fact: impl FnOnce()) -> Verdict {
    let begun = Instant::now();
    match holds(fact) {
        Ok(()) => Verdict::ok(check, format!("holds, shown in {} ms", begun.elapsed().as_millis())),
        Err(why) => Verdict::bad(check, Fault::new(FaultKind::StoreAway, format!("does not hold: {why}")), NOT_SO),
    }
    .of(name)
}

/// What was tried when its server went away is not known: neither is what would have come after it.
fn away(check: &'static str, why: &str) -> Verdict {
    let fault = Fault::new(FaultKind::StoreAway, format!("not known, and nothing after it was tried: {why}"));
    Verdict::bad(check, fault, "see that it stays up, and try again")
}

/// Whatever was told to stop, what was made is taken away.
fn cleaning() -> Scene {
    Scene::new(CancellationToken::new())
}
