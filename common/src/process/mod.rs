//! Manners that any long-running program should have; nothing here knows what a film is.

/// How long to wait before the next try.
pub mod backoff;
mod bounded;
/// An HTTP server that strangers cannot exhaust.
pub mod connections;
/// Told to stop: finish what fits, hand back the rest.
pub mod drain;
/// One event, one line.
pub mod lines;
/// What this process may use of the machine.
pub mod machine;
/// Figures for Prometheus.
pub mod metrics;
/// What others may see of this process.
pub mod privacy;
/// Whether this process lives and is ready, and its figures, over HTTP.
pub mod probes;
/// Told to stop: finish or hand back, within a bound.
pub mod shutdown;
/// Log lines on standard error.
pub mod telemetry;
/// One TLS provider for all.
pub mod tls;
/// Spans of traces, on their way out.
pub mod traces;
