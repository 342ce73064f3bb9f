//! One queue's messages, handed on to the broker.
//!
//! ```text
//! receive ─▶ publish ─▶ confirmed ─▶ delete
//!    ▲  │       │ not confirmed: again, and the message is kept from others meanwhile
//!    │  │       └ told to stop: given back
//!    │  └ not as it was sent, by its hash: left to be received again
//!    └ only while the broker takes messages
//! ```
//!
//! A message is deleted only when the broker has confirmed it. Whoever dies in between leaves it to be received again:
//! it may be handed on twice, which whoever looks into it does not mind.

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::ports::broker::{Ingest, Notice};
use framefleet_common::ports::clock::Clock;
use framefleet_common::process::backoff::Backoff;
use framefleet_common::process::drain::Halt;
use futures::future::join_all;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::mns::{Attributes, MnsError, Queue, Received, State};
use crate::observe::Observer;

/// How often a queue is asked how much waits in it.
const COUNT_EVERY: Duration = Duration::from_secs(60);
/// Of a queue that does not say it, as those do that may be received from and not be looked at. MNS's own default is
/// thrice as long.
const VISIBILITY: Duration = Duration::from_secs(10);
const DELETE_TRIES_MAX: u32 = 4;
const ID_LETTERS_MAX: usize = 128;
/// What is given back is to be seen at once, and no shorter time can be asked for.
const SOON: Duration = Duration::from_secs(1);

pub(crate) struct Pump {
    pub(crate) name: String,
    pub(crate) wait: Duration,
    pub(crate) queue: Queue,
    pub(crate) ingest: Arc<dyn Ingest>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Observer,
    /// Whether the queue answers, and if not, why.
    pub(crate) state: watch::Sender<Result<(), String>>,
}

/// A message while it is ours.
struct Held {
    id: String,
    handle: String,
    /// How long it is kept from others each time.
    visibility: Duration,
    /// When, by the clock, that has to be asked for anew.
    due: Duration,
}

enum Carried {
    /// Confirmed, and to be deleted by this handle.
    Confirmed(Held),
    /// Not ours any more, or given back.
    Gone,
}

/// What a queue was last known to be like.
struct Known {
    attributes: Attributes,
    asked: Option<Duration>,
}

impl Pump {
    pub(crate) async fn run(&self, halt: &Halt) {
        let attributes = Attributes { waiting: 0, visibility: VISIBILITY };
        let mut known = Known { attributes, asked: None };
        let mut failures = 0;
        while !halt.stop.is_cancelled() {
            if let Err(why) = self.ingest.readiness() {
                if failures == 0 {
                    self.observer.held_up(&self.name, &why);
                }
                failures += 1;
                self.pause(failures, &halt.stop).await;
                continue;
            }
            let Some(received) = halt.stop.run_until_cancelled(self.receive(&mut known)).await else { return };
            // What it was before is of no interest.
            drop(self.state.send_replace(received.as_ref().map(drop).map_err(ToString::to_string)));
            match received {
                Ok(messages) => {
                    failures = 0;
                    self.hand_on(messages, (known.attributes.visibility, halt)).await;
                }
                Err(error) => {
                    self.observer.failed(&self.name, ("receive", &error));
                    failures += 1;
                    self.pause(failures, &halt.stop).await;
                }
            }
        }
    }

    async fn receive(&self, known: &mut Known) -> Result<Vec<Received>, MnsError> {
        let now = self.clock.elapsed();
        if known.asked.is_none_or(|asked| now.saturating_sub(asked) >= COUNT_EVERY) {
            known.asked = Some(now);
            match self.queue.attributes().await {
                Ok(attributes) => {
                    known.attributes = attributes;
                    // A first long poll would say so late.
                    drop(self.state.send_replace(Ok(())));
                    self.observer.waiting(&self.name, attributes.waiting);
                }
                Err(error) => self.observer.failed(&self.name, ("attributes", &error)),
            }
        }
        let messages = self.queue.receive(self.wait).await?;
        if !messages.is_empty() {
            self.observer.received(&self.name, messages.len());
        }
        Ok(messages)
    }

