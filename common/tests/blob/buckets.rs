//! What a bucket does that a folder does not.

use bytes::Bytes;
use framefleet_common::adapters::blob::root::{Doing, Tried};
use framefleet_common::adapters::blob::storages::{Addressing, Credentials, StorageSettings, Storages};
use framefleet_common::adapters::blob::{OnExisting, Presence, Published, Side, url};
use framefleet_model::event::Provider;
use framefleet_model::fault::FaultKind;

use super::s3::{HOSTED_BUCKET, Manners, S3Server, Trouble};
use super::{Ground, content, nonce, stage};

const MIB: usize = 1 << 20;

fn large(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n / 251) as u8).collect()
}

/// Methods of the requests that came since the last look, those of parts apart.
fn asked(server: &S3Server) -> Vec<String> {
    let word = |line: String| {
        let what = if line.contains("partNumber=") { " part" } else { "" };
        line.split(' ').next().unwrap_or_default().to_owned() + what
    };
    server.requests().into_iter().map(word).collect()
}

#[tokio::test]
async fn keys_are_kept_letter_for_letter() {
    let ground = Ground::bucket();
    for key in ["a b.mov", "源/视频 a%.mp4", "100%25.mov", "a+b&c=d?e#f.mov", "[x]~{y}^`.mov", "été.mov", "a:b@c.mov"]
    {
        let object = ground.object(key, Side::Destination);
        object.put(Bytes::from_static(b"x")).await.unwrap();
        assert!(ground.server().path("films").join(key).is_file(), "{key}");
        assert_eq!(object.read_all(10).await.unwrap(), "x");
        assert_eq!(object.to_string(), url::of_key(Provider::S3, ("films", key)));
    }
}

#[tokio::test]
async fn small_files_are_one_request_and_large_ones_are_parts() {
    let ground = Ground::bucket();
    let object = ground.object("a", Side::Work);
    object.put_file(&ground.local(b"small")).await.unwrap();
    assert_eq!(asked(ground.server()), ["PUT"]);
    let bytes = large(40 * MIB);
    object.put_file(&ground.local(&bytes)).await.unwrap();
    let mut requests = asked(ground.server());
    requests.sort();
    assert_eq!(requests, ["POST", "POST", "PUT part", "PUT part", "PUT part"]);
    assert_eq!(object.content().await.unwrap(), content(&bytes));
}

#[tokio::test]
async fn a_large_content_is_published_whole() {
    let ground = Ground::bucket();
    let out = ground.object("out.mp4", Side::Destination);
    let bytes = large(40 * MIB);
    let staged = stage(&out, &ground.local(&bytes), (&nonce(1), content(&bytes))).await.unwrap();
    assert_eq!(out.presence().await, Ok(Presence::Absent));
    assert_eq!(out.publish(&staged, OnExisting::Fail).await, Ok(Published::Stands));
    assert_eq!(out.content().await.unwrap(), content(&bytes));
    ground.server().requests();
    assert_eq!(out.publish(&staged, OnExisting::Replace).await, Ok(Published::Stands));
    assert!(!ground.server().requests().iter().any(|line| line.starts_with("GET")), "its note tells what it holds");
    assert_eq!(ground.server().uploads(), 0);
}

#[tokio::test]
async fn a_content_without_its_note_is_read_to_be_known() {
    let ground = Ground::bucket();
    let out = ground.object("out.mp4", Side::Destination);
    let staged = stage(&out, &ground.local(b"made"), (&nonce(1), content(b"made"))).await.unwrap();
    out.discard(&staged).await.unwrap();
    out.put(Bytes::from_static(b"made")).await.unwrap();
    assert_eq!(out.publish(&staged, OnExisting::Fail).await, Ok(Published::Stands));
    out.put(Bytes::from_static(b"mode")).await.unwrap();
    assert_eq!(out.publish(&staged, OnExisting::Replace).await, Ok(Published::Gone));
}

