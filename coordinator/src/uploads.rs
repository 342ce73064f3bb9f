//! Uploads: messages that tell of them are read, and what a trigger takes becomes a job.
//!
//! ```text
//! message ─▶ decode ─┬─ nobody's ─────────────────────────────── counted ─┐
//!                    ├─ no message of ours, no name ──▶ letter ────────────┤
//!                    ├─ a trigger's ─▶ arrivals ─┬─▶ job ──────────────────┼─▶ barrier, a look ─▶ acknowledged
//!                    │                           └─▶ storage away ▶ parked ┘
//!                    └─ store away ─▶ held, tried again
//! ```
//! A message is acknowledged once nothing that follows from it can be forgotten any more. It is never given back: what
//! cannot be done yet waits in the store.

use std::sync::Arc;

use framefleet_common::ports::broker::{Broker, BrokerError, Posted, Told};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows;
use framefleet_common::ports::store::StoreError;
use framefleet_common::process::backoff::Backoff;
use framefleet_model::event::{self, BucketName, News, Refused, Upload};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::time::StoreTime;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;

use crate::arrivals::{Arrival, Arrivals, Arrived};
use crate::inbox::{Asker, Heard, Origin, Submitted};
use crate::letters;
use crate::observe::Observer;
use crate::parked::Parked;

/// So many messages are worked on at once.
const MESSAGES_AT_ONCE: usize = 8;

pub(crate) struct Uploads {
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Observer,
}

/// Told to stop before a message was done with.
struct Stopped;

