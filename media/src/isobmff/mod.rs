//! MP4 and MOV: what a film's boxes say, and a muxer of our own.

pub mod reader;
pub mod writer;
