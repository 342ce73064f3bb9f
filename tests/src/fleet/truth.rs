//! The store of a simulated fleet: it can go back to any moment since its last barrier, and it watches what is
//! committed. Each role sees it through its own peril.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use framefleet_common::adapters::memory::store::{MemoryStore, Snapshot};
use framefleet_common::ports::changes::{Announcer, Changes};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows;
use framefleet_common::ports::store::{
    Commit, Loaded, Message, Peek, Row, RowKey, Scan, Scanned, Shard, Store, StoreError,
};
use framefleet_common::ports::txn::{Txn, Write};
use framefleet_model::board::{Task, TaskState};
use framefleet_model::id::JobId;
use framefleet_model::job::{IndexStep, Job, JobState};

use crate::fleet::dice::Dice;
use crate::fleet::peril::Peril;
use crate::fleet::storm::Storm;
use crate::fleet::verdict::jobs;

/// Moments that the store may go back to are this many commits apart.
const COMMITS_PER_MOMENT: u64 = 4;
const MOMENTS_MAX: usize = 64;
/// Sides of the dice that the rate of rollbacks is taken against.
const GOES_BACK_BEFORE_BARRIER: u64 = 200;
const GOES_BACK_AFTER_COMMIT: u64 = 20_000;
/// Most calls are looks at what is empty: few of them meet their luck.
const SCANS_PER_LUCK: u64 = 16;

pub struct Truth {
    store: MemoryStore,
    storm: Arc<Storm>,
    inner: Mutex<Inner>,
}

struct Inner {
    /// What the store held at its last barrier, and at moments since then.
    moments: Vec<Snapshot>,
    commits: u64,
    ears: Vec<(Weak<Announcer>, Arc<Peril>)>,
}

/// The store as one role sees it.
pub struct RoleStore {
    truth: Arc<Truth>,
    peril: Arc<Peril>,
    announcer: Arc<Announcer>,
}

impl Truth {
    pub fn new(clock: Arc<dyn Clock>, storm: Arc<Storm>) -> Self {
        let store = MemoryStore::new(clock);
        let inner = Mutex::new(Inner { moments: vec![store.snapshot()], commits: 0, ears: Vec::new() });
        Self { store, storm, inner }
    }

    pub fn now(&self) -> Snapshot {
        self.store.snapshot()
    }

    /// The job as the store would still know it if it died now.
    pub fn durable(&self, id: &JobId) -> (Option<Job>, bool) {
        let inner = self.inner();
        let mailbox = rows::mailbox(id);
        let has_mail = inner.moments[0].queues().any(|(queue, _)| *queue == mailbox);
        (job_of(inner.moments[0].row(&rows::job_row(id)), id), has_mail)
    }

    /// All of them.
    pub fn durable_jobs(&self) -> Vec<Job> {
        jobs(&self.inner().moments[0])
    }

    pub fn job(&self, id: &JobId) -> Option<Job> {
        job_of(self.store.snapshot().row(&rows::job_row(id)), id)
    }

    /// Forgets everything since some moment that no barrier followed.
    pub fn go_back(&self, dice: &Dice) {
        let mut inner = self.inner();
        let moment = usize::try_from(dice.roll(inner.moments.len() as u64)).expect("less than there are");
        inner.moments.truncate(moment + 1);
        self.store.restore(&inner.moments[moment]);
        self.storm.tell("rollback", format_args!("the store goes back to moment {moment} since its last barrier"));
        hear(&mut inner, Shard::all());
    }

    fn commit_now(&self, txn: &Txn, committing: &Commit) {
        let Commit::Committed(_) = committing else { return };
        let mut inner = self.inner();
        inner.commits += 1;
        if self.storm.weather.rollbacks > 0
            && inner.commits.is_multiple_of(COMMITS_PER_MOMENT)
            && inner.moments.len() < MOMENTS_MAX
            && !self.storm.is_calm()
        {
            inner.moments.push(self.store.snapshot());
        }
        hear(&mut inner, [txn.shard]);
    }

    async fn commit(&self, txn: Txn) -> Result<Commit, StoreError> {
        let before = self.jobs_before(&txn).await?;
        let committed = self.store.commit(txn.clone()).await?;
        if let Commit::Committed(_) = committed {
            for (key, before) in before {
                let Some(after) = put_in(&txn, &key) else { continue };
                self.moved(before.as_ref(), &after);
            }
        }
        if self.storm.is_told_aloud() && committed != Commit::Conflict {
            self.tell_of_tasks(&txn);
        }
        self.commit_now(&txn, &committed);
        Ok(committed)
    }

    fn tell_of_tasks(&self, txn: &Txn) {
        let puts = txn.writes.iter().filter_map(|write| match write {
            Write::Put { row, bytes } if row.name.starts_with("task/") => rows::from_bytes(&row.name, bytes).ok(),
            _ => None,
        });
        for task in puts {
            let Task { id, state, tries, .. } = task;
            let state = match state {
                TaskState::Waiting { .. } => "waits".to_owned(),
                TaskState::Ready => "is ready".to_owned(),
                TaskState::Hinted { .. } => "is hinted".to_owned(),
                TaskState::Claimed(lease) => format!("is held by {} {:?}", lease.worker, lease.company),
                TaskState::Settled(_) => "is settled".to_owned(),
                TaskState::Dead(_) => "is dead".to_owned(),
            };
            self.storm.tell("task", format_args!("shard {}: {id} {state}, {tries:?}", txn.shard));
        }
    }

