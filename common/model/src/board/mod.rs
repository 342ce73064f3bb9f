//! The board: the life of a task, as pure moves from row to row.
//!
//! ```text
//!            hint           claim             settle
//!  Ready ──────────▶ Hinted ──────▶ Claimed ─────────▶ Settled
//!    ▲  ▲ unanswered   │   (a claim needs no hint)  ▲
//!    │  └──────────────┘     │  │  │                │ first settle wins,
//!    │       hand back, lost │  │  │ fail           │ whoever holds the lease
//!    ├───────────────────────┘  │  └──▶ Dead        │
//!    └──── Waiting ◀────────────┘ fail, retry left  │
//!             └─────────────────────────────────────┘
//! ```
//! Leases only schedule: they say how long an attempt is waited for, never whose result counts. An attempt is named by its nonce,
//! and every move may be repeated by it with the same effect. Whether its job still wants it is the job row's to say.

mod answers;
mod backoff;

use serde::{Deserialize, Serialize};

pub use self::answers::{BeatAnswer, ClaimAnswer, Claimant, Heard, Moved, SettleAnswer, Sign};
use self::backoff::backoff;
use crate::fault::{Fault, FaultKind, Retry, Whose};
use crate::id::{Digest, Nonce, TaskId, TaskKind};
use crate::task::{Need, Outcome, Place, Progress, Tries};
use crate::terms::Tenant;
use crate::time::StoreTime;

pub const TASK_VERSION: u32 = 1;
/// How long the holder of a lease has left when the hint of its task arrives again: it may be dead.
pub const LEASE_DOUBTED_MS: i64 = 10_000;
/// A hint that nobody answered for so long is given again.
pub const HINT_MS: i64 = 60_000;
/// Orders from here on are before their task's turn: behind all others, and still exact as doubles.
pub const BEFORE_TURN: i64 = 1 << 52;
/// Another worker may have room, or this one soon.
const DECLINED_MS: i64 = 3_000;
/// Longer than most films take to encode; its turn comes before.
const PUT_OFF_MS: i64 = 3_600_000;
/// More than most segments wait behind others of their build.
const WANTED_MS: i64 = 1_800_000;
/// Handed back so often, a task needs workers with a longer grace.
const HAND_BACKS_MAX: u8 = 3;
/// Lost so often, a task runs alone in its worker, so that what it does there is its own doing.
const LOST_TOGETHER_MAX: u8 = 2;
/// Lost so often while alone, it is dead.
const LOST_ALONE_MAX: u8 = 2;

/// A task's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub version: u32,
    pub id: TaskId,
    /// The plan that it is part of; `None` for the index, which is there before any plan.
    pub plan: Option<Digest>,
    /// What a slot must be able to do for it.
    pub class: String,
    /// Whose turn it takes among the ready tasks of its class.
    #[serde(default)]
    pub tenant: Tenant,
    /// Its place among the ready tasks of its class and tenant: lower goes first.
    pub order: i64,
    /// What a worker must have free for it.
    #[serde(default)]
    pub need: Need,
    /// Whose result can be joined with the others'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Wanted>,
    #[serde(default)]
    pub tries: Tries,
    /// Attempts that ended without a result, for whoever cleans up after them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Nonce>,
    pub state: TaskState,
}

/// A build whose workers a task is left to, for as long as there are any and until then: they may be there and do nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    pub build: String,
    pub until: StoreTime,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// It failed, and is tried again then.
    Waiting {
        until: StoreTime,
    },
    /// Nobody has been told of it.
    Ready,
    /// A hint is on its way.
    Hinted {
        at: StoreTime,
    },
    Claimed(Lease),
    Settled(Settled),
    /// It will not be tried again, and its job fails of it.
    Dead(Fault),
}

/// An attempt's right to be waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub nonce: Nonce,
    pub worker: String,
    pub since: StoreTime,
    pub until: StoreTime,
    pub progress: Progress,
    pub company: Company,
}

/// Whether an attempt shares its worker with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Company {
    Shared,
    Alone,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    pub nonce: Nonce,
    pub outcome: Outcome,
    /// Where a merge's result waits to be published, in its coordinator's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<String>,
    /// CPU time of the attempt's child.
    #[serde(default)]
    pub cpu_ms: u64,
}

impl Task {
    pub fn new(id: TaskId, plan: Option<Digest>, place: Place) -> Self {
        let Place { class, tenant, order, need } = place;
        Self {
            version: TASK_VERSION,
            id,
            plan,
            class,
            tenant,
            order,
            need,
            wanted: None,
            tries: Tries::default(),
            past: Vec::new(),
            state: TaskState::Ready,
        }
    }

    /// When somebody must look at this row if nothing happens to it before.
    pub fn due(&self) -> Option<StoreTime> {
        match &self.state {
            TaskState::Waiting { until } => Some(*until),
            TaskState::Hinted { at } => Some(at.after_ms(HINT_MS)),
            TaskState::Claimed(lease) => Some(lease.until),
            TaskState::Ready | TaskState::Settled(_) | TaskState::Dead(_) => None,
        }
    }

