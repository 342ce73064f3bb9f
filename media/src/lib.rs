//! The media child: the only crate that says gst. It speaks model types, one socket and one scratch folder.

/// The child process: one piece of work, one answer.
pub mod child;
/// What of GStreamer is needed, and what is there.
pub mod doctor;
/// A numbered, beeping clip.
pub mod sample;
mod allow;
mod audio;
mod decode;
mod decoder;
mod demux;
mod described;
mod encode;
mod encoder;
mod fleetsrc;
mod formats;
mod indexing;
mod merge;
mod parameters;
mod pass;
mod pipe;
mod rendition;
mod segment;
mod slice;
mod sound;
mod tap;
mod trial;
/// Positional reads of anything.
pub mod read_at;
/// The socket to the parent.
pub mod reader;
/// MP4 and MOV boxes, without GStreamer.
pub mod isobmff;
/// Matroska, without GStreamer.
pub mod matroska;
/// What an access unit's bits say of it.
pub mod bitstream;
/// What every muxer of ours is told.
pub mod muxing;
