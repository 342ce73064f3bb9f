//! What the coordinator and the worker share: ports, adapters, the media child's parent side, process manners.

/// The ports as they are here: on disk, in memory, on this host.
pub mod adapters;
/// The task board over a store: claim, heartbeat, settle, fail, hand back, expire.
pub mod board;
/// The media child as its parent sees it.
pub mod child;
/// What every role of a fleet shares.
pub mod fleet;
/// What the fleet needs from the outside world: store, broker, clock.
pub mod ports;
/// Backoff, shutdown, telemetry, privacy: manners of any service.
pub mod process;
/// The workers that are there.
pub mod roster;
/// What lines of log are about.
pub mod spans;
/// Heartbeats beside an attempt.
pub mod tending;
