//! The processes that stay: each is wired together here, in one file for each.

/// A coordinator's API.
pub mod api;
/// `framefleet bridge`.
pub mod bridge;
/// `framefleet coordinator`.
pub mod coordinator;
/// Whether media children lock themselves in.
pub mod sandbox;
/// `framefleet serve`.
pub mod serve;
/// What every role of a fleet is wired to.
pub mod shared;
/// `framefleet sweep`.
pub mod sweep;
/// Where a role's spans go.
pub mod traces;
/// `framefleet worker`.
pub mod worker;
