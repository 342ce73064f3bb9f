//! Messages taken, one at a time and each by hand.
//!
//! A source is a channel with one consumer that gets one message and no other before that is acknowledged. Giving one
//! back means ending the channel: a message asked back by name does not count as an attempt everywhere, and would
//! come round again at once. A channel ends in order, consumer first; dropped instead, it can take the whole
//! connection with it. So whatever is dropped here leaves that to the connection's side tasks.
//!
//! ```text
//!   taking ──close or drop of the source──▶ leaving ──no message held, or its receipt used or dropped──▶ gone
//!      └─────────────── drop of an unused receipt ───────────────────────────────────────────────────────▲
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use framefleet_model::id::Digest;
use framefleet_model::trace::TraceContext;
use futures::StreamExt as _;
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Acker, BasicProperties, Channel, Consumer};
use tokio::sync::Mutex;

use super::connection::{Link, STEP, Session, away, within};
use super::observe::{self, Refused};
use super::publisher::TRACEPARENT;
use super::topology::Names;
use crate::ports::broker::{
    Arrival, BrokerError, DeadLetter, DeadLetters, Delivery, Hint, Hints, Posted, Receipt, Told, Uploads,
};
use crate::ports::wire;

/// Hints of one class.
pub(super) struct Slot(Source);

/// Dead letters of the whole fleet.
pub(super) struct Inspector {
    source: Source,
    names: Names,
}

/// What others tell of uploads.
pub(super) struct Postbox(Source);

struct Source {
    queue: String,
    session: Arc<Session>,
    seat: Arc<Seat>,
    /// `None` once closed.
    consumer: Option<Consumer>,
    /// Taken, no message of ours, and not yet refused for certain.
    refused: Option<Acker>,
    ended: bool,
}

/// A channel and what still needs it.
struct Seat {
    link: Arc<Link>,
    channel: Channel,
    consumer: ShortString,
    phase: Mutex<Phase>,
    /// The source was closed or dropped.
    left: AtomicBool,
    /// A receipt is out.
    held: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Taking,
    Leaving,
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leave {
    /// The message that is held may still be acknowledged.
    Gently,
    /// The message that is held goes back.
    AtOnce,
}

struct Hold {
    seat: Arc<Seat>,
    /// `None` once acknowledged.
    acker: Option<Acker>,
}

impl Slot {
    pub(super) async fn open(link: &Arc<Link>, queue: String) -> Result<Self, BrokerError> {
        Ok(Self(Source::open(link, queue).await?))
    }
}

#[async_trait]
impl Hints for Slot {
    async fn next(&mut self) -> Result<Delivery, BrokerError> {
        loop {
            let message = self.0.next().await?;
            match wire::read(&message.data) {
                Ok(hint) => {
                    let arrival = arrival(&message);
                    let hint = Hint { trace: trace(&message), ..hint };
                    return Ok(Delivery { hint, arrival, receipt: Box::new(Hold::new(&self.0.seat, message.acker)) });
                }
                Err(why) => {
                    let id = id(&message.properties).unwrap_or_default();
                    observe::refused(&Refused { queue: &self.0.queue, id, bytes: message.data.len(), why });
                    self.0.refused = Some(message.acker);
                }
            }
        }
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        self.0.close().await
    }
}

impl Postbox {
    pub(super) async fn open(link: &Arc<Link>, queue: String) -> Result<Self, BrokerError> {
        Ok(Self(Source::open(link, queue).await?))
    }
}

#[async_trait]
impl Uploads for Postbox {
    async fn next(&mut self) -> Result<Posted, BrokerError> {
        let message = self.0.next().await?;
        let (id, trace) = (id_of(&message), trace(&message));
        let receipt = Box::new(Hold::new(&self.0.seat, message.acker));
        let told = Told { queue: self.0.queue.clone(), id, body: Bytes::from(message.data), trace };
        Ok(Posted { told, receipt })
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        self.0.close().await
    }
}

impl Inspector {
    pub(super) async fn open(link: &Arc<Link>, names: Names) -> Result<Self, BrokerError> {
        Ok(Self { source: Source::open(link, names.dead()).await?, names })
    }
}

#[async_trait]
impl DeadLetters for Inspector {
    async fn next(&mut self) -> Result<DeadLetter, BrokerError> {
        let message = self.source.next().await?;
        let (queue, reason) = death(&message, &self.names);
        let id = id_of(&message);
        let bytes = message.data.len() as u64;
        let mut body = message.data;
        body.truncate(DeadLetter::BODY_BYTES_MAX);
        let receipt = Box::new(Hold::new(&self.source.seat, message.acker));
        Ok(DeadLetter { queue, reason, id, body: Bytes::from(body), bytes, receipt })
    }

