//! Everything in this process's memory: gone when it goes.

/// Hints by class and events by subscription.
pub mod broker;
/// The store that keeps nothing: for tests and simulation only.
pub mod store;
