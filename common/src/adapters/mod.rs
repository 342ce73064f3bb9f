//! The ports as they are here: on disk, in memory, on this host, on servers. Only app files name them.

/// Access keys of Alibaba Cloud.
pub mod alibaba;
/// RabbitMQ: hints and events of a fleet of many processes.
pub mod amqp;
/// Objects by URL: films, work objects and outputs.
pub mod blob;
/// The host's clock, and one that tests turn by hand.
pub mod clock;
/// HTTP to hosts that others name.
pub mod egress;
/// Store and broker in memory: the model for tests and simulation, and the one-process fleet's queue.
pub mod memory;
/// Spans to a collector of OpenTelemetry.
pub mod otlp;
/// The store of a fleet, in one Redis primary.
pub mod redis;
/// The store in one SQLite file: the one-process fleet's truth.
pub mod sqlite;
/// A store that says how long it takes.
pub mod timed_store;