impl Uploads {
    /// Where there is no trigger messages are left where they are: they are for somebody who has one.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        if self.arrivals.triggers.is_empty() {
            return;
        }
        let readers: FuturesUnordered<_> = (0..MESSAGES_AT_ONCE).map(|_| self.read_on(&stop)).collect();
        tokio::join!(readers.collect::<Vec<()>>(), self.run_parked(stop.clone()));
    }

    async fn read_on(&self, stop: &CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            if let Err(error) = self.read(stop, &mut failures).await {
                self.observer.broker_away(&error);
            }
            let wait = Backoff::CONNECTION.bound(failures);
            failures = failures.saturating_add(1);
            tokio::select! {
                () = self.clock.sleep(wait) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Ends well only when told to stop.
    async fn read(&self, stop: &CancellationToken, failures: &mut u32) -> Result<(), BrokerError> {
        let mut uploads = self.broker.uploads().await?;
        loop {
            let posted = tokio::select! {
                biased;
                () = stop.cancelled() => return uploads.close().await,
                posted = uploads.next() => posted?,
            };
            *failures = 0;
            let Posted { told, receipt } = posted;
            match self.hold(&told, stop).await {
                Ok(()) => receipt.ack().await?,
                // Dropped, it comes again, here or elsewhere.
                Err(Stopped) => return uploads.close().await,
            }
        }
    }

    /// Until all that the message tells is kept, however long the store is away.
    async fn hold(&self, told: &Told, stop: &CancellationToken) -> Result<(), Stopped> {
        let news = event::decode(&told.body);
        match &news {
            Ok(News { uploads, refused, others }) => self.observer.told(uploads.len() + refused.len(), *others),
            Err(_) => self.observer.upload("malformed"),
        }
        for tries in 0_u32.. {
            let done = match &news {
                Ok(news) => self.heed(told, news).await,
                Err(why) => self.bury(told, why.to_string()).await,
            };
            match done {
                Ok(()) => return Ok(()),
                Err(fault) => self.observer.upload_postponed(&told.id, &fault),
            }
            tokio::select! {
                () = self.clock.sleep(Backoff::TASK.bound(tries)) => {}
                () = stop.cancelled() => return Err(Stopped),
            }
        }
        Ok(())
    }

    /// Errors are the store's alone. All of it may be done again.
    async fn heed(&self, told: &Told, news: &News) -> Result<(), Fault> {
        let ours = |bucket: &str| {
            let bucket = BucketName::new(bucket).ok();
            bucket.is_some_and(|name| self.arrivals.triggers.iter().any(|one| one.place.called() == Some(&name)))
        };
        let (refused, foreign): (Vec<&Refused>, Vec<&Refused>) = news.refused.iter().partition(|one| ours(&one.bucket));
        foreign.iter().for_each(|_| self.observer.upload("unmatched"));
        if !refused.is_empty() {
            refused.iter().for_each(|_| self.observer.upload("refused"));
            let why = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            self.bury(told, why).await?;
        }
        for upload in &news.uploads {
            self.heed_one(upload, told).await?;
        }
        Ok(())
    }

    async fn heed_one(&self, upload: &Upload, told: &Told) -> Result<(), Fault> {
        let Upload { key, kind, time, .. } = upload;
        let Some(trigger) = self.arrivals.triggers.iter().find(|one| one.takes(upload)) else {
            self.observer.upload("unmatched");
            return Ok(());
        };
        // What says no moment is never later than anything.
        let at = time.map_or(StoreTime(i64::MIN), |time| StoreTime(time.0));
        let (queue, message) = (told.queue.clone(), told.id.clone());
        let asked = Asker::Told(Heard { trace: told.trace, queue, message, begun_ms: self.clock.epoch_ms() });
        let arrival = Arrival { trigger, key, kind: Some(*kind), origin: Origin::Event { at }, asked: &asked };
        let now = self.arrivals.now().await?;
        match self.arrivals.arrive(arrival).await {
            Ok(Arrived::Unquiet { until }) => self.park(Parked::new(arrival, at, now), until).await,
            Ok(arrived) => Ok(self.arrived(&arrived, (arrival, &trigger.url(key))).await?),
            Err(fault) if fault.kind == FaultKind::StoreAway => Err(fault),
            Err(fault) => {
                self.observer.upload_postponed(&trigger.url(key), &fault);
                let parked = Parked::new(arrival, at, now);
                let due = now.after_ms(parked.wait_ms());
                self.park(parked, due).await
            }
        }
    }

    /// Counts what became of an upload, and leaves a letter of what nothing can become of.
    pub(crate) async fn arrived(
        &self,
        arrived: &Arrived,
        (arrival, url): (Arrival<'_>, &str),
    ) -> Result<(), StoreError> {
        match arrived {
            Arrived::Job(id, Submitted::New | Submitted::Again) => {
                self.observer.triggered(id, (&arrival.trigger.name, url))
            }
            Arrived::Job(_, Submitted::Joined | Submitted::Done | Submitted::Ended) => {
                self.observer.upload("duplicate")
            }
            Arrived::Gone => self.observer.upload("gone"),
            Arrived::Unquiet { .. } => self.observer.upload("parked"),
            Arrived::Unfit(why) => {
                self.observer.upload("refused");
                self.write_letter(url, why.clone()).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn park(&self, parked: Parked, due: StoreTime) -> Result<(), Fault> {
        self.observer.upload("parked");
        let row = rows::parked(&parked.url);
        letters::keep(&*self.arrivals.inbox.store, &row, |txn| parked.put(txn, due)).await.map_err(Fault::from)
    }

    async fn bury(&self, told: &Told, reason: String) -> Result<(), Fault> {
        let letter = letters::of_told(told, reason, self.arrivals.now().await?);
        Ok(self.put_letter(&letter).await?)
    }

    /// A letter of an object.
    pub(crate) async fn write_letter(&self, url: &str, why: String) -> Result<(), StoreError> {
        let letter = letters::of_object(url, why, self.arrivals.now().await?);
        self.put_letter(&letter).await
    }

    async fn put_letter(&self, letter: &letters::Letter) -> Result<(), StoreError> {
        let crowded_out = letters::keep_of_message(&*self.arrivals.inbox.store, letter).await?;
        self.observer.buried(&letter.id, "upload");
        self.observer.crowded_out(crowded_out);
        Ok(())
    }
}
