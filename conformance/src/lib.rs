//! What every store and every broker must hold to, as facts that are tried on any of them: on this project's adapters
//! by its tests, on an operator's own servers by `framefleet doctor --conformance`. A fact that does not hold panics.

#![allow(clippy::unwrap_used, reason = "a fact that does not hold panics, whatever shows it")]

/// Facts of brokers, and RabbitMQ as the ground that they are tried on.
pub mod broker;
/// Any other program on the same RabbitMQ.
pub mod foreign;
/// A fact's own threads, and what becomes of it.
pub mod scene;
/// Facts of stores, and Redis as the home of the stores that they are tried on.
pub mod store;
