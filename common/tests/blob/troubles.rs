//! What servers and networks do to requests.

use bytes::Bytes;
use framefleet_common::adapters::blob::{Object, OnExisting, Presence, Published, Reader, Side};
use framefleet_model::fault::FaultKind;

use super::s3::Trouble;
use super::{Ground, content, nonce, stage};

const FILM: &str = "GET /films/film.mov";
const FILM_BYTES: usize = 300_000;

fn film() -> Vec<u8> {
    (0..FILM_BYTES).map(|n| (n / 7) as u8).collect()
}

async fn opened(ground: &Ground) -> (Object, Reader) {
    let object = ground.object("film.mov", Side::Source);
    object.put(film().into()).await.unwrap();
    let reader = object.reader().await.unwrap();
    ground.server().requests();
    (object, reader)
}

#[tokio::test]
async fn bytes_that_come_late_or_not_at_once_are_waited_for() {
    let ground = Ground::bucket();
    let (_, reader) = opened(&ground).await;
    for (trouble, times, requests) in [
        (Trouble::Slow, 1, 1),
        (Trouble::SlowDown, 3, 4),
        (Trouble::AnswerLost, 2, 3),
        (Trouble::Cut, 3, 4),
        (Trouble::Short, 3, 4),
    ] {
        ground.server().cause(trouble, FILM, times);
        assert_eq!(reader.read(10_000, 200_000).await.unwrap(), film()[10_000..210_000], "{trouble:?}");
        assert_eq!(ground.server().requests().len(), requests, "{trouble:?}");
    }
}

#[tokio::test]
async fn trouble_that_does_not_end_is_told_and_no_data() {
    let ground = Ground::bucket();
    let (_, reader) = opened(&ground).await;
    for (trouble, kind, text) in [
        (
            Trouble::SlowDown,
            FaultKind::StorageAway,
            "s3://films/film.mov cannot be read: SlowDown: as the test wants it",
        ),
        (Trouble::Short, FaultKind::StorageAway, "s3://films/film.mov cannot be read: 100 of 200 bytes came"),
        (
            Trouble::Refused("AccessDenied"),
            FaultKind::SourceUnreadable,
            "s3://films/film.mov may not be read: AccessDenied: ",
        ),
        (Trouble::Cut, FaultKind::StorageAway, "s3://films/film.mov cannot be read: "),
    ] {
        ground.server().cause(trouble, FILM, 40);
        let fault = reader.read(0, 200).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{trouble:?}: {fault}");
        assert!(fault.message.starts_with(text), "{trouble:?}: {fault}");
        ground.server().calm();
    }
}

#[tokio::test]
async fn a_request_is_tried_five_times() {
    let ground = Ground::bucket();
    let object = ground.object("a", Side::Work);
    ground.server().cause(Trouble::SlowDown, "PUT /films/a", 4);
    object.put(Bytes::from_static(b"there")).await.unwrap();
    assert_eq!(ground.server().requests().len(), 5);
    ground.server().cause(Trouble::SlowDown, "PUT /films/a", 5);
    assert_eq!(object.put(Bytes::from_static(b"again")).await.unwrap_err().kind, FaultKind::StorageAway);
    assert_eq!(object.read_all(10).await.unwrap(), "there");
}

#[tokio::test]
async fn every_read_is_of_the_content_that_was_opened() {
    let ground = Ground::bucket();
    let (object, reader) = opened(&ground).await;
    // As long as the first: only its tag tells.
    object.put(vec![7; FILM_BYTES].into()).await.unwrap();
    assert_eq!(reader.read(0, 10).await.unwrap_err().kind, FaultKind::SourceChanged);
    object.put(Bytes::from_static(b"shorter")).await.unwrap();
    assert_eq!(reader.read(100_000, 10).await.unwrap_err().kind, FaultKind::SourceChanged);
    ground.server().forget_conditions();
    assert_eq!(reader.read(0, 5).await.unwrap_err().kind, FaultKind::SourceChanged, "by the answer's own tag");
    assert_eq!(reader.read(100_000, 10).await.unwrap_err().kind, FaultKind::SourceChanged, "by its range");
    object.delete().await.unwrap();
    assert_eq!(reader.read(0, 10).await.unwrap_err().kind, FaultKind::SourceMissing);
}

