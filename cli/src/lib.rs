//! The `framefleet` command, as a library so that it can be tested without being started.

/// The wiring of the command in one process.
pub mod app;
/// The command line as it is typed.
pub mod args;
/// What was asked for, still text.
pub mod asked;
/// `framefleet submit`, `jobs`, `dead` and `workers`.
pub mod asking;
/// Which command is which function.
pub mod commands;
/// The configuration of a role.
pub mod config;
/// `framefleet doctor`.
pub mod doctor;
/// How a command ends.
pub mod exit;
/// What every process of a fleet shows of itself.
pub mod figures;
/// Where a command keeps what it must find again.
pub mod folders;
/// `framefleet thumbnails`, `sprites` and `gif`.
pub mod images;
/// The job file.
pub mod jobfile;
/// Where films are and go.
pub mod location;
/// What a finished job made and proved.
pub mod made;
/// Packages for players, as they are asked for.
pub mod packaging;
/// `framefleet pipelines`.
pub mod pipelines;
/// `framefleet plan`.
pub mod plan;
/// A plan as it is shown.
pub mod planned;
/// What can be known before any work.
pub mod preflight;
/// `framefleet probe`.
pub mod probe;
/// A probed film as it is shown.
pub mod probed;
/// How far a job is, on a terminal.
pub mod progress;
/// Tables, JSON and YAML on standard output.
pub mod render;
/// From what was asked to a request.
pub mod request;
/// The processes that stay.
pub mod roles;
/// `framefleet sample`.
pub mod sample;
/// Settings of pictures and sound, checked.
pub mod settings;
/// Settings of a picture's shape, checked.
pub mod shape;
/// Settings of what is done to sound, checked.
pub mod sound;
/// From a job file to a submission.
pub mod submission;
/// `framefleet transcode`.
pub mod transcode;
/// Watermarks, checked.
pub mod watermark;
