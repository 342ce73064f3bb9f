//! The dispatcher: hints ready tasks to the broker, no more of them than slots can soon take. What it marks as hinted
//! and dies before publishing, the sweeper makes ready again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::board::Board;
use framefleet_common::ports::broker::{Broker, Class, Hint};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::{self, TaskRef};
use framefleet_common::ports::store::{Entry, Scan, Shard, Store, StoreError};
use framefleet_common::process::traces::{self, Begun};
use framefleet_common::roster::{Roster, Slots};
use framefleet_common::spans;
use framefleet_model::board::is_before_turn;
use framefleet_model::id::TaskKind;
use framefleet_model::terms::Tenant;
use futures::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::flow::dispatching::{CLASS_MERGE, by_turns, credit};
use crate::observe::Observer;
use crate::rounds::Rounds;

const POLL: Duration = Duration::from_secs(5);
/// More than any window.
const ENTRIES_PER_SHARD: usize = 256;
/// More tenants than this in one shard wait for the others' tasks to be done.
const TENANTS_PER_SHARD: usize = 1024;
/// Shards that are looked at side by side.
const LOOKS_AT_ONCE: usize = 16;
/// No sweeper is so late with a task whose pause is over.
const WAITED_MS_MAX: i64 = 60_000;
/// Hints that are marked and published side by side.
const HINTS_AT_ONCE: usize = 32;

pub(crate) struct Dispatcher {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) board: Board,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) roster: Roster,
    pub(crate) classes: Vec<Class>,
    pub(crate) window_percent: usize,
    pub(crate) observer: Observer,
}

/// What was last seen of a class: only shards that changed are looked at again.
#[derive(Default)]
struct Seen {
    ready: BTreeMap<Shard, BTreeMap<Tenant, Vec<Entry>>>,
    on_their_way: BTreeMap<Shard, usize>,
    /// Tasks that pause before their next try, or were left to others for a moment.
    waiting: BTreeMap<Shard, usize>,
    /// Whose task was the last that was hinted.
    served: Option<Tenant>,
    /// Shards whose hints the broker did not confirm, or that were not looked at because the store was away.
    again: BTreeSet<Shard>,
    /// Since when, by the clock, each task waits that nobody has claimed.
    since: BTreeMap<Shard, BTreeMap<String, Duration>>,
}

/// A class in one shard.
struct Look {
    shard: Shard,
    ready: Vec<(Tenant, Vec<Entry>)>,
    hinted: Vec<Entry>,
    waiting: usize,
}

impl Seen {
    fn take(&mut self, look: Look, now: Duration) {
        let Look { shard, ready, hinted, waiting } = look;
        self.waiting.insert(shard, waiting);
        let known = self.since.remove(&shard).unwrap_or_default();
        let unclaimed = ready.iter().flat_map(|(_, entries)| entries).chain(&hinted);
        let since = unclaimed.map(|entry| {
            let first = known.get(&entry.member).copied().unwrap_or(now);
            (entry.member.clone(), first)
        });
        self.since.insert(shard, since.collect());
        // A store that went back may know fewer tenants than before.
        self.ready.insert(shard, ready.into_iter().filter(|(_, entries)| !entries.is_empty()).collect());
        self.on_their_way.insert(shard, hinted.len());
    }

    fn oldest(&self, now: Duration) -> Duration {
        let first = self.since.values().flat_map(BTreeMap::values).min();
        first.map_or(Duration::ZERO, |first| now.saturating_sub(*first))
    }
}

