//! Parked uploads: what was told of and cannot be looked at yet. Each waits in the store, so that no message is held for
//! longer than a bucket is away.

use std::time::Duration;

use framefleet_common::ports::rows;
use framefleet_common::ports::store::{Commit, Entry, Row, Scan, Shard, StoreError, Version};
use framefleet_common::ports::txn::Txn;
use framefleet_common::process::backoff::Backoff;
use framefleet_model::event::{UploadKey, UploadKind};
use framefleet_model::fault::Fault;
use framefleet_model::time::StoreTime;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::arrivals::{Arrival, Arrived};
use crate::inbox::{Asker, Origin};
use crate::rounds::until;
use crate::uploads::Uploads;

const PARKED_VERSION: u32 = 1;
const POLL: Duration = Duration::from_secs(5);
const PER_ROUND: usize = 64;
/// Storage that is away for longer is people's to look after; the sweep finds what they mend.
const AGE_MS_MAX: i64 = 7 * 24 * 3_600_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parked {
    version: u32,
    pub(crate) trigger: String,
    pub(crate) url: String,
    pub(crate) key: UploadKey,
    pub(crate) kind: UploadKind,
    /// When it was uploaded, as far as anybody said.
    pub(crate) at: StoreTime,
    since: StoreTime,
    tries: u32,
}

impl Parked {
    pub(crate) fn new(arrival: Arrival<'_>, at: StoreTime, now: StoreTime) -> Self {
        let Arrival { trigger, key, kind, .. } = arrival;
        Self {
            version: PARKED_VERSION,
            trigger: trigger.name.clone(),
            url: trigger.url(key),
            key: key.clone(),
            kind: kind.unwrap_or(UploadKind::Put),
            at,
            since: now,
            tries: 0,
        }
    }

    /// The longest wait before the next try.
    pub(crate) fn wait_ms(&self) -> i64 {
        i64::try_from(Backoff::TASK.bound(self.tries).as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn put(&self, txn: Txn, due: StoreTime) -> Txn {
        let row = rows::parked(&self.url);
        txn.put(&row, rows::to_bytes(self)).index_set(&rows::all_parked(), row.name, due.ms())
    }
}

impl Uploads {
    pub(crate) async fn run_parked(&self, stop: CancellationToken) {
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(wait) => {}
            }
            wait = match self.look_at_parked().await {
                Ok(next) => next.unwrap_or(POLL).min(POLL),
                Err(error) => {
                    self.observer.store_away(&error);
                    POLL
                }
            };
        }
    }

    /// Looks at those that are due; says how long until the next is.
    async fn look_at_parked(&self) -> Result<Option<Duration>, StoreError> {
        let scanned = self.arrivals.inbox.store.scan(Scan::all(rows::all_parked(), PER_ROUND)).await?;
        let now = scanned.now;
        for Entry { score, member } in &scanned.entries {
            if *score > now.ms() {
                return Ok(Some(until(StoreTime(*score), now)));
            }
            let key = rows::parked_member(member);
            let row =
                self.arrivals.inbox.store.load(std::slice::from_ref(&key)).await?.rows.into_iter().next().flatten();
            let Some(row) = row else {
                let txn = Txn::new(Shard::GLOBAL).expect(&key, None).index_remove(&rows::all_parked(), member);
                drop::<Commit>(self.arrivals.inbox.store.commit(txn).await?);
                continue;
            };
            let parked: Parked = rows::from_row(&key, &row)?;
            self.look(parked, &row, now).await?;
        }
        Ok(None)
    }

    /// One try at one of them. Whoever tries moves it into the future first: others need not.
    async fn look(&self, parked: Parked, row: &Row, now: StoreTime) -> Result<(), StoreError> {
        let store = &self.arrivals.inbox.store;
        let next = Parked { tries: parked.tries.saturating_add(1), ..parked.clone() };
        let due = now.after_ms(next.wait_ms());
        let taken = next.put(Txn::new(Shard::GLOBAL).expect(&rows::parked(&parked.url), row.version), due);
        let Commit::Committed(taken) = store.commit(taken).await? else { return Ok(()) };
        let named = self.arrivals.triggers.iter().find(|trigger| trigger.name == parked.trigger);
        let trigger = named.filter(|trigger| trigger.url(&parked.key) == parked.url && trigger.covers(&parked.key));
        let Some(trigger) = trigger else {
            self.observer.upload("unmatched");
            return self.unpark(&parked, taken.version).await;
        };
        let origin = Origin::Event { at: parked.at };
        let arrival = Arrival { trigger, key: &parked.key, kind: Some(parked.kind), origin, asked: &Asker::Unsaid };
        let arrived = self.arrivals.arrive(arrival).await;
        match arrived {
            Ok(Arrived::Unquiet { until }) => {
                let again = Parked { tries: 0, ..next };
                let txn = Txn::new(Shard::GLOBAL).expect(&rows::parked(&parked.url), taken.version);
                store.commit(again.put(txn, until)).await.map(drop::<Commit>)
            }
            Ok(arrived) => {
                self.arrived(&arrived, (arrival, &parked.url)).await?;
                self.unpark(&parked, taken.version).await
            }
            Err(fault) if now.ms_since(parked.since) > AGE_MS_MAX => {
                self.give_up(&parked, &fault).await?;
                self.unpark(&parked, taken.version).await
            }
            Err(fault) => {
                self.observer.upload_postponed(&parked.url, &fault);
                Ok(())
            }
        }
    }

    async fn give_up(&self, parked: &Parked, fault: &Fault) -> Result<(), StoreError> {
        let days = AGE_MS_MAX / 86_400_000;
        let why = format!("{} could not be looked at for {days} days: {fault}", parked.url);
        self.write_letter(&parked.url, why).await
    }

    /// Somebody may have told of it again meanwhile: then it stays.
    async fn unpark(&self, parked: &Parked, version: Version) -> Result<(), StoreError> {
        let row = rows::parked(&parked.url);
        let txn = Txn::new(Shard::GLOBAL).expect(&row, version).delete(&row);
        let txn = txn.index_remove(&rows::all_parked(), row.name);
        self.arrivals.inbox.store.commit(txn).await.map(drop::<Commit>)
    }
}
