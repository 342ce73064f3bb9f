//! The life of jobs, from submission to output, in one process on stores in memory and on disk, without media.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::sqlite::SqliteStore;
use framefleet_common::board::deliver;
use framefleet_common::child::{Attempt, Media};
use framefleet_common::ports::clock::Clock;
use framefleet_common::ports::rows::TaskRef;
use framefleet_common::ports::txn::Txn;
use framefleet_common::process::drain::Halt;
use framefleet_coordinator::inbox::{Submission, Submitted};
use framefleet_coordinator::ops::Ops as _;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{Nonce, TaskId, TaskKind};
use framefleet_model::image::{
    Fit, Images, Layout, Moments, Names, Rgb, Series, Sprites, Still, StillFormat, Thumbnails,
};
use framefleet_model::job::{JobState, Report};
use framefleet_model::media::Container;
use framefleet_model::pipeline::{OutputRequest, SoundTracks};
use framefleet_model::task::{Need, Outcome, Work};
use framefleet_model::time::MediaTime;
use framefleet_tests::fleet::between::{Between, Halting, Unanswering};
use framefleet_tests::fleet::media::{Fate, Held, Smooth, TextMedia};
use framefleet_tests::fleet::{Rig, Role, request};

const FILM: &str = "pictures=250 gop=25";

fn smooth() -> Arc<TextMedia<Smooth>> {
    Arc::new(TextMedia::new(Smooth(Duration::from_secs(3))))
}

fn encode(segment: u32) -> TaskId {
    TaskId::new(TaskKind::Encode, segment)
}

/// What the film's output must be, whoever makes it.
fn expected() -> String {
    let pictures: String = (0..250_i64).map(|n| format!("0 {}\n", n * 40_000_000)).collect();
    format!("{pictures}sound 0 480000\n")
}

#[tokio::test(start_paused = true)]
async fn a_film_is_cut_encoded_joined_proved_and_published() {
    let rig = Rig::new(smooth());
    let out = rig.path("out.mp4");
    let asked = request(&rig.film("film.mov", FILM), std::slice::from_ref(&out));
    let (id, submitted) = rig.ops().submit(&Submission::of(asked.clone())).await.unwrap();
    assert_eq!(submitted, Submitted::New);
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let view = rig.end_of(&id).await.unwrap();
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    assert_eq!((view.segments.done, view.segments.total, view.encoded), (10, 10, view.length));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), expected());
    assert_eq!(rig.hidden_in(rig.folder.path()), Vec::<std::path::PathBuf>::new());
    let ledger = rig.ops().ledger(&id).await.unwrap().unwrap();
    assert_eq!((ledger.segments.len(), ledger.seams.len(), ledger.outputs.len()), (10, 9, 1));
    assert_eq!(rig.ops().submit(&Submission::of(asked.clone())).await.unwrap(), (id, Submitted::Done));
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test]
async fn the_same_film_comes_out_of_a_store_on_disk() {
    let clock: Arc<dyn Clock> = Arc::new(HostClock::start());
    let state = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(state.path(), clock.clone()).unwrap());
    let rig = Rig::over(store, clock, Arc::new(TextMedia::new(Smooth(Duration::ZERO))));
    let outs = [rig.path("a.mp4"), rig.path("b.mp4")];
    let (id, _) = rig.ops().submit(&Submission::of(request(&rig.film("film.mov", FILM), &outs))).await.unwrap();
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let view = rig.end_of(&id).await.unwrap();
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    for out in outs {
        assert_eq!(std::fs::read_to_string(out).unwrap(), expected());
    }
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_encoded_before_a_kill_is_not_encoded_again() {
    let media = smooth();
    let rig = Rig::new(media.clone());
    let out = rig.path("out.mp4");
    let asked = request(&rig.film("film.mov", FILM), std::slice::from_ref(&out));
    let (id, _) = rig.ops().submit(&Submission::of(asked.clone())).await.unwrap();
    let (coordinator, worker) = (rig.start_coordinator("c"), rig.start_worker("w"));
    let mut view = None;
    while view.as_ref().is_none_or(|v: &framefleet_coordinator::ops::JobView| v.segments.done < 4) {
        view = rig.ops().watch(&id, view.as_ref()).await.unwrap();
    }
    coordinator.kill().await;
    worker.kill().await;
    let settled = view.map(|v| v.segments.done).unwrap();
    let before = media.encodes();
    assert_eq!(rig.ops().submit(&Submission::of(asked.clone())).await.unwrap(), (id.clone(), Submitted::Joined));
    rig.coordinator("again").adopt().await.unwrap();
    let roles = [rig.start_coordinator("c2"), rig.start_worker("w2")];
    let view = rig.end_of(&id).await.unwrap();
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    assert!(media.encodes() - before <= 10 - settled, "{} after {settled} were settled", media.encodes() - before);
    assert_eq!(std::fs::read_to_string(out).unwrap(), expected());
    for role in roles {
        role.stop().await;
    }
}

