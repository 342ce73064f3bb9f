//! A bridge between a double of MNS and a real RabbitMQ, and what befalls either.

use std::collections::BTreeSet;
use std::time::Duration;

use framefleet_model::event::{
    BucketName, Claims, Format, Provider, Upload, UploadKey, UploadKind, WallTime, decode, encode,
};
use framefleet_tests::mns::signatures::Version;
use framefleet_tests::mns::{Asked, KEY_ID, Mns, REGION, SECRET};
use framefleet_tests::processes::fleet::{Fleet, Special};
use framefleet_tests::processes::role::Kind;
use framefleet_tests::processes::servers::{Alarm, Servers};
use framefleet_tests::processes::until;
use rustix::process::Signal;

const SECOND: Duration = Duration::from_secs(1);
const FORMATS: [Format; 5] =
    [Format::OssQueue, Format::OssTopicJson, Format::OssTopicXml, Format::Oss, Format::OssEventBridge];

fn upload(number: usize) -> Upload {
    Upload {
        provider: Provider::Oss,
        bucket: BucketName::new("films").unwrap(),
        key: UploadKey::new(&format!("source/源 {number}+100%.mp4")).unwrap(),
        kind: UploadKind::Put,
        event: "ObjectCreated:PutObject".to_owned(),
        id: format!("request-{number}"),
        time: Some(WallTime(1_772_352_000_000)),
        region: Some("cn-hangzhou".to_owned()),
        claims: Claims { size: Some(7), etag: Some("AB".to_owned()), version: None },
    }
}

/// So many uploads, told in all the ways that OSS has.
fn tell(mns: &Mns, queue: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        mns.send(queue, &encode(&upload(number), FORMATS[number % FORMATS.len()]));
    }
}

fn access(secret: &str) -> String {
    format!("key_id = \"{KEY_ID}\"\nsecret = \"{secret}\"")
}

/// A fleet of bridges alone.
fn fleet(servers: &Servers, prefix: &str, mns: &Mns) -> Fleet {
    let fleet = Fleet::new(servers, prefix);
    fleet.configure(&mns.settings(&access(SECRET)));
    fleet
}

/// How many messages lie in the broker's queue.
fn handed_on(servers: &Servers, prefix: &str) -> u64 {
    let queues = servers.queues(prefix);
    queues.iter().find(|(name, _)| *name == format!("{prefix}.ingest.uploads")).map_or(0, |(_, count)| *count)
}

/// What was handed on, read: the uploads' numbers, repetitions included.
fn taken(servers: &Servers, prefix: &str) -> Vec<Upload> {
    let messages = servers.take(&format!("{prefix}.ingest.uploads"));
    let ids: BTreeSet<&String> = messages.iter().map(|(id, _)| id).collect();
    let bodies: BTreeSet<&String> = messages.iter().map(|(_, body)| body).collect();
    assert_eq!(ids.len(), bodies.len(), "a message has the same id at each repetition");
    messages.iter().flat_map(|(_, body)| decode(body.as_bytes()).unwrap().uploads).collect()
}

fn assert_all(uploads: &[Upload], count: usize) {
    let keys: BTreeSet<&str> = uploads.iter().map(|upload| upload.key.as_str()).collect();
    assert_eq!(keys.len(), count, "{keys:?}");
    assert!(uploads.iter().all(|found| (0..count).any(|number| upload(number) == *found)));
}

fn done(fleet: &Fleet, what: &str) -> u64 {
    fleet.figure("b", &format!("framefleet_bridge_messages_total{{done=\"{what}\"}}"))
}

mod core {
    use super::*;

