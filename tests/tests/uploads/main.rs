//! Uploads become jobs in a fleet of real processes, on a RabbitMQ, a Redis and an S3 server of the test's own.
#![expect(clippy::unwrap_used, reason = "a test program")]

mod dropped;
mod killed;
mod lost;
mod scene;
