//! Pipelines and triggers as they are configured: what they come to, and what is refused, by name.

#![allow(clippy::unwrap_used, reason = "tests")]

use framefleet_cli::config::{self, CoordinatorRole, Told};
use framefleet_model::event::{UploadKey, UploadKind, WallTime};
use framefleet_model::pipeline::OnExisting;
use framefleet_model::plan::SourceFacts;
use framefleet_model::trigger::Found;
use tempfile::TempDir;

const LEAST: &str = "
    [store]\nurl = 'redis://redis'\n[broker]\nurl = 'amqp://rabbit'\n[work]\nurl = 's3://work/here'
    [[storage]]\nurl = 's3://work'\n[[storage]]\nurl = 's3://films'\n[[storage]]\nurl = 's3://made/web'
    [[storage]]\nurl = 'file:///srv'
";
const PIPELINE: &str = "
    [[pipelines]]\nname = 'web'\nversion = 3
    outputs = [{ to = '{dir}/{stem}.mp4', video = { crf = 20, fps = 29.97 } }, { to = '{stem}-{n}.jpg', thumbnails = { every = '10s' } }]
    segment_duration = '5s'
";
const TRIGGER: &str = "
    [[triggers]]\nname = 'films'\nbucket = 's3://films'\nprefix = 'in/'\nsuffix = '.mov'\npipeline = 'web@3'
    tenant = 'news'\npriority = 'bulk'\ndeadline = '2h'\noutput = 's3://made/web/{date}'
";

fn told(text: &str) -> (TempDir, Told) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f.toml");
    std::fs::write(&file, [LEAST, text].concat()).unwrap();
    let system = folder.path().join("system.toml");
    let told = Told { system, file: Some(file), environment: Vec::new(), flags: Vec::new() };
    (folder, told)
}

#[track_caller]
fn config(text: &str) -> CoordinatorRole {
    config::load_coordinator(&told(text).1).unwrap().config
}

/// The refusal of this text, which ends with the file's name.
#[track_caller]
fn refusal(text: &str) -> String {
    let (folder, told) = told(text);
    let fault = config::load_coordinator(&told).unwrap_err();
    assert_eq!(fault.kind.exit_code(), 64);
    fault.message.replace(folder.path().to_str().unwrap(), "DIR")
}

#[test]
fn what_is_configured_is_what_an_upload_gets() {
    let config = config(&[PIPELINE, TRIGGER].concat());
    let [trigger] = &*config.triggers else { panic!("one") };
    let key = UploadKey::new("in/2026/a film.mov").unwrap();
    assert!(trigger.covers(&key) && trigger.place.called().is_some_and(|name| name.as_str() == "films"));
    assert_eq!(trigger.kinds, UploadKind::WHOLE.into());
    let source = SourceFacts { url: trigger.url(&key), size: 1, version: "e".to_owned() };
    let wish = trigger.wish(&Found { source, modified: WallTime::parse("2026-11-27T00:00:00Z").unwrap() }).unwrap();
    let to: Vec<&str> = wish.request.outputs.iter().map(|output| output.to.as_str()).collect();
    assert_eq!(to, ["s3://made/web/2026-11-27/in/2026/a%20film.mp4", "s3://made/web/2026-11-27/a%20film-1.jpg"]);
    assert_eq!(wish.request.on_existing, OnExisting::Replace);
    assert_eq!((wish.terms.tenant.as_str(), wish.terms.priority.name()), ("news", "bulk"));
    assert_eq!((wish.terms.deadline_ms, wish.cause.pipeline.as_str()), (Some(7_200_000), "web@3"));
}

#[test]
fn triggers_that_contradict_each_other_are_refused_with_both_names() {
    let other = "
        [[triggers]]\nname = 'more'\nbucket = 's3://films'\nprefix = 'in/new/'\nsuffix = '.mov'\npipeline = 'web@3'
        output = 's3://made/web'\n";
    assert_eq!(
        refusal(&[PIPELINE, TRIGGER, other].concat()),
        "triggers contradict each other: triggers films and more overlap: both would take s3://films/in/new/*.mov (DIR/f.toml)"
    );
    let looped = TRIGGER.replace("s3://made/web/{date}", "s3://films").replace("'.mov'", "'.mp4'");
    assert_eq!(
        refusal(&[PIPELINE, &looped].concat()),
        "triggers contradict each other: output s3://films/{dir}/{stem}.mp4 of pipeline web@3, made by trigger films, may be a \
         source of trigger films, which takes s3://films/in/*.mp4: that would be a loop (DIR/f.toml)"
    );
    let boundless = TRIGGER.replace("'in/'", "''").replace("'.mov'", "''");
    assert!(refusal(&[PIPELINE, &boundless].concat()).contains("trigger films has neither prefix nor suffix"));
}