    async fn jobs_before(&self, txn: &Txn) -> Result<Vec<(RowKey, Option<Job>)>, StoreError> {
        let mut before = Vec::new();
        for write in &txn.writes {
            if let Write::Put { row, .. } = write
                && row.name.starts_with("job/")
            {
                let loaded = self.store.load(std::slice::from_ref(row)).await?;
                let known = loaded.rows.into_iter().next().flatten();
                before.push((row.clone(), known.map(|known| rows::from_row(row, &known)).transpose()?));
            }
        }
        Ok(before)
    }

    /// Builds come and go: segments are made again, and cuts are never given up for it.
    fn joined_as_cut(&self, before: Option<&Job>, after: &Job) {
        let again = |job: &Job| match &job.state {
            JobState::Encoding(state) => state.encoded_again,
            _ => 0,
        };
        if before.is_some_and(|before| again(before) < again(after)) {
            self.storm.tell("made again", format_args!("segments of job {:.6} do not fit", after.id.as_str()));
        }
        if let JobState::Indexing(IndexStep::Disproved { fault, .. }) = &after.state {
            self.storm.wrong(format!("job {} is planned without cuts: {fault}", after.id));
        }
    }

    /// A job that has ended stays as it ended, until it is asked for again.
    fn moved(&self, before: Option<&Job>, after: &Job) {
        self.joined_as_cut(before, after);
        let name = |job: &Job| format!("{}.{}", job.generation, job.state.name());
        let from = before.map_or_else(|| "nothing".to_owned(), name);
        if from != name(after) {
            let fault = match &after.state {
                JobState::Failed(end) => format!(": {}", end.fault),
                _ => String::new(),
            };
            self.storm
                .tell("job moved", format_args!("job {:.6}: {from} to {}{fault}", after.id.as_str(), name(after)));
        }
        let Some(before) = before.filter(|job| job.state.has_ended()) else { return };
        let stays = before.generation == after.generation && before.state.name() == after.state.name();
        let again = after.generation == before.generation + 1 && !after.state.has_ended();
        if !stays && !again {
            self.storm.wrong(format!("job {} went from {from} to {}", after.id, name(after)));
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hear(inner: &mut Inner, shards: impl IntoIterator<Item = Shard>) {
    inner.ears.retain(|(announcer, _)| announcer.strong_count() > 0);
    for shard in shards {
        for (announcer, peril) in &inner.ears {
            let calm = peril.storm.is_calm();
            if (calm || !peril.dice.falls(peril.storm.weather.unheard, 100))
                && let Some(announcer) = announcer.upgrade()
            {
                announcer.announce(shard);
            }
        }
    }
}

fn job_of(row: Option<&Row>, id: &JobId) -> Option<Job> {
    row.map(|row| rows::from_row(&rows::job_row(id), row).expect("job rows parse"))
}

fn put_in(txn: &Txn, key: &RowKey) -> Option<Job> {
    txn.writes.iter().find_map(|write| match write {
        Write::Put { row, bytes } if row == key => rows::from_bytes(&key.name, bytes).ok(),
        _ => None,
    })
}

impl RoleStore {
    pub fn new(truth: Arc<Truth>, peril: Arc<Peril>) -> Self {
        let announcer = Arc::new(Announcer::default());
        truth.inner().ears.push((Arc::downgrade(&announcer), peril.clone()));
        Self { truth, peril, announcer }
    }

    /// The store dies at the worst moment.
    fn perhaps_go_back(&self, sides: u64) {
        let storm = &self.peril.storm;
        if !storm.is_calm() && self.peril.dice.falls(storm.weather.rollbacks, sides) && storm.may_lose() {
            self.truth.go_back(&self.peril.dice);
        }
    }
}

fn away(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

#[async_trait]
impl Store for RoleStore {
    async fn load(&self, keys: &[RowKey]) -> Result<Loaded, StoreError> {
        self.peril.call("load", away, self.truth.store.load(keys)).await
    }

    async fn commit(&self, txn: Txn) -> Result<Commit, StoreError> {
        let committing = async {
            let committed = self.truth.commit(txn).await;
            self.perhaps_go_back(GOES_BACK_AFTER_COMMIT);
            committed
        };
        self.peril.call("commit", away, committing).await
    }

    async fn scan(&self, scan: Scan) -> Result<Scanned, StoreError> {
        if self.peril.dice.falls(1, SCANS_PER_LUCK) {
            return self.peril.call("scan", away, self.truth.store.scan(scan)).await;
        }
        self.truth.store.scan(scan).await
    }

    async fn peek(&self, peek: Peek) -> Result<Vec<Message>, StoreError> {
        if self.peril.dice.falls(1, SCANS_PER_LUCK) {
            return self.peril.call("peek", away, self.truth.store.peek(peek)).await;
        }
        self.truth.store.peek(peek).await
    }

    async fn barrier(&self) -> Result<(), StoreError> {
        let passing = async {
            self.perhaps_go_back(GOES_BACK_BEFORE_BARRIER);
            self.truth.inner().moments = vec![self.truth.store.snapshot()];
            Ok(())
        };
        self.peril.call("barrier", away, passing).await
    }

    fn subscribe(&self) -> Changes {
        self.announcer.subscribe()
    }
}
