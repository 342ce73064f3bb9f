//! What happens between an upload and whoever looks into it, as processes on servers of the test's own.
#![expect(clippy::unwrap_used, reason = "a test program")]

mod bridge;
mod jobs;
mod receiver;
mod secrets;
mod steps;

#[path = "../../../common/tests/servers/postgres.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with programs that use other parts of it")]
mod postgres;
