//! Manners that any long-running program should have; nothing here knows what a film is.

/// How long to wait before the next try.
pub mod backoff;
/// Told to stop: finish what fits the grace, hand the rest back.
pub mod drain;
/// What this process may use of the machine.
pub mod machine;
/// What others may see of this process.
pub mod privacy;
/// Told to stop: finish or hand back, within a bound.
pub mod shutdown;
/// Log lines on standard error.
pub mod telemetry;
