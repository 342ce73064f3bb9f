//! What happens once a job has ended, in one process, without media: the film is made once, whatever becomes of its steps.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::memory::steps::{Heard, MemorySteps};
use framefleet_common::ports::rows;
use framefleet_common::ports::store::Scan;
use framefleet_coordinator::inbox::Submission;
use framefleet_coordinator::letters::Letter;
use framefleet_coordinator::ops::wire::ViewJson;
use framefleet_coordinator::ops::{JobView, LetterPage, Ops as _};
use framefleet_coordinator::recover;
use framefleet_model::id::JobId;
use framefleet_model::pipeline::Request;
use framefleet_model::step::life::{Answer, Patience, StepRow, StepState};
use framefleet_model::step::{Ending, Step};
use framefleet_tests::fleet::media::{Smooth, TextMedia};
use framefleet_tests::fleet::{Rig, request};

const FILM: &str = "pictures=50 gop=25";
const MOMENT: Duration = Duration::from_secs(1);
const PATIENCE: Patience = Patience { tries_max: 3, first_ms: 1_000, longest_ms: 4_000 };

fn webhook(events: impl IntoIterator<Item = Ending>) -> Step {
    Step::Webhook { target: "studio".to_owned(), events: events.into_iter().collect() }
}

fn rig(answers: impl IntoIterator<Item = Answer>) -> Rig {
    let mut rig = Rig::new(Arc::new(TextMedia::new(Smooth(Duration::from_secs(3)))));
    rig.steps = Arc::new(MemorySteps::answering(answers));
    rig.patience = PATIENCE;
    rig
}

async fn submit(rig: &Rig, steps: Vec<Step>) -> JobId {
    let asked = request(&rig.film("film.mov", FILM), &[rig.path("out.mp4")]);
    rig.ops().submit(&Submission::of(Request { steps, ..asked })).await.unwrap().0
}

fn again() -> Answer {
    Answer::Again { why: "status 500".to_owned(), not_before_ms: None }
}

async fn steps_are(rig: &Rig, id: &JobId, fact: impl Fn(&[StepRow]) -> bool) -> JobView {
    loop {
        let view = rig.ops().show(id).await.unwrap().unwrap();
        if fact(&view.steps) {
            return view;
        }
        tokio::time::sleep(MOMENT).await;
    }
}

fn all_done(steps: &[StepRow]) -> bool {
    !steps.is_empty() && steps.iter().all(|step| matches!(step.state, StepState::Done { .. }))
}

fn events(rig: &Rig) -> Vec<String> {
    rig.steps.heard().into_iter().map(|heard| heard.event).collect()
}

async fn all_letters(rig: &Rig) -> Vec<Letter> {
    rig.ops().dead(&LetterPage { limit: 100, after: None }).await.unwrap().letters
}

