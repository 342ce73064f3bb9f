//! The moves of the board, one by one.

use super::*;
use crate::id::TaskKind;
use crate::ledger::Produced;
use crate::task::IndexDone;

const LEASE_MS: i64 = 30_000;
const NOW: StoreTime = StoreTime(1_000_000);

fn task() -> Task {
    let place = Place { class: "standard".into(), tenant: Tenant::default(), order: 1, need: Need::default() };
    Task::new(TaskId::new(TaskKind::Encode, 3), Some(Digest::of(b"plan")), place)
}

fn nonce(n: u8) -> Nonce {
    Nonce::from_bytes([n; 16])
}

/// Alive, by the plan of `task`.
fn sign() -> Sign {
    Sign { plan: task().plan, progress: Progress::default() }
}

fn claimant(n: u8) -> Claimant {
    Claimant { nonce: nonce(n), worker: format!("w{n}"), heard: Heard::First, lease_ms: LEASE_MS }
}

fn claimed(task: &Task, n: u8, now: StoreTime) -> Task {
    match claim(task, &claimant(n), now) {
        ClaimAnswer::Granted(task) => task,
        other => panic!("{other:?}"),
    }
}

fn result(n: u8) -> Settled {
    let file = Produced { name: "f".into(), size: 1, digest: Digest::of(&[n]) };
    Settled { nonce: nonce(n), outcome: Outcome::Index(IndexDone { file, units: 1 }), staged: None, cpu_ms: 1 }
}

fn settled(task: &Task, n: u8) -> Task {
    match settle(task, task.plan.as_ref(), result(n)) {
        SettleAnswer::Settled(task) => *task,
        other => panic!("{other:?}"),
    }
}

