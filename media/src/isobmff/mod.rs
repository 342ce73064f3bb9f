//! MP4 and MOV boxes.
