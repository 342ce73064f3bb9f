//! A job as its trace shows it, to a collector that reads what any collector reads.

use std::collections::{BTreeMap, BTreeSet};

use framefleet_coordinator::ops::wire::ViewJson;
use framefleet_model::event::{BucketName, Claims, Format, Provider, Upload, UploadKey, UploadKind, WallTime, encode};
use framefleet_tests::processes::collector::{Collected, Collector};
use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::jobs;
use framefleet_tests::processes::servers::{Buckets, Servers};
use framefleet_tests::processes::settled::assert_same;
use framefleet_tests::processes::{role, until};
use serde_json::Value;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SENDER: &str = "b7ad6b7169203331";
/// As OTLP numbers them.
const INTERNAL: i32 = 1;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;
const EFFECTS: [&str; 5] = ["check", "plan", "compare", "prove", "publish"];

fn rules() -> String {
    format!(
        "[[pipelines]]\nname = \"web\"\nversion = \"1\"\nsegment_duration = \"{}\"\n\
         outputs = [{{ to = \"{{stem}}.mp4\", video = {{ preset = \"ultrafast\" }} }}]\n\
         [[triggers]]\nname = \"films\"\nbucket = \"s3://films\"\nprefix = \"in/\"\npipeline = \"web@1\"\noutput = \"s3://made\"\n\
         [coordinator]\nsweep_every = \"1h\"\n",
        jobs::CUT
    )
}

/// What MinIO says of a film.
fn upload() -> Vec<u8> {
    let upload = Upload {
        provider: Provider::S3,
        bucket: BucketName::new(Buckets::FILMS).unwrap(),
        key: UploadKey::new("in/film.mov").unwrap(),
        kind: UploadKind::Put,
        event: "s3:ObjectCreated:Put".to_owned(),
        id: "a-request".to_owned(),
        time: Some(WallTime(1_772_352_000_000)),
        region: None,
        claims: Claims { size: None, etag: None, version: None },
    };
    encode(&upload, Format::Minio)
}

fn named<'s>(spans: &'s [Collected], name: &str) -> Vec<&'s Collected> {
    spans.iter().filter(|span| span.name == name).collect()
}

fn only<'s>(spans: &'s [Collected], name: &str) -> &'s Collected {
    let [span] = named(spans, name)[..] else { panic!("one {name}: {spans:#?}") };
    span
}

/// The attempts whose results counted, by their tasks.
fn settled(spans: &[Collected]) -> BTreeMap<&str, &Collected> {
    let settled = named(spans, "attempt").into_iter().filter(|span| span.attribute("outcome") == "settled");
    settled.map(|span| (span.attribute("task"), span)).collect()
}

/// Whether it is told what led to it.
fn is_linked(span: &Collected, spans: &[Collected]) -> bool {
    named(spans, "hint").iter().any(|hint| span.links.contains(&hint.id))
}

/// Each process tells every two seconds what it has: what came last in the job may be told of first.
fn is_told(spans: &[Collected], view: &ViewJson) -> bool {
    let settled = settled(spans);
    let has = |kind: &str, due: u32| settled.keys().filter(|task| task.starts_with(kind)).count() >= due as usize;
    let mut hinted = settled.iter().filter(|(task, _)| !task.starts_with("merge"));
    has("index", 1)
        && has("encode", view.segments.total)
        && has("audio", view.sounds.total)
        && has("merge", view.merges.total)
        && hinted.all(|(_, span)| is_linked(span, spans))
        && ["event", "job"].iter().chain(&EFFECTS).all(|name| !named(spans, name).is_empty())
        && named(spans, "send").len() >= 3
}

/// Everything that is told of the job, under it and within its time, by whoever did it.
fn assert_whole(spans: &[Collected], segments: usize) {
    let (event, job) = (only(spans, "event"), only(spans, "job"));
    assert_eq!((event.parent.as_str(), event.kind), (SENDER, CONSUMER), "{event:?}");
    assert_eq!(event.attribute("messaging.message.id"), "told-once");
    assert_eq!((job.parent.as_str(), job.kind), (event.id.as_str(), INTERNAL), "{job:?}");
    assert_eq!((job.attribute("state"), job.attribute("generation"), &job.fault), ("completed", "1", &None));
    let others = spans.iter().filter(|span| !matches!(span.name.as_str(), "event" | "job"));
    let astray: Vec<_> =
        others.filter(|span| span.parent != job.id || span.attribute("job") != job.attribute("job")).collect();
    assert!(astray.is_empty(), "not under the job: {astray:#?}");
    for effect in EFFECTS {
        let done = named(spans, effect);
        assert!(!done.is_empty() && done.iter().all(|span| span.service == "framefleet-coordinator"), "{effect}");
    }
    let settled = settled(spans);
    let encodes: BTreeSet<&str> =
        settled.values().map(|span| span.attribute("segment")).filter(|s| !s.is_empty()).collect();
    assert_eq!(encodes.len(), segments, "{settled:#?}");
    let services = |task: &str| settled[task].service.as_str();
    assert_eq!([services("index-00000"), services("merge-00000")], ["framefleet-worker", "framefleet-coordinator"]);
    for (task, span) in settled.iter().filter(|(task, _)| !task.starts_with("merge")) {
        let named = span.attribute("attempt").len() == 32 && !span.attribute("worker").is_empty();
        assert!(named && is_linked(span, spans), "{task}: {span:?}");
    }
    // Whoever settles hears of it a moment later than others may.
    let last = |name: &str| named(spans, name).iter().map(|span| span.ended_ns).max();
    assert!(
        Some(settled["index-00000"].begun_ns) <= last("plan")
            && Some(settled["merge-00000"].begun_ns) <= last("publish")
    );
    assert!(named(spans, "hint").iter().chain(&named(spans, "send")).all(|span| span.kind == PRODUCER));
    let by = |name: &str| -> BTreeSet<&str> {
        named(spans, name).iter().map(|span| span.attribute("messaging.destination.name")).collect()
    };
    let names = [by("event"), by("hint"), by("send")];
    let due = [&["traced.ingest.uploads"][..], &["traced.tasks.light", "traced.tasks.standard"], &["traced.out"]];
    assert_eq!(names, due.map(|names| names.iter().copied().collect()));
}