fn pictures(to: &std::path::Path, images: Images) -> OutputRequest {
    let to = framefleet_common::adapters::blob::url::of_path(to);
    let (container, tracks) = (Container::Images, SoundTracks::Usual);
    OutputRequest { to, container, video: None, audio: None, tracks, package: None, images: Some(images) }
}

#[tokio::test(start_paused = true)]
async fn pictures_stand_beside_their_film_all_numbered_files_of_them() {
    let rig = Rig::new(smooth());
    let still = Still { format: StillFormat::Jpeg, quality: 85 };
    let series = |s| Series { start: MediaTime::ZERO, interval: MediaTime::from_secs(s), duration: None };
    let (moments, names, fit) = (Moments::Every(series(4)), Names::Numbered, Fit::default());
    let thumbnails = Images::Thumbnails(Thumbnails { moments, names, fit, still });
    let layout = Layout { columns: 2, rows: 2, padding: 0, margin: 0, colour: Rgb::BLACK };
    let sprites = Images::Sprites(Sprites { series: series(2), layout, fit, still });
    let mut asked = request(&rig.film("film.mov", FILM), &[rig.path("out.mp4")]);
    asked.outputs.push(pictures(&rig.path("at-1.jpg"), thumbnails));
    asked.outputs.push(pictures(&rig.path("map.vtt"), sprites));
    let (id, _) = rig.ops().submit(&Submission::of(asked)).await.unwrap();
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let view = rig.end_of(&id).await.unwrap();
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    assert_eq!(std::fs::read_to_string(rig.path("out.mp4")).unwrap(), expected());
    let files = ["at-1.jpg", "at-2.jpg", "at-3.jpg", "map-1.jpg", "map-2.jpg", "map.vtt"];
    for (name, number) in files.into_iter().zip([1, 2, 3, 1, 2, 3]) {
        let text = std::fs::read_to_string(rig.path(name)).unwrap();
        assert!(text.starts_with(&format!("pictures {number} of [MediaTime(0), ")), "{name}: {text}");
    }
    let made = rig.ops().ledger(&id).await.unwrap().unwrap().images;
    assert_eq!(made.iter().map(|proof| (proof.pictures, proof.files.len())).collect::<Vec<_>>(), [(3, 3), (5, 3)]);
    assert_eq!(rig.hidden_in(rig.folder.path()), Vec::<std::path::PathBuf>::new());
    for role in roles {
        role.stop().await;
    }
}

/// A decoder that shows other pictures wherever a film is cut.
struct Seamless(Smooth);

#[async_trait]
impl Fate for Seamless {
    async fn of(&self, work: &Work) -> Result<(), Fault> {
        self.0.of(work).await?;
        match work {
            Work::Encode(work) if work.segment.number == 7 => Err(Fault::new(FaultKind::LedgerOpen, "a picture twice")),
            _ => Ok(()),
        }
    }
}

