//! What a fleet costs, in figures: each is measured on private servers, printed, and kept in `docs/BENCHMARKS.md`.
//!
//! ```text
//! control   coordinator and workers in this process, media that does nothing    tasks a second, idle latency
//! backlog   the coordinator in a process of its own, 450 000 open tasks         memory, latency under load
//! recovery  the program itself, default leases, `kill -9`                       until the task runs elsewhere
//! scaling   the program itself, workers held to a tenth of a core               ten workers against one
//! ```

/// What many open tasks cost.
pub mod backlog;
/// What the fleet costs beside media.
pub mod control;
/// Media work that is done at once.
pub mod nothing;
/// How soon a dead worker's task runs elsewhere.
pub mod recovery;
/// Roles on private servers.
pub mod rig;
/// How much more many small workers do.
pub mod scaling;
/// Figures beside what they should be.
pub mod table;

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// As the figures that are kept.
    Whole,
    /// A short look, on any machine.
    Short,
}