    pub fn settled(&self) -> Option<&Settled> {
        let TaskState::Settled(settled) = &self.state else { return None };
        Some(settled)
    }

    pub fn lease(&self) -> Option<&Lease> {
        let TaskState::Claimed(lease) = &self.state else { return None };
        Some(lease)
    }

    fn held_by(&self, nonce: &Nonce) -> bool {
        self.lease().is_some_and(|lease| lease.nonce == *nonce)
    }

    fn with(&self, state: TaskState) -> Self {
        Self { state, ..self.clone() }
    }

    /// Its lease ends here without a result.
    fn bereft(&self) -> Self {
        let known = self.lease().filter(|lease| !self.past.contains(&lease.nonce));
        let past = self.past.iter().chain(known.map(|lease| &lease.nonce)).cloned().collect();
        Self { past, ..self.clone() }
    }
}

/// Whether a task of this order may be begun only where nothing else is to do.
pub fn is_before_turn(order: i64) -> bool {
    order >= BEFORE_TURN
}

/// Somebody has been told, or is about to be.
pub fn hint(task: &Task, now: StoreTime) -> Option<Task> {
    (task.state == TaskState::Ready).then(|| task.with(TaskState::Hinted { at: now }))
}

pub fn claim(task: &Task, claimant: &Claimant, now: StoreTime) -> ClaimAnswer {
    match &task.state {
        TaskState::Ready | TaskState::Hinted { .. } => ClaimAnswer::Granted(leased(task, claimant, now)),
        TaskState::Claimed(lease) if lease.nonce == claimant.nonce => ClaimAnswer::Granted(leased(task, claimant, now)),
        TaskState::Claimed(lease) => {
            let doubted = now.after_ms(LEASE_DOUBTED_MS.min(claimant.lease_ms / 3));
            let cut = claimant.heard == Heard::Again && doubted < lease.until;
            ClaimAnswer::Held(cut.then(|| task.with(TaskState::Claimed(Lease { until: doubted, ..lease.clone() }))))
        }
        TaskState::Waiting { .. } => ClaimAnswer::NotYet,
        TaskState::Settled(_) | TaskState::Dead(_) => ClaimAnswer::Over,
    }
}

fn leased(task: &Task, claimant: &Claimant, now: StoreTime) -> Task {
    let company = if task.tries.lost >= LOST_TOGETHER_MAX { Company::Alone } else { Company::Shared };
    task.with(TaskState::Claimed(Lease {
        nonce: claimant.nonce.clone(),
        worker: claimant.worker.clone(),
        since: now,
        until: now.after_ms(claimant.lease_ms),
        progress: Progress::default(),
        company,
    }))
}

/// A sign of life. It re-asserts a claim that the store forgot, or that ran out and was not taken over.
pub fn heartbeat(task: &Task, claimant: &Claimant, sign: Sign, now: StoreTime) -> BeatAnswer {
    if task.plan != sign.plan {
        return BeatAnswer::Lost;
    }
    match &task.state {
        TaskState::Claimed(lease) if lease.nonce == claimant.nonce => {
            let lease = Lease { until: now.after_ms(claimant.lease_ms), progress: sign.progress, ..lease.clone() };
            BeatAnswer::Continue(Box::new(task.with(TaskState::Claimed(lease))))
        }
        TaskState::Ready | TaskState::Hinted { .. } | TaskState::Waiting { .. } => {
            BeatAnswer::Continue(Box::new(leased(task, claimant, now)))
        }
        TaskState::Settled(settled) if settled.nonce == claimant.nonce => BeatAnswer::Continue(Box::new(task.clone())),
        TaskState::Claimed(_) | TaskState::Settled(_) | TaskState::Dead(_) => BeatAnswer::Lost,
    }
}

/// The first settle wins, whatever the lease says.
pub fn settle(task: &Task, plan: Option<&Digest>, settled: Settled) -> SettleAnswer {
    match &task.state {
        TaskState::Settled(known) if known.nonce == settled.nonce => SettleAnswer::Again,
        TaskState::Settled(_) | TaskState::Dead(_) => SettleAnswer::Lost,
        TaskState::Waiting { .. } | TaskState::Ready | TaskState::Hinted { .. } | TaskState::Claimed(_) => {
            if task.plan.as_ref() == plan {
                SettleAnswer::Settled(Box::new(task.with(TaskState::Settled(settled))))
            } else {
                SettleAnswer::Lost
            }
        }
    }
}

