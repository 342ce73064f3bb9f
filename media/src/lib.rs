//! The media child: the only crate that says gst. It speaks model types, one socket and one scratch folder.

mod allow;
mod audio;
/// Elementary streams of sound in files of their own, and Ogg, without GStreamer.
pub mod audio_files;
/// AVI, without GStreamer.
pub mod avi;
/// What an access unit's bits say of it.
pub mod bitstream;
mod canvas;
/// The child process: one piece of work, one answer.
pub mod child;
mod copying;
mod decode;
mod decoder;
mod demux;
mod described;
/// What of GStreamer is needed, and what is there.
pub mod doctor;
mod encode;
mod encoder;
mod fields;
mod fleetsrc;
/// FLV, without GStreamer.
pub mod flv;
mod formats;
mod hevc_form;
mod image;
mod indexing;
/// MP4 and MOV boxes, without GStreamer.
pub mod isobmff;
mod listening;
/// Matroska, without GStreamer.
pub mod matroska;
mod merge;
mod mpegts;
/// What every muxer of ours is told.
pub mod muxing;
mod names;
mod package;
mod parameters;
mod pass;
mod passes;
mod pipe;
mod probing;
mod promise;
/// Positional reads of anything.
pub mod read_at;
/// The socket to the parent.
pub mod reader;
/// What films may be made of.
pub mod reads;
mod rendition;
/// A numbered, beeping clip.
pub mod sample;
mod segment;
mod sequel;
mod shaping;
mod slice;
mod sound;
mod sound_coding;
mod sounding;
mod stamps;
mod tap;
mod treatment;
mod trial;
mod unbroken;
mod unheard;
mod units;
