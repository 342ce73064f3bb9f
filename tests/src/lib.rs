//! The product seen from outside: what its tests share.

/// The axes of exactness.
pub mod axis;
/// Where beeps stand.
pub mod beeps;
/// What a fleet costs, in figures.
pub mod bench;
/// Small clips that many tests share.
pub mod clip;
/// A cloud on one's own machine.
pub mod cloud;
/// A folder of real media and what is known of it.
pub mod corpus;
/// The list of cases that covers them.
pub mod covering;
/// Sources on disk, made once.
pub mod film;
/// A whole fleet in one process.
pub mod fleet;
/// Sound as ffmpeg hears it.
pub mod heard;
/// A double of Alibaba's queues.
pub mod mns;
/// What ffmpeg says about a file.
pub mod oracle;
/// Coded units as ffmpeg finds them.
pub mod packets;
/// Short lists that cover all pairs.
pub mod pairs;
/// Pictures as ffmpeg decodes them.
pub mod pictures;
/// Where things are.
pub mod place;
/// Playlists taken apart.
pub mod playlist;
/// A fleet of real processes on servers of its own.
pub mod processes;
/// The program under test.
pub mod product;
/// How each source is made.
pub mod recipe;
/// A program at work that a test may disturb.
pub mod running;
/// The rules of the house.
pub mod tidy;