impl Dispatcher {
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut rounds = Rounds::new(&*self.store, self.clock.clone(), POLL);
        let mut merges = BTreeMap::new();
        let mut seen: Vec<(&Class, Seen)> = self.classes.iter().map(|class| (class, Seen::default())).collect();
        loop {
            let shards = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                shards = rounds.next(None) => shards,
            };
            let live = match self.roster.slots().await {
                Ok(live) => live,
                Err(error) => {
                    self.observer.store_away(&error);
                    rounds.begin_again();
                    self.clock.sleep(POLL).await;
                    continue;
                }
            };
            let mut is_whole = true;
            if let Err(error) = self.look_for_merges(&mut merges, &shards).await {
                self.observer.store_away(&error);
                is_whole = false;
            }
            for (class, seen) in &mut seen {
                let slots = live.get(class.as_str()).copied().unwrap_or_default();
                if let Err(error) = self.round((class, slots), seen, &shards).await {
                    self.observer.store_away(&error);
                    seen.again.extend(&shards);
                    is_whole = false;
                }
            }
            if is_whole {
                self.observer.rounded("dispatcher");
            }
        }
    }

    async fn round(
        &self,
        (class, slots): (&Class, Slots),
        seen: &mut Seen,
        shards: &[Shard],
    ) -> Result<(), StoreError> {
        let looked: BTreeSet<Shard> = shards.iter().copied().chain(std::mem::take(&mut seen.again)).collect();
        let looks = looked.into_iter().map(|shard| self.look(class, shard));
        let mut looks = futures::stream::iter(looks).buffer_unordered(LOOKS_AT_ONCE);
        while let Some(look) = looks.next().await {
            seen.take(look?, self.clock.elapsed());
        }
        self.observer.waited(class.as_str(), seen.oldest(self.clock.elapsed()));
        let mut ready: BTreeMap<Tenant, Vec<Entry>> = BTreeMap::new();
        for (tenant, entries) in seen.ready.values().flatten() {
            ready.entry(tenant.clone()).or_default().extend(entries.iter().cloned());
        }
        ready.values_mut().for_each(|entries| entries.sort_unstable());
        let on_their_way: usize = seen.on_their_way.values().sum();
        // As many ready ones as were looked at: enough for whoever adds workers, if not the whole of a long queue.
        let ready_ones: usize = ready.values().map(Vec::len).sum();
        let waiting: usize = seen.waiting.values().sum();
        self.observer.demand(class.as_str(), ready_ones + waiting + on_their_way + slots.busy);
        let credit = credit(slots.taking, on_their_way, self.window_percent);
        let chosen: Vec<(Tenant, TaskRef)> = by_turns(&ready, seen.served.as_ref())
            .filter_map(|(tenant, entry)| Some((tenant.clone(), entry.member.parse().ok()?)))
            .take(credit)
            .collect();
        if let Some((last, _)) = chosen.last() {
            seen.served = Some(last.clone());
        }
        let hinted = chosen.into_iter().map(|(_, at)| {
            let span = spans::task(&at);
            self.hint(class, at).instrument(span)
        });
        let mut hinted = futures::stream::iter(hinted).buffer_unordered(HINTS_AT_ONCE);
        while let Some(unhinted) = hinted.next().await {
            seen.again.extend(unhinted?);
        }
        Ok(())
    }

    async fn look(&self, class: &Class, shard: Shard) -> Result<Look, StoreError> {
        let tenants = self.scan(Scan::all(rows::tenants(shard, class.as_str()), TENANTS_PER_SHARD)).await?;
        let mut look = Look { shard, ready: Vec::with_capacity(tenants.len()), hinted: Vec::new(), waiting: 0 };
        for tenant in tenants.iter().filter_map(|entry| entry.member.parse::<Tenant>().ok()) {
            let ready = self.scan(Scan::all(rows::ready(shard, class.as_str(), &tenant), ENTRIES_PER_SHARD)).await?;
            look.ready.push((tenant, ready));
        }
        if !tenants.is_empty() {
            look.hinted = self.scan(Scan::all(rows::hinted(shard, class.as_str()), ENTRIES_PER_SHARD)).await?;
            look.waiting = self.waiting(class, shard).await?;
        }
        Ok(look)
    }

    async fn waiting(&self, class: &Class, shard: Shard) -> Result<usize, StoreError> {
        let scanned = self.store.scan(Scan::all(rows::waiting(shard, class.as_str()), ENTRIES_PER_SHARD)).await?;
        // An older build moves tasks and leaves their entries: what was due long ago waits no more.
        let since = scanned.now.ms() - WAITED_MS_MAX;
        Ok(scanned.entries.iter().filter(|entry| entry.score > since).count())
    }

    /// Merges are not hinted, but those that wait at their turn and those under way are told to whoever adds coordinators,
    /// and takes them away.
    async fn look_for_merges(&self, seen: &mut BTreeMap<Shard, usize>, shards: &[Shard]) -> Result<(), StoreError> {
        for shard in shards {
            let ready = self.scan(Scan::all(rows::ready(*shard, CLASS_MERGE, &Tenant::default()), ENTRIES_PER_SHARD));
            let at_turn = ready.await?.iter().filter(|entry| !is_before_turn(entry.score)).count();
            let due = self.scan(Scan::all(rows::due(*shard), ENTRIES_PER_SHARD)).await?;
            let tasks = due.iter().filter_map(|entry| entry.member.parse::<TaskRef>().ok());
            seen.insert(*shard, at_turn + tasks.filter(|at| at.task.kind == TaskKind::Merge).count());
        }
        self.observer.demand_merges(seen.values().sum());
        Ok(())
    }

    /// The shard to look at again, where the task was not ready or the broker did not confirm.
    async fn hint(&self, class: &Class, at: TaskRef) -> Result<Option<Shard>, StoreError> {
        let shard = at.shard();
        let begun = Begun::of(&*self.clock);
        let Some(job) = self.board.hint(&at).await? else { return Ok(Some(shard)) };
        let words = [traces::HINT, &at.task.to_string(), &begun.word()];
        let trace = job.trace.map(|trace| trace.traceparent.span(&words));
        let hint = Hint { job: at.job, task: at.task, trace };
        if let Err(error) = self.broker.publish_hint(class, &hint).await {
            self.observer.hinted("unconfirmed");
            self.observer.broker_away(&error);
            return Ok(Some(shard));
        }
        self.observer.told_of_task(&hint, (class.as_str(), job.trace.as_ref()), begun.until_now());
        Ok(None)
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Entry>, StoreError> {
        self.store.scan(scan).await.map(|scanned| scanned.entries)
    }
}

