//! What lies in RabbitMQ's queues, taken as any program may take it.

use lapin::options::BasicGetOptions;
use lapin::{Connection, ConnectionProperties};

/// All messages of a queue, which they leave: ids and bodies.
pub(super) fn take(url: &str, queue: &str) -> Vec<(String, String)> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a thread can be started").block_on(async {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("the server answers");
        let channel = connection.create_channel().await.expect("a channel");
        let mut taken = Vec::new();
        let got = async || channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.expect("a queue");
        while let Some(message) = got().await {
            let id = message.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
            taken.push((id, String::from_utf8_lossy(&message.data).into_owned()));
        }
        connection.close(200, "OK".into()).await.expect("it closes");
        taken
    })
}
