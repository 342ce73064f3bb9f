//! From a queue of MNS to a film at its place and an event that says so: every process and every server on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use framefleet_model::event::{BucketName, Claims, Format, Provider, Upload, UploadKey, UploadKind, WallTime, encode};
use framefleet_tests::mns::{KEY_ID, Mns, SECRET};
use framefleet_tests::processes::fleet::Fleet;
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::{OssBucket, Servers};
use framefleet_tests::processes::settled::assert_same;
use framefleet_tests::processes::{jobs, until};
use serde_json::Value;

const KEY: &str = "in/\u{6e90} a+b 100%.mov";
const MADE: &str = "made/\u{6e90} a+b 100%.mp4";

fn rules() -> String {
    format!(
        "[[pipelines]]\nname = \"web\"\nversion = \"1\"\nsegment_duration = \"{}\"\n\
         outputs = [{{ to = \"{{stem}}.mp4\", video = {{ preset = \"ultrafast\" }} }}]\n\
         [[triggers]]\nname = \"films\"\nbucket = \"oss://{bucket}\"\nprefix = \"in/\"\nsuffix = \".mov\"\n\
         pipeline = \"web@1\"\ntenant = \"news\"\noutput = \"oss://{bucket}/made\"\n\
         [coordinator]\nsweep_every = \"1h\"\n",
        jobs::CUT,
        bucket = OssBucket::NAME
    )
}

/// What OSS says of the film, with claims of a size that is not its and of somebody else's being its owner.
fn told(format: Format) -> Vec<u8> {
    let upload = Upload {
        provider: Provider::Oss,
        bucket: BucketName::new(OssBucket::NAME).unwrap(),
        key: UploadKey::new(KEY).unwrap(),
        kind: UploadKind::Put,
        event: "ObjectCreated:PutObject".to_owned(),
        id: "a-request".to_owned(),
        time: Some(WallTime(1_772_352_000_000)),
        region: Some("cn-hangzhou".to_owned()),
        claims: Claims { size: Some(7), etag: Some("AB".to_owned()), version: None },
    };
    encode(&upload, format)
}

fn with_claims(message: &[u8]) -> Vec<u8> {
    fn claim(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(claim);
                for name in ["tenant", "priority", "pipeline", "output"] {
                    fields.entry(name).or_insert_with(|| "somebody-else".into());
                }
            }
            Value::Array(values) => values.iter_mut().for_each(claim),
            _ => {}
        }
    }
    let mut message: Value = serde_json::from_slice(message).unwrap();
    claim(&mut message);
    serde_json::to_vec(&message).unwrap()
}

/// All events that were published, in order.
fn events(servers: &Servers, prefix: &str) -> Vec<Value> {
    let taken = servers.take(&format!("{prefix}.out.events"));
    taken.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect()
}

#[test]
fn what_oss_tells_five_times_is_one_film_and_one_event_of_its_end() {
    let (servers, bucket) = (Servers::start(), OssBucket::start());
    let mns = Mns::start(&["films"], Duration::from_secs(30));
    let mut fleet = Fleet::new(&servers, "oss");
    let access = format!("key_id = \"{KEY_ID}\"\nsecret = \"{SECRET}\"");
    fleet.configure(&[bucket.settings(), mns.settings(&access), rules()].concat());
    fleet.start(2, 1);
    fleet.add(Kind::Bridge, "b");
    std::fs::create_dir(bucket.path("in")).unwrap();
    std::fs::copy(jobs::film(), bucket.path(KEY)).unwrap();
    // The same five times, in other words each and in no order of theirs, one with claims that nobody asked for.
    for format in [Format::OssTopicXml, Format::Oss, Format::OssEventBridge, Format::OssQueue, Format::OssTopicJson] {
        let message = told(format);
        let message = if format == Format::Oss { with_claims(&message) } else { message };
        mns.send("films", &message);
    }
    let apis = fleet.apis();
    until("a job is over", || fleet.client.jobs(&apis).iter().any(|job| job.ended_ms.is_some()));
    until("the queue is empty", || mns.left("films") == 0);
    let heeded = || {
        let count = |name: &str| {
            let series = format!("framefleet_uploads_total{{what=\"{name}\"}}");
            ["c1", "c2"].iter().map(|coordinator| fleet.figure(coordinator, &series)).sum::<u64>()
        };
        (count("matched"), count("duplicate"))
    };
    until("all five are heeded", || heeded() == (1, 4));
    let known = fleet.client.jobs(&apis);
    let [job] = known.as_slice() else { panic!("one job: {known:?}") };
    assert_eq!((job.state.as_str(), job.tenant.as_str(), job.generation), ("completed", "news", 1), "{job:?}");
    assert_eq!((job.trigger.as_deref(), job.pipeline.as_deref()), (Some("films"), Some("web@1")));
    assert_eq!(job.priority, "normal");
    assert_same(&bucket.path(MADE), &jobs::golden(&jobs::film(), "mp4"));

    let mut told = Vec::new();
    until("its end is told", || {
        told.extend(events(&servers, "oss"));
        told.iter().any(|event| event["type"] == "framefleet.job.completed")
    });
    // Two coordinators may both tell of one thing: under one id, in the same words.
    let ids: BTreeSet<&str> = told.iter().map(|event| event["id"].as_str().unwrap()).collect();
    let expected = ["accepted", "completed", "started"].map(|what| format!("{}:1:{what}", job.id));
    assert_eq!(ids.into_iter().collect::<Vec<_>>(), expected.iter().map(String::as_str).collect::<Vec<_>>());
    let completed = told.iter().find(|event| event["type"] == "framefleet.job.completed").unwrap();
    let data = &completed["data"];
    assert_eq!((data["tenant"].as_str(), data["source"]["bytes"].as_u64()), (Some("news"), size()), "{completed}");
    let output = &data["outputs"][0];
    assert_eq!(output["url"].as_str(), Some("oss://127/made/%E6%BA%90%20a%2Bb%20100%25.mp4"), "{completed}");
    assert_eq!((output["video"][0]["pictures"].as_u64(), output["files"].as_u64()), (Some(200), Some(1)));
}

fn size() -> Option<u64> {
    Some(std::fs::metadata(jobs::film()).unwrap().len())
}
