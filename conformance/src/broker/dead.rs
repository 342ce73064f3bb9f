//! Dead letters.

use framefleet_common::ports::broker::{Arrival, Class, DeadLetter};

use super::ground::{Ground, hint};

/// Some bytes that are no hint, and why.
fn unreadable() -> [(Vec<u8>, &'static str); 4] {
    [
        (b"\xff\xfehello".to_vec(), "foreign"),
        (br#"{"job":"of another program"}"#.to_vec(), "foreign"),
        (br#"{"v":2,"job":"x"}"#.to_vec(), "unknown-version"),
        (vec![b'x'; 100_000], "oversized"),
    ]
}

pub(super) async fn what_is_no_hint_becomes_a_dead_letter_and_never_comes_again(ground: Ground) {
    let class = Class::standard();
    let mut slot = ground.consume(&class).await;
    for (bytes, _) in unreadable() {
        ground.post(&class, &bytes).await;
    }
    ground.publish(&class, 9).await;
    let next = slot.next().await.unwrap();
    assert_eq!((next.hint, next.arrival), (hint(9), Arrival::First), "what is no hint never comes");
    next.receipt.ack().await.unwrap();
    let mut dead = ground.broker.dead_letters().await.unwrap();
    for (bytes, reason) in unreadable() {
        let letter = dead.next().await.unwrap();
        let kept = &bytes[..bytes.len().min(DeadLetter::BODY_BYTES_MAX)];
        assert_eq!((letter.reason.as_str(), &letter.body[..], letter.bytes), (reason, kept, bytes.len() as u64));
        assert!(letter.queue.ends_with("standard"), "{}", letter.queue);
        assert!(!letter.id.is_empty());
        letter.receipt.ack().await.unwrap();
    }
    // Nothing else died, and nothing went back to the slot.
    assert!(futures::poll!(dead.next()).is_pending());
    ground.publish(&class, 10).await;
    assert_eq!(slot.next().await.unwrap().hint, hint(10));
}

pub(super) async fn a_dead_letter_is_gone_only_when_acknowledged(ground: Ground) {
    let class = Class::light();
    let mut slot = ground.consume(&class).await;
    ground.post(&class, b"first").await;
    ground.publish(&class, 0).await;
    slot.next().await.unwrap().receipt.ack().await.unwrap();
    let dropped = ground.bury().await;
    assert_eq!(&dropped.body[..], b"first");
    drop(dropped);
    let again = ground.bury().await;
    assert_eq!(&again.body[..], b"first");
    again.receipt.ack().await.unwrap();
    ground.post(&class, b"second").await;
    ground.publish(&class, 1).await;
    assert_eq!(slot.next().await.unwrap().hint, hint(1));
    assert_eq!(&ground.bury().await.body[..], b"second");
}

pub(super) async fn hints_behind_what_is_no_hint_still_come(ground: Ground) {
    let class = Class::long();
    for number in 0..20 {
        ground.post(&class, b"{}").await;
        ground.publish(&class, number).await;
    }
    let mut slot = ground.consume(&class).await;
    for number in 0..20 {
        // Waits that are given up on while something is refused lose nothing.
        let delivery = loop {
            if let std::task::Poll::Ready(delivery) = futures::poll!(slot.next()) {
                break delivery.unwrap();
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((delivery.hint, delivery.arrival), (hint(number), Arrival::First));
        delivery.receipt.ack().await.unwrap();
    }
}
