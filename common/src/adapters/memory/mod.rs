//! Everything in this process's memory: gone when it goes.

/// Hints by class and events by subscription.
pub mod broker;
/// The same, with a file of what the world is told.
pub mod journal;
/// Those that steps speak to.
pub mod steps;
/// The store that keeps nothing: for tests and simulation only.
pub mod store;
