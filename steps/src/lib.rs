//! Those that steps speak to once a job has ended: receivers of webhooks, PostgreSQL, Alibaba's CDN.

/// Files of outputs, fetched ahead by a CDN.
pub mod cdn;
/// What a row says.
mod record;
/// What makes a webhook believable.
mod sign;
/// A row for each job.
pub mod sql;
/// What a fleet's configuration names, by name.
pub mod targets;
/// The event of a job's end, posted and signed.
pub mod webhook;