    async fn close(self: Box<Self>) -> Result<(), BrokerError> {
        self.source.close().await
    }
}

impl Source {
    async fn open(link: &Arc<Link>, queue: String) -> Result<Self, BrokerError> {
        let session = link.next_session().await?;
        let opened = async {
            let channel = session.connection.create_channel().await?;
            channel.basic_qos(1, BasicQosOptions { global: false }).await?;
            let options = BasicConsumeOptions::default();
            let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
            Ok::<_, lapin::Error>((consumer.await?, channel))
        };
        match within(&*link.clock, STEP, opened).await {
            Some(Ok((consumer, channel))) => {
                let seat = Arc::new(Seat::new(link.clone(), channel, consumer.tag()));
                Ok(Self { queue, session, seat, consumer: Some(consumer), refused: None, ended: false })
            }
            Some(Err(error)) => {
                session.doubt();
                Err(away(format!("queue {queue}: {error}")))
            }
            None => Err(away(format!("queue {queue} answers to no consumer"))),
        }
    }

    async fn next(&mut self) -> Result<Message, BrokerError> {
        self.refuse().await?;
        let consumer = self.consumer.as_mut().filter(|_| !self.ended);
        let Some(consumer) = consumer else { return Err(self.over()) };
        match consumer.next().await {
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => {
                self.ended = true;
                Err(away(error))
            }
            None => {
                self.ended = true;
                if !self.seat.ending() {
                    // The queue was deleted: the connection and the channel are well.
                    self.session.doubt();
                }
                Err(self.over())
            }
        }
    }

    /// Sends what a call that was cancelled may not have sent.
    async fn refuse(&mut self) -> Result<(), BrokerError> {
        if let Some(acker) = self.refused.as_ref().filter(|acker| acker.usable()) {
            let refused = acker.reject(BasicRejectOptions { requeue: false });
            let refused = within(&*self.seat.link.clock, STEP, refused).await;
            refused.ok_or_else(|| away("a refusal was not sent"))?.map_err(away)?;
        }
        self.refused = None;
        Ok(())
    }

    fn over(&self) -> BrokerError {
        away(format!("queue {} gives this consumer no more", self.queue))
    }

    async fn close(mut self) -> Result<(), BrokerError> {
        let leaving = self.leave();
        leaving.await;
        Ok(())
    }

    fn leave(&mut self) -> impl Future<Output = ()> + Send + 'static {
        let how = if self.refused.is_some() { Leave::AtOnce } else { Leave::Gently };
        let (seat, consumer) = (self.seat.clone(), self.consumer.take());
        seat.left.store(true, Ordering::SeqCst);
        async move {
            seat.leave(how).await;
            drop(consumer);
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        if self.consumer.is_some() {
            let leaving = self.leave();
            self.seat.link.aside(leaving);
        }
    }
}

impl Seat {
    fn new(link: Arc<Link>, channel: Channel, consumer: ShortString) -> Self {
        let (phase, left, held) = (Mutex::new(Phase::Taking), AtomicBool::new(false), AtomicBool::new(false));
        Self { link, channel, consumer, phase, left, held }
    }