#[cfg(test)]
mod tests {
    use framefleet_common::adapters::clock::ManualClock;
    use framefleet_common::adapters::memory::broker::MemoryBroker;
    use framefleet_common::adapters::memory::store::MemoryStore;
    use framefleet_common::ports::txn::Txn;
    use framefleet_common::process::metrics;
    use framefleet_model::board::{HINT_MS, Task, TaskState};
    use framefleet_model::id::{JobId, TaskId};
    use framefleet_model::job::Job;
    use framefleet_model::plan::SourceFacts;
    use framefleet_model::task::Place;
    use framefleet_model::time::StoreTime;
    use prometheus::Registry;

    use super::*;

    async fn demand(dispatcher: &Dispatcher, registry: &Registry) -> String {
        let shards: Vec<Shard> = Shard::of_jobs().collect();
        let slots = Slots::default();
        dispatcher.round((&Class::standard(), slots), &mut Seen::default(), &shards).await.unwrap();
        let text = metrics::text(registry);
        let line = text.lines().find_map(|line| line.strip_prefix("framefleet_demand_slots{class=\"standard\"} "));
        line.unwrap().to_owned()
    }

    /// Whoever adds workers by it must not take away those that will make what is tried again or was left to them.
    #[tokio::test]
    async fn what_waits_for_its_next_try_is_in_demand() {
        let (clock, registry) = (Arc::new(ManualClock::default()), Registry::new());
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
        let source = SourceFacts { url: "file:///film".into(), size: 1, version: "1".into() };
        let job = Job::new(JobId::of_parts(&["film"]), source, StoreTime(0));
        let now = store.load(&[]).await.unwrap().now;
        let states = [
            TaskState::Ready,
            TaskState::Hinted { at: now },
            TaskState::Waiting { until: now.after_ms(3_000) },
            TaskState::Dead(framefleet_model::fault::Fault::new(framefleet_model::fault::FaultKind::Internal, "x")),
        ];
        let mut txn = Txn::new(Shard::of(&job.id)).put(&rows::job_row(&job.id), rows::to_bytes(&job));
        for (number, state) in (0..).zip(states) {
            let at = TaskRef::new(&job.id, TaskId::new(TaskKind::Encode, number));
            let place =
                Place { class: "standard".into(), tenant: Tenant::default(), order: 1, need: Default::default() };
            txn = rows::put_task(txn, &at, &Task { state, ..Task::new(at.task, None, place) });
        }
        store.commit(txn).await.unwrap();
        let dispatcher = Dispatcher {
            store: store.clone(),
            broker: Arc::new(MemoryBroker::default()),
            board: Board::new(store.clone()),
            clock: clock.clone(),
            roster: Roster::new(store),
            classes: vec![Class::standard()],
            window_percent: 120,
            observer: Observer::new(&registry, &["standard"]),
        };
        assert_eq!(demand(&dispatcher, &registry).await, "3");
        // As an older build leaves an entry behind.
        clock.advance(Duration::from_millis(u64::try_from(WAITED_MS_MAX + HINT_MS).unwrap()));
        assert_eq!(demand(&dispatcher, &registry).await, "2");
    }
}
