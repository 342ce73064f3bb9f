//! The life of jobs, from submission to output, in one process on stores in memory and on disk, without media.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::adapters::sqlite::SqliteStore;
use framefleet_common::child::{Attempt, Media};
use framefleet_common::ports::clock::Clock;
use framefleet_coordinator::inbox::{Submission, Submitted};
use framefleet_coordinator::ops::Ops as _;
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::image::{
    Fit, Images, Layout, Moments, Names, Rgb, Series, Sprites, Still, StillFormat, Thumbnails,
};
use framefleet_model::job::JobState;
use framefleet_model::media::Container;
use framefleet_model::pipeline::{OutputRequest, SoundTracks};
use framefleet_model::task::{Outcome, Work};
use framefleet_model::time::MediaTime;
use framefleet_tests::fleet::media::{Fate, Smooth, TextMedia};
use framefleet_tests::fleet::{Rig, request};

const FILM: &str = "pictures=250 gop=25";

fn smooth() -> Arc<TextMedia<Smooth>> {
    Arc::new(TextMedia::new(Smooth(Duration::from_secs(3))))
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
    let before = media.encodes();
    assert_eq!(rig.ops().submit(&Submission::of(asked.clone())).await.unwrap(), (id.clone(), Submitted::Again));
    let view = rig.end_of(&id).await.unwrap();
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
    assert!(media.encodes() - before <= 6, "settled segments are used again");
    assert_eq!(std::fs::read_to_string(out).unwrap(), expected());
    for role in roles {
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