/// What is another in the text, and how it is then refused.
type Row = (&'static str, &'static str, &'static str);

const OF_PIPELINES: [Row; 8] = [
    (
        "{stem}.mp4",
        "{name}.mp4",
        "pipelines[0].outputs {name} in \"{dir}/{name}.mp4\" is not one of: {stem}, {ext}, {dir}, {job}, {date}",
    ),
    (
        "{dir}/{stem}.mp4",
        "../{stem}.mp4",
        "pipelines[0].outputs \"../{stem}.mp4\" has nothing, . or .. between slashes",
    ),
    (
        "{dir}/{stem}.mp4",
        "s3://x/{stem}.mp4",
        "pipelines[0].outputs \"s3://x/{stem}.mp4\" has nothing, . or .. between slashes",
    ),
    ("crf = 20", "crf = 99", "pipelines[0].outputs crf 99 is not within 0 to 51"),
    (
        "version = 3",
        "version = '3 4'",
        "pipelines[0].name \"web@3 4\" is no pipeline such as web@3: name and version are 1 to 64 of A-Z, a-z, 0-9, -, _ and .",
    ),
    (
        "segment_duration = '5s'",
        "steps = [{ webhook = { name = 'who' } }]",
        "pipelines[0].steps step webhook who speaks to \"who\", and [[webhooks]] names: none",
    ),
    (
        "segment_duration = '5s'",
        "steps = [{ webhook = { name = 'a' }, sql = { database = 'b' } }]",
        "pipelines[0].steps a step is one of webhook, sql and cdn_prefetch: no more, no less",
    ),
    (
        "segment_duration = '5s'",
        "[[pipelines]]\nname = 'web'\nversion = '3'\noutputs = [{ to = 'a.mp4' }]",
        "pipelines[1].version makes a second web@3",
    ),
];

const OF_TRIGGERS: [Row; 14] = [
    (
        "s3://made/web/{date}",
        "s3://made/web/{day}",
        "triggers[0].output \"s3://made/web/{day}\" {day} in \"web/{day}\" is not one of: {stem}, {ext}, {dir}, {job}, {date}",
    ),
    (
        "s3://made/web/{date}",
        "s3://made/{date}",
        "triggers[0].output \"s3://made/{date}\" lies in no [[storage]], or not all that would be taken does",
    ),
    (
        "bucket = 's3://films'",
        "bucket = 's3://secrets'",
        "triggers[0].bucket \"s3://secrets\" lies in no [[storage]], or not all that would be taken does",
    ),
    (
        "bucket = 's3://films'",
        "bucket = 'file:///etc'",
        "triggers[0].bucket \"file:///etc\" lies in no [[storage]], or not all that would be taken does",
    ),
    (
        "bucket = 's3://films'",
        "bucket = 'oss://films'",
        "triggers[0].bucket \"oss://films\" lies in no [[storage]], or not all that would be taken does",
    ),
    (
        "bucket = 's3://films'",
        "bucket = 's3://films/in'",
        "triggers[0].bucket \"s3://films/in\" is neither s3://bucket, oss://bucket nor file:///folder",
    ),
    ("'in/'", "'/in/'", "triggers[0].prefix \"/in/\" has a key that begins with a slash"),
    ("'in/'", "'in/../x'", "triggers[0].prefix \"in/../x\" has a key with . or .. between slashes"),
    ("'web@3'", "'web@4'", "triggers[0].pipeline \"web@4\" is in no [[pipelines]], there are: web@3"),
    ("'web@3'", "'web'", "triggers[0].pipeline \"web\" is no name@version such as web@3"),
    (
        "tenant = 'news'",
        "tenant = 'The News'",
        "triggers[0].tenant \"The News\" is no tenant: 1 to 32 of a-z, 0-9, - and _",
    ),
    (
        "tenant = 'news'",
        "events = ['Delete']",
        "triggers[0].events \"Delete\" is not one of: Put, Post, CompleteMultipartUpload, Copy, Append",
    ),
    ("tenant = 'news'", "quiet = '5s'", "triggers[0].quiet \"5s\" is for Append, which events does not name"),
    ("tenant = 'news'", "canary = 'web@3'\ncanary_percent = 5", "triggers[0].canary \"web@3\" is the pipeline itself"),
];

/// The refusal of the usual text with something else in it.
#[track_caller]
fn with(from: &str, to: &str) -> String {
    let text = [PIPELINE, TRIGGER].concat();
    assert!(text.contains(from), "{from}");
    refusal(&text.replace(from, to))
}

#[test]
fn refusals_name_key_value_and_what_would_do() {
    for (from, to, expect) in OF_PIPELINES.into_iter().chain(OF_TRIGGERS) {
        assert_eq!(with(from, to), format!("{expect} (DIR/f.toml)"), "{to}");
    }
    assert_eq!(
        with("tenant = 'news'", "events = ['Append']"),
        "triggers[0].quiet is not set, and events names Append: when is such an object whole? (default)"
    );
    let unknown = with("tenant = 'news'", "tenants = 'news'");
    assert!(unknown.starts_with("triggers[0].tenants is no key of the configuration"), "{unknown}");
    assert!(with("crf = 20", "cfr = 20").contains("cfr"));
    let forgotten = with("segment_duration = '5s'", "[coordinator]\nsweep_overlap = '30d'");
    assert!(forgotten.starts_with("coordinator.sweep_overlap \"30d\" is not within 1m to"), "{forgotten}");
}

const TARGETS: &str = "
    [[webhooks]]\nname = 'studio'\nurl = 'https://hunter2:hunter2@studio.example/hunter2?hunter2'
    secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\nother_secret = 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    [[databases]]\nname = 'records'\nurl = 'postgres://fleet:hunter2@db/media?password=hunter2'
    [[cdns]]\nname = 'films'\norigin = 'oss://made/web'\nurl = 'https://films.example/w/'\nkey_id = 'k'\nsecret = 'hunter2'
    [egress]\nallow = ['10.2.0.0/16']
";
const STEPS: &str = "steps = [{ webhook = { name = 'studio', events = ['failed'] } }, { sql = { database = 'records' } }, \
    { cdn_prefetch = { cdn = 'films' } }]";

#[test]
fn a_pipelines_steps_come_with_each_job_and_their_targets_are_not_shown() {
    let text = [&PIPELINE.replace("segment_duration = '5s'", STEPS), TRIGGER, TARGETS].concat();
    let loaded = config::load_coordinator(&told(&text).1).unwrap();
    let key = UploadKey::new("in/a.mov").unwrap();
    let trigger = &loaded.config.triggers[0];
    let source = SourceFacts { url: trigger.url(&key), size: 1, version: "e".to_owned() };
    let wish = trigger.wish(&Found { source, modified: WallTime::parse("2026-11-27T00:00:00Z").unwrap() }).unwrap();
    let steps: Vec<String> = wish.request.steps.iter().map(ToString::to_string).collect();
    assert_eq!(steps, ["webhook studio", "sql records", "cdn_prefetch films"]);
    let targets = &loaded.config.targets;
    assert_eq!((targets.webhooks[0].keys.len(), targets.cdns[0].origin.as_str()), (2, "oss://made/web/"));
    for shown in [loaded.effective.clone(), format!("{:?}", loaded.config)] {
        assert!(!shown.contains("hunter2") && !shown.contains("whsec_"), "{shown}");
        assert!(shown.contains("studio") && shown.contains("films.example"), "{shown}");
    }
}

#[test]
fn targets_are_refused_by_key_and_never_quoted() {
    let rows = [
        ("https://hunter2", "http://hunter2", "webhooks[0].url is no https://host/…, as http = \"tls\" wants it"),
        ("secret = 'whsec_M", "secret = 'hunter2_M", "webhooks[0].secret is not whsec_ and base64 of 24 to 64 bytes"),
        ("'studio'", "'the studio'", "webhooks[0].name \"the studio\" is not 1 to 64 of A-Z, a-z, 0-9, -, _ and ."),
        ("'postgres://", "'mysql://", "databases[0].url begins with mysql://, not with postgres:// or postgresql://"),
        ("oss://made/web", "made/web", "cdns[0].origin \"made/web\" begins with none of: oss, s3, file"),
        ("10.2.0.0/16", "10.2.3.0/16", "egress.allow \"10.2.3.0/16\" is no network such as 10.2.0.0/16 or fd12::/32"),
        ("[egress]", "[steps]\ntries = 0\n[egress]", "steps.tries 0 is not within 1 to 100"),
        ("[egress]", "[steps]\nlongest_wait = '1s'\n[egress]", "steps.longest_wait \"1s\" is not within 10s to 1d"),
    ];
    for (from, to, expect) in rows {
        let refused = refusal(&TARGETS.replace(from, to));
        assert_eq!(refused, format!("{expect} (DIR/f.toml)"), "{to}");
    }
    let twice = refusal(&[TARGETS, "[[databases]]\nname = 'records'\nurl = 'postgres://db/x'\n"].concat());
    assert_eq!(twice, "databases[1].name \"records\" is there twice (DIR/f.toml)");
    let unsigned = refusal("[[webhooks]]\nname = 'a'\nurl = 'https://a'\n");
    assert!(unsigned.starts_with("webhooks[0].secret is not set"), "{unsigned}");
}

#[test]
fn what_is_shown_of_it_can_be_a_file_again() {
    let (folder, told) = told(&[PIPELINE, TRIGGER].concat());
    let loaded = config::load_coordinator(&told).unwrap();
    assert!(loaded.effective.contains("video = { crf = 20, fps = 29.97 }"), "{}", loaded.effective);
    let again = folder.path().join("again.toml");
    std::fs::write(&again, &loaded.effective).unwrap();
    let again = config::load_coordinator(&Told { file: Some(again), ..told }).unwrap();
    assert_eq!(again.config.triggers, loaded.config.triggers);
}
