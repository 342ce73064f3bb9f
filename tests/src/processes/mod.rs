//! A fleet as it is run: processes of the program, a RabbitMQ, a Redis and an S3 server of the test's own, and what goes
//! wrong with each of them.
//!
//! ```text
//! Servers (RabbitMQ, Redis, S3)        shared by the fleets of a test, each under a prefix of its own
//!   └─ Fleet                           a folder: configuration, films, outputs, work objects, scratch, logs
//!        ├─ Role × N                   a coordinator or a worker: started, signalled, killed, started again
//!        ├─ Client                     submits, shows, cancels, as any program would
//!        └─ settled                    what must hold once every job is over
//! ```
//! Everything started here dies with its value, and with the test's process however that ends.

/// What programs ask coordinators and probes.
pub mod client;
/// Who takes traces.
pub mod collector;
/// The machine's means against a process: a small disk, little memory, a line that is cut.
pub mod confined;
/// The processes of a fleet and its folders.
pub mod fleet;
/// What is asked of a fleet, and what must come of it.
pub mod jobs;
/// What lies in queues.
pub mod post;
/// One process.
pub mod role;
/// One process with everything.
pub mod serve;
/// The services behind a fleet.
pub mod servers;
/// What must hold when all is over.
pub mod settled;

#[path = "../../../common/tests/servers/rabbit.rs"]
mod rabbit;
#[path = "../../../common/tests/servers/redis.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with programs that use other parts of it")]
mod redis;
#[path = "../../../common/tests/servers/relay.rs"]
mod relay;
#[path = "../../../common/tests/servers/s3.rs"]
mod s3;

use std::time::{Duration, Instant};

/// Nothing here takes so long, even on a machine that is busy with other things; what does hangs.
pub const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits for a fact; panics with what it was once patience is at its end.
pub fn until(what: &str, fact: impl FnMut() -> bool) {
    assert!(comes_true(PATIENCE, fact), "not within {PATIENCE:?}: {what}");
}

/// Whether a fact comes true within this time.
pub fn comes_true(within: Duration, mut fact: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + within;
    loop {
        if fact() {
            return true;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        // Other processes tell nobody when they are done: they are looked at.
        std::thread::park_timeout(left.min(LOOK_EVERY));
    }
}

/// Lets a fleet work on until a moment that chance or the test's rhythm chose to disturb it: nothing is waited for.
pub fn pause(time: Duration) {
    comes_true(time, || false);
}
