//! Plans before there is any job: few at once, none for long, and nothing left of them.

use std::sync::Arc;
use std::time::Duration;

use framefleet_model::fault::FaultKind;
use framefleet_tests::fleet::media::{Smooth, TextMedia};
use framefleet_tests::fleet::{Rig, request};

use framefleet_coordinator::inbox::Submission;
use framefleet_coordinator::ops::{Ops as _, Page};

const SECOND: Duration = Duration::from_secs(1);

fn rig(takes: Duration) -> Rig {
    Rig::new(Arc::new(TextMedia::new(Smooth(takes))))
}

#[tokio::test(start_paused = true)]
async fn a_look_leaves_nothing_and_tells_what_a_job_would_get() {
    let rig = rig(SECOND);
    let asked = request(&rig.film("film.mov", "pictures=250 gop=25"), &[rig.path("out.mp4")]);
    let wish = Submission::of(asked.clone());
    let coordinator = rig.coordinator("c");
    let looked = coordinator.ops().preview(&wish).await.unwrap();
    assert!(looked.plan.segments.len() > 1 && looked.plan.uncut.is_none(), "{:?}", looked.plan.cuts);
    assert_eq!(looked.plan.outputs[0].to, asked.outputs[0].to);
    let listed = coordinator.ops().list(&Page { limit: 10, ..Page::default() }).await.unwrap();
    assert_eq!(listed.jobs, []);
    assert!(!rig.path("out.mp4").exists() && !rig.path("work").exists());
    assert_eq!(std::fs::read_dir(rig.path("merge/previews")).unwrap().count(), 0);
    let unwell =
        coordinator.ops().preview(&Submission::of(request(&rig.film("b.mov", "no film"), &[rig.path("b.mp4")]))).await;
    assert_eq!(unwell.unwrap_err().kind, FaultKind::Corrupt);
    let gone = request(&rig.film("c.mov", "x").replace("c.mov", "gone.mov"), &[rig.path("c.mp4")]);
    assert_eq!(coordinator.ops().preview(&Submission::of(gone)).await.unwrap_err().kind, FaultKind::SourceMissing);
    assert_eq!(std::fs::read_dir(rig.path("merge/previews")).unwrap().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_are_taken_at_once_and_others_are_told_to_ask_again() {
    let rig = rig(30 * SECOND);
    let wish = Submission::of(request(&rig.film("film.mov", "pictures=50 gop=25"), &[rig.path("out.mp4")]));
    let coordinator = rig.coordinator("c");
    let look = || async { coordinator.ops().preview(&wish).await.map(|looked| looked.plan.segments.len()) };
    let (first, second, third) = tokio::join!(look(), look(), look());
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    let told = third.unwrap_err();
    assert_eq!(told.kind, FaultKind::Busy, "whoever asks may come again: nothing is away");
    assert!(told.message.contains("2 films are being looked at already: ask again later"), "{told}");
    // Whoever goes away gives its turn to others.
    let gone = tokio::time::timeout(SECOND, futures::future::join(look(), look())).await;
    assert!(gone.is_err());
    assert!(look().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_film_that_takes_too_long_is_given_up() {
    let rig = rig(3600 * SECOND);
    let wish = Submission::of(request(&rig.film("film.mov", "pictures=50 gop=25"), &[rig.path("out.mp4")]));
    let told = rig.coordinator("c").ops().preview(&wish).await.unwrap_err();
    assert!(told.message.ends_with("could not be indexed within 300 s"), "{told}");
    assert_eq!(std::fs::read_dir(rig.path("merge/previews")).unwrap().count(), 0);
}
