//! What the fleet needs from the outside world. `object_store::ObjectStore` is the fourth port, used as it is.

/// Hints, their acknowledgement, and completion events.
pub mod broker;
/// Which shards had commits: a wake-up that may be lost.
pub mod changes;
/// Waiting, and the host's idea of the time.
pub mod clock;
/// The names of all rows, indexes and queues, and the form they are kept in.
pub mod rows;
/// Those that steps speak to.
pub mod steps;
/// The truth: rows, ordered indexes and queues under compare-and-set transactions.
pub mod store;
/// One compare-and-set transaction, and what it may hold.
pub mod txn;
/// Hints as bytes, versioned.
pub mod wire;