/// An attempt failed; the fault's kind says whether another is worth it. `None`: it was no longer that attempt's.
pub fn fail(task: &Task, nonce: &Nonce, fault: Fault, now: StoreTime) -> Option<Moved> {
    if !task.held_by(nonce) {
        return None;
    }
    let failed = task.tries.failed.saturating_add(1);
    if is_before_turn(task.order) && fault.kind.whose() == Whose::Ours {
        // Perhaps only of what it reads, which is not all there yet: it is tried again at its turn, uncounted.
        let until = now.after_ms(PUT_OFF_MS);
        return Some(Moved::Back(task.bereft().with(TaskState::Waiting { until })));
    }
    let task = Task { tries: Tries { failed, ..task.tries }, ..task.bereft() };
    let state = match fault.kind.retry() {
        Retry::Times(times) if failed <= times => TaskState::Waiting { until: now.after_ms(backoff(failed, nonce)) },
        Retry::Times(_) | Retry::Never => {
            let fault = if failed > 1 { fault.with_evidence(format!("{failed} attempts failed")) } else { fault };
            return Some(dead(task, fault));
        }
    };
    Some(Moved::Back(Task { state, ..task }))
}

fn dead(task: Task, fault: Fault) -> Moved {
    let task = Task { state: TaskState::Dead(fault.clone()), ..task };
    Moved::Dead(task, fault)
}

/// An attempt that was told to stop gives its task back: no failure, and the next may have it at once.
pub fn hand_back(task: &Task, nonce: &Nonce, long_class: &str) -> Option<Task> {
    if !task.held_by(nonce) {
        return None;
    }
    let handed_back = task.tries.handed_back.saturating_add(1);
    // Merges wait for their segments wherever they run.
    let too_long = handed_back >= HAND_BACKS_MAX && task.id.kind != TaskKind::Merge;
    let class = if too_long { long_class.to_owned() } else { task.class.clone() };
    let tries = Tries { handed_back, ..task.tries };
    Some(Task { tries, class, state: TaskState::Ready, ..task.bereft() })
}

/// An attempt that could not begin for want of room gives its task back: it is offered again in a moment, uncounted.
pub fn decline(task: &Task, nonce: &Nonce, now: StoreTime) -> Option<Task> {
    let until = now.after_ms(DECLINED_MS);
    // Nothing was begun, so there is nothing to clean up after.
    task.held_by(nonce).then(|| task.with(TaskState::Waiting { until }))
}

/// The task's turn has come: it goes by this order from now on.
pub fn at_turn(task: &Task, order: i64) -> Task {
    let state = match &task.state {
        TaskState::Waiting { .. } => TaskState::Ready,
        state @ (TaskState::Ready
        | TaskState::Hinted { .. }
        | TaskState::Claimed(_)
        | TaskState::Settled(_)
        | TaskState::Dead(_)) => state.clone(),
    };
    Task { order, state, ..task.clone() }
}

/// Nobody holds leases any more, as when the only process that ever did has just been started again.
pub fn adopt(task: &Task) -> Option<Task> {
    match &task.state {
        TaskState::Claimed(_) | TaskState::Hinted { .. } => Some(task.bereft().with(TaskState::Ready)),
        TaskState::Waiting { .. } | TaskState::Ready | TaskState::Settled(_) | TaskState::Dead(_) => None,
    }
}

/// A settled task whose result is no longer wanted, or no longer there, is done again.
pub fn again(task: &Task) -> Task {
    let nonce = task.settled().map(|settled| settled.nonce.clone());
    let past = task.bereft().past.into_iter().chain(nonce).collect();
    Task { past, tries: Tries::default(), ..task.with(TaskState::Ready) }
}

/// The same by workers of this build, if there are any.
pub fn again_by(task: &Task, build: Option<&str>, now: StoreTime) -> Task {
    let wanted = build.map(|build| Wanted { build: build.to_owned(), until: now.after_ms(WANTED_MS) });
    Task { wanted, ..again(task) }
}

/// What time alone does to a task. `None`: nothing is due yet.
pub fn expire(task: &Task, now: StoreTime) -> Option<Moved> {
    if task.due().is_none_or(|due| now < due) {
        return None;
    }
    match &task.state {
        TaskState::Claimed(lease) => Some(lose(task, lease)),
        TaskState::Waiting { .. } | TaskState::Hinted { .. } => Some(Moved::Back(task.with(TaskState::Ready))),
        TaskState::Ready | TaskState::Settled(_) | TaskState::Dead(_) => None,
    }
}

fn lose(task: &Task, lease: &Lease) -> Moved {
    let mut tries = Tries { lost: task.tries.lost.saturating_add(1), ..task.tries };
    if lease.company == Company::Alone {
        tries.lost_alone = tries.lost_alone.saturating_add(1);
    }
    let lost = Task { tries, ..task.bereft() };
    if tries.lost_alone < LOST_ALONE_MAX {
        return Moved::Back(lost.with(TaskState::Ready));
    }
    let text = format!("{} was lost {} times with its worker, {} of them alone", task.id, tries.lost, tries.lost_alone);
    dead(lost, Fault::new(FaultKind::Crashed, text).with_evidence(format!("last held by {}", lease.worker)))
}

#[cfg(test)]
mod tests;