    #[test]
    fn what_oss_tells_is_handed_on_once_and_leaves_its_queue() {
        let servers = Servers::start();
        let mns = Mns::start(&["films", "more"], 30 * SECOND);
        tell(&mns, "films", 0..40);
        let mut fleet = fleet(&servers, "flow", &mns);
        fleet.add(Kind::Bridge, "b");
        tell(&mns, "more", 40..50);
        until("both queues are empty", || mns.left("films") + mns.left("more") == 0);
        fleet.until_ready();
        let uploads = taken(&servers, "flow");
        assert_eq!(uploads.len(), 50, "none twice");
        assert_all(&uploads, 50);
        until("it has counted them", || done(&fleet, "deleted") == 50);
        assert_eq!((done(&fleet, "received"), done(&fleet, "published"), done(&fleet, "expired")), (50, 50, 0));
        assert_eq!(mns.seen(Asked::Extend), 0);
        // one that comes later is not waited for
        tell(&mns, "films", 50..51);
        until("it is handed on", || handed_on(&servers, "flow") == 1 && mns.left("films") == 0);
        let bridge = fleet.role("b");
        assert!(bridge.stop().success());
        assert!(!bridge.log().contains(SECRET), "no secret is logged");
    }

    #[test]
    fn a_bridge_killed_between_publishing_and_deleting_loses_nothing() {
        let servers = Servers::start();
        let mns = Mns::start(&["films"], 3 * SECOND);
        let mut fleet = fleet(&servers, "killed", &mns);
        mns.hold(&[Asked::Delete]);
        tell(&mns, "films", 0..20);
        fleet.add(Kind::Bridge, "b");
        let mut before = 0;
        until("some wait to be deleted, which RabbitMQ counts late", || {
            before = handed_on(&servers, "killed");
            mns.seen(Asked::Delete) > 0 && before > 0
        });
        fleet.role("b").kill();
        assert_eq!(mns.left("films"), 20, "nothing was deleted");
        mns.hold(&[]);
        fleet.role("b").run();
        until("all are deleted", || mns.left("films") == 0);
        let uploads = taken(&servers, "killed");
        assert_all(&uploads, 20);
        assert!(uploads.len() as u64 >= 20 + before, "what was published before the death came again");
    }
}

#[test]
fn a_broker_that_takes_nothing_holds_up_and_loses_nothing() {
    let servers = Servers::start();
    let mns = Mns::start(&["films"], 2 * SECOND);
    let mut fleet = fleet(&servers, "blocked", &mns);
    fleet.add(Kind::Bridge, "b");
    fleet.until_ready();
    servers.sound_alarm(Alarm::On);
    tell(&mns, "films", 0..30);
    fleet.until_it_says("b", |status, text| status == 503 && text.contains("broker: ") && text.contains("memory"));
    // those that it holds are kept from others, and no more are taken
    until("held messages are held on to", || mns.seen(Asked::Extend) >= 6);
    let held = usize::try_from(done(&fleet, "received")).unwrap();
    assert!((1..=16).contains(&held), "{held} are held");
    assert_eq!((mns.left("films"), mns.waiting("films"), done(&fleet, "deleted")), (30, 30 - held, 0));
    servers.sound_alarm(Alarm::Off);
    until("all are handed on", || mns.left("films") == 0);
    assert_all(&taken(&servers, "blocked"), 30);
    fleet.until_ready();

    // told to stop, it gives back what it cannot hand on: others need not wait for its handles' end
    servers.sound_alarm(Alarm::On);
    tell(&mns, "films", 0..3);
    until("some are held", || mns.waiting("films") < 3);
    let bridge = fleet.role("b");
    bridge.signal(Signal::TERM);
    assert!(bridge.end().success());
    assert!(bridge.log().contains("given back to the queue"), "{}", bridge.log());
    assert_eq!(mns.left("films"), 3);
    servers.sound_alarm(Alarm::Off);
    fleet.role("b").run();
    until("another hands them on", || mns.left("films") == 0);
    // what was not confirmed before the alarm ended may have come late
    let uploads = taken(&servers, "blocked");
    assert!((0..3).all(|number| uploads.contains(&upload(number))), "{uploads:?}");
}

