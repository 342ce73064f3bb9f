//! A job's way, step by step and in any disorder.

use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Digest, JobId, Nonce, TaskId, TaskKind};
use framefleet_model::job::{Closing, IndexStep, Job, JobState, Report};
use framefleet_model::plan::SourceFacts;
use framefleet_model::time::StoreTime;
use proptest::prelude::*;

use super::*;

const NOW: StoreTime = StoreTime(1_000_000);

fn job() -> Job {
    let source = SourceFacts { url: "file:///film".into(), size: 1, version: "1".into() };
    Job::new(JobId::of_parts(&["film"]), source, NOW)
}

fn settled(kind: TaskKind, number: u32) -> News {
    let plan = (kind != TaskKind::Index).then(|| Digest::of(b"plan"));
    let (task, nonce) = (TaskId::new(kind, number), Nonce::from_bytes([1; 16]));
    News::Mail(Report::Settled { task, nonce, plan, cpu_ms: 10 })
}

fn dead(task: TaskId, fault: Fault) -> News {
    News::Mail(Report::Dead { task, fault, plan: Some(Digest::of(b"plan")) })
}

fn planned(encodes: u32) -> Planned {
    let task = |kind, number, class: &str| PlannedTask {
        id: TaskId::new(kind, number),
        class: class.to_owned(),
        weight: Default::default(),
        need: Need::Open,
    };
    let encodes = (0..encodes).map(|n| task(TaskKind::Encode, n, "standard"));
    let image = task(TaskKind::Image, 0, "light");
    let others = [task(TaskKind::Audio, 0, "standard"), image, task(TaskKind::Merge, 0, "merge")];
    Planned { plan: Digest::of(b"plan"), tasks: encodes.chain(others).collect() }
}

/// What a smooth run brings, in order.
fn smooth() -> Vec<News> {
    vec![
        News::Found(Finding::Checked(Ok(Need::Open))),
        settled(TaskKind::Index, 0),
        News::Found(Finding::Planned(Ok(planned(2)))),
        settled(TaskKind::Image, 0),
        settled(TaskKind::Encode, 1),
        settled(TaskKind::Audio, 0),
        settled(TaskKind::Encode, 0),
        News::Found(Finding::Compared(Ok(vec![]))),
        settled(TaskKind::Merge, 0),
        News::Found(Finding::Proved(Ok(Digest::of(b"ledger")))),
        News::Found(Finding::Published(Ok(Vec::new()))),
        News::Found(Finding::Closed),
    ]
}

fn states(news: &[News]) -> Vec<&'static str> {
    let mut job = job();
    let step = |item: &News| {
        let decision = decide(&job, std::slice::from_ref(item), NOW);
        job = decision.job;
        job.state.name()
    };
    news.iter().map(step).collect()
}

#[test]
fn a_job_goes_through_its_states_once() {
    let way = states(&smooth());
    assert_eq!(
        way,
        [
            "indexing",
            "indexing",
            "encoding",
            "encoding",
            "encoding",
            "encoding",
            "encoding",
            "merging",
            "merging",
            "publishing",
            "completed",
            "completed"
        ]
    );
}

#[test]
fn what_is_to_be_done_follows_from_the_row_alone() {
    let mut at = job();
    let mut effects = vec![effect(&at)];
    for item in smooth() {
        at = decide(&at, &[item], NOW).job;
        effects.push(effect(&at));
    }
    use Effect::{Check, Close, Compare, Plan, Prove, Publish};
    let expected = [
        Some(Check),
        None,
        Some(Plan),
        None,
        None,
        None,
        None,
        Some(Compare),
        None,
        Some(Prove),
        Some(Publish),
        Some(Close),
        None,
    ];
    assert_eq!(effects, expected);
}

/// A job whose effect fails and which does not hear of it would do the same again at once, for ever.
#[test]
fn whatever_effect_fails_its_job_hears_of_it() {
    let fault = Fault::new(FaultKind::Internal, "it does not parse");
    let (mut at, mut failed) = (job(), Vec::new());
    for item in smooth() {
        if let Some(effect) = effect(&at) {
            let heard = decide(&at, &[News::Found(failing::finding(effect, fault.clone()))], NOW);
            assert!(heard.rejected.is_empty() && heard.job != at, "{effect:?} fails: {:?}", heard.rejected);
            if let JobState::Failed(end) = &heard.job.state {
                assert_eq!(end.fault, fault, "{effect:?}");
            } else {
                assert_eq!((effect, heard.job.state.closing()), (Effect::Close, Some(Closing::Closed)));
            }
            failed.push(effect);
        }
        at = decide(&at, &[item], NOW).job;
    }
    use Effect::{Check, Close, Compare, Plan, Prove, Publish};
    assert_eq!(failed, [Check, Plan, Compare, Prove, Publish, Close]);
}

