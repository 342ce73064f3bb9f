//! What goes away, and comes back.

use std::time::{Duration, Instant};

use framefleet_common::ports::broker::{Arrival, Broker as _, BrokerError, Class};

use crate::rabbit::Rabbit;
use crate::relay::Relay;
use crate::scene::{
    consume, declare, hint, next, passive, publish, settings, start, unavailable, until_it_says, until_ready,
};
use framefleet_conformance::foreign::Foreign;

pub(crate) async fn a_queue_deleted_under_its_consumer_is_declared_anew(rabbit: &mut Rabbit) {
    let broker = start(&settings(&rabbit.url(), "deleted"));
    let class = Class::standard();
    let foreign = Foreign::connect(&rabbit.url()).await;
    for round in 0..10 {
        let mut sources = Vec::new();
        for _ in 0..8 {
            sources.push(consume(&broker, &class).await);
        }
        foreign.delete("deleted.tasks.standard").await;
        for (number, mut source) in sources.into_iter().enumerate() {
            // Both ways of parting, while the queue goes.
            if number % 2 == 0 {
                unavailable(source.next().await);
            }
            drop(source);
        }
        publish(&broker, &class, round).await;
        let delivery = next(&broker, &class).await;
        assert_eq!((delivery.hint, delivery.arrival), (hint(round), Arrival::First));
        delivery.receipt.ack().await.unwrap();
    }
    until_ready(&broker).await;
    broker.close().await;
}

pub(crate) async fn an_administrators_queue_is_waited_for_while_the_others_go_on(rabbit: &mut Rabbit) {
    let settings = passive(&rabbit.url(), "admin");
    declare(&settings).await.unwrap();
    let broker = start(&settings);
    let (gone, other) = (Class::light(), Class::standard());
    let mut source = consume(&broker, &gone).await;
    let mut untouched = consume(&broker, &other).await;
    Foreign::connect(&rabbit.url()).await.delete("admin.tasks.light").await;
    unavailable(source.next().await);
    until_it_says(&broker, &["queue admin.tasks.light is missing"]).await;
    let error = broker.consume(&gone).await.err().unwrap().to_string();
    assert!(error.contains("admin.tasks.light"), "{error}");
    broker.publish_hint(&other, &hint(0)).await.unwrap();
    untouched.next().await.unwrap().receipt.ack().await.unwrap();
    declare(&settings).await.unwrap();
    until_ready(&broker).await;
    broker.publish_hint(&gone, &hint(1)).await.unwrap();
    assert_eq!(next(&broker, &gone).await.hint, hint(1));
    broker.close().await;
}

pub(crate) async fn an_alarm_holds_back_what_is_published_but_no_acknowledgement(rabbit: &mut Rabbit) {
    let broker = start(&settings(&rabbit.url(), "alarm"));
    let class = Class::standard();
    for number in 0..2 {
        publish(&broker, &class, number).await;
    }
    let mut source = consume(&broker, &class).await;
    let held = source.next().await.unwrap();
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.00001"]);
    let error = broker.publish_hint(&class, &hint(2)).await.unwrap_err();
    assert!(matches!(error, BrokerError::Unconfirmed(_)), "{error}");
    until_it_says(&broker, &["has taken no messages for", "memory"]).await;
    held.receipt.ack().await.unwrap();
    let second = source.next().await.unwrap();
    assert_eq!(second.hint, hint(1), "the acknowledgement arrived");
    second.receipt.ack().await.unwrap();
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.8"]);
    publish(&broker, &class, 3).await;
    until_ready(&broker).await;
    // The one that was not confirmed may have come all the same.
    let mut seen = source.next().await.unwrap();
    if seen.hint == hint(2) {
        seen.receipt.ack().await.unwrap();
        seen = source.next().await.unwrap();
    }
    assert_eq!(seen.hint, hint(3));
    seen.receipt.ack().await.unwrap();
    source.close().await.unwrap();
    broker.close().await;
}

pub(crate) async fn a_server_that_was_stopped_or_killed_is_found_again(rabbit: &mut Rabbit) {
    comes_back(rabbit, Rabbit::stop).await;
    // Not the other way round: killed within seconds of a queue's declaration, RabbitMQ 3.10 can forget where the
    // queue's log is and makes an empty one that never elects a leader; only deleting the queue helps.
    comes_back(rabbit, Rabbit::kill).await;
}

async fn comes_back(rabbit: &mut Rabbit, end: fn(&mut Rabbit)) {
    let broker = start(&settings(&rabbit.url(), "back"));
    let class = Class::standard();
    for number in 0..2 {
        publish(&broker, &class, number).await;
    }
    let mut source = consume(&broker, &class).await;
    let held = source.next().await.unwrap();
    assert_eq!((&held.hint, held.arrival), (&hint(0), Arrival::First));
    end(rabbit);
    unavailable(source.next().await);
    let unsaid = held.receipt.ack().await.unwrap_err();
    assert!(matches!(unsaid, BrokerError::Unavailable(_)), "{unsaid}");
    until_it_says(&broker, &["broker at 127.0.0.1"]).await;
    assert!(broker.publish_hint(&class, &hint(9)).await.is_err());
    rabbit.run();
    publish(&broker, &class, 2).await;
    until_ready(&broker).await;
    let mut source = consume(&broker, &class).await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let delivery = source.next().await.unwrap();
        seen.push((delivery.hint, delivery.arrival));
        delivery.receipt.ack().await.unwrap();
    }
    assert!(seen.contains(&(hint(0), Arrival::Redelivered)), "{seen:?}");
    seen.sort_unstable_by_key(|(hint, _)| hint.task.number);
    let numbers: Vec<u32> = seen.iter().map(|(hint, _)| hint.task.number).collect();
    assert_eq!(numbers, [0, 1, 2], "what was confirmed survived");
    source.close().await.unwrap();
    broker.close().await;
}

pub(crate) async fn a_line_that_swallows_everything_is_noticed(rabbit: &mut Rabbit) {
    let relay = Relay::to(rabbit.port()).await;
    let broker = start(&settings(&rabbit.url_at(relay.port), "line"));
    let class = Class::standard();
    publish(&broker, &class, 0).await;
    let mut source = consume(&broker, &class).await;
    let held = source.next().await.unwrap();
    let begun = Instant::now();
    relay.swallow();
    let unheard = hint(1);
    let (published, waited) = futures::join!(broker.publish_hint(&class, &unheard), source.next());
    assert!(matches!(published, Err(BrokerError::Unconfirmed(_))), "{published:?}");
    unavailable(waited);
    // Two heartbeats of 10 s, and what a busy machine needs.
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    eprintln!("a swallowing line was noticed after {:?}", begun.elapsed());
    assert!(held.receipt.ack().await.is_err());
    relay.pass();
    publish(&broker, &class, 2).await;
    let mut source = consume(&broker, &class).await;
    // The server notices the dead consumer in its own time, and gives the held hint to the living.
    let mut seen = Vec::new();
    while !seen.contains(&hint(0)) || !seen.contains(&hint(2)) {
        let delivery = source.next().await.unwrap();
        seen.push(delivery.hint.clone());
        delivery.receipt.ack().await.unwrap();
    }
    source.close().await.unwrap();
    broker.close().await;
}