#[tokio::test(start_paused = true)]
async fn a_finished_jobs_steps_are_done_once_and_say_what_the_world_is_told() {
    let rig = rig([]);
    let prefetch = Step::CdnPrefetch { target: "films".to_owned(), files_max: 5 };
    let mut world = rig.broker.events();
    let id = submit(&rig, vec![webhook(Ending::ALL), webhook([Ending::Failed]), prefetch]).await;
    let _roles = [rig.start_coordinator("a"), rig.start_coordinator("b"), rig.start_worker("w")];
    rig.end_of(&id).await.unwrap();
    let view = steps_are(&rig, &id, all_done).await;
    let mut heard = rig.steps.heard();
    heard.sort_by(|a, b| a.step.cmp(&b.step));
    let [prefetched, told] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((prefetched.step.as_str(), told.step.as_str()), ("cdn_prefetch films", "webhook studio"));
    let url = framefleet_common::adapters::blob::url::of_path(&rig.path("out.mp4"));
    assert_eq!((&prefetched.files, told.files.len()), (&vec![url], 0));
    let published = std::iter::from_fn(|| world.try_recv().ok()).find(|event| event.id == told.event).unwrap();
    assert_eq!(told.body.as_bytes(), &published.body[..]);
    assert_eq!(told.event, format!("{id}:1:completed"));
    assert_eq!((view.steps[0].tries, view.steps[0].body.as_str()), (1, ""), "what was said is kept no longer");
    let json = ViewJson::from(&view);
    let states: Vec<(&str, &str)> = json.steps.iter().map(|s| (s.name.as_str(), s.state.as_str())).collect();
    assert_eq!(states, [("webhook studio", "done"), ("cdn_prefetch films", "done")]);
    assert_eq!(json.job.state, "completed");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_is_tried_again_given_up_and_asked_for_again_and_the_film_is_made_once() {
    let rig = rig([again(), again(), again()]);
    let id = submit(&rig, vec![webhook(Ending::ALL)]).await;
    let _roles = [rig.start_coordinator("a"), rig.start_coordinator("b"), rig.start_worker("w")];
    let made = rig.end_of(&id).await.unwrap();
    let dead = |steps: &[StepRow]| steps.iter().any(|step| matches!(step.state, StepState::Dead { .. }));
    let view = steps_are(&rig, &id, dead).await;
    assert_eq!((view.job.state.name(), view.job.generation, view.version), ("completed", 1, made.version));
    let letters = all_letters(&rig).await;
    assert_eq!(letters.len(), 1);
    let letter = framefleet_coordinator::ops::wire::LetterJson::from(&letters[0]);
    assert_eq!((letter.what, letter.why.as_str()), (format!("{id}/1 webhook studio"), "status 500"));
    assert_eq!(letter.evidence.len(), 3, "{:?}", letter.evidence);
    rig.ops().retry_letter(&letters[0].id).await.unwrap();
    steps_are(&rig, &id, all_done).await;
    assert_eq!(all_letters(&rig).await, []);
    assert_eq!(events(&rig), vec![format!("{id}:1:completed"); 4]);
    assert_eq!(rig.ops().show(&id).await.unwrap().unwrap().version, made.version, "nothing befell the job");
}

#[tokio::test(start_paused = true)]
async fn a_generations_steps_are_its_own() {
    let mut rig = rig([]);
    rig.steps = Arc::new(MemorySteps::answering(vec![again(), again()]));
    let id = submit(&rig, vec![webhook([Ending::Cancelled, Ending::Completed])]).await;
    rig.ops().cancel(&id, "as asked").await.unwrap();
    let coordinator = rig.start_coordinator("c");
    rig.end_of(&id).await.unwrap();
    rig.ops().retry(&id).await.unwrap();
    let _worker = rig.start_worker("w");
    rig.end_of(&id).await.unwrap();
    let view = steps_are(&rig, &id, |steps| steps.len() == 2 && all_done(steps)).await;
    assert_eq!(view.steps.iter().map(|step| step.generation).collect::<Vec<_>>(), [1, 2]);
    let told: std::collections::BTreeSet<String> = events(&rig).into_iter().collect();
    assert_eq!(told, [format!("{id}:1:cancelled"), format!("{id}:2:completed")].into());
    coordinator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn parts_are_done_one_after_the_other_and_a_coordinator_that_dies_leaves_them_to_the_next() {
    let rig = rig([Answer::More { files_done: 1 }, again()]);
    let outs = [rig.path("a.mp4"), rig.path("b.mp4"), rig.path("c.mp4")];
    let step = Step::CdnPrefetch { target: "films".to_owned(), files_max: 2 };
    let asked = request(&rig.film("film.mov", FILM), &outs);
    let (id, _) = rig.ops().submit(&Submission::of(Request { steps: vec![step], ..asked })).await.unwrap();
    let first = rig.start_coordinator("a");
    let _worker = rig.start_worker("w");
    rig.end_of(&id).await.unwrap();
    steps_are(&rig, &id, |steps| steps.iter().any(|step| step.files_done == 1)).await;
    first.kill().await;
    let _second = rig.start_coordinator("b");
    steps_are(&rig, &id, all_done).await;
    let heard: Vec<(u32, usize)> =
        rig.steps.heard().iter().map(|Heard { files_done, files, .. }| (*files_done, files.len())).collect();
    assert!(heard.len() >= 3 && heard[0] == (0, 2) && heard[1..].iter().all(|part| *part == (1, 2)), "{heard:?}");
}

/// What had been done is not done again in a store that was built anew; what had not, goes on.
#[tokio::test(start_paused = true)]
async fn steps_outlive_their_store() {
    let before = rig([Answer::Done, again()]);
    let id = submit(&before, vec![webhook(Ending::ALL), Step::Sql { target: "db".into(), events: Ending::ALL.into() }])
        .await;
    let role = before.start_coordinator("c");
    let worker = before.start_worker("w");
    before.end_of(&id).await.unwrap();
    let mixed = |steps: &[StepRow]| {
        steps.iter().any(|step| !step.tried.is_empty()) && steps.iter().any(|step| step.due().is_none())
    };
    steps_are(&before, &id, mixed).await;
    role.kill().await;
    worker.kill().await;
    let done = steps_are(&before, &id, |_| true).await.steps.into_iter().find(|step| step.due().is_none()).unwrap();
    let after = Rig { folder: before.folder, ..rig([]) };
    let work = framefleet_common::adapters::blob::root::Root::folder(&after.path("work"));
    let after = Rig { fleet: framefleet_common::fleet::Fleet { work, ..after.fleet.clone() }, ..after };
    let found = recover::recover(&after.fleet).await.unwrap();
    assert_eq!((found.ended, found.unreadable), (1, 0), "{found:?}");
    let _role = after.start_coordinator("d");
    let view = steps_are(&after, &id, |steps| steps.len() == 2 && all_done(steps)).await;
    assert_eq!(view.job.state.name(), "completed");
    let heard = after.steps.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_ne!(heard[0].step, done.step.to_string());
    assert!(heard[0].body.contains("\"pictures\":50"), "{}", heard[0].body);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_remembered_until_its_steps_are_over() {
    let early = Answer::NotYet { why: "quota".to_owned(), wait_ms: 3_600_000 };
    // Jobs are remembered for half an hour, and the step is early for two.
    let rig = Rig { keep: Duration::from_secs(60), ..rig(vec![early; 2]) };
    let id = submit(&rig, vec![webhook(Ending::ALL)]).await;
    let _roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    rig.end_of(&id).await.unwrap();
    tokio::time::sleep(Duration::from_secs(90 * 60)).await;
    assert!(rig.ops().show(&id).await.unwrap().unwrap().steps[0].due().is_some());
    tokio::time::sleep(Duration::from_secs(150 * 60)).await;
    assert_eq!(rig.ops().show(&id).await.unwrap().map(|view| view.job.id), None);
    let left = Scan::all(rows::steps_of(&id), 10);
    assert_eq!(rig.fleet.store.scan(left).await.unwrap().entries, []);
    assert_eq!(events(&rig).len(), 3);
}