#[test]
fn one_turn_with_all_mail_decides_as_many_turns_with_one() {
    let whole = decide(&job(), &smooth(), NOW);
    assert_eq!(whole.job.state.closing(), Some(Closing::Closed));
    assert_eq!(whole.outbox, [Announcement::Started, Announcement::Completed(Vec::new())]);
    let settled = smooth().iter().filter(|news| matches!(news, News::Mail(_))).count() as u64;
    assert_eq!((whole.job.started, whole.job.cpu_ms), (Some(NOW), 10 * settled));
    assert_eq!(whole.rejected, []);
}

#[test]
fn repeated_news_changes_nothing() {
    let twice: Vec<News> = smooth().into_iter().flat_map(|item| [item.clone(), item]).collect();
    let decision = decide(&job(), &twice, NOW);
    assert_eq!(decision.job, decide(&job(), &smooth(), NOW).job);
    assert_eq!((decision.outbox.len(), decision.rejected.len()), (2, smooth().len()));
}

#[test]
fn a_merge_that_ends_before_the_headers_were_compared_counts() {
    let mut news = smooth();
    news.swap(7, 8);
    let decision = decide(&job(), &news, NOW);
    assert_eq!((decision.job.state.name(), decision.rejected.len()), ("completed", 0));
}

fn odd(number: u32, made_by: &str, wanted: &str) -> Odd {
    let task = TaskId::new(TaskKind::Encode, number);
    Odd { task, made_by: made_by.to_owned(), wanted: Some(wanted.to_owned()) }
}

fn compared(odd: Odd) -> [News; 1] {
    [News::Found(Finding::Compared(Ok(vec![odd])))]
}

#[test]
fn odd_headers_of_one_build_are_encoded_again_once() {
    let fickle = odd(1, "one", "one");
    let until = decide(&job(), &smooth()[..7], NOW).job;
    let again = decide(&until, &compared(fickle.clone()), NOW);
    // A merge that has begun read what is made again, and its end may not have been heard of yet.
    let merge = TaskChange::Again(TaskId::new(TaskKind::Merge, 0));
    assert_eq!(again.tasks, [TaskChange::AgainBy { task: fickle.task, build: Some("one".to_owned()) }, merge]);
    assert_eq!((again.job.state.name(), effect(&again.job)), ("encoding", None));
    let settled = decide(&again.job, &[settled(TaskKind::Encode, 1)], NOW).job;
    let given_up = decide(&settled, &compared(fickle), NOW).job;
    assert!(matches!(given_up.state, JobState::Indexing(IndexStep::Disproved { .. })));
}

#[test]
fn odd_headers_of_several_builds_are_encoded_again_while_builds_come_and_go() {
    let mut at = decide(&job(), &smooth()[..7], NOW).job;
    for _ in 0..8 {
        let again = decide(&at, &compared(odd(1, "new", "old")), NOW).job;
        assert_eq!((again.state.name(), effect(&again)), ("encoding", None));
        at = decide(&again, &[settled(TaskKind::Encode, 1)], NOW).job;
        assert_eq!(effect(&at), Some(Effect::Compare));
    }
    assert_eq!(decide(&at, &[News::Found(Finding::Compared(Ok(Vec::new())))], NOW).job.state.name(), "merging");
    let given_up = decide(&at, &compared(odd(1, "new", "old")), NOW).job;
    assert!(matches!(given_up.state, JobState::Indexing(IndexStep::Disproved { .. })));
}