/// The film is cut, given up, and made whole; nothing else is left.
async fn is_made_uncut(media: Arc<dyn Media>) {
    let rig = Rig::new(media);
    let out = rig.path("out.mp4");
    let asked = request(&rig.film("film.mov", FILM), std::slice::from_ref(&out));
    let (id, _) = rig.ops().submit(&Submission::of(asked.clone())).await.expect("a good request is taken");
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let view = rig.end_of(&id).await.expect("the store is there");
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    assert_eq!((view.segments.done, view.segments.total), (1, 1));
    assert_eq!(std::fs::read_to_string(&out).expect("the output stands"), expected());
    assert_eq!(rig.hidden_in(rig.folder.path()), Vec::<std::path::PathBuf>::new());
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_film_whose_cuts_do_not_prove_is_encoded_uncut() {
    is_made_uncut(Arc::new(TextMedia::new(Seamless(Smooth(Duration::from_secs(3)))))).await;
}

/// A merge that reads one picture too many back from whatever was cut.
struct Miscounting(TextMedia<Smooth>);

#[async_trait]
impl Media for Miscounting {
    async fn run(&self, work: Work, attempt: Attempt<'_>) -> Result<Outcome, Fault> {
        let cut = matches!(&work, Work::Merge(merge) if merge.video.as_ref().is_some_and(|v| v.segments.len() > 1));
        let mut outcome = self.0.run(work, attempt).await?;
        if let (true, Outcome::Merge(proof)) = (cut, &mut outcome) {
            proof.video.as_mut().expect("the film has pictures").pictures += 1;
        }
        Ok(outcome)
    }
}

/// The first output waits beside its name when the ledger stays open.
#[tokio::test(start_paused = true)]
async fn a_ledger_that_stays_open_leaves_nothing_of_its_outputs() {
    is_made_uncut(Arc::new(Miscounting(TextMedia::new(Smooth(Duration::from_secs(3)))))).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_job_ends_and_leaves_nothing_and_may_be_asked_for_again() {
    let media = smooth();
    let rig = Rig::new(media.clone());
    let out = rig.path("out.mp4");
    let asked = request(&rig.film("film.mov", FILM), std::slice::from_ref(&out));
    let (id, _) = rig.ops().submit(&Submission::of(asked.clone())).await.unwrap();
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let mut view = None;
    while view.as_ref().is_none_or(|v: &framefleet_coordinator::ops::JobView| v.segments.done < 4) {
        view = rig.ops().watch(&id, view.as_ref()).await.unwrap();
    }
    rig.ops().cancel(&id, "asked for").await.unwrap();
    let view = rig.end_of(&id).await.unwrap();
    assert!(matches!(view.job.state, JobState::Cancelled(_)), "{:?}", view.job.state);
    assert!(!out.exists());
    assert_eq!(rig.hidden_in(rig.folder.path()), Vec::<std::path::PathBuf>::new());
    let kept = rig.settled(&id, (0..10).map(encode)).await;
    assert!(kept.len() >= 4, "{kept:?}");
    assert_eq!(rig.ops().submit(&Submission::of(asked.clone())).await.unwrap(), (id.clone(), Submitted::Again));
    let view = rig.end_of(&id).await.unwrap();
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    // Another may be encoded twice: an attempt that outlived its job's end may still be the first.
    let times: Vec<u32> = kept.iter().map(|task| media.encodes_of(task.id.number)).collect();
    assert!(times.iter().all(|times| *times == 1), "settled segments are used again: {times:?} of {kept:?}");
    assert_eq!(std::fs::read_to_string(out).unwrap(), expected());
    for role in roles {
        role.stop().await;
    }
}

/// An attempt outlives its job's cancelling and settles in the next generation, after its coordinator has looked whether
/// the task is done and before it asks for it.
async fn settles_as_it_is_asked_for(task: TaskId) {
    let media = Arc::new(TextMedia::new(Held::at(task)));
    let rig = Rig::new(media.clone());
    let out = rig.path("out.mp4");
    let asked = Submission::of(request(&rig.film("film.mov", FILM), std::slice::from_ref(&out)));
    let (id, _) = rig.ops().submit(&asked).await.expect("a good request is taken");
    let (first, worker) = (rig.start_coordinator("c1"), rig.start_worker("w"));
    media.fate.begun.notified().await;
    rig.ops().cancel(&id, "asked for").await.expect("a job that waits can be cancelled");
    rig.end_of(&id).await.expect("the store is there");
    first.kill().await;
    let store = Arc::new(Between::new(rig.fleet.store.clone(), Halting::new(&TaskRef::new(&id, task), 1)));
    let second = rig.coordinator_over(store.clone(), "c2");
    let second = Role::start(move |stop| async move { second.run(stop).await });
    assert_eq!(rig.ops().submit(&asked).await.expect("it may be asked for again"), (id.clone(), Submitted::Again));
    store.hook.halted().await;
    media.fate.let_go.cancel();
    rig.until_settled(&id, task).await;
    store.hook.release();
    let view = rig.end_of(&id).await.expect("the store is there");
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    // Its result counts: nothing is made twice.
    assert_eq!((media.encodes(), std::fs::read_to_string(out).expect("the output stands")), (10, expected()));
    for role in [second, worker] {
        role.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_settles_as_the_next_generation_asks_for_it_counts() {
    settles_as_it_is_asked_for(encode(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_index_that_settles_as_the_next_generation_asks_for_it_counts() {
    settles_as_it_is_asked_for(TaskId::INDEX).await;
}

/// As of a result that was reported twice, the second time behind the order to make it again.
#[tokio::test(start_paused = true)]
async fn a_result_that_is_told_of_and_not_there_is_waited_for() {
    let media = Arc::new(TextMedia::new(Held::at(encode(9))));
    let rig = Rig::new(media.clone());
    let out = rig.path("out.mp4");
    let asked = Submission::of(request(&rig.film("film.mov", FILM), std::slice::from_ref(&out)));
    let (id, _) = rig.ops().submit(&asked).await.unwrap();
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    media.fate.begun.notified().await;
    let view = rig.ops().show(&id).await.unwrap().unwrap();
    let plan = view.job.state.plan().cloned();
    let late = Report::Settled { task: encode(9), nonce: Nonce::from_bytes([9; 16]), plan, cpu_ms: 1 };
    let at = TaskRef::new(&id, encode(9));
    rig.fleet.store.commit(deliver(Txn::new(at.shard()), &view.job, late, view.now)).await.unwrap();
    let mut view = None;
    while view.as_ref().is_none_or(|v: &framefleet_coordinator::ops::JobView| v.segments.done < 10) {
        view = rig.ops().watch(&id, view.as_ref()).await.unwrap();
    }
    rig.fleet.clock.sleep(Duration::from_secs(60)).await;
    let view = rig.ops().show(&id).await.unwrap().unwrap();
    assert_eq!((view.job.state.name(), view.segments.done), ("encoding", 10), "{:?}", view.job.state);
    media.fate.let_go.cancel();
    let view = rig.end_of(&id).await.unwrap();
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    assert_eq!(std::fs::read_to_string(out).unwrap(), expected());
    for role in roles {
        role.stop().await;
    }
}

/// Without a lease that runs out: those count against a task, and a few of them are its end.
#[tokio::test(start_paused = true)]
async fn a_task_that_is_put_back_is_not_lost_where_the_store_does_not_answer_at_once() {
    let rig = Rig::new(smooth());
    let out = rig.path("out.mp4");
    let store = Arc::new(Between::new(rig.fleet.store.clone(), Unanswering::times(5)));
    let small = rig.worker_over(store.clone(), "small", Need::default());
    let mut changes = rig.fleet.store.subscribe();
    let large = rig.start_worker("large");
    while rig.ops().workers().await.unwrap().is_empty() {
        changes.next().await;
    }
    let small = Role::start(move |stop| async move { small.run(Halt::at_once(stop)).await });
    let asked = request(&rig.film("film.mov", FILM), std::slice::from_ref(&out));
    let (id, _) = rig.ops().submit(&Submission::of(asked)).await.unwrap();
    let coordinator = rig.start_coordinator("c");
    let (mut seen, mut lost, mut small) = (None, 0, Some(small));
    while seen.as_ref().is_none_or(|view: &framefleet_coordinator::ops::JobView| !view.is_over()) {
        seen = rig.ops().watch(&id, seen.as_ref()).await.unwrap();
        lost = rig.tasks(&id, (0..10).map(encode)).await.iter().map(|task| task.tries.lost).fold(lost, u8::max);
        // It has answered for all that it is here for, and would put back whatever comes to it.
        if store.hook.left() == 0
            && let Some(small) = small.take()
        {
            small.stop().await;
        }
    }
    assert_eq!((store.hook.left(), lost), (0, 0), "tasks were put back and none was lost");
    let state = seen.unwrap().job.state;
    assert!(matches!(state, JobState::Completed(_)), "{state:?}");
    assert_eq!(std::fs::read_to_string(out).unwrap(), expected());
    for role in [coordinator, large] {
        role.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_cannot_take_the_output_fails_the_job_before_any_work() {
    let media = smooth();
    let rig = Rig::new(media.clone());
    let film = rig.film("film.mov", FILM);
    std::fs::write(rig.path("there.mp4"), "mine").unwrap();
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    for (out, kind) in [
        (rig.path("there.mp4"), FaultKind::DestinationExists),
        (rig.path("nowhere/out.mp4"), FaultKind::DestinationMissing),
    ] {
        let (id, _) = rig.ops().submit(&Submission::of(request(&film, &[out]))).await.unwrap();
        let view = rig.end_of(&id).await.unwrap();
        assert!(matches!(&view.job.state, JobState::Failed(end) if end.fault.kind == kind), "{:?}", view.job.state);
    }
    assert_eq!(media.encodes(), 0);
    assert_eq!(std::fs::read_to_string(rig.path("there.mp4")).unwrap(), "mine");
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_film_that_is_none_fails_with_the_childs_own_fault() {
    let rig = Rig::new(smooth());
    let out = rig.path("out.mp4");
    let (id, _) = rig
        .ops()
        .submit(&Submission::of(request(&rig.film("film.mov", "nothing"), std::slice::from_ref(&out))))
        .await
        .unwrap();
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let view = rig.end_of(&id).await.unwrap();
    let JobState::Failed(end) = &view.job.state else { panic!("{:?}", view.job.state) };
    assert_eq!((end.fault.kind, end.fault.message.as_str()), (FaultKind::Corrupt, "this is no film"));
    assert!(!out.exists());
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test]
async fn of_two_wishes_by_one_key_at_once_one_is_taken_and_done() {
    let rig = Rig::new(Arc::new(TextMedia::new(Smooth(Duration::ZERO))));
    let film = rig.film("film.mov", FILM);
    let key = Some("order-17".to_owned());
    let wish = |to: &str| Submission { key: key.clone(), ..Submission::of(request(&film, &[rig.path(to)])) };
    let (ops, names) = (rig.ops(), ["a.mp4", "b.mp4", "c.mp4"]);
    let wishes = names.map(wish);
    let told = futures::future::join_all(wishes.iter().map(|wish| ops.submit(wish))).await;
    let taken: Vec<usize> = (0..names.len()).filter(|at| told[*at].is_ok()).collect();
    let [taken] = taken[..] else { panic!("not one is taken: {told:?}") };
    for refused in told.iter().filter_map(|told| told.as_ref().err()) {
        assert_eq!(refused.kind, FaultKind::KeyReused, "{refused}");
    }
    let (id, _) = told[taken].clone().unwrap();
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    assert!(matches!(rig.end_of(&id).await.unwrap().job.state, JobState::Completed(_)));
    for (at, name) in names.iter().enumerate() {
        assert_eq!(rig.path(name).exists(), at == taken, "{name}");
    }
    assert_eq!(ops.submit(&wishes[taken]).await.unwrap().0, id, "the same key with the same wish is the same job");
    for role in roles {
        role.stop().await;
    }
}
