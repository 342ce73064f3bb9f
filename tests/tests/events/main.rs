//! What happens between an upload and whoever looks into it, as processes on servers of the test's own.
#![expect(clippy::unwrap_used, reason = "a test program")]

mod bridge;
mod jobs;
mod secrets;
