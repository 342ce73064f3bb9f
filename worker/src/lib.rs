//! The worker: claims tasks, has them done in media children, uploads and settles what they made. It has no state of
//! its own.

/// Claim, work, verify, upload, settle.
mod attempt;
/// What a task's child is told.
mod brief;
/// What a task's child reads.
mod objects;
/// What happened, for the log.
mod observe;
/// Memory and scratch, reserved before work begins.
mod room;
/// Folders that attempts write into.
mod scratch;
/// Encode and light slots, each with one attempt at a time.
pub mod slots;
/// What an attempt made goes to the work store.
mod transfer;
