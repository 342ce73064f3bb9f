//! The topology declared, or compared with what the server has.

use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{Channel, Connection, ExchangeKind};

use super::connection::Address;
use super::topology::{Arguments, Exchange, Queue, Topology};
use super::trouble::Trouble;

/// Who makes exchanges, queues and bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declare {
    /// An administrator did: look, change nothing, need no right to configure.
    Passive,
    /// This process does, whenever it connects or finds something gone.
    Declare,
}

pub(super) async fn topology(
    connection: &Connection,
    topology: &Topology,
    declare: Declare,
    at: &Address,
) -> Result<(), Trouble> {
    let mut check = Check { connection, channel: None, at };
    match declare {
        Declare::Declare => check.declare(topology).await,
        Declare::Passive => check.compare(topology).await,
    }?;
    check.end().await;
    Ok(())
}

/// Deletes queues and exchanges, whatever is in them; bindings go with them. What is not there is gone already.
pub(super) async fn remove(connection: &Connection, topology: &Topology) -> Result<(), lapin::Error> {
    let channel = connection.create_channel().await?;
    for queue in &topology.queues {
        channel.queue_delete(queue.name.as_str().into(), QueueDeleteOptions::default()).await?;
    }
    for exchange in &topology.exchanges {
        channel.exchange_delete(exchange.name.as_str().into(), ExchangeDeleteOptions::default()).await?;
    }
    channel.close(200, "OK".into()).await
}

struct Check<'a> {
    connection: &'a Connection,
    /// The server closes a channel with every refusal.
    channel: Option<Channel>,
    at: &'a Address,
}

enum Thing<'a> {
    Exchange(&'a Exchange),
    Queue(&'a Queue),
}

impl Check<'_> {
    async fn declare(&mut self, topology: &Topology) -> Result<(), Trouble> {
        for thing in things(topology) {
            self.attempt(&thing, Declare::Declare).await?;
        }
        let channel = self.channel().await?;
        for binding in &topology.bindings {
            let what = format!("binding from {} to {}", binding.exchange, binding.queue);
            let (queue, exchange, key) =
                (binding.queue.as_str().into(), binding.exchange.as_str().into(), binding.key.as_str().into());
            let bound = channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default());
            bound.await.map_err(|error| Trouble::declaring(self.at, &what, &error))?;
        }
        Ok(())
    }

    /// A passive declaration tells what exists, but not with which arguments. A declaration of what exists already
    /// changes nothing and compares arguments, yet needs the right to configure; where that lacks, existence is
    /// all that can be known.
    async fn compare(&mut self, topology: &Topology) -> Result<(), Trouble> {
        let mut may_configure = true;
        for thing in things(topology) {
            self.attempt(&thing, Declare::Passive).await?;
            if may_configure {
                match self.attempt(&thing, Declare::Declare).await {
                    Err(Trouble::NotAllowed { .. }) => may_configure = false,
                    outcome => outcome?,
                }
            }
        }
        Ok(())
    }

    async fn attempt(&mut self, thing: &Thing<'_>, declare: Declare) -> Result<(), Trouble> {
        let channel = self.channel().await?;
        let passive = declare == Declare::Passive;
        let answer = match thing {
            Thing::Exchange(exchange) => {
                let options = ExchangeDeclareOptions { passive, durable: true, ..Default::default() };
                let (name, kind) =
                    (exchange.name.as_str().into(), ExchangeKind::Custom(exchange.kind.name().to_owned()));
                channel.exchange_declare(name, kind, options, table(&exchange.arguments)).await
            }
            Thing::Queue(queue) => {
                let options = QueueDeclareOptions { passive, durable: true, ..Default::default() };
                channel.queue_declare(queue.name.as_str().into(), options, table(&queue.arguments)).await.map(drop)
            }
        };
        answer.map_err(|error| {
            self.channel = None;
            Trouble::declaring(self.at, &thing.to_string(), &error)
        })
    }

    async fn channel(&mut self) -> Result<Channel, Trouble> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        let opened = self.connection.create_channel().await;
        let channel = opened.map_err(|error| Trouble::Lost { at: self.at.to_string(), why: error.to_string() })?;
        self.channel = Some(channel.clone());
        Ok(channel)
    }

    async fn end(&mut self) {
        if let Some(channel) = self.channel.take() {
            // It served its purpose; if it is gone already, so much the better.
            let _ = channel.close(200, "OK".into()).await;
        }
    }
}

impl std::fmt::Display for Thing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exchange(exchange) => write!(f, "exchange {}", exchange.name),
            Self::Queue(queue) => write!(f, "queue {}", queue.name),
        }
    }
}

fn things(topology: &Topology) -> impl Iterator<Item = Thing<'_>> {
    topology.exchanges.iter().map(Thing::Exchange).chain(topology.queues.iter().map(Thing::Queue))
}

fn table(arguments: &Arguments) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert((*name).into(), AMQPValue::LongString(LongString::from(value.as_str())));
    }
    table
}
