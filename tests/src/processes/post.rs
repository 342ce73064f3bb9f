//! What lies in RabbitMQ's queues, taken and put there as any program may.

use lapin::options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

const TRACEPARENT: &str = "traceparent";

/// A message as it lay there.
#[derive(Clone, Debug)]
pub struct Taken {
    pub id: String,
    pub body: String,
    pub traceparent: Option<String>,
}

/// All messages of a queue, which they leave.
pub(super) fn take(url: &str, queue: &str) -> Result<Vec<Taken>, String> {
    with_channel(url, async |channel| {
        let mut taken = Vec::new();
        let got = async || channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await;
        while let Some(message) = got().await? {
            let id = message.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
            let header = message.properties.headers().as_ref().and_then(|headers| headers.inner().get(TRACEPARENT));
            let traceparent = header.and_then(AMQPValue::as_long_string).map(ToString::to_string);
            taken.push(Taken { id, body: String::from_utf8_lossy(&message.data).into_owned(), traceparent });
        }
        Ok(taken)
    })
}

/// Publishes a message of somebody who is at this place in a trace, if at any; the server must confirm it.
pub(super) fn put(
    url: &str,
    (exchange, key): (&str, &str),
    (traceparent, body): (Option<&str>, &[u8]),
) -> Result<(), String> {
    with_channel(url, async |channel| {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let mut headers = FieldTable::default();
        if let Some(place) = traceparent {
            headers.insert(TRACEPARENT.into(), AMQPValue::LongString(place.into()));
        }
        let properties = BasicProperties::default().with_headers(headers).with_message_id("told-once".into());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let sent = channel.basic_publish(exchange.into(), key.into(), options, body, properties).await?;
        assert!(sent.await?.is_ack(), "it is confirmed");
        Ok(())
    })
}

fn with_channel<T>(url: &str, what: impl AsyncFnOnce(&Channel) -> lapin::Result<T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a thread can be started").block_on(async {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("the server answers");
        let channel = connection.create_channel().await.expect("a channel");
        let done = what(&channel).await.map_err(|error| error.to_string());
        connection.close(200, "OK".into()).await.expect("it closes");
        done
    })
}
