//! Outputs of several files: whole folders, one for each attempt, of which only the published one stays.

#![expect(clippy::unwrap_used, reason = "what a test sets up may panic")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::adapters::blob::url;
use framefleet_common::child::{Attempt, Media};
use framefleet_coordinator::inbox::Submission;
use framefleet_coordinator::ops::{JobView, Ops as _};
use framefleet_model::fault::{Fault, FaultKind};
use framefleet_model::id::{JobId, Nonce, TaskId, TaskKind};
use framefleet_model::job::JobState;
use framefleet_model::key::ObjectKey;
use framefleet_model::media::Container;
use framefleet_model::task::{Outcome, Work};
use framefleet_tests::fleet::media::{Smooth, TextMedia, unpacked};
use framefleet_tests::fleet::{Rig, Role, request};

#[path = "../../common/tests/servers/s3.rs"]
mod s3;

use s3::{S3Server, Trouble};

const FILM: &str = "pictures=250 gop=25";

fn expected() -> String {
    let pictures: String = (0..250_i64).map(|n| format!("0 {}\n", n * 40_000_000)).collect();
    format!("{pictures}sound 0 480000\n")
}

fn smooth() -> TextMedia<Smooth> {
    TextMedia::new(Smooth(Duration::from_secs(3)))
}

/// What stands beside an output, but for the film and the roles' own folders.
fn beside(out: &Path) -> Vec<PathBuf> {
    let stem = out.file_stem().unwrap().to_string_lossy().into_owned();
    let listed = std::fs::read_dir(out.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> =
        listed.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&stem)).collect();
    found.sort_unstable();
    found
}

async fn submit(rig: &Rig, out: &Path) -> JobId {
    let asked = request(&rig.film("film.mov", FILM), std::slice::from_ref(&out.to_owned()));
    rig.ops().submit(&Submission::of(asked)).await.unwrap().0
}

async fn completed(rig: &Rig, id: &JobId) {
    let view = rig.end_of(id).await.unwrap();
    assert!(matches!(view.job.state, JobState::Completed(_)), "{:?}", view.job.state);
}

