//! Letters of messages: bounded however many others send, and of use once what stood in the way is mended.
#![expect(clippy::unwrap_used, reason = "a test program")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use framefleet_common::adapters::blob::url;
use framefleet_coordinator::bucket_sweep::Pace;
use framefleet_coordinator::letters::{Content, Letter};
use framefleet_coordinator::ops::{LetterPage, Ops as _, Page};
use framefleet_model::event::{BucketName, Claims, Format, Provider, Upload, UploadKey, UploadKind, encode};
use framefleet_model::media::Container;
use framefleet_model::pipeline::{OutputRequest, Request};
use framefleet_model::terms::Terms;
use framefleet_model::trigger::pipeline::Pipeline;
use framefleet_model::trigger::template::Template;
use framefleet_model::trigger::{Place, Trigger};
use framefleet_tests::fleet::media::{Smooth, TextMedia};
use framefleet_tests::fleet::{Rig, Role, request};

const KEPT: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(20);

/// `in/*.mov` of a folder that events call `films`, as `out/*.mp4`; only events begin jobs.
fn rig() -> Rig {
    let mut rig = Rig::new(Arc::new(TextMedia::new(Smooth(Duration::ZERO))));
    let asked = request("", &[PathBuf::from("/x.mp4")]);
    let output = OutputRequest { to: "{stem}.mp4".to_owned(), container: Container::Mp4, ..asked.outputs[0].clone() };
    let pipeline = Pipeline::new("web@1".parse().unwrap(), Request { outputs: vec![output], ..asked }).unwrap();
    let folder = |name: &str| [url::of_path(&rig.path(name)).as_str(), "/"].concat();
    let films = Trigger {
        name: "films".to_owned(),
        place: Place::Folder { url: folder("in"), called: Some(BucketName::new("films").unwrap()) },
        prefix: String::new(),
        suffix: ".mov".to_owned(),
        kinds: UploadKind::WHOLE.into(),
        quiet_ms: 0,
        pipeline: Arc::new(pipeline),
        canary: None,
        terms: Terms::default(),
        output: Template::of_folder(&folder("out")).unwrap(),
    };
    ["in", "out"].iter().for_each(|name| std::fs::create_dir(rig.path(name)).unwrap());
    rig.triggers = vec![films];
    rig.pace = Pace { every: Duration::from_secs(3600), ..Pace::default() };
    rig
}

fn tell(rig: &Rig, key: &str) {
    let upload = Upload {
        provider: Provider::S3,
        bucket: BucketName::new("films").unwrap(),
        key: UploadKey::new(key).unwrap(),
        kind: UploadKind::Put,
        event: "ObjectCreated:Put".to_owned(),
        id: "1".to_owned(),
        time: None,
        region: None,
        claims: Claims::default(),
    };
    rig.broker.post_upload(encode(&upload, Format::S3).into()).unwrap();
}

async fn letters(rig: &Rig) -> Vec<Letter> {
    rig.ops().dead(&LetterPage { limit: 1000, after: None }).await.unwrap().letters
}

async fn jobs(rig: &Rig) -> usize {
    rig.ops().list(&Page { limit: 1000, ..Page::default() }).await.unwrap().jobs.len()
}

