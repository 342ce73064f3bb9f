//! Uploads become jobs: a whole fleet in memory, with films in buckets of a real S3 server or in folders, without media.

#![allow(clippy::unwrap_used, reason = "a test program")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use framefleet_common::adapters::blob::storages::Storages;
use framefleet_common::adapters::blob::url;
use framefleet_common::ports::rows;
use framefleet_common::ports::store::Scan;
use framefleet_common::process::traces::{Figures, Medium, Traces};
use framefleet_coordinator::bucket_sweep::{BucketSweep, Doing, Pace};
use framefleet_coordinator::flow::sweeping::Watch;
use framefleet_coordinator::letters::{Content, Letter};
use framefleet_coordinator::ops::{LetterPage, Ops as _, Page};
use framefleet_model::event::{BucketName, Claims, Format, Provider, Upload, UploadKey, UploadKind, WallTime, encode};
use framefleet_model::fault::FaultKind;
use framefleet_model::job::{Job, JobState};
use framefleet_model::media::Container;
use framefleet_model::pipeline::{OnExisting, OutputRequest, Request};
use framefleet_model::terms::Terms;
use framefleet_model::trace::Share;
use framefleet_model::trigger::pipeline::Pipeline;
use framefleet_model::trigger::template::Template;
use framefleet_model::trigger::{Place, Trigger};
use framefleet_tests::fleet::media::{Smooth, TextMedia};
use framefleet_tests::fleet::{Rig, request};
use prometheus::Registry;

#[path = "../../common/tests/servers/s3.rs"]
mod s3;

use s3::{S3Server, Trouble};

const FILM: &str = "pictures=50 gop=25";
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(20);
const SOON: Pace = Pace { every: Duration::from_millis(300), overlap: Duration::from_secs(3600) };

fn pipeline(id: &str, name: &str) -> Arc<Pipeline> {
    let asked = request("", &[PathBuf::from("/x.mp4")]);
    let output = OutputRequest { to: name.to_owned(), container: Container::Mp4, ..asked.outputs[0].clone() };
    let request = Request { outputs: vec![output], on_existing: OnExisting::Replace, ..asked };
    Arc::new(Pipeline::new(id.parse().unwrap(), request).unwrap())
}

/// `in/*.mov` of a bucket, as `made/web/*.mp4` of another.
fn films() -> Trigger {
    Trigger {
        name: "films".to_owned(),
        place: Place::Bucket { provider: Provider::S3, name: BucketName::new("films").unwrap() },
        prefix: "in/".to_owned(),
        suffix: ".mov".to_owned(),
        kinds: UploadKind::WHOLE.into(),
        quiet_ms: 0,
        pipeline: pipeline("web@1", "{stem}.mp4"),
        canary: None,
        terms: Terms { tenant: "news".parse().unwrap(), ..Terms::default() },
        output: Template::of_folder("s3://made/web").unwrap(),
    }
}

/// A fleet on buckets, in which only events begin jobs.
fn scene() -> (S3Server, Rig) {
    let server = S3Server::start();
    ["films", "made", "work"].iter().for_each(|bucket| server.bucket(bucket));
    std::fs::create_dir(server.path("films/in")).unwrap();
    let storages = ["s3://films", "s3://made", "s3://work"].map(|url| server.settings(url));
    let storages = Storages::new(storages.into()).unwrap();
    let mut rig = Rig::new(Arc::new(TextMedia::new(Smooth(Duration::ZERO))));
    rig.fleet.work = storages.root("s3://work").unwrap();
    rig.fleet.storages = storages;
    rig.triggers = vec![films()];
    rig.pace = Pace { every: Duration::from_secs(3600), ..Pace::default() };
    (server, rig)
}

fn upload(key: &str) -> Upload {
    Upload {
        provider: Provider::S3,
        bucket: BucketName::new("films").unwrap(),
        key: UploadKey::new(key).unwrap(),
        kind: UploadKind::Put,
        event: "ObjectCreated:Put".to_owned(),
        id: "1".to_owned(),
        time: Some(now()),
        region: None,
        // Lies, all of them: nobody asks.
        claims: Claims { size: Some(1 << 50), etag: Some("another".to_owned()), version: None },
    }
}