    async fn hand_on(&self, messages: Vec<Received>, (visibility, halt): (Duration, &Halt)) {
        let due = self.clock.elapsed() + visibility / 2;
        // Left where it is: another delivery of it may be as it was sent.
        let (whole, damaged): (Vec<_>, Vec<_>) = messages.into_iter().partition(|one| one.state == State::Whole);
        damaged.iter().for_each(|one| self.observer.damaged((&self.name, &one.id), one.times));
        let carrying = whole.into_iter().map(|Received { id, body, handle, times, .. }| {
            let notice = Notice { id: self.notice_id(&id), key: format!("mns.{}", self.name), body: body.into() };
            self.carry((notice, times), Held { id, handle, visibility, due }, halt)
        });
        let confirmed = join_all(carrying).await.into_iter().filter_map(|carried| match carried {
            Carried::Confirmed(held) => Some(held),
            Carried::Gone => None,
        });
        self.delete(confirmed.collect()).await;
    }

    async fn carry(&self, (notice, times): (Notice, u32), mut held: Held, halt: &Halt) -> Carried {
        let mut failures = 0;
        loop {
            let publishing = self.ingest.publish_notice(&notice);
            let outcome = tokio::select! {
                biased;
                outcome = self.meanwhile(&mut held, publishing) => outcome,
                () = halt.abandon.cancelled() => return self.hand_back(held).await,
            };
            match outcome {
                None => return self.expired(&held),
                Some(Ok(())) => {
                    self.observer.published(&self.name, (&held.id, times));
                    return Carried::Confirmed(held);
                }
                Some(Err(error)) => self.observer.unpublished((&self.name, &held.id), &error),
            }
            failures += 1;
            let waited = self.meanwhile(&mut held, self.pause(failures, &halt.stop)).await;
            if waited.is_none() {
                return self.expired(&held);
            }
            if halt.stop.is_cancelled() {
                return self.hand_back(held).await;
            }
        }
    }

    /// Keeps a message from others for as long as the work takes. `None`: it is not ours any more.
    async fn meanwhile<T>(&self, held: &mut Held, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        let mut failures = 0;
        loop {
            let left = held.due.saturating_sub(self.clock.elapsed());
            tokio::select! {
                biased;
                done = &mut work => return Some(done),
                () = self.clock.sleep(left) => {}
            }
            match self.queue.extend(&held.handle, held.visibility).await {
                Ok(handle) => {
                    held.handle = handle;
                    held.due = self.clock.elapsed() + held.visibility / 2;
                    failures = 0;
                }
                Err(MnsError::Expired(_) | MnsError::Empty) => return None,
                Err(error) => {
                    self.observer.failed(&self.name, ("extend", &error));
                    failures += 1;
                    held.due = self.clock.elapsed() + Backoff::CONNECTION.wait(failures, &mut rand::rng());
                }
            }
        }
    }

    /// Deletes what is confirmed. What cannot be deleted is received again, and handed on again.
    async fn delete(&self, confirmed: Vec<Held>) {
        let mut handles: Vec<String> = confirmed.iter().map(|held| held.handle.clone()).collect();
        let mut tries = 0;
        while !handles.is_empty() {
            match self.queue.delete(&handles).await {
                Ok(kept) => {
                    self.observer.deleted(&self.name, handles.len().saturating_sub(kept.len()));
                    let lost = |held: &&Held| kept.iter().any(|kept| kept.handle == held.handle);
                    confirmed.iter().filter(lost).for_each(|held| self.observer.expired((&self.name, &held.id)));
                    handles.clear();
                }
                Err(error) => {
                    self.observer.failed(&self.name, ("delete", &error));
                    tries += 1;
                    if tries == DELETE_TRIES_MAX {
                        return;
                    }
                    self.clock.sleep(Backoff::CONNECTION.wait(tries, &mut rand::rng())).await;
                }
            }
        }
    }

    async fn hand_back(&self, held: Held) -> Carried {
        match self.queue.extend(&held.handle, SOON).await {
            Ok(_) => self.observer.handed_back((&self.name, &held.id)),
            // It comes again by itself, only later.
            Err(error) => self.observer.failed(&self.name, ("hand back", &error)),
        }
        Carried::Gone
    }

    fn expired(&self, held: &Held) -> Carried {
        self.observer.expired((&self.name, &held.id));
        Carried::Gone
    }

    /// Queues number their messages each for itself. RabbitMQ takes ids of 255 bytes.
    fn notice_id(&self, id: &str) -> String {
        let id: String = id.chars().filter(char::is_ascii_graphic).take(ID_LETTERS_MAX).collect();
        format!("{}.{id}", self.name)
    }

    async fn pause(&self, failures: u32, stop: &CancellationToken) {
        let wait = Backoff::CONNECTION.wait(failures, &mut rand::rng());
        stop.run_until_cancelled(self.clock.sleep(wait)).await;
    }
}