async fn until(fact: impl AsyncFn() -> bool) {
    let waiting = async {
        while !fact().await {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes true");
}

async fn heeded(rig: &Rig, role: Role) {
    until(async || rig.broker.uploads_waiting() == 0).await;
    role.stop().await;
    assert_eq!(rig.broker.uploads_waiting(), 0, "a message was not acknowledged");
}

#[tokio::test]
async fn a_flood_of_messages_that_nobody_can_use_is_kept_within_bounds() {
    let rig = rig();
    let role = rig.start_coordinator("c");
    for number in 0..KEPT + 500 {
        let record = format!(
            "{{\"eventName\":\"ObjectCreated:Put\",\"s3\":{{\"bucket\":{{\"name\":\"films\"}},\"object\":{{\"key\":\"../{number}\"}}}}}}"
        );
        // Some tell of hundreds of names, some are long and tell of nothing.
        let message = match number % 3 {
            0 => format!("{{\"Records\":[{}]}}", vec![record.as_str(); 300].join(",")),
            1 => format!("{{\"Records\":[{record}]}}"),
            _ => format!("{number} {}", "x".repeat(100_000)),
        };
        rig.broker.post_upload(message.into()).unwrap();
    }
    heeded(&rig, role).await;
    let kept = letters(&rig).await;
    // Eight are read at once, and may count at the same moment.
    assert!((KEPT - 8..=KEPT + 8).contains(&kept.len()), "{}", kept.len());
    let longest = kept.iter().map(|letter| serde_json::to_vec(letter).unwrap().len()).max();
    assert!(longest.is_some_and(|bytes| bytes < 8 << 10), "{longest:?}");
    let has = |number: usize| {
        kept.iter().any(|letter| matches!(&letter.content, Content::Message { body, .. } if body.contains(&format!("../{number}\"")) || body.starts_with(&format!("{number} "))))
    };
    assert!(has(KEPT + 499) && !has(0), "the youngest stay");
    assert_eq!(jobs(&rig).await, 0);
}

#[tokio::test]
async fn a_letter_is_read_again_once_its_object_is_mended() {
    let rig = rig();
    std::fs::write(rig.path("in/a.mov"), "").unwrap();
    let role = rig.start_coordinator("c");
    tell(&rig, "a.mov");
    until(async || !letters(&rig).await.is_empty()).await;
    let letter = letters(&rig).await.remove(0);
    let again = async || rig.ops().retry_letter(&letter.id).await.map_err(|fault| fault.message);
    let refused = again().await.unwrap_err();
    assert!(refused.contains("is still of no use") && refused.contains("is empty: 0 bytes"), "{refused}");
    std::fs::remove_file(rig.path("in/a.mov")).unwrap();
    assert!(again().await.unwrap_err().contains("which is not there"));
    assert_eq!((letters(&rig).await.len(), jobs(&rig).await), (1, 0), "it is kept until it is of use");
    std::fs::write(rig.path("in/a.mov"), "pictures=50 gop=25").unwrap();
    again().await.unwrap();
    assert_eq!((letters(&rig).await.len(), jobs(&rig).await), (0, 1));
    // Told of once more it is the same job.
    tell(&rig, "a.mov");
    heeded(&rig, role).await;
    assert_eq!(jobs(&rig).await, 1);
}

#[tokio::test]
async fn a_letter_that_cannot_be_of_use_says_so() {
    let rig = rig();
    let role = rig.start_coordinator("c");
    for message in ["no message at all".to_owned(), "x".repeat(100_000)] {
        rig.broker.post_upload(message.into()).unwrap();
    }
    heeded(&rig, role).await;
    let mut said = Vec::new();
    for letter in letters(&rig).await {
        said.push(rig.ops().retry_letter(&letter.id).await.unwrap_err().message);
    }
    said.sort_by_key(String::len);
    assert!(said.iter().any(|why| why.contains("still tells nothing: neither JSON nor XML")), "{said:?}");
    assert!(said.iter().any(|why| why.contains("has 4096 of its message's 100000 bytes")), "{said:?}");
    assert_eq!(letters(&rig).await.len(), 2);
}

/// What a trigger makes is no trigger's source, whoever tells of it, and work objects are nobody's.
#[tokio::test]
async fn outputs_and_work_objects_are_no_sources() {
    let rig = rig();
    std::fs::write(rig.path("out/a.mov"), "pictures=50 gop=25").unwrap();
    let role = rig.start_coordinator("c");
    for key in ["out/a.mov", "a.mp4"] {
        tell(&rig, key);
    }
    heeded(&rig, role).await;
    assert_eq!((jobs(&rig).await, letters(&rig).await.len()), (0, 0));
}