#[test]
fn cuts_that_do_not_prove_are_given_up_once() {
    let open = || Fault::new(FaultKind::LedgerOpen, "a seam");
    let encode = |number| TaskId::new(TaskKind::Encode, number);
    let alone = |kind| TaskId::new(kind, 0);
    let dropped = [encode(0), encode(1), alone(TaskKind::Audio), alone(TaskKind::Image)].map(TaskChange::Drop);
    let merging = decide(&job(), &smooth()[..8], NOW).job;
    let merged = decide(&merging, &[settled(TaskKind::Merge, 0)], NOW).job;
    let encoding = decide(&job(), &smooth()[..5], NOW).job;
    for (at, news) in [
        (&encoding, dead(encode(1), open())),
        (&merging, dead(TaskId::new(TaskKind::Merge, 0), open())),
        (&merged, News::Found(Finding::Proved(Err(open())))),
    ] {
        // What else was in the mail is of the plan that was given up.
        let late = [news, settled(TaskKind::Encode, 0), dead(encode(0), open())];
        let again = decide(at, &late, NOW);
        assert_eq!((again.job.state.name(), effect(&again.job)), ("indexing", Some(Effect::Plan)));
        assert_eq!((again.tasks.as_slice(), again.rejected.len()), (dropped.as_slice(), 2));
        assert_eq!(again.outbox, []);
        let whole = Planned { plan: Digest::of(b"whole"), ..planned(1) };
        let uncut = decide(&again.job, &[News::Found(Finding::Planned(Ok(whole)))], NOW).job;
        let fault = News::Mail(Report::Dead { task: encode(0), fault: open(), plan: Some(Digest::of(b"whole")) });
        let failed = decide(&uncut, &[fault], NOW);
        assert!(matches!(failed.job.state, JobState::Failed(end) if end.fault == open()));
    }
}

#[test]
fn a_job_can_be_cancelled_until_it_publishes() {
    let cancel = News::Mail(Report::Cancel { reason: "asked for".into() });
    for before in 0..=smooth().len() {
        let at = decide(&job(), &smooth()[..before], NOW).job;
        let decision = decide(&at, std::slice::from_ref(&cancel), NOW);
        if matches!(at.state.name(), "publishing" | "completed") {
            assert_eq!(decision.rejected, [Rejected::Terminal]);
        } else {
            assert_eq!(decision.job.state.name(), "cancelled");
        }
    }
}

#[test]
fn a_dead_task_fails_its_job_with_the_tasks_own_fault() {
    let fault = Fault::new(FaultKind::Corrupt, "nothing decodes");
    let task = TaskId::new(TaskKind::Encode, 1);
    let at = decide(&job(), &smooth()[..5], NOW).job;
    let decision = decide(&at, &[dead(task, fault.clone())], NOW);
    let JobState::Failed(end) = &decision.job.state else { panic!("{:?}", decision.job.state) };
    assert_eq!((&end.fault, end.task), (&fault, Some(task)));
    assert_eq!(decision.outbox, [Announcement::Failed(fault)]);
}

#[test]
fn outputs_that_are_gone_are_merged_again() {
    let merge = TaskId::new(TaskKind::Merge, 0);
    let at = decide(&job(), &smooth()[..10], NOW).job;
    let gone = News::Found(Finding::Published(Err(Unpublished::Gone(vec![merge]))));
    let again = decide(&at, &[gone], NOW);
    assert_eq!((again.job.state.name(), effect(&again.job)), ("merging", None));
    assert_eq!(again.tasks[0], TaskChange::Again(merge));
}

fn any_news() -> impl Strategy<Value = News> {
    let fault = || Fault::new(FaultKind::Internal, "x");
    let extras = vec![
        News::Mail(Report::Cancel { reason: "r".into() }),
        dead(TaskId::new(TaskKind::Encode, 0), fault()),
        dead(TaskId::new(TaskKind::Encode, 0), Fault::new(FaultKind::LedgerOpen, "a seam")),
        News::Found(Finding::Planned(Err(fault()))),
        News::Found(Finding::Proved(Err(fault()))),
        News::Found(Finding::Compared(Ok(vec![odd(0, "new", "old")]))),
        News::Found(Finding::Compared(Err(fault()))),
        News::Found(Finding::Published(Err(Unpublished::Gone(vec![TaskId::new(TaskKind::Merge, 0)])))),
        settled(TaskKind::Encode, 9),
    ];
    // Mostly what a smooth run brings, so that most runs get far.
    prop_oneof![10 => prop::sample::select(smooth()), 1 => prop::sample::select(extras)]
}

proptest! {
    #[test]
    fn every_disorder_ends_once_or_not_yet(news in prop::collection::vec(any_news(), 0..120)) {
        let mut at = job();
        let mut told = Vec::new();
        for item in news {
            let decision = decide(&at, std::slice::from_ref(&item), NOW);
            if at.state.has_ended() {
                prop_assert_eq!(decision.job.state.name(), at.state.name(), "an end is the end");
            }
            prop_assert!(decision.rejected.is_empty() || decision.job == at, "what is rejected changes nothing");
            told.extend(decision.outbox);
            at = decision.job;
        }
        let begun = usize::from(at.started.is_some());
        prop_assert_eq!(told.iter().filter(|told| **told == Announcement::Started).count(), begun);
        prop_assert_eq!(told.len(), begun + usize::from(at.state.has_ended()));
    }
}