#[tokio::test]
async fn a_completion_whose_answer_is_lost_is_a_completion() {
    let ground = Ground::bucket();
    let out = ground.object("out.mp4", Side::Destination);
    let staged = stage(&out, &ground.local(b"made"), (&nonce(1), content(b"made"))).await.unwrap();
    ground.server().cause(Trouble::AnswerLost, "POST /films/out.mp4?uploadId", 1);
    assert_eq!(out.publish(&staged, OnExisting::Fail).await, Ok(Published::Stands));
    assert_eq!(out.read_all(10).await.unwrap(), "made");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_the_fault_of_its_side() {
    let server = S3Server::start();
    let storages = Storages::new(vec![server.settings("s3://nowhere")]).unwrap();
    let out = storages.object("s3://nowhere/out.mp4", Side::Destination).unwrap();
    for on_existing in [OnExisting::Fail, OnExisting::Replace] {
        let fault = out.try_out(on_existing).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::DestinationMissing);
        assert_eq!(fault.message, "output s3://nowhere/out.mp4 has no bucket nowhere");
    }
    let source = storages.object("s3://nowhere/film.mov", Side::Source).unwrap();
    assert_eq!(source.facts().await.unwrap_err().kind, FaultKind::SourceMissing);
    let fault = storages.root("s3://nowhere/work").unwrap().jobs(None).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::StorageAway, "{fault}");
}

#[tokio::test]
async fn a_wrong_secret_is_no_fault_of_what_lies_there() {
    let ground = Ground::bucket();
    let credentials = Some(Credentials { key_id: "test-key".into(), secret: "wrong".into(), token: None });
    let settings = StorageSettings { credentials, ..ground.server().settings("s3://films") };
    let storages = Storages::new(vec![settings]).unwrap();
    let object = |side| storages.object("s3://films/a", side).unwrap();
    let fault = object(Side::Destination).try_out(OnExisting::Replace).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::StorageAway);
    assert!(fault.message.starts_with("s3://films/a cannot be written: SignatureDoesNotMatch"), "{fault}");
    assert!(!fault.message.contains("wrong"), "{fault}");
    assert_eq!(object(Side::Work).put(Bytes::new()).await.unwrap_err().kind, FaultKind::StorageAway);
    // An answer to HEAD does not say why.
    let fault = object(Side::Source).facts().await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::StorageAway);
    assert!(fault.message.starts_with("s3://films/a cannot be read: SignatureDoesNotMatch"), "{fault}");
}

#[tokio::test]
async fn what_is_refused_by_a_right_is_the_fault_of_its_side_and_by_a_key_is_ours() {
    let ground = Ground::bucket();
    std::fs::write(ground.server().path("films/a"), "x").unwrap();
    let refused = async |code: &'static str, side: Side| {
        ground.server().cause(Trouble::Refused(code), "/films/a", 40);
        let object = ground.storages.object("s3://films/a", side).unwrap();
        let fault = match side {
            Side::Source => object.facts().await.unwrap_err(),
            Side::Destination | Side::Work => object.try_out(OnExisting::Fail).await.unwrap_err(),
        };
        ground.server().calm();
        assert!(fault.message.contains(code), "{fault}");
        fault.kind
    };
    for (side, of_side) in
        [(Side::Source, FaultKind::SourceUnreadable), (Side::Destination, FaultKind::DestinationDenied)]
    {
        assert_eq!(refused("AccessDenied", side).await, of_side);
        for code in ["InvalidAccessKeyId", "RequestTimeTooSkewed", "ExpiredToken", "InvalidSecurityToken"] {
            assert_eq!(refused(code, side).await, FaultKind::StorageAway, "{code}");
        }
    }
}

#[tokio::test]
async fn the_manners_of_oss_are_enough() {
    let server = S3Server::start();
    server.bucket(HOSTED_BUCKET);
    server.set_manners(Manners::Oss);
    let path_style = server.settings("s3://127");
    let by_path = Storages::new(vec![path_style.clone()]).unwrap();
    let out = by_path.object("s3://127/out.mp4", Side::Destination).unwrap();
    let fault = out.try_out(OnExisting::Replace).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::DestinationDenied);
    assert!(fault.message.contains("SecondLevelDomainForbidden"), "{fault}");
    for scheme in ["s3", "oss"] {
        let url = format!("{scheme}://127");
        let settings = StorageSettings { url: url.clone(), addressing: Addressing::VirtualHost, ..path_style.clone() };
        served(&Storages::new(vec![settings]).unwrap(), &url).await;
    }
    let refused = server.requests().into_iter().filter(|line| line.ends_with("?delete")).count();
    assert_eq!(refused, 0, "objects are deleted one by one");
}