fn now() -> WallTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    WallTime(i64::try_from(since.as_millis()).unwrap())
}

fn tell(rig: &Rig, upload: &Upload) {
    rig.broker.post_upload(encode(upload, Format::S3).into()).unwrap();
}

async fn jobs(rig: &Rig) -> Vec<Job> {
    rig.ops().list(&Page { limit: 1000, ..Page::default() }).await.unwrap().jobs
}

async fn letters(rig: &Rig) -> Vec<Letter> {
    rig.ops().dead(&LetterPage { limit: 1000, after: None }).await.unwrap().letters
}

/// Waits for so many jobs that are over; there are no more.
async fn ended(rig: &Rig, count: usize) -> Vec<Job> {
    until(async || jobs(rig).await.iter().filter(|job| is_closed(job)).count() >= count).await;
    let jobs = jobs(rig).await;
    assert_eq!(jobs.len(), count, "{jobs:?}");
    jobs
}

fn is_closed(job: &Job) -> bool {
    job.state.closing() == Some(framefleet_model::job::Closing::Closed)
}

async fn until(fact: impl AsyncFn() -> bool) {
    let waiting = async {
        while !fact().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes true");
}

/// Every message has been dealt with: none comes back once nobody holds any.
async fn heeded(rig: &Rig, role: framefleet_tests::fleet::Role) {
    until(async || rig.broker.uploads_waiting() == 0).await;
    role.stop().await;
    assert_eq!(rig.broker.uploads_waiting(), 0, "a message was not acknowledged");
}

/// What is kept of the trigger, once it was seen.
async fn watch(rig: &Rig) -> Watch {
    let trigger = &rig.triggers[0];
    let rule = [trigger.name.as_str(), &trigger.place.url(), &trigger.prefix, &trigger.suffix].join("\n");
    let key = rows::trigger(&rule);
    let row = async || rig.fleet.store.load(std::slice::from_ref(&key)).await.unwrap().rows.remove(0);
    until(async || row().await.is_some()).await;
    serde_json::from_slice(&row().await.unwrap().bytes).unwrap()
}

/// Waits until the host's clock has passed a moment by more than a tick, by which files tell their times.
fn passed(ms: i64) {
    while now().0 <= ms + 20 {
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

#[tokio::test]
async fn what_is_uploaded_becomes_a_job_once_however_often_and_however_it_is_told() {
    let (server, rig) = scene();
    std::fs::write(server.path("films/in/a film 源.mov"), FILM).unwrap();
    let told = upload("in/a film 源.mov");
    for _ in 0..5 {
        tell(&rig, &told);
    }
    for format in Format::ALL {
        let event =
            if format.provider() == Some(Provider::Oss) { "ObjectCreated:PutObject" } else { "ObjectCreated:Put" };
        let told = Upload { event: event.to_owned(), ..told.clone() };
        rig.broker.post_upload(encode(&told, format).into()).unwrap();
    }
    let mut events = rig.broker.events();
    let roles = [rig.start_coordinator("c1"), rig.start_coordinator("c2"), rig.start_worker("w")];
    let jobs = ended(&rig, 1).await;
    let job = &jobs[0];
    let event = loop {
        let event = events.recv().await.unwrap();
        if event.key == "job.completed.news" {
            break event;
        }
    };
    let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
    assert_eq!(body["data"]["trigger"], "films");
    assert_eq!((&body["data"]["pipeline"], &body["subject"]), (&"web@1".into(), &job.id.to_string().into()));
    assert!(matches!(job.state, JobState::Completed(_)), "{:?}", job.state);
    assert_eq!((job.generation, job.terms.tenant.as_str(), job.source.size), (1, "news", FILM.len() as u64));
    let cause = job.cause.as_ref().unwrap();
    assert_eq!((cause.trigger.as_deref(), cause.pipeline.as_str()), (Some("films"), "web@1"));
    assert!(server.path("made/web/a film 源.mp4").exists());
    until(async || rig.broker.uploads_waiting() == 0).await;
    for role in roles {
        role.stop().await;
    }
    assert_eq!((rig.broker.uploads_waiting(), letters(&rig).await), (0, Vec::new()));
}

#[tokio::test]
async fn what_nobody_wants_is_let_go_and_what_nobody_can_read_leaves_a_letter() {
    let (server, rig) = scene();
    std::fs::write(server.path("films/in/empty.mov"), "").unwrap();
    for key in ["out/a.mov", "in/a.mp4", "in/gone.mov", "in/empty.mov"] {
        tell(&rig, &upload(key));
    }
    tell(&rig, &Upload { bucket: BucketName::new("other").unwrap(), ..upload("in/a.mov") });
    tell(&rig, &Upload { kind: UploadKind::Append, event: "ObjectCreated:Append".to_owned(), ..upload("in/a.mov") });
    rig.broker.post_upload("no message of anybody".into()).unwrap();
    // as a hostile hand writes them
    let hostile = ["../../etc/passwd", "/in/a.mov", "in//a.mov", "in/../made/web/a.mov", "in/%0a.mov", "in/./a.mov"];
    for key in hostile {
        let record = serde_json::json!({"Records": [{"eventName": "ObjectCreated:Put", "eventSource": "aws:s3",
            "s3": {"bucket": {"name": "films"}, "object": {"key": key}}}]});
        rig.broker.post_upload(record.to_string().into()).unwrap();
    }
    let role = rig.start_coordinator("c");
    heeded(&rig, role).await;
    assert_eq!(jobs(&rig).await, Vec::new());
    let letters = letters(&rig).await;
    let reasons: Vec<String> = letters
        .iter()
        .map(|letter| match &letter.content {
            Content::Message { reason, .. } => reason.clone(),
            Content::Task { .. } | Content::Step { .. } => panic!("{letter:?}"),
        })
        .collect();
    assert_eq!(reasons.len(), hostile.len() + 2, "{reasons:#?}");
    for wanted in [
        "neither JSON nor XML nor base64 of UTF-8",
        "s3://films/in/empty.mov is empty: 0 bytes",
        "\"/in/a.mov\" in \"films\" has a key that begins with a slash",
        "\"in//a.mov\" in \"films\" has a key with two slashes in a row",
        "\"in/./a.mov\" in \"films\" has a key with . or .. between slashes",
    ] {
        assert!(reasons.iter().any(|reason| reason == wanted), "{wanted:?} in {reasons:#?}");
    }
}

/// Names are opaque: each is the name that it is, and what is made of it is called after it.
#[tokio::test]
async fn unusual_keys_are_taken_as_they_stand() {
    let (server, rig) = scene();
    let stems =
        ["a b", "100%", "a+b", "%2e%2e", "{stem}", "a?b#c", "$(touch x)`y`", "源", "🎬", "..a", "a&b=c;d'e\"f", "-rf"];
    for stem in stems {
        std::fs::write(server.path(&format!("films/in/{stem}.mov")), FILM).unwrap();
        tell(&rig, &upload(&format!("in/{stem}.mov")));
    }
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let jobs = ended(&rig, stems.len()).await;
    assert!(jobs.iter().all(|job| matches!(job.state, JobState::Completed(_))), "{jobs:?}");
    let made = std::fs::read_dir(server.path("made/web")).unwrap();
    let mut made: Vec<String> = made.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut due = stems.map(|stem| format!("{stem}.mp4"));
    made.sort();
    due.sort();
    assert_eq!(made, due);
    for role in roles {
        role.stop().await;
    }
    assert_eq!(letters(&rig).await, Vec::new());
}

#[tokio::test]
async fn what_was_cancelled_stays_so_through_events_and_sweeps() {
    let (server, mut rig) = scene();
    std::fs::write(server.path("films/in/a.mov"), FILM).unwrap();
    tell(&rig, &upload("in/a.mov"));
    // No worker: the job waits.
    let role = rig.start_coordinator("c");
    until(async || !jobs(&rig).await.is_empty()).await;
    let id = jobs(&rig).await[0].id.clone();
    rig.ops().cancel(&id, "asked for").await.unwrap();
    ended(&rig, 1).await;
    for _ in 0..5 {
        tell(&rig, &Upload { time: Some(WallTime(now().0 - 60_000)), ..upload("in/a.mov") });
    }
    heeded(&rig, role).await;
    rig.pace = SOON;
    swept(&rig, 2).await;
    let jobs = ended(&rig, 1).await;
    assert!(matches!(jobs[0].state, JobState::Cancelled(_)) && jobs[0].generation == 1, "{jobs:?}");
}

/// Runs a coordinator through so many whole passes over its trigger's place.
async fn swept(rig: &Rig, passes: usize) {
    for _ in 0..passes {
        let role = rig.start_coordinator("sweeping");
        let before = watch(rig).await.since.ms();
        until(async || since(rig).await > before).await;
        role.stop().await;
    }
}

/// When the last whole pass began, or that one is under way.
async fn since(rig: &Rig) -> i64 {
    let watch = watch(rig).await;
    if watch.is_passing() { -1 } else { watch.since.ms() }
}

#[tokio::test]
async fn a_destination_that_is_refused_is_tried_once_whatever_sweeps_find() {
    let (server, mut rig) = scene();
    // It may be read, and nothing may be written there.
    rig.triggers[0].output = Template::of_folder("s3://elsewhere/web").unwrap();
    std::fs::write(server.path("films/in/a.mov"), FILM).unwrap();
    tell(&rig, &upload("in/a.mov"));
    let role = rig.start_coordinator("c");
    let failed = ended(&rig, 1).await;
    assert!(matches!(&failed[0].state, JobState::Failed(end) if end.fault.kind == FaultKind::Settings), "{failed:?}");
    heeded(&rig, role).await;
    rig.pace = SOON;
    swept(&rig, 10).await;
    let jobs = ended(&rig, 1).await;
    assert_eq!((jobs[0].generation, &jobs[0].state), (1, &failed[0].state));
}

#[tokio::test]
async fn later_news_begins_a_failed_job_anew_three_times_and_no_more() {
    let (server, mut rig) = scene();
    rig.triggers[0].output = Template::of_folder("s3://elsewhere/web").unwrap();
    std::fs::write(server.path("films/in/a.mov"), FILM).unwrap();
    let role = rig.start_coordinator("c");
    for generation in [1, 2, 3, 4, 4] {
        tell(&rig, &Upload { time: Some(WallTime(now().0 + 60_000)), ..upload("in/a.mov") });
        until(async || rig.broker.uploads_waiting() == 0).await;
        until(async || jobs(&rig).await.iter().any(|job| is_closed(job) && job.generation >= generation)).await;
    }
    heeded(&rig, role).await;
    assert_eq!(ended(&rig, 1).await[0].generation, 4);
}

#[tokio::test]
async fn a_bucket_of_ten_thousand_old_films_is_left_alone_and_counted_on_request() {
    let (server, mut rig) = scene();
    let ancient = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for number in 0..10_000 {
        let path = server.path(&format!("films/in/{number:05}.mov"));
        std::fs::write(&path, FILM).unwrap();
        if number % 100 != 0 {
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(ancient).unwrap();
        }
    }
    rig.pace = SOON;
    swept(&rig, 1).await;
    assert_eq!(jobs(&rig).await, Vec::new());
    let sweep = BucketSweep::new(&rig.fleet, (rig.triggers.clone().into(), SOON), Traces::default());
    let lately = WallTime::parse("2020-01-01T00:00:00Z").unwrap();
    let survey = sweep.survey("films", (lately, Doing::Counting)).await.unwrap();
    assert_eq!((survey.objects, survey.bytes, survey.submitted), (100, 100 * FILM.len() as u64, 0));
    assert_eq!(jobs(&rig).await, Vec::new());
    let tomorrow = WallTime(now().0 + 86_400_000);
    assert_eq!(sweep.survey("films", (tomorrow, Doing::Counting)).await.unwrap().objects, 0);
    let unknown = sweep.survey("film", (WallTime(0), Doing::Counting)).await.unwrap_err();
    assert_eq!(unknown.message, "\"film\" is no trigger, those are: films");
}

#[tokio::test]
async fn an_event_that_never_came_costs_a_sweep_and_older_films_a_command() {
    let (server, mut rig) = scene();
    std::fs::write(server.path("films/in/old.mov"), FILM).unwrap();
    rig.pace = SOON;
    swept(&rig, 1).await;
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    passed(watch(&rig).await.first_seen.ms());
    for name in ["new.mov", "other.txt"] {
        std::fs::write(server.path(&format!("films/in/{name}")), FILM).unwrap();
    }
    let jobs = ended(&rig, 1).await;
    assert!(jobs[0].source.url.ends_with("/in/new.mov"), "{jobs:?}");
    let (traces, _spans) = Traces::new((Share::ALL, Medium::Within), 1, Figures::new(&Registry::new()));
    let sweep = BucketSweep::new(&rig.fleet, (rig.triggers.clone().into(), SOON), traces);
    let survey = sweep.survey("films", (WallTime(0), Doing::Submitting)).await.unwrap();
    assert_eq!((survey.objects, survey.submitted), (1, 1), "one has a job already");
    let jobs = ended(&rig, 2).await;
    let old = jobs.iter().find(|job| job.source.url.ends_with("/in/old.mov")).unwrap();
    assert!(old.trace.is_some_and(|trace| trace.traceparent.is_kept()), "it is traced from its beginning: {old:?}");
    assert_eq!(sweep.survey("films", (WallTime(0), Doing::Submitting)).await.unwrap().objects, 0);
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test]
async fn a_bucket_that_is_away_is_waited_for_with_the_message_let_go() {
    let (server, rig) = scene();
    std::fs::write(server.path("films/in/a.mov"), FILM).unwrap();
    server.cause(Trouble::SlowDown, "HEAD /films/in/a.mov", usize::MAX);
    tell(&rig, &upload("in/a.mov"));
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    until(async || !rig.fleet.store.scan(Scan::all(rows::all_parked(), 9)).await.unwrap().entries.is_empty()).await;
    assert_eq!(jobs(&rig).await, Vec::new());
    server.calm();
    ended(&rig, 1).await;
    until(async || rig.fleet.store.scan(Scan::all(rows::all_parked(), 9)).await.unwrap().entries.is_empty()).await;
    for role in roles {
        role.stop().await;
    }
    assert_eq!(rig.broker.uploads_waiting(), 0);
}

#[tokio::test]
async fn what_is_appended_to_is_whole_once_it_was_left_alone() {
    let (server, mut rig) = scene();
    rig.triggers[0].kinds = [UploadKind::Append].into();
    rig.triggers[0].quiet_ms = 500;
    let film = server.path("films/in/a.mov");
    std::fs::write(&film, "pictures=").unwrap();
    let later = SystemTime::now() + Duration::from_secs(600);
    std::fs::File::options().write(true).open(&film).unwrap().set_modified(later).unwrap();
    let appended = Upload { kind: UploadKind::Append, event: "ObjectCreated:Append".to_owned(), ..upload("in/a.mov") };
    let told = || rig.broker.post_upload(encode(&appended, Format::Oss).into()).unwrap();
    told();
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    until(async || !rig.fleet.store.scan(Scan::all(rows::all_parked(), 9)).await.unwrap().entries.is_empty()).await;
    std::fs::write(&film, FILM).unwrap();
    told();
    let jobs = ended(&rig, 1).await;
    assert!(matches!(jobs[0].state, JobState::Completed(_)), "{:?}", jobs[0].state);
    assert_eq!(jobs[0].source.size, FILM.len() as u64);
    for role in roles {
        role.stop().await;
    }
}

#[tokio::test]
async fn a_job_keeps_its_version_and_a_source_its_job_when_the_configuration_changes() {
    let (server, mut rig) = scene();
    std::fs::write(server.path("films/in/a.mov"), FILM).unwrap();
    tell(&rig, &upload("in/a.mov"));
    let role = rig.start_coordinator("c");
    until(async || !jobs(&rig).await.is_empty()).await;
    heeded(&rig, role).await;
    // Another version, while the job is under way and its event comes once more.
    rig.triggers[0].pipeline = pipeline("web@2", "{stem}-2.mp4");
    rig.pace = SOON;
    tell(&rig, &upload("in/a.mov"));
    std::fs::write(server.path("films/in/b.mov"), FILM).unwrap();
    tell(&rig, &upload("in/b.mov"));
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    let mut jobs = ended(&rig, 2).await;
    jobs.sort_by_key(|job| job.source.url.clone());
    let versions: Vec<&str> = jobs.iter().map(|job| job.cause.as_ref().unwrap().pipeline.as_str()).collect();
    assert_eq!(versions, ["web@1", "web@2"]);
    assert!(server.path("made/web/a.mp4").exists() && server.path("made/web/b-2.mp4").exists());
    assert!(!server.path("made/web/a-2.mp4").exists() && !server.path("made/web/b.mp4").exists());
    for role in roles {
        role.stop().await;
    }
    swept(&rig, 2).await;
    assert_eq!(ended(&rig, 2).await.iter().map(|job| job.generation).max(), Some(1));
}

/// Of a folder no storage tells, and a file is not whole because it is there.
#[tokio::test(start_paused = true)]
async fn files_of_a_folder_are_taken_once_they_stood_still() {
    let folder = tempfile::tempdir().unwrap();
    let (inbox, made) = (folder.path().join("in"), folder.path().join("made"));
    std::fs::create_dir_all(inbox.join("deep")).unwrap();
    std::fs::create_dir(&made).unwrap();
    std::fs::write(inbox.join("old.mov"), FILM).unwrap();
    passed(now().0);
    let mut rig = Rig::new(Arc::new(TextMedia::new(Smooth(Duration::ZERO))));
    let old = SystemTime::now() - Duration::from_secs(86_400);
    let place = Place::Folder { url: url::of_path(&inbox) + "/", called: None };
    let output = Template::of_folder(&url::of_path(&made)).unwrap();
    rig.triggers = vec![Trigger { place, prefix: String::new(), output, ..films() }];
    rig.pace = Pace { every: Duration::from_secs(10), ..Pace::default() };
    let roles = [rig.start_coordinator("c"), rig.start_worker("w")];
    passed(watch(&rig).await.first_seen.ms());
    std::fs::write(inbox.join(".hidden.mov"), FILM).unwrap();
    std::fs::write(inbox.join("deep/a.mov"), FILM).unwrap();
    let growing = inbox.join("growing.mov");
    std::fs::write(&growing, "pict").unwrap();
    let moved = folder.path().join("moved.mov");
    std::fs::write(&moved, FILM).unwrap();
    std::fs::File::options().write(true).open(&moved).unwrap().set_modified(old).unwrap();
    std::fs::rename(&moved, inbox.join("moved.mov")).unwrap();
    for letters in 5..10 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        std::fs::write(&growing, &FILM[..letters]).unwrap();
        assert!(jobs(&rig).await.iter().all(|job| !job.source.url.ends_with("growing.mov")));
    }
    std::fs::write(&growing, FILM).unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let mut sources: Vec<String> = jobs(&rig).await.into_iter().map(|job| job.source.url).collect();
    sources.sort();
    let url = |name: &str| url::of_path(&inbox.join(name));
    assert_eq!(sources, [url("deep/a.mov"), url("growing.mov"), url("moved.mov")]);
    assert!(ended(&rig, 3).await.iter().all(|job| matches!(job.state, JobState::Completed(_))));
    for role in roles {
        role.stop().await;
    }
}
