//! The life of a job as pure functions: no async, no I/O, no clock, no randomness.

/// From the index to cuts, renditions and tasks.
pub mod planning;
