//! The coordinator: takes jobs, plans them, watches over their tasks, joins and proves and publishes the result.

/// What a trigger takes becomes a job.
mod arrivals;
/// What nobody told of is found.
pub mod bucket_sweep;
/// What of the fleet is to be seen in the store.
mod census;
/// All of it, put together.
pub mod coordinator;
/// Ready tasks become hints.
mod dispatcher;
/// What is done between two commits.
mod effects;
/// Load, decide, commit, act: the turns of jobs.
pub mod engine;
/// What the world is told of a job.
mod events;
/// The stages of a job, pure.
pub mod flow;
/// What ended jobs leave is removed.
mod garbage;
/// Outputs of pictures are brought together.
mod gather;
/// Whether the store can still be written.
mod health;
/// What is asked for becomes a job, once.
pub mod inbox;
/// What a merge reads.
mod inputs;
/// What the broker gave up on is read.
mod inspector;
/// Keys that callers choose.
mod keyed;
/// What was given up, kept for people.
pub mod letters;
/// Segments and sound become outputs.
mod merge;
/// What a merge's child is told.
mod mergework;
/// What happened, for the log.
mod observe;
/// What users ask of a fleet.
pub mod ops;
/// Events on their way to the broker.
mod outbox;
/// Final keys have one owner.
mod owners;
/// Uploads that wait.
mod parked;
/// A plan before there is any job.
pub mod preview;
/// Destinations, looked at first and filled last.
mod publish;
/// A lost store is built anew.
pub mod recover;
/// Indexes and mailboxes that lost something are mended.
mod repair;
/// A letter's message is read once more.
mod rereading;
/// Which shards are looked at next.
mod rounds;
/// Outputs on their way to their destination.
mod staging;
/// What happens once a job has ended.
pub mod steps;
/// What time alone does.
mod sweeper;
/// Messages that tell of uploads are read.
mod uploads;