/// Everything that a fleet does with a bucket.
async fn served(storages: &Storages, url: &str) {
    let out = storages.object(&format!("{url}/源/out 1%25+.mp4"), Side::Destination).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("local");
    let bytes = large(17 * MIB);
    std::fs::write(&local, &bytes).unwrap();
    out.try_out(OnExisting::Fail).await.unwrap();
    let staged = stage(&out, &local, (&nonce(1), content(&bytes))).await.unwrap();
    for _ in 0..2 {
        assert_eq!(out.publish(&staged, OnExisting::Fail).await, Ok(Published::Stands));
    }
    assert_eq!(out.content().await.unwrap(), content(&bytes));
    out.put(Bytes::from_static(b"small")).await.unwrap();
    let reader = out.reader().await.unwrap();
    assert_eq!(reader.read(1, 3).await.unwrap(), "mal");
    let root = storages.root(url).unwrap();
    assert_eq!(root.list(None, None).await.unwrap().found.len(), 1);
    root.probe("a").await.unwrap();
    assert_eq!(root.list(None, None).await.unwrap().found.len(), 1, "a probe leaves nothing");
    out.delete().await.unwrap();
    assert_eq!(out.presence().await, Ok(Presence::Absent));
}

#[tokio::test]
async fn a_probe_tells_of_a_work_store_that_cannot_be_written() {
    let ground = Ground::bucket();
    let root = ground.root();
    root.probe("a").await.unwrap();
    ground.server().cause(Trouble::Refused("AccessDenied"), "PUT /films/work/probe/", 1);
    let fault = root.probe("a").await.unwrap_err();
    assert!(fault.kind == FaultKind::StorageAway && fault.message.contains("AccessDenied"), "{fault}");
    ground.server().cause(Trouble::Refused("AccessDenied"), "DELETE /films/work/probe/", 1);
    assert!(root.probe("a").await.is_err());
}

#[tokio::test]
async fn whatever_comes_of_reading_a_trial_back_it_is_deleted_or_told_of() {
    let ground = Ground::bucket();
    let root = ground.root();
    let empty = async || root.list(None, None).await.unwrap().found.is_empty();
    assert_eq!(root.read_back("a").await, Tried { read_back: Ok(()), left: None });
    let cause = |trouble, what: &str| ground.server().cause(trouble, &format!("{what} /films/work/probe/"), 9);
    let place = "s3://films/work/probe/a";

    cause(Trouble::Silent, "GET");
    let Tried { read_back, left } = root.read_back("a").await;
    let (doing, fault) = read_back.unwrap_err();
    assert_eq!((doing, fault.message), (Doing::Reading, format!("{place} cannot be read: no answer within 7s")));
    assert_eq!(left, None);
    assert!(empty().await, "it is deleted, though nobody could read it");
    ground.server().calm();

    cause(Trouble::Refused("AccessDenied"), "DELETE");
    let Tried { read_back, left } = root.read_back("a").await;
    let (at, fault) = left.unwrap();
    assert_eq!((read_back, at.as_str()), (Ok(()), place));
    assert!(fault.message.contains("AccessDenied") && !empty().await, "{fault}");
    ground.server().calm();
    assert_eq!(root.read_back("a").await.left, None);

    cause(Trouble::Refused("AccessDenied"), "PUT");
    cause(Trouble::Refused("AccessDenied"), "DELETE");
    let Tried { read_back, left } = root.read_back("a").await;
    let (doing, fault) = read_back.unwrap_err();
    assert!(doing == Doing::Writing && fault.message.contains("AccessDenied"), "{fault}");
    assert_eq!(left, None, "what was refused lies nowhere");
}