    /// Where the connection is gone all of this is done already, and every step fails at once.
    async fn leave(&self, how: Leave) {
        let mut phase = self.phase.lock().await;
        if *phase == Phase::Taking {
            *phase = Phase::Leaving;
            let cancelled = self.channel.basic_cancel(self.consumer.clone(), BasicCancelOptions::default());
            let _ = within(&*self.link.clock, STEP, cancelled).await;
        }
        if *phase == Phase::Leaving && (how == Leave::AtOnce || !self.held.load(Ordering::SeqCst)) {
            *phase = Phase::Gone;
            let _ = within(&*self.link.clock, STEP, self.channel.close(200, "OK".into())).await;
        }
    }

    /// Whether it is we who end it.
    fn ending(&self) -> bool {
        self.phase.try_lock().map_or(true, |phase| *phase != Phase::Taking)
    }
}

impl Hold {
    fn new(seat: &Arc<Seat>, acker: Acker) -> Self {
        seat.held.store(true, Ordering::SeqCst);
        Self { seat: seat.clone(), acker: Some(acker) }
    }
}

#[async_trait]
impl Receipt for Hold {
    async fn ack(mut self: Box<Self>) -> Result<(), BrokerError> {
        let acker = self.acker.clone().expect("acknowledged once");
        match within(&*self.seat.link.clock, STEP, acker.ack(BasicAckOptions::default())).await {
            Some(Ok(true)) => {
                self.acker = None;
                Ok(())
            }
            // No error of the client's, and yet nothing was sent.
            Some(Ok(false)) => Err(away("its channel is gone, and the message comes again")),
            Some(Err(error)) => Err(away(error)),
            None => Err(BrokerError::Unconfirmed("the acknowledgement was not sent".to_owned())),
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.seat.held.store(false, Ordering::SeqCst);
        let seat = self.seat.clone();
        if self.acker.is_some() {
            self.seat.link.aside(async move { seat.leave(Leave::AtOnce).await });
        } else if seat.left.load(Ordering::SeqCst) {
            self.seat.link.aside(async move { seat.leave(Leave::Gently).await });
        }
    }
}

fn id_of(message: &Message) -> String {
    id(&message.properties).map_or_else(|| Digest::of(&message.data).to_string(), str::to_owned)
}

fn id(properties: &BasicProperties) -> Option<&str> {
    properties.message_id().as_ref().map(ShortString::as_str)
}

fn arrival(message: &Message) -> Arrival {
    let counted = header(message, "x-delivery-count").is_some_and(|count| match count {
        AMQPValue::LongLongInt(count) => *count > 0,
        AMQPValue::LongInt(count) => *count > 0,
        AMQPValue::LongUInt(count) => *count > 0,
        _ => false,
    });
    if message.redelivered || counted { Arrival::Redelivered } else { Arrival::First }
}

/// The queue that a dead letter was in last, and why it is no longer there. The server only says that a message was
/// rejected; which is ours to say, for the same bytes are as unreadable as they were.
fn death(message: &Message, names: &Names) -> (String, String) {
    let deaths = header(message, "x-death").and_then(AMQPValue::as_array);
    let last = deaths.and_then(|deaths| deaths.as_slice().first()).and_then(AMQPValue::as_field_table);
    let text = |name: &str| match last?.inner().get(name)? {
        AMQPValue::LongString(text) => Some(text.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        _ => None,
    };
    let queue = text("queue").unwrap_or_else(|| message.routing_key.to_string());
    let reason = text("reason").unwrap_or_else(|| wire::Unreadable::Foreign.name().to_owned());
    if reason == "expired" && queue == names.events() {
        return (queue, "unwanted".to_owned());
    }
    let ours = reason == "rejected" && queue.starts_with(&names.of("tasks."));
    let unreadable = if ours { wire::read(&message.data).err() } else { None };
    (queue, unreadable.map_or(reason, |why| why.name().to_owned()))
}

/// What is no `traceparent` is nobody's place.
fn trace(message: &Message) -> Option<TraceContext> {
    match header(message, TRACEPARENT)? {
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok()?.parse().ok(),
        AMQPValue::ShortString(text) => text.as_str().parse().ok(),
        _ => None,
    }
}

fn header<'a>(message: &'a Message, name: &str) -> Option<&'a AMQPValue> {
    message.properties.headers().as_ref()?.inner().get(name)
}
