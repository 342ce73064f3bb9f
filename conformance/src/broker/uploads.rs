//! Messages that tell of uploads.

use framefleet_common::ports::broker::{Broker, Posted};

use super::ground::Ground;

/// The next message; a source that ended is replaced, as the port says.
async fn next(broker: &dyn Broker) -> Posted {
    for _ in 0..100 {
        let mut uploads = broker.uploads().await.unwrap();
        if let Ok(posted) = uploads.next().await {
            uploads.close().await.unwrap();
            return posted;
        }
    }
    panic!("a hundred sources ended without a message");
}

pub(super) async fn messages_of_uploads_come_as_they_are_until_they_are_acknowledged(ground: Ground) {
    let broker = &*ground.broker;
    for body in [&b"first"[..], b"\xff\x00 no text", &[b'x'; 100_000]] {
        ground.tell(body).await;
        let dropped = next(broker).await;
        assert_eq!(&dropped.told.body[..], body);
        assert!(dropped.told.queue.ends_with("uploads") && !dropped.told.id.is_empty(), "{:?}", dropped.told.queue);
        let id = dropped.told.id.clone();
        drop(dropped);
        let again = next(broker).await;
        assert_eq!((&again.told.body[..], again.told.id), (body, id), "the same message");
        again.receipt.ack().await.unwrap();
    }
    // Whatever it is, nobody but its reader says that it is none.
    ground.tell(b"last").await;
    assert_eq!(&next(broker).await.told.body[..], b"last");
}