fn back(moved: Option<Moved>) -> Task {
    match moved {
        Some(Moved::Back(task)) => task,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_attempt_holds_a_task_and_may_claim_it_again() {
    let task = claimed(&task(), 1, NOW);
    assert_eq!(task.due(), Some(NOW.after_ms(LEASE_MS)));
    assert_eq!(claim(&task, &claimant(2), NOW), ClaimAnswer::Held(None));
    assert!(matches!(claim(&task, &claimant(1), NOW.after_ms(5)), ClaimAnswer::Granted(_)));
}

#[test]
fn a_hint_that_comes_again_cuts_the_lease_and_a_live_holder_extends_it() {
    let task = claimed(&task(), 1, NOW);
    let doubt = Claimant { heard: Heard::Again, ..claimant(2) };
    let ClaimAnswer::Held(Some(cut)) = claim(&task, &doubt, NOW) else { panic!("not cut") };
    assert_eq!(cut.due(), Some(NOW.after_ms(LEASE_DOUBTED_MS)));
    assert_eq!(claim(&cut, &doubt, NOW), ClaimAnswer::Held(None));
    let BeatAnswer::Continue(beaten) = heartbeat(&cut, &claimant(1), sign(), NOW.after_ms(5_000)) else {
        panic!("lost");
    };
    assert_eq!(beaten.due(), Some(NOW.after_ms(5_000 + LEASE_MS)));
}

#[test]
fn the_first_settle_wins_whatever_the_lease_says() {
    let first = claimed(&task(), 1, NOW);
    let expired = back(expire(&first, NOW.after_ms(LEASE_MS)));
    let second = claimed(&expired, 2, NOW.after_ms(LEASE_MS));
    let won = settled(&second, 1);
    assert_eq!(settle(&won, won.plan.as_ref(), result(2)), SettleAnswer::Lost);
    assert_eq!(settle(&won, won.plan.as_ref(), result(1)), SettleAnswer::Again);
    assert_eq!(heartbeat(&won, &claimant(2), sign(), NOW), BeatAnswer::Lost);
    assert_eq!(claim(&won, &claimant(3), NOW), ClaimAnswer::Over);
}

#[test]
fn a_result_of_another_plan_is_nobodys() {
    assert_eq!(settle(&task(), Some(&Digest::of(b"other")), result(1)), SettleAnswer::Lost);
    assert_eq!(settle(&task(), None, result(1)), SettleAnswer::Lost);
}

#[test]
fn a_heartbeat_asserts_a_claim_that_the_store_forgot() {
    let BeatAnswer::Continue(again) = heartbeat(&task(), &claimant(1), sign(), NOW) else {
        panic!("lost");
    };
    assert_eq!(again.lease().map(|lease| &lease.nonce), Some(&nonce(1)));
}

#[test]
fn transient_faults_are_tried_again_ever_later_and_then_are_the_end() {
    let mut task = task();
    let fault = || Fault::new(FaultKind::Crashed, "signal 11");
    for n in 1..=2 {
        let failed = back(fail(&claimed(&task, n, NOW), &nonce(n), fault(), NOW));
        let until = failed.due().unwrap();
        assert!(until.ms_since(NOW) <= backoff::FIRST_MS << (n - 1), "full jitter");
        assert_eq!(claim(&failed, &claimant(9), NOW), ClaimAnswer::NotYet);
        task = back(expire(&failed, until));
    }
    let last = fail(&claimed(&task, 3, NOW), &nonce(3), fault(), NOW);
    let Some(Moved::Dead(dead, why)) = last else { panic!("{last:?}") };
    assert_eq!((why.evidence, dead.tries.failed, dead.past.len()), (vec!["3 attempts failed".to_owned()], 3, 3));
}

#[test]
fn permanent_faults_are_the_end_at_once_and_strangers_cannot_fail_a_task() {
    let held = claimed(&task(), 1, NOW);
    let fault = Fault::new(FaultKind::Corrupt, "no");
    assert_eq!(fail(&held, &nonce(2), fault.clone(), NOW), None);
    assert!(matches!(fail(&held, &nonce(1), fault, NOW), Some(Moved::Dead(..))));
}

#[test]
fn a_task_lost_twice_runs_alone_and_only_then_counts_as_a_killer() {
    let (mut task, mut now) = (task(), NOW);
    let mut company = Vec::new();
    for n in 1..=4 {
        let held = claimed(&task, n, now);
        company.push(held.lease().unwrap().company);
        now = now.after_ms(LEASE_MS);
        match expire(&held, now) {
            Some(Moved::Back(lost)) => task = lost,
            Some(Moved::Dead(dead, fault)) => {
                assert_eq!((n, dead.tries.lost, fault.kind), (4, 4, FaultKind::Crashed));
            }
            None => panic!("not due"),
        }
    }
    assert_eq!(company, [Company::Shared, Company::Shared, Company::Alone, Company::Alone]);
}

#[test]
fn a_task_handed_back_is_ready_at_once_and_after_three_times_needs_a_longer_grace() {
    let mut task = task();
    for n in 1..=3 {
        task = hand_back(&claimed(&task, n, NOW), &nonce(n), "long").unwrap();
        assert_eq!((task.tries.failed, task.tries.lost, &task.state), (0, 0, &TaskState::Ready));
    }
    assert_eq!(task.class, "long");
    assert_eq!(hand_back(&task, &nonce(3), "long"), None);
}

#[test]
fn an_unanswered_hint_is_given_again() {
    let hinted = hint(&task(), NOW).unwrap();
    assert_eq!(hint(&hinted, NOW), None);
    assert_eq!(expire(&hinted, NOW.after_ms(HINT_MS - 1)), None);
    assert_eq!(back(expire(&hinted, NOW.after_ms(HINT_MS))).state, TaskState::Ready);
}

#[test]
fn a_settled_task_can_be_asked_for_again() {
    let done = settled(&claimed(&task(), 1, NOW), 1);
    let again = again(&done);
    assert_eq!((again.state, again.past), (TaskState::Ready, vec![nonce(1)]));
}

#[test]
fn a_merge_that_fails_before_its_turn_is_tried_again_at_its_turn() {
    let early = Task { order: BEFORE_TURN + 7, ..task() };
    let ours = Fault::new(FaultKind::Internal, "unequal headers");
    let put_off = back(fail(&claimed(&early, 1, NOW), &nonce(1), ours.clone(), NOW));
    assert_eq!((put_off.tries, claim(&put_off, &claimant(2), NOW)), (Tries::default(), ClaimAnswer::NotYet));
    assert_eq!((at_turn(&put_off, 7).state, at_turn(&put_off, 7).order), (TaskState::Ready, 7));
    let full = Fault::new(FaultKind::DestinationFull, "no room");
    assert!(matches!(fail(&claimed(&early, 1, NOW), &nonce(1), full, NOW), Some(Moved::Dead(..))));
    // Its turn came while it ran.
    let turned = at_turn(&claimed(&early, 1, NOW), 7);
    assert_eq!(back(fail(&turned, &nonce(1), ours, NOW)).tries.failed, 1);
}
