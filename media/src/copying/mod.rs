//! The source's own coded units, taken as they are: no decoder, no encoder, and what their container said of them said by
//! the output's.
//!
//! ```text
//! pictures:  index ─▶ the segment's units, by their bytes ─▶ without start codes ─▶ file
//! sound:     {fleetsrc} ! {parsebin} ─ the track ─▶ {appsink} ─▶ units in the wanted part ─▶ file
//! ```
//! Times are the index's, never those of a pass that begins somewhere else.

/// Transport streams' framing of AAC.
mod adts;
/// What stands around units of sound.
mod framing;
/// Samples in a unit of sound.
mod lengths;
/// A segment of the film.
pub(crate) mod pictures;
/// Headers of pictures, and units that go with them.
mod records;
/// A track of sound.
pub(crate) mod sound;
/// Lengths of Vorbis' packets.
mod vorbis;
