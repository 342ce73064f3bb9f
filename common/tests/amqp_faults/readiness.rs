//! What is wrong with the server or the settings, and what readiness says of it.

use std::net::TcpListener;

use framefleet_common::adapters::amqp::AmqpBroker;
use framefleet_common::adapters::clock::HostClock;
use framefleet_common::ports::broker::{Broker as _, BrokerError, Class};

use crate::rabbit::Rabbit;
use crate::scene::{declare, hint, passive, settings, start, until, until_it_says, until_ready};
use framefleet_conformance::foreign::Foreign;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rabbitmq/");

pub(crate) async fn no_server_at_all(_: &mut Rabbit) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    drop(taken);
    let broker = start(&settings(&format!("amqp://u:secret@127.0.0.1:{port}/%2f"), "none"));
    let text = until_it_says(&broker, &["no connection to the broker at 127.0.0.1", "refused"]).await;
    assert!(!text.contains("secret"), "{text}");
    // At once, for the next try may be seconds away.
    let error = broker.publish_hint(&Class::light(), &hint(0)).await.unwrap_err();
    assert!(matches!(&error, BrokerError::Unavailable(text) if text.contains("no connection")), "{error}");
    broker.close().await;
    for url in ["http://127.0.0.1/", "127.0.0.1:5672", ""] {
        let refused = AmqpBroker::start(&settings(url, "none"), std::sync::Arc::new(HostClock::start()));
        assert!(matches!(refused, Err(BrokerError::Settings(_))), "{url:?}");
    }
}

pub(crate) async fn a_server_that_is_silent_is_given_up_without_a_trace(_: &mut Rabbit) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let before = client_threads();
    let broker = start(&settings(&format!("amqp://127.0.0.1:{port}/%2f"), "silent"));
    until_it_says(&broker, &["it did not answer within 15 s"]).await;
    broker.close().await;
    until(|| client_threads() <= before).await;
    drop(silent);
}

fn client_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("lapin")).count()
}

pub(crate) async fn a_wrong_password(rabbit: &mut Rabbit) {
    let url = rabbit.url().replace("guest:guest", "guest:wrong");
    let broker = start(&settings(&url, "password"));
    let text = until_it_says(&broker, &["refuses user \"guest\"", "correct the name or the password"]).await;
    assert!(!text.contains("wrong"), "{text}");
    let once = declare(&settings(&url, "password")).await.unwrap_err();
    assert!(once.contains("refuses user \"guest\""), "{once}");
    broker.close().await;
}

pub(crate) async fn a_virtual_host_that_is_not_there(rabbit: &mut Rabbit) {
    let url = rabbit.url().replace("%2f", "nowhere");
    let broker = start(&settings(&url, "vhost"));
    until_it_says(&broker, &["no virtual host \"nowhere\"", "rabbitmqctl add_vhost"]).await;
    broker.close().await;
}

pub(crate) async fn a_user_who_may_not_enter_and_then_may_only_read(rabbit: &mut Rabbit) {
    declare(&settings(&rabbit.url(), "reader")).await.unwrap();
    rabbit.ctl(&["add_user", "reader", "reader"]);
    let url = rabbit.url().replace("guest:guest", "reader:reader");
    let broker = start(&passive(&url, "reader"));
    until_it_says(&broker, &["user \"reader\" may not enter", "rabbitmqctl set_permissions"]).await;
    rabbit.ctl(&["set_permissions", "reader", "^$", "^$", "^reader\\.tasks\\."]);
    until_ready(&broker).await;
    let other = start(&settings(&rabbit.url(), "reader"));
    let mut slot = broker.consume(&Class::light()).await.unwrap();
    other.publish_hint(&Class::light(), &hint(0)).await.unwrap();
    slot.next().await.unwrap().receipt.ack().await.unwrap();
    let error = broker.publish_hint(&Class::light(), &hint(0)).await.unwrap_err().to_string();
    assert!(error.contains("ACCESS"), "{error}");
    slot.close().await.unwrap();
    broker.close().await;
    let declaring = start(&settings(&url, "reader"));
    until_it_says(&declaring, &["user \"reader\" may not declare exchange reader.dead", "administrator"]).await;
    declaring.close().await;
    other.close().await;
}

pub(crate) async fn a_queue_that_is_missing(rabbit: &mut Rabbit) {
    let settings = passive(&rabbit.url(), "missing");
    let broker = start(&settings);
    until_it_says(&broker, &["exchange missing.dead is missing", "definitions.json", "--declare"]).await;
    declare(&settings).await.unwrap();
    until_ready(&broker).await;
    broker.close().await;
    Foreign::connect(&rabbit.url()).await.delete("missing.tasks.light").await;
    let broker = start(&settings);
    until_it_says(&broker, &["queue missing.tasks.light is missing"]).await;
    broker.close().await;
}

pub(crate) async fn a_queue_of_another_type(rabbit: &mut Rabbit) {
    let foreign = Foreign::connect(&rabbit.url()).await;
    foreign.declare("type.dead", "classic").await;
    for settings in [settings(&rabbit.url(), "type"), passive(&rabbit.url(), "type")] {
        let broker = start(&settings);
        let wanted = ["queue type.dead is not as needed", "x-queue-type", "current is 'classic'", "delete it"];
        until_it_says(&broker, &wanted).await;
        broker.close().await;
    }
    foreign.delete("type.dead").await;
}

pub(crate) async fn what_is_shipped_is_what_is_needed(rabbit: &mut Rabbit) {
    for file in ["definitions.json", "policies.json"] {
        rabbit.ctl(&["import_definitions", &format!("{SHIPPED}{file}")]);
    }
    rabbit.ctl(&["set_permissions", "-p", "framefleet", "guest", ".*", ".*", ".*"]);
    let url = rabbit.url().replace("%2f", "framefleet");
    let broker = start(&passive(&url, "framefleet"));
    until_ready(&broker).await;
    broker.publish_hint(&Class::light(), &hint(0)).await.unwrap();
    let mut slot = broker.consume(&Class::light()).await.unwrap();
    slot.next().await.unwrap().receipt.ack().await.unwrap();
    slot.close().await.unwrap();
    broker.close().await;
    let applied = rabbit.ctl(&["list_queues", "-q", "-p", "framefleet", "name", "policy"]);
    for line in applied.lines().filter(|line| line.starts_with("framefleet.")) {
        assert!(line.split_whitespace().nth(1).is_some_and(|policy| policy.starts_with("framefleet-")), "{line}");
    }
    assert_eq!(applied.lines().filter(|line| line.contains("framefleet-tasks")).count(), 3, "{applied}");
}
