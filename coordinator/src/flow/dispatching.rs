//! Dispatching: which ready tasks are hinted. Ready tasks wait in the store; only as many as the slots can soon take
//! are on their way, so that priority and cancellation mean something on any broker.

use std::collections::BTreeMap;

use framefleet_common::ports::store::Entry;
use framefleet_model::board::BEFORE_TURN;
use framefleet_model::id::{TaskId, TaskKind};
use framefleet_model::job::Job;
use framefleet_model::task::{Need, Place};
use framefleet_model::terms::{Priority, Tenant};

/// Short tasks that need little: the planner's choice alone.
pub(crate) const CLASS_LIGHT: &str = "light";
pub(crate) const CLASS_STANDARD: &str = "standard";
/// Tasks that may outlast a worker's grace.
pub(crate) const CLASS_LONG: &str = "long";
/// Taken from the store by coordinators, never hinted.
pub const CLASS_MERGE: &str = "merge";
/// Hinted, in the order in which they are looked at.
pub const CLASSES: [&str; 3] = [CLASS_LIGHT, CLASS_STANDARD, CLASS_LONG];

/// Hints that may be on their way when nothing is known of any slot.
const WINDOW_MIN: usize = 8;
/// Hints that are on their way for a hundred live slots, where nobody says otherwise.
pub const WINDOW_PERCENT: usize = 120;
/// More tasks than any job has: they share a job's place in the order.
const TASKS_PER_PLACE: i64 = 1 << 16;
/// Moments, in seconds from here on, that fit beside a priority: more than sixty years.
const MOMENTS_SINCE_S: i64 = 1_735_689_600;
const MOMENTS: i64 = 1 << 31;
/// A job without a deadline goes as if it had this much time: jobs with one go before it, yet none waits for ever.
const UNHURRIED_S: i64 = 30 * 24 * 3600;

/// How many more hints may be on their way.
pub fn credit(live_slots: usize, on_their_way: usize, window_percent: usize) -> usize {
    let window = live_slots.saturating_mul(window_percent).div_ceil(100).max(WINDOW_MIN);
    window.saturating_sub(on_their_way)
}

/// A task's place among the ready ones of its tenant: by priority, then by deadline, then by age; within a job the
/// sound, which is one long task, first.
pub(crate) fn order(job: &Job, task: TaskId) -> i64 {
    let number = i64::from(task.number);
    let within = match task.kind {
        TaskKind::Index | TaskKind::Audio => 0,
        TaskKind::Encode | TaskKind::Image | TaskKind::Merge => number + 1,
    };
    let hurry = match job.terms.priority {
        Priority::Urgent => 0,
        Priority::Normal => 1,
        Priority::Bulk => 2,
    };
    let by = job.deadline().map_or(job.created.ms() / 1000 + UNHURRIED_S, |deadline| deadline.ms() / 1000);
    let moment = (by - MOMENTS_SINCE_S).clamp(0, MOMENTS - 1);
    (hurry * MOMENTS + moment) * TASKS_PER_PLACE + within.min(TASKS_PER_PLACE - 1)
}

/// The place of a merge whose segments are still being encoded: behind all others.
pub(crate) fn early_order(job: &Job, task: TaskId) -> i64 {
    order(job, task) + BEFORE_TURN
}

/// Where a task of the job waits. Merges take turns by order alone.
pub(crate) fn place(job: &Job, task: TaskId, (class, need): (&str, Need)) -> Place {
    let (tenant, order) = match task.kind {
        TaskKind::Index | TaskKind::Encode | TaskKind::Audio | TaskKind::Image => {
            (job.terms.tenant.clone(), order(job, task))
        }
        TaskKind::Merge => (Tenant::default(), early_order(job, task)),
    };
    Place { class: class.to_owned(), tenant, order, need }
}

/// All of these, tenant after tenant, each tenant's in their order. The tenant that was served last goes behind all
/// others.
pub fn by_turns<'a>(
    ready: &'a BTreeMap<Tenant, Vec<Entry>>,
    served: Option<&Tenant>,
) -> impl Iterator<Item = (&'a Tenant, &'a Entry)> {
    let after = |tenant: &Tenant| served.is_some_and(|served| tenant <= served);
    let mut tenants: Vec<(&Tenant, &Vec<Entry>)> = ready.iter().collect();
    tenants.sort_by_key(|(tenant, _)| (after(tenant), *tenant));
    let longest = tenants.iter().map(|(_, entries)| entries.len()).max().unwrap_or(0);
    (0..longest).flat_map(move |round| {
        let of_round = tenants.iter().filter_map(|(tenant, entries)| Some((*tenant, entries.get(round)?)));
        of_round.collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use framefleet_model::id::JobId;
    use framefleet_model::plan::SourceFacts;
    use framefleet_model::terms::Terms;
    use framefleet_model::time::StoreTime;

    use super::*;

    fn job(created_s: i64, terms: Terms) -> Job {
        let source = SourceFacts { url: "file:///film".into(), size: 1, version: "1".into() };
        Job::new(JobId::of_parts(&["film"]), source, StoreTime(created_s * 1000)).on(terms)
    }

    fn place_of(created_s: i64, priority: Priority, deadline_s: Option<i64>) -> i64 {
        let terms = Terms { priority, deadline_ms: deadline_s.map(|s| s * 1000), ..Terms::default() };
        order(&job(created_s, terms), TaskId::new(TaskKind::Encode, 7))
    }

    #[test]
    fn priority_goes_before_deadline_and_deadline_before_age() {
        const NOW: i64 = 1_795_000_000;
        let places = [
            place_of(NOW + 500, Priority::Urgent, None),
            place_of(NOW + 400, Priority::Normal, Some(3600)),
            place_of(NOW, Priority::Normal, Some(7200)),
            place_of(NOW + 100, Priority::Normal, None),
            place_of(NOW + 200, Priority::Normal, None),
            place_of(NOW, Priority::Bulk, Some(60)),
        ];
        assert!(places.is_sorted(), "{places:?}");
        assert!(places.iter().all(|place| (0..BEFORE_TURN).contains(place)));
    }

    #[test]
    fn the_window_is_open_even_without_a_slot() {
        let usual = |live, on_their_way| credit(live, on_their_way, WINDOW_PERCENT);
        assert_eq!([usual(0, 0), usual(0, 8), usual(10, 2), usual(100, 0)], [8, 0, 10, 120]);
        assert_eq!([credit(3, 0, 200), credit(10, 0, 200), credit(10, 25, 200)], [8, 20, 0]);
    }

    #[test]
    fn a_tenant_with_much_to_do_does_not_keep_one_with_little_waiting() {
        let entry = |n: i64| Entry { score: n, member: n.to_string() };
        let tenant = |name: &str| name.parse::<Tenant>().unwrap();
        let ready = BTreeMap::from([
            (tenant("a"), (0..100).map(entry).collect()),
            (tenant("b"), vec![entry(500)]),
            (tenant("c"), vec![entry(600), entry(601)]),
        ]);
        let turns = |served: Option<Tenant>| {
            let turns = by_turns(&ready, served.as_ref()).take(6);
            turns.map(|(tenant, entry)| format!("{tenant}{}", entry.score)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(turns(None), "a0 b500 c600 a1 c601 a2");
        assert_eq!(turns(Some(tenant("a"))), "b500 c600 a0 c601 a1 a2");
    }
}