#[test]
fn a_queue_that_fails_is_told_of_and_asked_again() {
    let servers = Servers::start();
    let mns = Mns::start(&["films"], 30 * SECOND);
    let mut fleet = fleet(&servers, "failing", &mns);
    let secret = ("FRAMEFLEET__BRIDGE__QUEUES__0__SECRET".to_owned(), "not-the-secret".to_owned());
    fleet.add_special((Kind::Bridge, "wrong"), Special { env: vec![secret], ..Special::default() });
    tell(&mns, "films", 0..10);
    let said = fleet.until_it_says("wrong", |status, text| status == 503 && text.contains("denies access"));
    assert!(said.contains("queues: films: the queue denies access: 403 SignatureDoesNotMatch"), "{said}");
    assert!(!fleet.role("wrong").log().contains("not-the-secret"));
    fleet.role("wrong").kill();
    assert_eq!(mns.left("films"), 10);

    mns.refuse(Asked::Attributes, (500, "InternalError"), 1);
    mns.refuse(Asked::Receive, (400, "QpsLimitExceeded"), 2);
    mns.refuse(Asked::Delete, (500, "InternalServerError"), 2);
    mns.want_token("a-token");
    let token = ("FRAMEFLEET__BRIDGE__QUEUES__0__TOKEN".to_owned(), "a-token".to_owned());
    fleet.add_special((Kind::Bridge, "b"), Special { env: vec![token], ..Special::default() });
    until("all are handed on", || mns.left("films") == 0);
    assert_all(&taken(&servers, "failing"), 10);
    let failures =
        |kind: &str| fleet.figure("b", &format!("framefleet_bridge_queue_failures_total{{kind=\"{kind}\"}}"));
    assert_eq!((failures("away"), failures("throttled"), failures("denied")), (3, 2, 0));
}

/// By the newer signature, with a handle of letters that a query has in code.
#[test]
fn requests_by_the_newer_signature_do_the_same() {
    let servers = Servers::start();
    let mns = Mns::start(&["films"], 2 * SECOND);
    let mut fleet = Fleet::new(&servers, "newer");
    let lines = format!("{}\nsignature = \"v4\"\nregion = \"{REGION}\"", access(SECRET));
    fleet.configure(&mns.settings(&lines));
    mns.hold(&[Asked::Delete]);
    tell(&mns, "films", 0..20);
    fleet.add(Kind::Bridge, "b");
    until("they are to be deleted", || mns.seen(Asked::Delete) > 0);
    mns.hold(&[]);
    until("all are handed on", || mns.left("films") == 0);
    servers.sound_alarm(Alarm::On);
    tell(&mns, "films", 20..21);
    until("it is held on to", || mns.seen(Asked::Extend) > 1);
    servers.sound_alarm(Alarm::Off);
    until("it is handed on as well", || mns.left("films") == 0);
    assert_all(&taken(&servers, "newer"), 21);
    assert_eq!(mns.signed(Version::V2), 0);
    assert_eq!(fleet.figure("b", "framefleet_bridge_queue_failures_total{kind=\"denied\"}"), 0);
}

#[test]
fn a_message_that_is_not_as_it_was_sent_is_left_until_it_is() {
    let servers = Servers::start();
    let mns = Mns::start(&["films"], SECOND);
    let mut fleet = fleet(&servers, "garbled", &mns);
    mns.garble("films", 2);
    tell(&mns, "films", 0..3);
    fleet.add(Kind::Bridge, "b");
    until("all are handed on", || mns.left("films") == 0);
    assert_all(&taken(&servers, "garbled"), 3);
    until("it has counted them", || done(&fleet, "deleted") == 3);
    assert_eq!((done(&fleet, "damaged"), done(&fleet, "published")), (6, 3));
    assert!(fleet.role("b").log().contains("is not as it was sent"), "{}", fleet.role("b").log());
}

#[test]
fn a_message_whose_handle_ended_comes_again() {
    let servers = Servers::start();
    let mns = Mns::start(&["films"], 30 * SECOND);
    let mut fleet = fleet(&servers, "expired", &mns);
    mns.hold(&[Asked::Delete]);
    tell(&mns, "films", 0..5);
    fleet.add(Kind::Bridge, "b");
    until("they are to be deleted", || mns.seen(Asked::Delete) == 1);
    mns.expire();
    mns.hold(&[]);
    until("they came again and are gone", || mns.left("films") == 0);
    until("it has counted them", || done(&fleet, "deleted") == 5);
    assert_eq!((done(&fleet, "expired"), done(&fleet, "published")), (5, 10));
    let uploads = taken(&servers, "expired");
    assert_eq!(uploads.len(), 10);
    assert_all(&uploads, 5);
}