#[tokio::test]
async fn a_film_that_changes_in_the_middle_of_an_answer_is_not_mixed() {
    let ground = Ground::bucket();
    let (_, reader) = opened(&ground).await;
    // The first answer is cut; what it goes on with is of another film.
    ground.server().cause(Trouble::Cut, FILM, 1);
    ground.server().replace_when_cut("films/film.mov", vec![7; FILM_BYTES]);
    let fault = reader.read(0, 200_000).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::SourceChanged, "{fault}");
}

#[tokio::test]
async fn bytes_that_are_others_when_they_arrive_are_refused() {
    let ground = Ground::bucket();
    let out = ground.object("out.mp4", Side::Destination);
    ground.server().cause(Trouble::Damaged, "PUT /films/out.mp4", 20);
    let fault = out.put(Bytes::from_static(b"made")).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::StorageAway, "{fault}");
    assert_eq!(out.presence().await, Ok(Presence::Absent));
    ground.server().calm();
    ground.server().cause(Trouble::Damaged, "partNumber=1", 20);
    let fault = stage(&out, &ground.local(b"made"), (&nonce(1), content(b"made"))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::StorageAway, "{fault}");
    assert_eq!(ground.server().uploads(), 0, "an upload that cannot be finished is given up");
    ground.server().calm();
    ground.server().cause(Trouble::Damaged, "PUT /films/out.mp4", 1);
    out.put(Bytes::from_static(b"made")).await.unwrap();
    assert_eq!(out.read_all(10).await.unwrap(), "made");
}

#[tokio::test]
async fn uploads_survive_what_passes_and_leave_nothing_of_what_does_not() {
    let ground = Ground::bucket();
    let out = ground.object("out.mp4", Side::Destination);
    let bytes: Vec<u8> = film().repeat(120);
    for what in ["?uploads", "partNumber=1", "partNumber=2", "partNumber=3"] {
        ground.server().cause(Trouble::SlowDown, what, 2);
    }
    ground.server().cause(Trouble::AnswerLost, "partNumber=2", 1);
    let staged = stage(&out, &ground.local(&bytes), (&nonce(1), content(&bytes))).await.unwrap();
    ground.server().cause(Trouble::SlowDown, "POST /films/out.mp4?uploadId", 2);
    assert_eq!(out.publish(&staged, OnExisting::Fail).await, Ok(Published::Stands));
    assert_eq!(out.content().await.unwrap(), content(&bytes));

    // On a busy machine a request may be given up and made again before its answer is there.
    ground.server().cause(Trouble::Refused("AccessDenied"), "partNumber=3", 20);
    let fault = stage(&out, &ground.local(&bytes), (&nonce(2), content(&bytes))).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::DestinationDenied, "{fault}");
    assert_eq!(ground.server().uploads(), 0);
}

#[tokio::test]
async fn a_publication_that_storage_stands_in_the_way_of_can_be_repeated() {
    let ground = Ground::bucket();
    let out = ground.object("out.mp4", Side::Destination);
    let staged = stage(&out, &ground.local(b"made"), (&nonce(1), content(b"made"))).await.unwrap();
    ground.server().cause(Trouble::SlowDown, "/films/out.mp4", 30);
    assert_eq!(out.publish(&staged, OnExisting::Fail).await.unwrap_err().kind, FaultKind::StorageAway);
    ground.server().calm();
    assert_eq!(out.publish(&staged, OnExisting::Fail).await, Ok(Published::Stands));
}

#[tokio::test]
async fn a_discarding_that_storage_stands_in_the_way_of_is_told() {
    let ground = Ground::bucket();
    let out = ground.object("out.mp4", Side::Destination);
    let staged = stage(&out, &ground.local(b"made"), (&nonce(1), content(b"made"))).await.unwrap();
    ground.server().cause(Trouble::SlowDown, "DELETE /films/out.mp4", 5);
    assert_eq!(out.discard(&staged).await.unwrap_err().kind, FaultKind::StorageAway);
    out.discard(&staged).await.unwrap();
    assert_eq!(ground.server().uploads(), 0);
}

#[tokio::test]
async fn a_server_that_is_gone_is_away_on_every_side() {
    let mut ground = Ground::bucket();
    let objects = [Side::Source, Side::Work, Side::Destination].map(|side| ground.object("a", side));
    ground.server = None;
    for object in objects {
        let fault = object.facts().await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::StorageAway);
        assert!(fault.message.ends_with(": connection refused"), "{fault}");
    }
}