#[test]
fn a_job_is_one_trace_from_what_told_of_it_to_what_is_told_of_it() {
    let (servers, buckets, collector) = (Servers::start(), Buckets::start(), Collector::start());
    let mut fleet = Fleet::on_buckets(&servers, "traced", &buckets);
    let headers = fleet.path("headers");
    std::fs::write(&headers, format!("{}: a-secret\n", Collector::HEADER)).unwrap();
    fleet.configure(&rules());
    let known = std::fs::read_to_string(fleet.config()).unwrap();
    let traced = format!("traces_url = \"{}\"\ntraces_headers_file = \"{}\"\n", collector.url, headers.display());
    let json = known.replace("[telemetry]\n", &format!("[telemetry]\nformat = \"json\"\n{traced}"));
    std::fs::write(fleet.config(), json).unwrap();
    fleet.start(2, 2);
    std::fs::create_dir_all(buckets.path("films/in")).unwrap();
    std::fs::copy(jobs::film(), buckets.path("films/in/film.mov")).unwrap();
    let traceparent = format!("00-{TRACE}-{SENDER}-01");
    servers.tell(("traced.ingest", "s3"), (&traceparent, &upload()));

    until("its end is told to the collector", || !named(&collector.of(TRACE), "job").is_empty());
    let job = only(&collector.of(TRACE), "job").attribute("job").to_owned();
    let view = fleet.over(&job);
    until("all of it is told", || is_told(&collector.of(TRACE), &view));
    let spans = collector.of(TRACE);
    assert_eq!(view.job.state, "completed");
    assert_same(&buckets.path("made/film.mp4"), &jobs::golden(&jobs::film(), "mp4"));
    assert_whole(&spans, view.segments.total as usize);
    assert_eq!(collector.word().as_deref(), Some("a-secret"));
    let instances: BTreeSet<String> = spans.iter().map(|span| span.instance.clone()).collect();
    assert!(instances.contains("w1") || instances.contains("w2"), "{instances:?}");

    // Who takes the event of its end is told where it comes from.
    let told = servers.taken("traced.out.events");
    let end = told.iter().find(|event| event.body.contains("framefleet.job.completed")).unwrap();
    let sent: BTreeSet<String> =
        named(&spans, "send").iter().map(|span| format!("00-{TRACE}-{}-01", span.id)).collect();
    assert!(sent.contains(end.traceparent.as_deref().unwrap()), "{end:?} {sent:?}");

    // Its log is found by its id, whichever process wrote it.
    let logs: Vec<String> = fleet.roles().iter().map(role::Role::log).collect();
    let lines = logs.iter().flat_map(|log| log.lines()).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let lines: Vec<Value> = lines.filter(|line| line["job"] == job.as_str()).collect();
    let ended = lines.iter().filter(|line| line["message"] == "attempt ended" && line["outcome"] == "settled");
    let segments: BTreeSet<u64> = ended.filter_map(|line| line["segment"].as_u64()).collect();
    assert_eq!(segments.len(), view.segments.total as usize, "{lines:#?}");
    fleet.completed(&servers);
}

#[test]
fn a_collector_that_is_away_stops_nobody_and_without_one_nothing_is_traced() {
    let servers = Servers::start();
    let (mut off, mut away) = (Fleet::new(&servers, "off"), Fleet::new(&servers, "away"));
    let known = std::fs::read_to_string(away.config()).unwrap();
    let nobody = format!("[telemetry]\ntraces_url = \"http://127.0.0.1:{}\"\n", role::free_port());
    std::fs::write(away.config(), known.replace("[telemetry]\n", &nobody)).unwrap();
    let golden = jobs::golden(&jobs::film(), "mp4");
    for fleet in [&mut off, &mut away] {
        fleet.start(1, 1);
        let film = fleet.film("film.mov");
        fleet.submit(&film, "film.mp4", &golden);
        fleet.completed(&servers);
    }
    let spans = |fleet: &Fleet, role: &str, what: &str| {
        fleet.figure(role, &format!("framefleet_trace_spans_total{{what=\"{what}\"}}"))
    };
    until("spans are given up", || spans(&away, "c1", "failed") > 0 && spans(&away, "w1", "failed") > 0);
    assert_eq!(spans(&away, "c1", "exported"), 0);
    assert!(away.role("c1").log().contains("spans are not taken by their collector"));
    for what in ["failed", "dropped", "exported"] {
        assert_eq!((spans(&off, "c1", what), spans(&off, "w1", what)), (0, 0), "{what}");
    }
    let told = servers.taken("off.out.events");
    assert!(told.iter().all(|event| event.traceparent.is_none()), "{told:?}");
}
