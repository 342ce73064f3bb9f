//! Messages sent and confirmed, many at a time.
//!
//! Each message that is on its way has a channel of its own, taken from the session's idle ones and given back with a
//! clean confirm. On a shared channel the client library hands a returned message to whichever confirm comes next: the
//! lost message would count as arrived, and another as lost. Confirms of many channels still travel together.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use framefleet_model::trace::TraceContext;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::Semaphore;

use super::connection::{Link, STEP, Session, away, within};
use super::topology::Names;
use crate::ports::broker::{BrokerError, Class, Event, Hint, Notice};
use crate::ports::wire;

const PERSISTENT: u8 = 2;
/// Of every hint: where there are priorities, those of later builds can lie on both sides.
const PRIORITY: u8 = 4;
const APP: &str = "framefleet";

pub(super) struct Publisher {
    pub(super) link: Arc<Link>,
    names: Names,
    window: Semaphore,
}

struct Message {
    exchange: String,
    key: String,
    /// The queue it is meant for; customers may have bound others.
    queue: String,
    properties: BasicProperties,
    body: Bytes,
}

impl Publisher {
    pub(super) fn new(link: Arc<Link>, names: Names, window: usize) -> Self {
        Self { link, names, window: Semaphore::new(window) }
    }

    pub(super) async fn hint(&self, class: &Class, hint: &Hint) -> Result<(), BrokerError> {
        let id = format!("{}.{}", hint.job, hint.task);
        let properties = self.properties(&id).with_type("framefleet.hint".into()).with_priority(PRIORITY);
        let properties = within_trace(properties, hint.trace);
        self.publish(Message {
            exchange: self.names.tasks(),
            key: class.to_string(),
            queue: self.names.class(class),
            properties: properties.with_content_type("application/json".into()),
            body: wire::write(hint).into(),
        })
        .await
    }

    pub(super) async fn event(&self, event: &Event) -> Result<(), BrokerError> {
        let properties = self.properties(&event.id).with_type("framefleet.event".into());
        let properties = within_trace(properties, event.trace);
        self.publish(Message {
            exchange: self.names.out(),
            key: event.key.clone(),
            queue: self.names.events(),
            properties: properties.with_content_type("application/cloudevents+json".into()),
            body: event.body.clone(),
        })
        .await
    }

    pub(super) async fn notice(&self, notice: &Notice) -> Result<(), BrokerError> {
        self.publish(Message {
            exchange: self.names.ingest(),
            key: notice.key.clone(),
            queue: self.names.uploads(),
            properties: self.properties(&notice.id).with_type("framefleet.notice".into()),
            body: notice.body.clone(),
        })
        .await
    }

    fn properties(&self, id: &str) -> BasicProperties {
        let seconds = u64::try_from(self.link.clock.epoch_ms() / 1000).unwrap_or_default();
        BasicProperties::default()
            .with_app_id(APP.into())
            .with_message_id(id.into())
            .with_timestamp(seconds)
            .with_delivery_mode(PERSISTENT)
    }

    async fn publish(&self, message: Message) -> Result<(), BrokerError> {
        let clock = &*self.link.clock;
        let window = within(clock, STEP, self.window.acquire()).await;
        let _place = window.ok_or_else(|| away("too many messages wait for their confirms"))?;
        let session = self.link.session().await?;
        let channel = within(clock, STEP, session.lend()).await.unwrap_or_else(|| Err(away("it opens no channel")))?;
        let Some(sent) = within(clock, STEP, send(&channel, &message)).await else {
            // While an alarm holds everything back the connection is well, and another would be no better.
            if !session.connection.status().blocked() {
                session.spend();
            }
            return Err(BrokerError::Unconfirmed(format!("nothing came within {} s", STEP.as_secs())));
        };
        let outcome = match sent {
            Ok(Confirmation::Ack(None)) => Ok(()),
            Ok(Confirmation::Ack(Some(returned))) => {
                session.doubt();
                let Message { exchange, key, .. } = &message;
                let why = format!("exchange {exchange} has no queue for {key}: {}", returned.reply_text);
                Err(BrokerError::Unconfirmed(why))
            }
            Ok(Confirmation::Nack(_)) => {
                let length = self.length(&session, &message.queue).await;
                Err(BrokerError::Full { queue: message.queue, length })
            }
            Ok(Confirmation::NotRequested) => Err(BrokerError::Unconfirmed("confirms are off".to_owned())),
            Err(error) => {
                session.doubt();
                return Err(BrokerError::Unconfirmed(error.to_string()));
            }
        };
        session.take_back(channel);
        outcome
    }

    /// How many messages a queue holds; none where nobody says.
    async fn length(&self, session: &Session, queue: &str) -> usize {
        let asked = async {
            let channel = session.connection.create_channel().await?;
            let options = QueueDeclareOptions { passive: true, ..Default::default() };
            channel.queue_declare(queue.into(), options, FieldTable::default()).await
        };
        let queue = within(&*self.link.clock, STEP, asked).await;
        queue.and_then(Result::ok).map_or(0, |queue| queue.message_count() as usize)
    }
}

/// As W3C calls it, and as others look for it.
pub(super) const TRACEPARENT: &str = "traceparent";

fn within_trace(properties: BasicProperties, trace: Option<TraceContext>) -> BasicProperties {
    let Some(trace) = trace else { return properties };
    let mut headers = FieldTable::default();
    headers.insert(TRACEPARENT.into(), AMQPValue::LongString(trace.to_string().into()));
    properties.with_headers(headers)
}

impl Session {
    async fn lend(&self) -> Result<Channel, BrokerError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(channel) = idle.filter(|channel| channel.status().connected()) {
            return Ok(channel);
        }
        let channel = self.connection.create_channel().await.map_err(away)?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(away)?;
        Ok(channel)
    }

    fn take_back(&self, channel: Channel) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
    }
}

async fn send(channel: &Channel, message: &Message) -> lapin::Result<Confirmation> {
    let Message { exchange, key, properties, body, .. } = message;
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let (exchange, key) = (exchange.as_str().into(), key.as_str().into());
    channel.basic_publish(exchange, key, options, body, properties.clone()).await?.await
}
