//! Hints and events.

use std::sync::Arc;

use framefleet_common::ports::broker::{Arrival, Class, Event};
use tokio::task::JoinSet;

use super::ground::{Ground, hint};

const SLOTS: u32 = 8;
const HINTS: u32 = 400;

pub(super) async fn hints_come_in_order_and_only_to_their_class(ground: Ground) {
    let (standard, light) = (Class::standard(), Class::light());
    for number in 0..3 {
        ground.publish(&standard, number).await;
    }
    let mut other = ground.consume(&light).await;
    let mut slot = ground.consume(&standard).await;
    for number in 0..3 {
        let delivery = slot.next().await.unwrap();
        assert_eq!((delivery.hint, delivery.arrival), (hint(number), Arrival::First));
        delivery.receipt.ack().await.unwrap();
    }
    ground.publish(&light, 7).await;
    assert_eq!(other.next().await.unwrap().hint, hint(7), "the other class's slot got nothing before");
}

pub(super) async fn a_slot_gets_its_next_hint_only_after_the_last_is_done_with(ground: Ground) {
    let class = Class::standard();
    let mut slot = ground.consume(&class).await;
    ground.publish(&class, 0).await;
    let first = slot.next().await.unwrap();
    ground.publish(&class, 1).await;
    // It waits for whoever is free, not for the one that is not.
    let mut free = ground.consume(&class).await;
    let second = free.next().await.unwrap();
    assert_eq!((&first.hint, &second.hint, second.arrival), (&hint(0), &hint(1), Arrival::First));
    ground.publish(&class, 2).await;
    assert!(futures::poll!(slot.next()).is_pending());
    first.receipt.ack().await.unwrap();
    assert_eq!(slot.next().await.unwrap().hint, hint(2));
}

pub(super) async fn a_hint_dropped_without_receipt_comes_again_as_redelivered(ground: Ground) {
    let class = Class::standard();
    ground.publish(&class, 0).await;
    let mut slot = ground.consume(&class).await;
    drop(slot.next().await.unwrap());
    let again = ground.next(&class, &mut slot).await;
    assert_eq!((again.hint, again.arrival), (hint(0), Arrival::Redelivered));
    again.receipt.ack().await.unwrap();
    ground.publish(&class, 1).await;
    let next = ground.next(&class, &mut slot).await;
    assert_eq!((next.hint, next.arrival), (hint(1), Arrival::First), "an acknowledged hint is gone");
}

pub(super) async fn every_hint_reaches_exactly_one_of_many_slots(ground: Ground) {
    let class = Class::standard();
    let ground = Arc::new(ground);
    let mut slots = JoinSet::new();
    for _ in 0..SLOTS {
        let mut slot = ground.consume(&class).await;
        slots.spawn(async move {
            let mut seen = Vec::new();
            loop {
                let delivery = slot.next().await.unwrap();
                delivery.receipt.ack().await.unwrap();
                if delivery.hint.task.number >= HINTS {
                    slot.close().await.unwrap();
                    return seen;
                }
                seen.push(delivery.hint.task.number);
            }
        });
    }
    let numbers = |from: u32, to: u32| (from..to).map(|number| ground.publish(&class, number));
    futures::future::join_all(numbers(0, HINTS)).await;
    // Each slot stops at one of these.
    futures::future::join_all(numbers(HINTS, HINTS + SLOTS)).await;
    let mut seen: Vec<u32> = slots.join_all().await.into_iter().flatten().collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..HINTS).collect::<Vec<_>>());
}

pub(super) async fn a_wait_that_is_cancelled_loses_no_hint(ground: Ground) {
    let class = Class::standard();
    let mut slot = ground.consume(&class).await;
    for number in 0..20 {
        let (published, early) = futures::join!(ground.publish(&class, number), async {
            // Given up on at any moment of the hint's way.
            for _ in 0..number {
                if let std::task::Poll::Ready(early) = futures::poll!(slot.next()) {
                    return Some(early.unwrap());
                }
                tokio::task::yield_now().await;
            }
            None
        });
        let () = published;
        let delivery = match early {
            Some(delivery) => delivery,
            None => slot.next().await.unwrap(),
        };
        assert_eq!((delivery.hint, delivery.arrival), (hint(number), Arrival::First));
        delivery.receipt.ack().await.unwrap();
    }
}

pub(super) async fn a_closed_source_gives_back_what_was_on_its_way(ground: Ground) {
    let class = Class::standard();
    let idle = ground.consume(&class).await;
    ground.publish(&class, 0).await;
    idle.close().await.unwrap();
    let mut slot = ground.consume(&class).await;
    assert_eq!(slot.next().await.unwrap().hint, hint(0));
}

pub(super) async fn a_dropped_source_gives_back_what_was_on_its_way(ground: Ground) {
    let class = Class::standard();
    let idle = ground.consume(&class).await;
    ground.publish(&class, 0).await;
    drop(idle);
    let mut slot = ground.consume(&class).await;
    assert_eq!(slot.next().await.unwrap().hint, hint(0));
}

pub(super) async fn a_hint_that_is_held_outlives_its_source(ground: Ground) {
    let class = Class::standard();
    ground.publish(&class, 0).await;
    let mut source = ground.consume(&class).await;
    let held = source.next().await.unwrap();
    source.close().await.unwrap();
    held.receipt.ack().await.unwrap();
    ground.publish(&class, 1).await;
    let mut slot = ground.consume(&class).await;
    let next = slot.next().await.unwrap();
    assert_eq!((next.hint, next.arrival), (hint(1), Arrival::First), "the first was acknowledged");
    slot.close().await.unwrap();
    // Not acknowledged, it comes again also without its source.
    drop(next.receipt);
    let mut slot = ground.consume(&class).await;
    let again = slot.next().await.unwrap();
    assert_eq!((again.hint, again.arrival), (hint(1), Arrival::Redelivered));
}

pub(super) async fn an_event_published_twice_comes_twice_under_one_id(ground: Ground) {
    let mut customer = ground.customer().await;
    let event = Event {
        id: "film:completed".to_owned(),
        key: "job.completed.default".to_owned(),
        body: br#"{"specversion":"1.0"}"#.as_slice().into(),
        trace: None,
    };
    for _ in 0..2 {
        ground.broker.publish_event(&event).await.unwrap();
    }
    assert_eq!(customer.next().await, event);
    assert_eq!(customer.next().await, event);
}
