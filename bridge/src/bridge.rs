//! A bridge: one pump for each queue, each for itself. A queue that is away holds up no other.

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::alibaba::AlibabaKeys;
use framefleet_common::adapters::blob::storages::Credentials;
use framefleet_common::ports::broker::Ingest;
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::drain::Halt;
use framefleet_model::fault::Fault;
use futures::future::join_all;
use prometheus::Registry;
use tokio::sync::watch;

use crate::mns::Queue;
use crate::observe::Observer;
use crate::pump::Pump;

/// A queue of MNS.
#[derive(Clone, Debug)]
pub struct QueueSettings {
    pub name: String,
    /// `https://<account>.mns.<region>.aliyuncs.com`
    pub endpoint: String,
    pub signature: Signature,
    /// None: what the machine has.
    pub credentials: Option<Credentials>,
    /// How long one poll waits for a message.
    pub wait: Duration,
}

/// How requests are signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// By the key itself, for any region and at any time.
    V2,
    /// By a key made of it that is of use in one region on one day.
    V4 { region: String },
}

pub struct Bridge {
    pumps: Vec<Pump>,
    states: Vec<(String, watch::Receiver<Result<(), String>>)>,
}

impl Bridge {
    pub fn new(
        queues: &[QueueSettings],
        ingest: Arc<dyn Ingest>,
        (clock, registry): (Arc<dyn Clock>, &Registry),
    ) -> Result<Self, Fault> {
        let names: Vec<&str> = queues.iter().map(|queue| queue.name.as_str()).collect();
        let observer = Observer::new(registry, &names);
        let (mut pumps, mut states) = (Vec::new(), Vec::new());
        for settings in queues {
            let keys = AlibabaKeys::of(settings.credentials.as_ref())?;
            let queue = Queue::new(settings, keys, clock.clone())?;
            let (state, is) = watch::channel(Err("not asked yet".to_owned()));
            states.push((settings.name.clone(), is));
            pumps.push(Pump {
                name: settings.name.clone(),
                wait: settings.wait,
                queue,
                ingest: ingest.clone(),
                clock: clock.clone(),
                observer: observer.clone(),
                state,
            });
        }
        Ok(Self { pumps, states })
    }

    /// Which queues do not answer, and why.
    pub fn readiness(&self) -> Result<(), String> {
        let wrong = self.states.iter().filter_map(|(name, state)| {
            let state = state.borrow().clone();
            state.err().map(|why| format!("{name}: {why}"))
        });
        let wrong: Vec<String> = wrong.collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }

    /// Hands on what comes until it is told to stop, and then what it still holds, or gives it back.
    pub async fn run(&self, halt: &Halt) {
        join_all(self.pumps.iter().map(|pump| pump.run(halt))).await;
    }
}