async fn stop(roles: impl IntoIterator<Item = Role>) {
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_package_is_a_master_and_one_folder_that_it_leads_to() {
    let rig = Rig::new(Arc::new(smooth()));
    let out = rig.path("index.m3u8");
    let id = submit(&rig, &out).await;
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    completed(&rig, &id).await;
    assert_eq!(unpacked(&out).unwrap(), expected());
    let [folder, master] = &beside(&out)[..] else { panic!("{:?}", beside(&out)) };
    assert_eq!((master, std::fs::read_dir(folder).unwrap().count()), (&out, 7));
    let ledger = rig.ops().ledger(&id).await.unwrap().unwrap();
    assert_eq!(ledger.outputs[0].files().count(), 8);
    stop(roles).await;
}

#[tokio::test(start_paused = true)]
async fn an_output_of_pages_has_a_final_name_for_each() {
    let rig = Rig::new(Arc::new(smooth()));
    let out = rig.path("page.txt");
    let id = submit(&rig, &out).await;
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    completed(&rig, &id).await;
    let pages: Vec<PathBuf> = (1..8).map(|n| rig.path(&format!("page-{n}.txt"))).collect();
    assert_eq!(beside(&out), pages);
    let text: String = pages.iter().map(|page| std::fs::read_to_string(page).unwrap()).collect();
    assert_eq!(text, expected());
    assert_eq!(rig.hidden_in(rig.folder.path()), Vec::<PathBuf>::new());
    stop(roles).await;
}

#[tokio::test(start_paused = true)]
async fn one_page_that_exists_already_fails_the_job() {
    let rig = Rig::new(Arc::new(smooth()));
    let out = rig.path("page.txt");
    std::fs::write(rig.path("page-7.txt"), "mine").unwrap();
    let id = submit(&rig, &out).await;
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let view = rig.end_of(&id).await.unwrap();
    let JobState::Failed(failed) = &view.job.state else { panic!("{:?}", view.job.state) };
    assert_eq!(failed.fault.kind, FaultKind::DestinationExists);
    assert_eq!(std::fs::read_to_string(rig.path("page-7.txt")).unwrap(), "mine");
    assert_eq!(rig.hidden_in(rig.folder.path()), Vec::<PathBuf>::new());
    stop(roles).await;
}

/// A merge that reads one picture too many back from whatever was cut, so that its package is given up.
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

#[tokio::test(start_paused = true)]
async fn a_package_that_does_not_prove_leaves_no_folder() {
    let rig = Rig::new(Arc::new(Miscounting(smooth())));
    let out = rig.path("index.m3u8");
    let id = submit(&rig, &out).await;
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    completed(&rig, &id).await;
    assert_eq!(unpacked(&out).unwrap(), expected());
    assert_eq!(beside(&out).len(), 2, "{:?}", beside(&out));
    stop(roles).await;
}

#[tokio::test(start_paused = true)]
async fn a_master_that_may_not_replace_another_leaves_no_folder() {
    let rig = Rig::new(Arc::new(smooth()));
    let out = rig.path("index.m3u8");
    let id = submit(&rig, &out).await;
    let coordinator = rig.start_coordinator("c");
    // Destinations have been looked at once the index is wanted.
    let mut view = None;
    while view.as_ref().is_none_or(|view: &JobView| view.job.state == JobState::Accepted) {
        view = rig.ops().watch(&id, view.as_ref()).await.unwrap();
    }
    std::fs::write(&out, "mine").unwrap();
    let worker = rig.start_worker("w");
    let view = rig.end_of(&id).await.unwrap();
    let JobState::Failed(failed) = &view.job.state else { panic!("{:?}", view.job.state) };
    assert_eq!(failed.fault.kind, FaultKind::DestinationExists);
    assert_eq!((beside(&out), std::fs::read_to_string(&out).unwrap().as_str()), (vec![out.clone()], "mine"));
    stop([coordinator, worker]).await;
}

/// An attempt that came back from the dead filled its folder after the job's end had looked for it.
#[tokio::test(start_paused = true)]
async fn what_was_noted_is_looked_for_again_when_attempts_are_swept() {
    let rig = Rig::new(Arc::new(smooth()));
    let out = rig.path("index.m3u8");
    let id = submit(&rig, &out).await;
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    completed(&rig, &id).await;
    let (late, nonce) = (rig.path("index-0123456789ab"), Nonce::from_bytes([7; 16]));
    std::fs::create_dir(&late).unwrap();
    std::fs::write(late.join("page-1.txt"), "late").unwrap();
    let members = [url::of_path(&late.join("page-1.txt")), url::of_path(&late.join("page-2.txt"))];
    let note = serde_json::json!({ "version": 1, "members": members, "staged": [] });
    let key = ObjectKey::staged(&id, TaskId::new(TaskKind::Merge, 0), &nonce);
    rig.fleet.work.object(&key).put(note.to_string().into()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(26 * 3600)).await;
    stop(roles).await;
    assert_eq!(beside(&out).len(), 2, "{:?}", beside(&out));
    assert_eq!(unpacked(&out).unwrap(), expected());
}

#[tokio::test]
async fn a_package_goes_from_bucket_to_bucket_through_passing_trouble() {
    let server = S3Server::start();
    server.bucket("films");
    server.bucket("work");
    std::fs::write(server.path("films/film.mov"), FILM).unwrap();
    let storages = Storages::new(vec![server.settings("s3://films"), server.settings("s3://work/fleet")]).unwrap();
    let mut rig = Rig::new(Arc::new(TextMedia::new(Smooth(Duration::ZERO))));
    rig.fleet.work = storages.root("s3://work/fleet").unwrap();
    rig.fleet.storages = storages;
    let mut asked = request("s3://films/film.mov", &[PathBuf::from("/index.m3u8")]);
    "s3://films/made/my%20film.m3u8".clone_into(&mut asked.outputs[0].to);
    assert_eq!(asked.outputs[0].container, Container::Ts);
    server.cause(Trouble::SlowDown, "PUT /films/made/my%20film-", 2);
    server.cause(Trouble::AnswerLost, "PUT /films/made/my%20film-", 2);
    server.cause(Trouble::AnswerLost, "POST /films/made/my%20film.m3u8?uploadId=", 2);
    let (id, _) = rig.ops().submit(&Submission::of(asked)).await.unwrap();
    let roles = [rig.start_coordinator("c1"), rig.start_coordinator("c2"), rig.start_worker("w")];
    completed(&rig, &id).await;
    let master = std::fs::read_to_string(server.path("films/made/my film.m3u8")).unwrap();
    let read = |member: &str| std::fs::read_to_string(server.path("films/made").join(member.replace("%20", " ")));
    assert_eq!(master.lines().map(|member| read(member).unwrap()).collect::<String>(), expected());
    assert_eq!(server.uploads(), 0);
    let told = server.content_type("/films/made/my%20film.m3u8");
    assert_eq!(told.as_deref(), Some("application/vnd.apple.mpegurl"));
    stop(roles).await;
}
