//! The slots of a worker: each consumes hints of one class and sees one attempt through at a time.
//!
//! ```ignore
//! let worker = Worker::new(fleet, media, WorkerSettings {
//!     name: "laptop".into(),
//!     slots: vec![(Class::light(), 1), (Class::standard(), 2), (Class::long(), 1)],
//!     scratch: state_dir.join("scratch"),
//!     beat: Duration::from_millis(500),       // 5 s in a fleet
//!     limits: SourceLimits::DEFAULT,
//! });
//! worker.clear_scratch().await;               // only where no other worker uses the folder
//! worker.run(stop).await;                     // until told to stop; attempts under way are handed back
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::child::Media;
use framefleet_common::fleet::Fleet;
use framefleet_common::ports::broker::{BrokerError, Class};
use framefleet_model::task::SourceLimits;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use crate::attempt::Bench;
use crate::brief::Briefing;
use crate::{observe, scratch};

/// Between two tries at a broker that does not answer.
const BROKER_PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// How the board names it.
    pub name: String,
    /// How many slots of each class.
    pub slots: Vec<(Class, usize)>,
    /// Where attempts write their files; best on the file system of the work store.
    pub scratch: PathBuf,
    /// Between heartbeats.
    pub beat: Duration,
    pub limits: SourceLimits,
}

pub struct Worker {
    fleet: Fleet,
    bench: Bench,
    slots: Vec<(Class, usize)>,
}

impl Worker {
    pub fn new(fleet: Fleet, media: Arc<dyn Media>, settings: WorkerSettings) -> Self {
        let WorkerSettings { name, slots, scratch, beat, limits } = settings;
        let bench = Bench {
            name,
            board: fleet.board(),
            clock: fleet.clock.clone(),
            work: fleet.work.clone(),
            media,
            mint: fleet.mint.clone(),
            briefing: Briefing::new(fleet.work.clone(), limits),
            scratch,
            beat,
            company: RwLock::default(),
        };
        Self { fleet, bench, slots }
    }

    /// Removes what attempts of an earlier life left in the scratch folder, which must be this worker's own.
    pub async fn clear_scratch(&self) {
        scratch::clear(&self.bench.scratch).await;
    }

    /// Runs until it is told to stop; attempts under way are then handed back at once, uncounted.
    pub async fn run(&self, stop: CancellationToken) {
        let classes = self.slots.iter().flat_map(|(class, count)| std::iter::repeat_n(class, *count));
        let slots: FuturesUnordered<_> = classes.map(|class| self.slot(class, stop.clone())).collect();
        slots.collect::<Vec<()>>().await;
    }

    async fn slot(&self, class: &Class, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.consume(class, &stop).await {
                observe::broker_away(class, &error);
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = self.fleet.clock.sleep(BROKER_PAUSE) => {}
                }
            }
        }
    }

    /// Ends well only when told to stop.
    async fn consume(&self, class: &Class, stop: &CancellationToken) -> Result<(), BrokerError> {
        let mut hints = self.fleet.broker.consume(class).await?;
        loop {
            let delivery = tokio::select! {
                biased;
                () = stop.cancelled() => return hints.close().await,
                delivery = hints.next() => delivery?,
            };
            self.bench.take(delivery, stop).await;
        }
    }
}
