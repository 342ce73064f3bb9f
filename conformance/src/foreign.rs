//! Any other program on the same RabbitMQ: posts what it likes, binds its own queues, looks into ours.

use framefleet_common::process::tls;
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

pub struct Foreign {
    _connection: Connection,
    pub channel: Channel,
}

pub struct Got {
    pub id: String,
    pub key: String,
    pub body: Vec<u8>,
    pub properties: BasicProperties,
}

impl Foreign {
    pub async fn connect(url: &str) -> Self {
        tls::install();
        let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("the server answers");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        Self { _connection: connection, channel }
    }

    pub async fn post(&self, exchange: &str, key: &str, body: &[u8]) {
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties = BasicProperties::default().with_delivery_mode(2);
        let sent = self.channel.basic_publish(exchange.into(), key.into(), options, body, properties).await;
        let confirmation = sent.expect("sent").await.expect("confirmed");
        assert!(confirmation.is_ack() && confirmation.take_message().is_none(), "not routed: {exchange} {key}");
    }

    /// Declares a queue of the given type.
    pub async fn declare(&self, queue: &str, kind: &str) {
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString(LongString::from(kind)));
        self.channel.queue_declare(queue.into(), options, arguments).await.expect("declared");
    }

    pub async fn bind(&self, exchange: &str, queue: &str, key: &str) {
        let bound = self.channel.queue_bind(
            queue.into(),
            exchange.into(),
            key.into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.expect("bound");
    }

    pub async fn delete(&self, queue: &str) {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.expect("deleted");
    }

    pub async fn purge(&self, queue: &str) {
        self.channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await.expect("purged");
    }

    /// Messages that wait and that nobody holds.
    pub async fn length(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let queue = self.channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        queue.expect("the queue is there").message_count()
    }

    /// The first message, acknowledged.
    pub async fn take(&self, queue: &str) -> Option<Got> {
        let got = self.channel.basic_get(queue.into(), BasicGetOptions::default()).await.expect("an answer")?;
        assert!(got.delivery.acker.ack(BasicAckOptions::default()).await.expect("acknowledged"));
        let properties = got.delivery.properties.clone();
        let id = properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
        Some(Got { id, key: got.delivery.routing_key.to_string(), body: got.delivery.data, properties })
    }
}
