//! The vocabulary of framefleet as pure values: no async, no I/O, no clock, no randomness, no `f64` time.

/// The life of a task: claim, heartbeat, settle, fail, hand back, expire.
pub mod board;
/// What work is estimated to cost.
pub mod cost;
/// What is said to have been uploaded.
pub mod event;
/// What goes wrong, whose fault it is, and whether it is tried again.
pub mod fault;
/// Which codecs a container holds.
pub mod holds;
/// Names of jobs, tasks, attempts and contents.
pub mod id;
/// Pictures of a film: what may be asked for.
pub mod image;
/// The film's only time line, access unit by access unit.
pub mod index;
/// What a job waits for.
pub mod job;
/// The names of all objects under the work store.
pub mod key;
/// Names of languages.
pub mod language;
/// The proof that an output is whole.
pub mod ledger;
/// What pictures and sound are: codecs, containers, formats, tags.
pub mod media;
/// Blocks of an index's units at rest.
mod packing;
/// Names as they stand in URLs.
pub mod percent;
/// What is done to pictures between decoder and encoder.
pub mod picture;
/// What was asked for: outputs and their settings.
pub mod pipeline;
/// How a film is cut and who does what: immutable, with a digest.
pub mod plan;
/// What a film says of itself.
pub mod probe;
/// The socket between a media child and its parent.
pub mod reads;
/// Lists that are written as one thing while they hold no more.
mod several;
/// Pictures taken out of a film: what is planned.
pub mod shots;
/// What is done to sound between decoder and encoder.
pub mod sound;
/// What happens once a job has ended.
pub mod step;
/// Which of a run of numbered tasks are done.
pub mod tally;
/// What a media child is told, and what it answers.
pub mod task;
/// How a job stands among others: tenant, priority, deadline.
pub mod terms;
/// Durations, rates and half-open ranges of media time.
pub mod time;
/// Traces by W3C Trace Context.
pub mod trace;
/// Rules that make what was uploaded a job.
pub mod trigger;
/// Marks on finished pictures.
pub mod watermark;
/// Small XML documents.
pub mod xml;
