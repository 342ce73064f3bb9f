//! What the server does not take.

use framefleet_common::ports::broker::{Broker as _, BrokerError, Class};

use crate::rabbit::Rabbit;
use crate::scene::{hint, settings, start, until_ready};
use framefleet_conformance::foreign::Foreign;

/// On one channel the client library gives a returned message to whichever confirm comes next.
pub(crate) async fn a_message_without_a_queue_is_no_success_whoever_publishes_beside_it(rabbit: &mut Rabbit) {
    let broker = start(&settings(&rabbit.url(), "unroutable"));
    until_ready(&broker).await;
    let (right, wrong) = (Class::standard(), Class::new("gpu").unwrap());
    let published = (0..400).map(|number| {
        let class = if number % 3 == 0 { &wrong } else { &right };
        let (broker, hint) = (&broker, hint(number));
        async move { (class, broker.publish_hint(class, &hint).await) }
    });
    for (class, outcome) in futures::future::join_all(published).await {
        match outcome {
            Ok(()) => assert_eq!(class, &right),
            Err(BrokerError::Unconfirmed(text)) => {
                assert_eq!(class, &wrong, "{text}");
                assert!(text.contains("exchange unroutable.tasks has no queue for gpu: NO_ROUTE"), "{text}");
            }
            Err(error) => panic!("{class}: {error}"),
        }
    }
    let foreign = Foreign::connect(&rabbit.url()).await;
    assert_eq!(foreign.length("unroutable.tasks.standard").await, 266);
    foreign.purge("unroutable.tasks.standard").await;
    let message = message_of(&broker, &foreign).await;
    assert_eq!(message.content_type().as_ref().unwrap().as_str(), "application/json");
    assert_eq!(message.kind().as_ref().unwrap().as_str(), "framefleet.hint");
    assert_eq!(message.app_id().as_ref().unwrap().as_str(), "framefleet");
    assert_eq!((*message.delivery_mode(), *message.priority()), (Some(2), Some(4)));
    assert!(message.timestamp().is_some() && message.message_id().is_some());
    broker.close().await;
}

async fn message_of(
    broker: &impl framefleet_common::ports::broker::Broker,
    foreign: &Foreign,
) -> lapin::BasicProperties {
    broker.publish_hint(&Class::standard(), &hint(0)).await.unwrap();
    foreign.take("unroutable.tasks.standard").await.unwrap().properties
}

pub(crate) async fn a_full_queue_says_so(rabbit: &mut Rabbit) {
    let broker = start(&settings(&rabbit.url(), "full"));
    until_ready(&broker).await;
    let policy = r#"{"max-length":3}"#;
    rabbit.ctl(&["set_policy", "full", "^full\\.tasks\\.", policy, "--apply-to", "queues"]);
    // The server overshoots its bound a little.
    for number in 0..50 {
        match broker.publish_hint(&Class::light(), &hint(number)).await {
            Ok(()) => {}
            Err(BrokerError::Full { queue, length }) => {
                assert_eq!(queue, "full.tasks.light");
                assert!((3..50).contains(&length), "{length}");
                // Others are not.
                broker.publish_hint(&Class::standard(), &hint(number)).await.unwrap();
                let mut slot = broker.consume(&Class::light()).await.unwrap();
                assert_eq!(slot.next().await.unwrap().hint, hint(0));
                slot.close().await.unwrap();
                return broker.close().await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("50 messages in a queue of 3");
}
